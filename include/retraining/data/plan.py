"""Which windows a run is about: what has final labels, what is trained on, judged, and refitted."""

from __future__ import annotations

from datetime import datetime, timedelta

from retraining.data import rows
from retraining.records import Window
from retraining.spec.data import Data
from retraining.spec.learning import n_origins
from retraining.windows import floor, nominal, partitions, step


def mature_end(data: Data, as_of: datetime) -> datetime:
    """Return the end of the last partition whose labels are all final at the as-of time."""
    if not data.time_ordered:
        return rows.HASHED.end
    return floor(as_of - data.label_delay, data.partition)


def plan_windows(data: Data, training: timedelta, holdout: timedelta, as_of: datetime) -> tuple[Window, Window, Window]:
    """Return the train, holdout and refit windows of a retraining as of a time.

    The holdout is the newest mature partitions, whole whenever the champion was trained: a request three days after a
    promotion can be decided. Who is compared on which of its rows is chosen afterwards.
    """
    if not data.time_ordered:
        return rows.HASHED_TRAIN, rows.HASHED_TEST, rows.HASHED_TRAIN
    unit = nominal(data.partition)
    end = mature_end(data, as_of)
    start = step(end, data.partition, -max(1, round(holdout / unit)))
    length = max(1, round(training / unit))
    train = Window(step(start, data.partition, -length), start)
    return train, Window(start, end), Window(step(end, data.partition, -length), end)


def plan_origins(data: Data, training: timedelta, holdout: Window, most: int) -> tuple[Window, ...]:
    """Return the holdouts that a replacement is judged over, the newest first.

    Each ends where the next one begins, and has at least half of the training window before it. Rows without a time
    have one holdout.
    """
    if not data.time_ordered:
        return (holdout,)
    length = sum(1 for _ in partitions(holdout, data.partition))
    found = [holdout]
    while len(found) < n_origins(data, training, length * nominal(data.partition), most):
        end = found[-1].start
        found.append(Window(step(end, data.partition, -length), end))
    return tuple(found)
