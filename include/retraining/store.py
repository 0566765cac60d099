"""The object store: write once, read by key, on any fsspec file system. A reader never sees half a file."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from typing import Any, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from retraining.errors import Damaged, Unavailable


def sha256(data: bytes) -> str:
    """Return the hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


class Store:
    """Bytes under keys such as `chunks/ab/abcd.parquet`.

    Local files are written under a temporary name, synced and renamed; object stores publish an object whole.
    """

    def __init__(self, url: str) -> None:
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
            raise Damaged(f"store {self.url}: {key} is missing. Restore it from a backup of the store.") from error
        except OSError as error:
            raise Unavailable(f"store {self.url}: cannot read {key}: {error}") from error
        if expected_sha256 is not None and sha256(data) != expected_sha256:
            raise Damaged(
                f"store {self.url}: {key} was altered or truncated (digest {sha256(data)[:8]}, expected "
                f"{expected_sha256[:8]}). Nothing was read from it. Restore it from a backup of the store."
            )
        return data

    def write_once(self, key: str, data: bytes) -> bool:
        """Write a key that does not exist yet; return False, and write nothing, when it does."""
        if self.exists(key):
            return False
        self._call("write", key, self._publish, self.path(key), data)
        return True

    def read_json(self, key: str) -> Any:
        """Return a key's JSON value."""
        return json.loads(self.read(key))

    def write_json_once(self, key: str, value: object) -> bool:
        """Write a JSON value under a key that does not exist yet."""
        return self.write_once(key, json.dumps(value, sort_keys=True, indent=1).encode())

    def _publish(self, path: str, data: bytes) -> None:
        if not self._local:
            self._fs.pipe_file(path, data)
            return
        self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        temporary = f"{path}.{uuid.uuid4().hex}.tmp"
        try:
            with open(temporary, "xb") as file:  # noqa: PTH123 - fsspec gives plain strings
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105 - as above
        finally:
            if self._fs.exists(temporary):
                self._fs.rm_file(temporary)

    def _call(self, what: str, key: str, function: Any, *args: object) -> Any:
        try:
            return function(*args)
        except OSError as error:
            raise Unavailable(
                f"store {self.url}: cannot {what} {key}: {error}. Nothing half-written is left."
            ) from error
