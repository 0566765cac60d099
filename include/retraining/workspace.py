"""What every stage works with: store, ledger and registry of an installation, opened when first needed."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING

from retraining.data.ingest import Reader
from retraining.errors import Damaged, RequestError
from retraining.ledger import Ledger
from retraining.records import digest_of
from retraining.settings import Settings
from retraining.sources import Places, Resolver, environment_resolver, open_labels, open_source
from retraining.spec import FrozenSpec, find_models, freeze, load, spec_key, thaw
from retraining.store import Store

if TYPE_CHECKING:
    from retraining.artifacts.registry import Registry


class Workspace:
    """An installation's parts. Opening a workspace does nothing; each part opens when it is first used."""

    def __init__(self, settings: Settings, resolver: Resolver = environment_resolver) -> None:
        self.settings, self._resolver = settings, resolver

    @cached_property
    def store(self) -> Store:
        """The object store."""
        return Store(self.settings.store)

    @cached_property
    def ledger(self) -> Ledger:
        """The record of decisions."""
        return Ledger(self.settings.ledger)

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
        models = find_models(self.settings.models)
        if model not in models:
            raise RequestError(
                f"there is no model {model} in {self.settings.models}. There is: {', '.join(models) or 'none'}."
            )
        return load(models[model])

    def freeze(self, frozen: FrozenSpec) -> str:
        """Keep a spec as it is; return its id."""
        self.store.write_once(spec_key(frozen.id), freeze(frozen))
        return frozen.id

    def frozen(self, spec_id: str) -> FrozenSpec:
        """Return a spec that was frozen.

        Raises
        ------
        Damaged
            When it is missing, or is not what was frozen.
        """
        key = spec_key(spec_id)
        document = self.store.read_json(key)
        if digest_of(document) != spec_id:
            raise Damaged(f"store {self.store.url}: {key} was altered. Restore it from a backup of the store.")
        return thaw(json.dumps(document).encode())

    def reader(self, frozen: FrozenSpec) -> Reader:
        """Return the reader of a model's source."""
        places = Places(self.settings.models, self.settings.home / "cache")
        source = open_source(frozen, places, self._resolver)
        return Reader(frozen, source, open_labels(frozen, places, self._resolver), self.store, self.ledger)
