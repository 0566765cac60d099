"""The few questions we ask a file system, local or remote, and what its answers mean for a source."""

from __future__ import annotations

from typing import Any

import fsspec

from retraining.errors import SourceError, Unavailable

_MARKS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")
"""What file systems call the mark that changes with a file's content; the size is compared as well."""


def file_system(url: str) -> Any:
    """Return the file system of a URL.

    Raises
    ------
    SourceError
        When fsspec knows no such scheme, or its package is not installed.
    """
    scheme = url.split("://", 1)[0] if "://" in url else "file"
    try:
        return fsspec.filesystem(scheme)
    except (ValueError, ImportError) as error:
        raise SourceError(f"source {url}: {error}. Install the fsspec package for {scheme}://.") from error


def state(url: str) -> dict[str, str]:
    """Return a mark per file of a URL or pattern that changes when the file's content does.

    Raises
    ------
    SourceError
        When nothing is there, or the credentials are refused.
    Unavailable
        When the store does not answer.
    """
    system = file_system(url)
    try:
        system.invalidate_cache()
        path = system._strip_protocol(url)
        found = sorted(system.glob(path)) if "*" in url else [path]
        marks = {str(name): _mark(system.info(name)) for name in found}
    except IsADirectoryError as error:
        raise SourceError(f"source {url}: is a folder. Name a file in it, or a pattern such as *.parquet.") from error
    except FileNotFoundError as error:
        raise SourceError(f"source {url}: there is no such file. Check data.source.files.") from error
    except PermissionError as error:
        raise SourceError(f"source {url}: access is refused: {error}. Check the credentials and rights.") from error
    except OSError as error:
        raise Unavailable(f"source {url}: does not answer: {error}") from error
    except Exception as error:  # object stores raise classes of their own, which have no common base
        if "credential" in f"{type(error).__name__} {error}".lower():
            raise SourceError(f"source {url}: {error}. Give the process its credentials.") from error
        raise Unavailable(f"source {url}: does not answer: {type(error).__name__}: {error}") from error
    if not marks:
        raise SourceError(f"source {url}: no file matches the pattern. Check data.source.files.")
    return marks


def _mark(info: dict[str, Any]) -> str:
    if info.get("type") == "directory":
        raise IsADirectoryError(f"{info.get('name')} is a folder, not a file")
    return repr([info.get("size"), *(str(info[key]) for key in _MARKS if key in info)])
