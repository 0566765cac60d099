"""Which runs froze which snapshots: what stands beside a manifest, one entry per run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected
from retraining.records import Provenance, digest_of, to_dict


class Origins(Connected):
    """A mixin of `Ledger`."""

    def add_provenance(self, snapshot_id: str, made: Provenance) -> None:
        """Record that a run froze a snapshot; doing so twice has no second effect."""
        body = to_dict(made)
        row = {"snapshot_id": snapshot_id, "model": made.model, "as_of": made.as_of, "source_id": made.source_id}
        self._add(t.provenance, key=digest_of([snapshot_id, body]), **row, body=body)

    def provenance(self, snapshot_id: str) -> list[Provenance]:
        """Return what each run that froze a snapshot knew of it, the newest first."""
        c = t.provenance.c
        return self._records(Provenance, select(c.body).where(c.snapshot_id == snapshot_id).order_by(c.row.desc()))

    def snapshots_of(self, model: str, since: datetime | None = None, also: Iterable[datetime] = ()) -> set[str]:
        """Return the snapshots that a model's runs froze: all, or those as of `since` or later, or as of `also`."""
        c = t.provenance.c
        query = select(c.snapshot_id).where(c.model == model).distinct()
        if since is not None:
            query = query.where((c.as_of >= since) | c.as_of.in_(sorted(also)))
        return {row.snapshot_id for row in self._all(query)}

    def sources_read(self) -> list[tuple[str, str]]:
        """Return each source with each model whose runs read it."""
        c = t.provenance.c
        return [(row.source_id, row.model) for row in self._all(select(c.source_id, c.model).distinct())]

    def models_by_snapshot(self) -> dict[str, set[str]]:
        """Return, by snapshot, the models whose runs froze it."""
        c = t.provenance.c
        found: dict[str, set[str]] = {}
        for row in self._all(select(c.snapshot_id, c.model).distinct()):
            found.setdefault(row.snapshot_id, set()).add(row.model)
        return found
