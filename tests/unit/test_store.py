"""The store: a key is written once, whole or not at all, and damage is noticed."""

from __future__ import annotations

import os
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retraining.errors import Damaged, Unavailable
from retraining.store import Store, sha256


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path.as_uri() if request.param == "file" else f"memory://{uuid.uuid4().hex}")


def test_a_key_is_written_once(store: Store) -> None:
    assert not store.exists("a/b.txt")
    assert store.write_once("a/b.txt", b"first")
    assert not store.write_once("a/b.txt", b"second")
    assert store.read("a/b.txt", sha256(b"first")) == b"first"
    store.write_json_once("a/c.json", {"n": [1, None]})
    assert store.read_json("a/c.json") == {"n": [1, None]}


def test_damage_and_loss_are_named(store: Store) -> None:
    store.write_once("a/b.txt", b"first")
    with pytest.raises(Damaged, match="a/b.txt was altered or truncated.*Restore"):
        store.read("a/b.txt", sha256(b"other"))
    with pytest.raises(Damaged, match="a/none.txt is missing.*Restore"):
        store.read("a/none.txt")


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = Store(tmp_path.as_uri())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match=r"cannot write a/b.txt: .*No space left.*Nothing half-written"):
        store.write_once("a/b.txt", b"data")
    monkeypatch.undo()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    assert store.write_once("a/b.txt", b"data")


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    store = Store((tmp_path / "store").as_uri())
    with pytest.raises(Unavailable, match="cannot write a/b.txt"):
        store.write_once("a/b.txt", b"data")


def test_a_read_only_store_says_so() -> None:
    """In a child that gives up root's rights, because root may write everywhere."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        child = os.fork()
        if child == 0:
            os._exit(_write_without_rights(folder))
        _, status = os.waitpid(child, 0)
        Path(folder).chmod(0o700)
    assert os.waitstatus_to_exitcode(status) == 0


def _write_without_rights(folder: str) -> int:
    """Return 0 when the store refuses with the right message."""
    try:
        if os.geteuid() == 0:
            os.setuid(65534)
        Store(Path(folder).as_uri()).write_once("a/b.txt", b"data")
    except Unavailable as error:
        return 0 if "cannot write a/b.txt" in str(error) else 1
    return 2


def test_a_listing_has_every_key_with_its_size_and_age(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    store.write_once("a/x/1.txt", b"one")
    store.write_once("a/2.txt", b"three")
    store.write_once("ab/3.txt", b"not under a/")
    found = store.listing("a/")
    assert [(e.key, e.n_bytes) for e in found] == [("a/2.txt", 5), ("a/x/1.txt", 3)]
    assert all(e.modified and before < e.modified <= datetime.now(UTC) for e in found)
    assert store.listing("none/") == []


def test_deleting_twice_is_harmless(store: Store) -> None:
    store.write_once("a/b.txt", b"data")
    assert store.delete("a/b.txt")
    assert not store.delete("a/b.txt")
    assert store.listing("a/") == []
    assert store.write_once("a/b.txt", b"again")
