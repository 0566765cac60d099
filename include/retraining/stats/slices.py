"""Slices: is a named group of holdout rows served worse than by the champion?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import stats

from retraining.errors import SpecError, shown
from retraining.records import Estimate, SliceResult
from retraining.sources import confined
from retraining.spec.gate import Gate, Slice
from retraining.spec.queries import condition_query
from retraining.stats.bootstrap import paired_difference
from retraining.stats.metrics import Array, Metric, resampled

MAX_VALUES = 50
"""A column with more values is no list of groups: each would have few rows, and correcting for many leaves no power."""
MIN_BLOCKS = 10
"""Fewer blocks than this say nothing of their own spread."""


@dataclass(frozen=True)
class Group:
    """The rows of one slice; `problem` says why there are none to judge."""

    name: str
    rows: NDArray[np.bool_]
    rule: Slice
    problem: str | None = None


def judge_slices(
    gate: Gate,
    rows: pa.Table,
    metric: Metric,
    y: Array,
    candidate: Array,
    champion: Array | None,
    blocks: NDArray[np.int64],
    *,
    alpha: float,
    seed: int,
    days: NDArray[np.int64] | None = None,
) -> tuple[SliceResult, ...]:
    """Judge every slice that the YAML names.

    Parameters
    ----------
    rows
        The holdout rows with all columns of the data; `y`, `candidate`, `champion` and `blocks` are of the same rows.
    alpha
        One-sided error of the intervals; the correction for many slices is the gate's.
    days
        Day of each block, as `paired_difference` takes it.
    """
    return tuple(
        _judge(group, gate, metric, y, candidate, champion, blocks, alpha=alpha, seed=seed, days=days)
        for rule in gate.slices
        for group in groups_of(rule, rows)
    )


def groups_of(rule: Slice, rows: pa.Table) -> list[Group]:
    """Return the groups of rows that a slice of the YAML stands for; one with a `problem` where there are none."""
    if rule.where is not None:
        try:
            return [Group(rule.title, matching(rows, rule.where), rule)]
        except SpecError as error:
            return [_none(rule, rows, str(error))]
    name = str(rule.column)
    if name not in rows.column_names:
        return [_none(rule, rows, f"the data has no column {name}; there is {shown(rows.column_names)}")]
    column = rows.column(name)
    values = pc.unique(column).to_pylist() if not rule.values else list(rule.values)
    if len(values) > MAX_VALUES:
        return [
            _none(rule, rows, f"column {name} has {len(values):,} values, at most {MAX_VALUES} are slices. Name some")
        ]
    return _by_value(rule, column, values)


def matching(rows: pa.Table, where: str) -> NDArray[np.bool_]:
    """Return which rows a DuckDB condition holds for; where it is unknown it does not hold.

    Raises
    ------
    SpecError
        When the condition cannot be evaluated.
    """
    try:
        with confined.connect() as connection:
            connection.register("rows", rows)
            found = confined.fetch(connection, condition_query(where))
            hit = np.asarray(found.fetchnumpy()["hit"], dtype=np.bool_)
    except duckdb.Error as error:
        text = str(error).splitlines()[0][:200]
        raise SpecError(f"condition {where!r}: {text}. It may use {shown(rows.column_names)}.") from error
    if len(hit) != rows.num_rows:
        raise SpecError(f"condition {where!r}: is about all rows at once. It must say yes or no for each row.")
    return hit


def _by_value(rule: Slice, column: pa.ChunkedArray, values: list[object]) -> list[Group]:
    """One group per value; where all values are meant, the rare ones are judged together, so that no row escapes."""
    texts = np.asarray(pc.fill_null(column.cast(pa.string()), "missing").to_numpy(zero_copy_only=False), dtype=object)
    names = sorted({"missing" if v is None else _text(v, column.type) for v in values})
    masks = {name: np.asarray(texts == name, dtype=np.bool_) for name in names}
    rare = [] if rule.values else [name for name in names if masks[name].sum() < rule.min_rows]
    groups = [Group(f"{rule.title} = {name}", masks[name], rule) for name in names if name not in rare]
    if rare:
        together = np.logical_or.reduce([masks[name] for name in rare])
        groups.append(Group(f"{rule.title}: {len(rare)} rare values", together, rule))
    return groups


def _text(value: object, type_: pa.DataType) -> str:
    """Return a value as the column's own text: true for a boolean, 1 for an integer."""
    try:
        return str(pa.scalar(value, type_).cast(pa.string()).as_py())
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return str(value)  # no row has it: the slice will be reported as empty


def _none(rule: Slice, rows: pa.Table, problem: str) -> Group:
    return Group(rule.title, np.zeros(rows.num_rows, dtype=np.bool_), rule, problem)


def _judge(
    group: Group,
    gate: Gate,
    metric: Metric,
    y: Array,
    candidate: Array,
    champion: Array | None,
    blocks: NDArray[np.int64],
    *,
    alpha: float,
    seed: int,
    days: NDArray[np.int64] | None = None,
) -> SliceResult:
    rule, n_rows = group.rule, int(group.rows.sum())
    margin = rule.margin if rule.margin is not None else 2 * gate.margin
    empty = SliceResult(group.name, n_rows, None, None, None, margin, None, rule.if_worse == "block")
    if group.problem is not None:
        return _but(empty, group.problem, evaluated=False)
    if n_rows < rule.min_rows:
        return _but(empty, f"{n_rows:,} rows, it takes {rule.min_rows:,}")
    truth, mine = y[group.rows], candidate[group.rows]
    present, own = np.unique(blocks[group.rows], return_inverse=True)
    n_blocks = int(own.max()) + 1
    if n_blocks < MIN_BLOCKS:
        return _but(empty, f"{n_blocks} blocks of time, it takes {MIN_BLOCKS}")
    whole = np.ones((1, n_blocks))
    score = float(resampled(metric, truth, mine, own, whole)[0])
    if np.isnan(score):
        return _but(empty, f"{metric.name} is undefined: its {n_rows:,} rows have one class")
    if champion is None:
        return SliceResult(group.name, n_rows, score, None, None, margin, None, empty.blocks)
    theirs = champion[group.rows]
    own_days = None if days is None else np.unique(days[present], return_inverse=True)[1]
    gain = paired_difference(metric, truth, mine, theirs, own, alpha=alpha, seed=seed, days=own_days)
    if not math.isfinite(gain.standard_error):
        return _but(empty, f"{metric.name} is undefined without one of its days: a class is on that day only")
    before = float(resampled(metric, truth, theirs, own, whole)[0])
    p_worse = probability_not_worse(gain, margin)
    return SliceResult(group.name, n_rows, score, before, gain, margin, p_worse, empty.blocks)


def probability_not_worse(gain: Estimate, margin: float) -> float:
    """Return the one-sided p-value of "the loss is at most the margin" (Student's t, as in `bootstrap`)."""
    beyond = gain.value + margin
    if gain.standard_error == 0:
        return 1.0 if beyond >= 0 else 0.0
    return float(stats.t.cdf(beyond / gain.standard_error, gain.degrees))


def _but(result: SliceResult, problem: str, *, evaluated: bool = True) -> SliceResult:
    return SliceResult(
        result.name, result.n_rows, None, None, None, result.margin, None, result.blocks, problem, evaluated
    )
