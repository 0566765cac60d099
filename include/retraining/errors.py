"""What can go wrong, by what a person can do about it.

`RetrainingError` and its children mean that trying again cannot help: a person must change something.
`Unavailable` means that something we depend on did not answer and may heal: a scheduler may retry it.
"""

from __future__ import annotations

from collections.abc import Iterable

SHOWN_ITEMS = 5
"""How many items of a list an error shows: enough to see the pattern, short enough for a terminal and an alert."""


def shown(items: Iterable[object], limit: int = SHOWN_ITEMS) -> str:
    """Return a sorted, capped list for a message.

    >>> shown(["b", "a"])
    'a, b'
    >>> shown(range(8))
    '0, 1, 2, 3, 4 and 3 more'
    """
    found = list(items)
    try:
        ordered = sorted(found)  # type: ignore[type-var]  # mixed types fall back to their text below
    except TypeError:
        ordered = sorted(found, key=str)
    head = ", ".join(str(item) for item in ordered[:limit])
    rest = len(ordered) - limit
    return f"{head} and {rest} more" if rest > 0 else head


def said(error: BaseException) -> str:
    """Return the first line of what an exception says; one that is not ours, or says nothing, is named by its type.

    >>> said(ValueError("too long")), said(TimeoutError())
    ('ValueError: too long', 'TimeoutError without a message')
    """
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    if not lines:
        return f"{name} without a message"
    return lines[0] if isinstance(error, (RetrainingError, Unavailable)) else f"{name}: {lines[0]}"


def how_to_retrain(model: str) -> str:
    """Say how a model gets its first champion, with Airflow and without."""
    return f"Run `retrain__{model}` in Airflow, or `python -m retraining run {model} --as-of TIME`, first."


SHORTEST_REASON = 3
"""Characters: enough to refuse an empty one; whether it is a good one is for its readers."""


def given_reason(reason: str, what: str) -> str:
    """Return a reason without the spaces around it.

    Raises
    ------
    RequestError
        When it is empty or too short to be one.
    """
    text = reason.strip()
    if len(text) >= SHORTEST_REASON:
        return text
    if not text:
        raise RequestError(f"{what} needs a reason, which is kept for ever: --reason says why. Nothing was changed.")
    raise RequestError(
        f"{what}: the reason {text!r} is too short: give at least {SHORTEST_REASON} characters; it is kept for ever. "
        "Nothing was changed."
    )


class RetrainingError(Exception):
    """Raise when a request, a spec, data or a record is wrong, so that the same call would fail again."""


class SpecError(RetrainingError):
    """Raise when a model's YAML, or a file it names, cannot be used."""


class RequestError(RetrainingError):
    """Raise when the caller asked for something that does not exist or makes no sense; nothing was changed."""


class SourceError(RetrainingError):
    """Raise when a source is missing, empty, corrupt, or does not have the rows or columns the spec says."""


class ValidationFailed(RetrainingError):
    """Raise when data breaks a blocking check, or a check could not be evaluated."""


class NotEnoughData(RetrainingError):
    """Raise when a window has too few rows, classes or labels to learn from."""


class Damaged(RetrainingError):
    """Raise when stored content does not have the digest under which it was stored."""


class Erased(RetrainingError):
    """Raise when stored rows were erased because a person asked for it; what was made of them cannot be made again."""


class TrainingFailed(RetrainingError):
    """Raise when an estimator cannot be built, fitted or read back."""


class DeployRefused(RetrainingError):
    """Raise when a release has no promote verdict bound to it, or fails its preflight."""


class MonitorFailed(RetrainingError):
    """Raise when the monitor cannot compute what it is asked to watch. It is an alarm, never a quiet day."""


class RegistryError(RetrainingError):
    """Raise when MLflow answers, but refuses what was asked."""


class LedgerError(RetrainingError):
    """Raise when the ledger lacks a record that must be there."""


class Unavailable(Exception):
    """Raise when a service (source, store, ledger, registry) does not answer. It may heal; a retry is right."""
