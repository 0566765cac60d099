"""Which code from outside scikit-learn may be trained and loaded: what the installation says, never a model's YAML."""

from __future__ import annotations

from retraining.settings import settings


def is_trusted(name: str) -> bool:
    """Tell whether `RETRAINING_TRUSTED` names a type, or a package that it is in.

    It is read here and not handed down: trust belongs to a process, whichever model or run it is about.
    """
    return any(name == trusted or name.startswith(f"{trusted}.") for trusted in settings().trusted)
