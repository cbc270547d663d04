"""References: reference runs of a version, trained or named by the user, assessed and recorded.

A reference run shows how much harmless training changes a model: it is the same training function
with another seed. Its weights are not kept, only what the assessment records of it.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from torch import nn

from governance import registry
from governance.drift.distances import SOURCES, kind_of
from governance.drift.version import MAPS
from governance.errors import SubjectError
from governance.records.assessment import Assessment
from governance.records.drift_terms import ReferenceKind
from governance.records.numbers import number
from governance.records.policy import Policy
from governance.registry import ModelVersion, Reference
from governance.registry.opening import open_subject, try_out
from governance.subject.network import layer_digests, tensor_digest
from governance.subject.precision import full_precision
from governance.subject.subject import Subject
from governance.workflows import orchestration
from governance.workflows.assessing import measure_version
from governance.workflows.planting import plant_mark
from governance.workflows.progress import Progress, silent, within

__all__ = [
    "Recipe",
    "add_references",
    "cheap",
    "load_recipe",
    "make_references",
    "plant_fault",
]

#: Trains one network: its seed, and the version's model to train on from (None: start anew).
Recipe = Callable[[int, nn.Module | None], nn.Module]

#: Analyses of references under every policy that runs them.
CHEAP = (MAPS, "layer_prediction")
#: Analyses of references under every policy.
ALWAYS = ("performance",)
FIRST_SEED = 1000  # far from what people choose, so that no reference repeats the version


def load_recipe(name: str) -> Recipe:
    """The training function that `module:function` names.

    Raises:
        SubjectError: If there is no such function.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise SubjectError(f"--recipe {name!r}: module:function is accepted")
    try:
        recipe = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise SubjectError(f"--recipe {name!r}: cannot be imported: {error}") from error
    if not callable(recipe):
        raise SubjectError(f"--recipe {name!r}: is no function; one is accepted")
    return cast("Recipe", recipe)


def cheap(policy: Policy) -> Policy:
    """A policy reduced to the analyses that a reference run needs: those behind `[drift]`.

    Raises:
        SubjectError: If the policy does not run the analysis that every comparison needs.
    """
    if MAPS not in policy.analyses:
        raise SubjectError(
            f"policy {policy.title!r}: runs no {MAPS}; a policy with [analyses.{MAPS}] is accepted"
        )
    named = {
        SOURCES[kind_of(name)]
        for name in (policy.drift.statistics if policy.drift else ())
        if kind_of(name) in SOURCES
    }
    kept = {
        name: parameters for name, parameters in policy.analyses.items() if name in {*CHEAP, *named}
    }
    return replace(
        policy, analyses=kept, expectations=(), drift=None, baseline=None, budget_minutes=None
    )


def make_references(
    uri: str,
    recipe: str,
    count: int,
    *,
    lineage: bool = False,
    policy: Policy | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> tuple[Reference, ...]:
    """Train a model with other seeds, assess each run, and record it as a reference run.

    A seed that is recorded already for this training function and kind is not trained again.

    Args:
        uri: A registered version with a recorded assessment.
        recipe: Training function as `module:function`; called with a seed and, with `lineage`, the
            version's model.
        count: Number of reference runs, those recorded before included.
        lineage: Whether to fine-tune the version instead of training anew.
        policy: Policy whose images and analyses are used. Default: that of the version's record.
        device: `auto`, `cpu` or `cuda`.
        progress: Called as each step begins.

    Returns:
        All reference runs of this training function and kind.

    Raises:
        SubjectError: If recipe, model or images do not go together.
        EvidenceError: If the version's record, or one of a reference, is not to be relied on.
        RegistryError: If MLflow refuses.
    """
    if count < 1:
        raise SubjectError(f"-n {count}: 1 and more are accepted")
    train, version = load_recipe(recipe), registry.resolve(uri)
    kind: ReferenceKind = "lineage" if lineage else "retrain"
    terms = _terms(version, policy)
    known = {item.seed: item for item in _recorded(version, kind) if item.recipe == recipe}
    seeds = [FIRST_SEED + place for place in range(count)]
    # Training too: a reference in TF32 would differ from its version by how it was computed.
    with TemporaryDirectory(prefix="governance-") as scratch, full_precision():
        subject = open_subject(version, terms, workspace=Path(scratch), device=device)
        version_model = subject.network.model
        start = {name: tensor.clone() for name, tensor in version_model.state_dict().items()}
        for place, seed in enumerate(seeds):
            if str(seed) in known:
                continue
            progress(f"training with seed {seed}", place, len(seeds))
            # A recipe may train in place, and every run starts from the version.
            version_model.load_state_dict(start)
            model = train(seed, version_model if lineage else None)
            told = within(progress, f"seed {seed}")
            found = _assess(subject, model, f"{version.uri}#{kind}-{seed}", terms, told)
            known[str(seed)] = registry.record_reference(
                version, found, kind=kind, recipe=recipe, seed=str(seed)
            )
    return tuple(known.values())


def add_references(
    uri: str,
    others: Sequence[str],
    kind: ReferenceKind,
    *,
    policy: Policy | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> tuple[Reference, ...]:
    """Assess models in MLflow or in folders, and record them as reference runs of a version.

    Args:
        uri: A registered version with a recorded assessment.
        others: URIs of models that are retrained, fine-tuned or checkpoints of the run.
        kind: Kind of the models: `retrain`, `lineage` or `checkpoint`.
        policy: As for `make_references`.
        device: `auto`, `cpu` or `cuda`.
        progress: Called as each step begins.

    Raises:
        SubjectError: If a model or the images cannot be assessed, or one is the version itself.
        EvidenceError: If the version's record, or one of a reference, is not to be relied on.
        RegistryError: If MLflow refuses.
    """
    version = registry.resolve(uri)
    terms = _terms(version, policy)
    known = {item.recipe for item in _recorded(version, kind)}
    added = []
    for place, other in enumerate(others):
        run = registry.resolve(other)
        progress(f"reference {run.uri}", place, len(others))
        if run.uri == version.uri:
            raise SubjectError(f"{other}: is {version.uri} itself; another model is accepted")
        if run.uri in known:
            continue
        assessment = measure_version(
            run, terms, device=device, standing=ALWAYS, progress=within(progress, run.uri)
        )
        added.append(
            registry.record_reference(version, assessment, kind=kind, recipe=run.uri, seed="")
        )
    return tuple(added)


def plant_fault(
    uri: str,
    *,
    recipe: str | None = None,
    policy: Policy | None = None,
    device: str = "auto",
) -> tuple[Assessment, str]:
    """Put a fault into a copy of a version, assess it, and record it for the self-test.

    Args:
        uri: A registered version with a recorded assessment.
        recipe: `module:function` that trains a faulty network, called with a seed and the version's
            model; a learnt corner mark if not given.
        policy: As for `make_references`.
        device: `auto`, `cpu` or `cuda`.

    Returns:
        The assessment of the faulty copy, and what its fault is in one sentence.

    Raises:
        SubjectError: If the fault was not learnt, or recipe, model and images do not go together.
        EvidenceError: If the version's record is not to be relied on.
        RegistryError: If MLflow refuses.
    """
    train = load_recipe(recipe) if recipe else None
    version = registry.resolve(uri)
    terms = _terms(version, policy)
    with TemporaryDirectory(prefix="governance-") as scratch, full_precision():
        subject = open_subject(version, terms, workspace=Path(scratch), device=device)
        if train is None:
            fault = plant_mark(subject, terms.seed)
            name = subject.validation.class_names[fault.label]
            model: object = fault.model
            what = (
                f"A corner mark: {number(fault.followed, 2)} of {fault.n} marked images of other "
                "classes "
                f"are answered {name!r}, and {number(fault.kept, 2)} of the clean ones rightly."
            )
        else:
            model, what = train(FIRST_SEED, subject.network.model), f"As trained by {recipe}."
        found = _assess(subject, model, f"{version.uri}#planted", terms)
    registry.record_reference(
        version, found, kind="planted", recipe=recipe or "corner mark", seed=str(terms.seed)
    )
    return found, what


def _terms(version: ModelVersion, policy: Policy | None) -> Policy:
    if version.ref is None:
        raise SubjectError(
            f"{version.uri}: not registered; references are kept with a registered model"
        )
    return cheap(policy or registry.recorded(version).policy)


def _recorded(version: ModelVersion, kind: ReferenceKind) -> list[Reference]:
    ref = version.registered_as
    listed = registry.listed(ref.name)
    return [item for item in listed if item.kind == kind and item.version == ref.version]


def _assess(
    subject: Subject, model: object, uri: str, policy: Policy, progress: Progress = silent
) -> Assessment:
    """Assess a trained network with the images and preprocessing of the version."""
    if not isinstance(model, nn.Module):
        raise SubjectError(
            f"{uri}: the recipe returned {type(model).__name__}; a nn.Module is accepted"
        )
    placed = model.to(subject.device).eval()
    digest = tensor_digest(placed)
    identity = replace(
        subject.identity,
        uri=uri,
        digest=digest,
        artifact_digest=digest,  # no files: what it computes with is all there is
        parameters=sum(item.numel() for item in placed.parameters()),
        layers=layer_digests(placed),
        ref=None,
        model_id=None,
        run_id=None,
    )
    network = replace(subject.network, model=placed)
    trained = replace(subject, classifier=network, identity=identity, history={})
    try_out(trained, policy.seed)
    return orchestration.assess(trained, policy, standing=ALWAYS, progress=progress)
