"""Where things are: the only module that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

_INCLUDE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Settings:
    """The addresses of an installation, and which code from outside it trusts.

    `home` holds the defaults of all others; `store` is an fsspec URL, `ledger` and `mlflow` are the URLs of a SQLite or
    PostgreSQL database and an MLflow server (or database), `models` is the folder of YAML files. `trusted` names the
    types, or packages of types, beyond scikit-learn that may be trained and that model files may hold: to load a type
    is to run its code. `lock` is the lock file that the installed packages are compared with before a promotion; None
    when there is none. `keeper` is the ledger under the database role that housekeeping has, which may seal it.
    """

    home: Path
    store: str
    ledger: str
    mlflow: str
    models: Path
    lock: Path | None = None
    trusted: tuple[str, ...] = ()
    keeper: str | None = None

    def for_housekeeping(self) -> Settings:
        """Return the same installation, with the ledger as housekeeping may use it."""
        return replace(self, ledger=self.keeper or self.ledger)

    @property
    def mlflow_artifacts(self) -> str | None:
        """The artifact root for a local MLflow database; None when a server decides."""
        return None if self.mlflow.startswith(("http:", "https:")) else (self.home / "mlartifacts").as_uri()

    @property
    def ledger_variable(self) -> str:
        """The environment variable that the ledger's address comes from."""
        if self.ledger == self.keeper:
            return "RETRAINING_LEDGER_KEEPER"
        return "RETRAINING_HOME" if self.ledger == _ledger_in(self.home) else "RETRAINING_LEDGER"


def settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `RETRAINING_*` and `MLFLOW_TRACKING_URI`, with embedded defaults under the home."""
    env = os.environ if environ is None else environ
    root = _INCLUDE.parent if (_INCLUDE / "models").is_dir() else Path.cwd()
    home = Path(env.get("RETRAINING_HOME") or root / ".retraining").expanduser().absolute()
    return Settings(
        home=home,
        store=env.get("RETRAINING_STORE") or (home / "store").as_uri(),
        ledger=env.get("RETRAINING_LEDGER") or _ledger_in(home),
        mlflow=env.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}",
        models=Path(env.get("RETRAINING_MODELS") or root / "include" / "models").expanduser().absolute(),
        lock=_lock(env.get("RETRAINING_LOCK"), root / "requirements.txt"),
        keeper=env.get("RETRAINING_LEDGER_KEEPER") or None,
        trusted=tuple(name for part in env.get("RETRAINING_TRUSTED", "").split(",") if (name := part.strip())),
    )


def _ledger_in(home: Path) -> str:
    return f"sqlite:///{home / 'ledger.db'}"


def _lock(given: str | None, usual: Path) -> Path | None:
    if given:
        return Path(given).expanduser().absolute()
    return usual if usual.is_file() else None
