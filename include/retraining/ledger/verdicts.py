"""Verdicts and the releases that are bound to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, func, select
from sqlalchemy.sql.functions import Function

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected, begins_with
from retraining.records import Release, Verdict, Window, from_dict, to_dict

_CHECKED = ("promote", "reject", "inconclusive")
"""Decisions that a checklist can end in."""


class Verdicts(Connected):
    """A mixin of `Ledger`."""

    def add_verdict(self, verdict: Verdict, serves: Sequence[str]) -> Verdict:
        """Record a verdict and, unless it is a dry run, the requests it serves; return the one that stands."""
        served = [] if verdict.dry_run else sorted(set(serves))
        with self._writing() as connection:
            self._insert(connection, t.verdicts, _row(verdict))
            for request in served:
                self._insert(connection, t.served, {"request_id": request, "verdict_id": verdict.id})
            stands = connection.execute(select(t.verdicts.c.body).where(t.verdicts.c.id == verdict.id)).scalar_one()
        return from_dict(Verdict, stands)

    def verdict(self, verdict_id: str) -> Verdict | None:
        """Return a verdict by its id or by an unambiguous beginning of it."""
        exact = self._record(Verdict, select(t.verdicts.c.body).where(t.verdicts.c.id == verdict_id))
        if exact is not None:
            return exact
        found = self._records(
            Verdict, select(t.verdicts.c.body).where(begins_with(t.verdicts.c.id, verdict_id)).limit(2)
        )
        return found[0] if len(found) == 1 else None

    def verdicts(self, model: str) -> list[Verdict]:
        """Return a model's verdicts, oldest first."""
        c = t.verdicts.c
        return self._records(Verdict, select(c.body).where(c.model == model).order_by(c.row))

    def verdicts_near(self, model: str, window: Window) -> list[Verdict]:
        """Return the verdicts whose holdout is the window, follows it, or ends with it, oldest first."""
        c = t.verdicts.c
        near = c.holdout_start.in_((window.start, window.end)) | (c.holdout_end == window.end)
        return self._records(Verdict, select(c.body).where(c.model == model, near).order_by(c.row))

    def verdict_instead_of(self, verdict: Verdict) -> Verdict | None:
        """Return the verdict on the champion's own recipe, where a replacement did not pass; None for any other."""
        if verdict.evaluation.rule != "replace":
            return None
        near = self.verdicts_near(verdict.model, verdict.evaluation.window)
        return next((v for v in reversed(near) if v.evaluation.instead_of == verdict.id), None)

    def looks_at(self, model: str, window: Window, *, replace: bool) -> int:
        """Count the verdicts from before looks were numbered that judged rows of this window.

        One that came to no checklist (too few rows, say) could not have promoted, and is no look. A replacement and a
        refresh are two questions, each with an error of its own: looks are counted by question.
        """
        c = t.verdicts.c
        overlaps = (c.holdout_start < window.end, c.holdout_end > window.start)
        # not func.json_array_length: a library that is imported beside us registers a class of that name
        listed = Function("json_array_length", c.body["checklist"], type_=Integer()) > 0
        rule, look = (c.body["evaluation"][name].as_string() for name in ("rule", "look"))
        asked = (c.decision.in_(_CHECKED), rule == "replace" if replace else rule != "replace", look.is_(None))
        query = select(func.count()).where(c.model == model, *asked, *overlaps, listed)
        return int(self._one(query))

    def add_release(self, release: Release) -> Release:
        """Bind a release to its verdict, once; return the one that stands."""
        row = {"model": release.model, "verdict_id": release.verdict_id, "release_id": release.id}
        self._add(t.releases, **row, body=to_dict(release))
        return self.release_of(release.verdict_id) or release

    def release_of(self, verdict_id: str) -> Release | None:
        """Return the release bound to a verdict."""
        return self._record(Release, select(t.releases.c.body).where(t.releases.c.verdict_id == verdict_id))

    def releases(self, model: str) -> list[Release]:
        """Return a model's releases, oldest first."""
        c = t.releases.c
        return self._records(Release, select(c.body).where(c.model == model).order_by(c.row))


def _row(verdict: Verdict) -> dict[str, Any]:
    window = verdict.evaluation.window
    return {
        "id": verdict.id,
        "model": verdict.model,
        "decision": verdict.decision,
        "as_of": verdict.evaluation.as_of,
        "holdout_start": window.start,
        "holdout_end": window.end,
        "dry_run": verdict.dry_run,
        "body": to_dict(verdict),
    }
