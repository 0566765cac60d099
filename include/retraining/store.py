"""The object store: write once, read by key, on any fsspec file system. A reader never sees half a file."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from retraining.errors import Damaged, Unavailable

_MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "created")
"""Under which name file systems say when an object was written: local, S3, Azure, Google, memory."""


def sha256(data: bytes) -> str:
    """Return the hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Entry:
    """An object in a listing; `modified` (UTC) is None where the file system does not tell."""

    key: str
    n_bytes: int
    modified: datetime | None


class Store:
    """Bytes under keys such as `chunks/ab/abcd.parquet`.

    Local files are written under a temporary name, synced and renamed; object stores publish an object whole.
    """

    def __init__(self, url: str) -> None:
        import fsspec  # what only asks the ledger can spare it
        from fsspec.implementations.local import LocalFileSystem

        self.url = url
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._local = isinstance(self._fs, LocalFileSystem)

    def path(self, key: str) -> str:
        """Return the key's path on the store's file system."""
        return f"{self._root}/{key}"

    def exists(self, key: str) -> bool:
        """Tell whether the key is there."""
        return bool(self._call("look for", key, self._fs.exists, self.path(key)))

    def read(self, key: str, expected_sha256: str | None = None) -> bytes:
        """Return a key's bytes, compared with their digest when one is given.

        Raises
        ------
        Damaged
            When the key is missing or its digest differs.
        Unavailable
            When the store does not answer.
        """
        try:
            data = cast(bytes, self._fs.cat_file(self.path(key)))
        except FileNotFoundError as error:
            raise Damaged(
                f"store {self.url}: {key} is missing. Restore it from a backup of the store, "
                "unless housekeeping freed it (retention.keep in the YAML)."
            ) from error
        except OSError as error:
            raise Unavailable(f"store {self.url}: cannot read {key}: {error}") from error
        if expected_sha256 is not None and sha256(data) != expected_sha256:
            raise Damaged(
                f"store {self.url}: {key} was altered or truncated (digest {sha256(data)[:8]}, expected "
                f"{expected_sha256[:8]}). Nothing was read from it. Restore it from a backup of the store."
            )
        return data

    def write_once(self, key: str, data: bytes) -> bool:
        """Write a key that does not exist yet; return False, and write nothing, when it does.

        Of two writers at once one wins, and the other is told so: what was read of a key stays what it is.
        """
        return not self.exists(key) and bool(self._call("write", key, self._publish, self.path(key), data))

    def read_json(self, key: str) -> Any:
        """Return a key's JSON value.

        Raises
        ------
        Damaged
            When the key is missing or is not JSON.
        Unavailable
            When the store does not answer.
        """
        try:
            return json.loads(self.read(key))
        except ValueError as error:
            raise Damaged(
                f"store {self.url}: {key} was altered or truncated. Restore it from a backup of the store."
            ) from error

    def write_json_once(self, key: str, value: object) -> bool:
        """Write a JSON value under a key that does not exist yet."""
        return self.write_once(key, json.dumps(value, sort_keys=True, indent=1).encode())

    def listing(self, prefix: str) -> list[Entry]:
        """Return what is under a prefix such as `chunks/`, by key, with sizes: one listing, not one look per object."""
        self._fs.invalidate_cache()  # another process may have written since; some file systems keep their listings
        found = self._call("list", prefix, self._find, self.path(prefix.rstrip("/")))
        start = len(self._root) + 1
        return [Entry(path[start:], int(info["size"] or 0), _modified(info)) for path, info in sorted(found.items())]

    def starting_with(self, start: str) -> list[str]:
        """Return the keys that begin with a text within one folder."""
        folder = start.rpartition("/")[0]
        if self._local:  # a local pattern asks for every file's status; names alone are enough
            found = self._call("list", folder, self._names, self.path(folder))
        else:
            found = self._call("list", folder, self._fs.glob, f"{self.path(start)}*")
        keys = (f"{folder}/{path.rpartition('/')[2]}" for path in found)
        return sorted(key for key in keys if key.startswith(start))

    def _names(self, path: str) -> list[str]:
        return os.listdir(path) if os.path.isdir(path) else []  # noqa: PTH112, PTH208 - fsspec gives plain strings

    def delete(self, key: str) -> bool:
        """Delete a key; return False when it is not there, so that a repeated sweep goes on where it stopped."""
        return bool(self._call("delete", key, self._remove, self.path(key)))

    def _find(self, path: str) -> dict[str, Any]:
        try:
            return cast("dict[str, Any]", self._fs.find(path, detail=True))
        except FileNotFoundError:  # nothing was ever written under this prefix, or another process emptied it
            return {}

    def _remove(self, path: str) -> bool:
        try:
            self._fs.rm_file(path)
        except FileNotFoundError:
            return False
        return True

    def _publish(self, path: str, data: bytes) -> bool:
        try:
            if self._local:
                self._write_local(path, data)
            else:
                self._fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        return True

    def _write_local(self, path: str, data: bytes) -> None:
        """Write under a temporary name, then give the file its own name unless another writer was first."""
        self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        temporary = f"{path}.{uuid.uuid4().hex}.tmp"
        try:
            with open(temporary, "xb") as file:  # noqa: PTH123 - fsspec gives plain strings
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, path)  # unlike a rename, this fails when the name is taken
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links, such as some network shares
                os.replace(temporary, path)  # noqa: PTH105 - as above
        finally:
            if self._fs.exists(temporary):
                self._fs.rm_file(temporary)

    def _call(self, what: str, key: str, function: Any, *args: object) -> Any:
        try:
            return function(*args)
        except OSError as error:
            raise Unavailable(
                f"store {self.url}: cannot {what} {key}: {error}. Nothing half-written is left. Check its space and "
                "rights, then run again."
            ) from error


def _modified(info: dict[str, Any]) -> datetime | None:
    value = next((info[name] for name in _MODIFIED if info.get(name) is not None), None)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return None if value is None else datetime.fromtimestamp(float(value), UTC)
