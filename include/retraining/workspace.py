"""What every stage works with: store, ledger and registry of an installation, opened when first needed."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING

from retraining.errors import Damaged, RequestError
from retraining.records import digest_of
from retraining.settings import Settings
from retraining.store import Store

if TYPE_CHECKING:
    from retraining.artifacts.registry import Registry
    from retraining.data.ingest import Reader
    from retraining.ledger import Ledger
    from retraining.sources import Resolver, RowSource
    from retraining.spec import FrozenSpec


class Workspace:
    """An installation's parts. Opening a workspace does nothing; each part opens when it is first used.

    Parameters
    ----------
    resolver
        Turns a connection's name into its URL; without one, the environment does.
    """

    def __init__(self, settings: Settings, resolver: Resolver | None = None) -> None:
        self.settings, self._resolver = settings, resolver

    @cached_property
    def store(self) -> Store:
        """The object store."""
        return Store(self.settings.store)

    @cached_property
    def ledger(self) -> Ledger:
        """The record of decisions; imported with SQLAlchemy when it is opened, which a check of a YAML never does."""
        from retraining.ledger import Ledger

        return Ledger(self.settings.ledger, self.settings.ledger_variable)

    @cached_property
    def registry(self) -> Registry:
        """MLflow; imported only by the stages that need it, because that takes seconds."""
        from retraining.artifacts.registry import Registry

        return Registry(self.settings)

    def spec(self, model: str) -> FrozenSpec:
        """Read a model's YAML as it is now.

        Raises
        ------
        RequestError
            When there is no such model.
        """
        from retraining.spec import find_models, load

        models = find_models(self.settings.models)
        if model not in models:
            raise RequestError(
                f"there is no model {model} in {self.settings.models}. There is: {', '.join(models) or 'none'}."
            )
        return load(models[model])

    def freeze(self, frozen: FrozenSpec) -> str:
        """Keep a spec as it is; return its id."""
        from retraining.spec import freeze, spec_key

        self.store.write_once(spec_key(frozen.id), freeze(frozen))
        return frozen.id

    def frozen(self, spec_id: str) -> FrozenSpec:
        """Return a spec that was frozen.

        Raises
        ------
        Damaged
            When it is missing, or is not what was frozen.
        """
        from retraining.spec import spec_key, thaw

        key = spec_key(spec_id)
        document = self.store.read_json(key)
        if digest_of(document) != spec_id:
            raise Damaged(f"store {self.store.url}: {key} was altered. Restore it from a backup of the store.")
        return thaw(json.dumps(document).encode())

    def reader(self, frozen: FrozenSpec) -> Reader:
        """Return the reader of a model's source."""
        from retraining.data.ingest import Reader  # reading rows takes libraries that questions can spare

        return Reader(frozen, *self.sources(frozen), self.store, self.ledger)

    def sources(self, frozen: FrozenSpec) -> tuple[RowSource, RowSource | None]:
        """Return the source of a model's rows, and that of its labels where they have one; nothing is read yet."""
        from retraining.sources import Places, environment_resolver, open_labels, open_source

        places, resolver = Places(self.settings.models, self.settings.home / "cache"), self._resolver
        resolve = resolver or environment_resolver
        return open_source(frozen, places, resolve), open_labels(frozen, places, resolve)
