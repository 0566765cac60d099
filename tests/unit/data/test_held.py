"""While a run lasts each chunk is read and compared once; what was erased meanwhile is not given out again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from retraining.data import chunks
from retraining.data.held import Held, held, held_tables
from retraining.errors import Damaged
from retraining.records import Chunk
from retraining.store import Store

DAY = datetime(2024, 1, 1, tzinfo=UTC)


def stored(store: Store, count: int) -> list[Chunk]:
    """Store some chunks of 100 rows."""
    tables = [chunks.normalise(pa.table({"id": range(i, i + 100), "x": [0.5] * 100}), ["id"]) for i in range(count)]
    return [chunks.write(store, table, "features", DAY, "y")[0] for table in tables]


def counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which every key that is read is added."""
    read, keys = store.read, list[str]()

    def noted(key: str, digest: str | None = None) -> bytes:
        keys.append(key)
        return read(key, digest)

    monkeypatch.setattr(store, "read", noted)
    return keys


def test_a_chunk_is_read_once_in_a_run_and_again_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path.as_uri())
    parts = stored(store, 5)
    keys = counted(store, monkeypatch)
    with held_tables():
        whole = chunks.read_many(store, parts)
        assert [t.column("id")[0].as_py() for t in whole] == [0, 1, 2, 3, 4], "in the order that was asked for"
        assert chunks.read_many(store, parts) == whole and len(keys) == 5
        assert chunks.read(store, parts[0], ["x"]).column_names == ["x"] and len(keys) == 5
    assert held() is None
    assert chunks.read(store, parts[0]).equals(whole[0]) and len(keys) == 6


def test_a_chunk_that_went_away_in_the_middle_of_a_run_is_not_given_out_again(tmp_path: Path) -> None:
    store = Store(tmp_path.as_uri())
    parts = stored(store, 3)
    with held_tables():
        chunks.read_many(store, parts)
        store.delete(chunks.key_of(parts[1].id))
        with pytest.raises(Damaged, match="is missing"):
            chunks.read_many(store, parts)


def test_an_altered_chunk_is_found_by_whichever_thread_reads_it(tmp_path: Path) -> None:
    store = Store(tmp_path.as_uri())
    parts = stored(store, 20)
    Path(store.path(chunks.key_of(parts[13].id))).write_bytes(b"else")
    with held_tables(), pytest.raises(Damaged, match="was altered or truncated"):
        chunks.read_many(store, parts)


def test_a_missing_column_is_an_error_whether_held_or_not(tmp_path: Path) -> None:
    store = Store(tmp_path.as_uri())
    (part,) = stored(store, 1)
    with pytest.raises(KeyError, match="zz"):
        chunks.read(store, part, ["x", "zz"])
    with held_tables(), pytest.raises(KeyError, match="zz"):
        chunks.read(store, part, ["x", "zz"])


def test_what_was_not_asked_for_longest_goes_first() -> None:
    tables = {name: pa.table({"x": [0.0] * 100}) for name in "abc"}
    size = tables["a"].nbytes
    kept = Held(2 * size)
    kept.put("a", tables["a"])
    kept.put("b", tables["b"])
    assert kept.get("a") is not None
    kept.put("c", tables["c"])
    assert [name for name in "abc" if kept.get(name) is not None] == ["a", "c"]
    kept.put("d", pa.table({"x": [0.0] * 1000}))
    assert kept.get("d") is None, "a table larger than all of it is not held"
