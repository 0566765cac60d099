"""Secrets in URLs: found, so that a YAML with one is refused, and hidden wherever a URL is shown."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"://[^@]*:[^@]*@")  # not urlsplit: a slash in the password would hide it
_SIGNATURE = re.compile(
    r"(?P<name>[?&#;](?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|awsaccesskeyid|googleaccessid"
    r"|(?:access|auth|id)?[_-]?token|api[_-]?key|key|password|pwd|secret))=[^&#\s'\"]+",
    re.IGNORECASE,
)
"""What signed URLs of S3, Google Cloud Storage and Azure carry their rights in, and the names services give a key."""


def problem_of(url: str) -> str | None:
    """Say which secret a URL holds and what to do instead; None when it holds none.

    >>> problem_of("s3://bucket/a.parquet") is None
    True
    >>> problem_of("https://host.example/a.csv?sv=1&sig=abc").split(".")[0:2]
    ['the URL of host', 'example holds a signature or key (sig)']
    """
    host = url.rpartition("@")[2].partition("/")[0] if "@" in url else url.partition("://")[2].partition("/")[0]
    if _PASSWORD.search(url):
        return (
            f"the URL of {host} holds a password. Leave it out, and give the credentials to the process in its "
            "environment, for example as AWS_ACCESS_KEY_ID"
        )
    if signed := _SIGNATURE.search(url):
        return (
            f"the URL of {host} holds a signature or key ({signed['name'][1:]}). It would be kept with the spec for "
            "ever, and expires: leave it out, and give the process credentials of its own, for example as "
            "AWS_ACCESS_KEY_ID"
        )
    return None


def hidden(text: str) -> str:
    """Return a text in which passwords and signatures of URLs are stars.

    >>> hidden("postgresql://me:secret@host/db, https://host/a.csv?sig=abc&x=1")
    'postgresql://***@host/db, https://host/a.csv?sig=***&x=1'
    """
    text = re.sub(r"(?<=:/)(/?)[^\s'\"]*@", r"\1***@", text)
    return _SIGNATURE.sub(r"\g<name>=***", text)
