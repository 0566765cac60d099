"""Reproduce: build a model again from its frozen rows, spec, parameters and seed, and compare it with the stored one.

The source is never read again. In the same environment every prediction must have the same bits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from retraining.artifacts import modelfile, stored
from retraining.artifacts.environment import environment_changes, read_environment, threads_of
from retraining.artifacts.features import matrix
from retraining.artifacts.stored import ModelCard, predict
from retraining.data import chunks, snapshots
from retraining.errors import Damaged, RequestError, shown
from retraining.records import Manifest, Reproduction, Trained, digest_of, short, to_dict
from retraining.spec import FrozenSpec
from retraining.store import Store
from retraining.train import fit, labelled_rows, learnt, recipe_id
from retraining.workspace import Workspace

TOLERANCE = 1e-6
"""Largest difference allowed between environments: other kernels round the last bits differently and a solver that
stops early carries that further, while another recipe or other rows are off by far more."""
_SHOWN_CHANGES = 10
"""Changes an error names, machine and numeric libraries first; an upgrade of everything changes hundreds."""


def reproduce(workspace: Workspace, model: str, version: int | None = None, *, anyway: bool = False) -> Reproduction:
    """Rebuild a model and compare it with the stored one; the result is kept in the ledger.

    Parameters
    ----------
    version
        A version in the champion history or in the registry. Without it: the champion, else the newest candidate.
    anyway
        Rebuild in another environment too.

    Raises
    ------
    RequestError
        When there is no such model, it was not made here, or the environment is another and `anyway` is not set.
    Damaged
        When a part it was made of is missing or was altered; the message names it.
    """
    release_id, version = _find(workspace, model, version)
    card = stored.read_card(workspace.store, release_id)
    _must_be_ours(model, release_id, card)
    document = read_environment(workspace.store, card.environment_id)
    with threads_of(document):
        changes = environment_changes(document, card.environment_id)
        if changes and not anyway:
            more = f"; and {len(changes) - _SHOWN_CHANGES} more" if len(changes) > _SHOWN_CHANGES else ""
            raise RequestError(
                f"{model}, release {short(release_id)}: was made in another environment: "
                f"{'; '.join(changes[:_SHOWN_CHANGES])}{more}. Nothing was rebuilt. Reproduce it in that environment, "
                f"or add --anyway to compare within {TOLERANCE:g}."
            )
        found = _rebuild(workspace, release_id, version, changes)
    workspace.ledger.finish(model, "reproduce", digest_of(to_dict(found)), found)
    return found


def succeeded(found: Reproduction) -> bool:
    """Tell whether a model was reproduced: the same bits, or in another environment the same within `TOLERANCE`."""
    return found.identical or (not found.same_environment and found.largest_difference <= TOLERANCE)


def describe(found: Reproduction) -> str:
    """Say in a sentence what came out."""
    name = f"version {found.version}" if found.version else "the newest candidate"
    head = f"{found.model}: {name} (release {short(found.release_id)})"
    file = "the same" if found.file_identical else "another"
    if found.identical:
        return f"{head}: reproduced bit for bit on {found.n_rows:,} rows; model file: {file}"
    what = "reproduced within" if succeeded(found) else "NOT reproduced, differs by up to"
    return f"{head}: {what} {found.largest_difference:g} on {found.n_rows:,} rows; model file: {file}"


def _find(workspace: Workspace, model: str, version: int | None) -> tuple[str, int | None]:
    if version is not None:
        return _release_of(workspace, model, version), version
    champion = workspace.ledger.champion(model)
    if champion is not None:
        return champion.release_id, champion.version
    trained = workspace.ledger.newest(Trained, model, "train")
    if trained is not None:
        return trained.artifact_id, None
    workspace.spec(model)  # raises when there is no such model
    raise RequestError(f"{model}: has neither a champion nor a candidate, so there is nothing to reproduce.")


def _release_of(workspace: Workspace, model: str, version: int) -> str:
    history = workspace.ledger.champions(model)
    ours = next((c.release_id for c in history if c.version == version), None)
    found = ours or workspace.registry.release_of(model, version)
    if found is None:
        known = shown({c.version for c in history}) or "none"
        raise RequestError(f"{model}: no version {version} was made here. Versions of champions: {known}.")
    return found


def _must_be_ours(model: str, release_id: str, card: ModelCard) -> None:
    if card.provenance is not None:
        raise RequestError(
            f"{model}, release {short(release_id)}: provenance unknown: it was adopted from {card.provenance}, and "
            "neither its training rows nor its recipe are here. The next promoted version can be reproduced."
        )
    if recipe_id(card.spec_id, card.estimator, card.params, card.seed, card.reach) != card.recipe_id:
        raise Damaged(
            f"{model}, release {short(release_id)}: its recorded spec, estimator, parameters and seed do not make up "
            f"its recipe {short(card.recipe_id)}: one of them was altered. Nothing was rebuilt."
        )


def _rebuild(workspace: Workspace, release_id: str, version: int | None, changes: tuple[str, ...]) -> Reproduction:
    files = stored.read_files(workspace.store, release_id)
    made = stored.from_files(release_id, files)
    card = made.card
    frozen = _with_seed(workspace.frozen(card.spec_id), card.seed)
    snapshot = snapshots.read_manifest(workspace.store, card.snapshot_id)
    _check_rows(workspace.store, snapshot)
    whole = labelled_rows(workspace, frozen, snapshot, card.plan, card.classes)
    data = learnt(whole, card.reach, card.cutoff)
    rebuilt = fit(frozen, card.estimator, card.params, card.plan, data)
    smoke = matrix(made.smoke, card.plan, "smoke rows")
    pairs = [
        *[(predict(rebuilt, card.task, x), predict(made.pipeline, card.task, x)) for x in (data.x, smoke)],
        (predict(rebuilt, card.task, smoke), stored.expected_outputs(files)),
    ]
    return Reproduction(
        model=card.model,
        release_id=release_id,
        version=version,
        snapshot_id=card.snapshot_id,
        spec_id=card.spec_id,
        same_environment=not changes,
        environment_changes=changes,
        n_rows=len(data.y) + made.smoke.num_rows,
        largest_difference=max(float(np.max(np.abs(now - then), initial=0.0)) for now, then in pairs),
        identical=all(now.tobytes() == then.tobytes() for now, then in pairs),
        file_identical=modelfile.dumps(rebuilt) == files["model.skops"],
    )


def _with_seed(frozen: FrozenSpec, seed: int) -> FrozenSpec:
    """Learn with the seed that the model recorded."""
    training = frozen.spec.training.model_copy(update={"seed": seed})
    return replace(frozen, spec=frozen.spec.model_copy(update={"training": training}))


def _check_rows(store: Store, snapshot: Manifest) -> None:
    """Check every chunk by its content too: its file's digest stands in the manifest, beside which it could be put."""
    for chunk in (*snapshot.features, *snapshot.labels):
        if chunks.content_id(chunks.read(store, chunk)) != chunk.id:
            raise Damaged(
                f"store {store.url}: {chunks.key_of(chunk.id)} holds other rows than its id says. "
                "Restore it from a backup of the store."
            )
