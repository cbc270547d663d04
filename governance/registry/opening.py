"""Opening: a model version and its validation images as a live subject."""

from pathlib import Path

import torch

from governance.errors import SubjectError
from governance.methods import training_signs
from governance.records.model_terms import ModelTerms
from governance.records.policy import Policy
from governance.registry.materials import Materials, gather
from governance.registry.training_curves import named
from governance.registry.versions import ModelVersion
from governance.subject import class_names, flavours, model_files, outputs
from governance.subject.flavours.fitting import check_processor, fitted
from governance.subject.flavours.scoring_server import Ask
from governance.subject.images import open_validation
from governance.subject.images.validation_set import ValidationSet
from governance.subject.model_files import trial
from governance.subject.network import Network
from governance.subject.precision import full_precision
from governance.subject.subject import Subject

__all__ = ["device_named", "open_materials", "open_subject", "try_out"]

TRIED = 8  # validation images that the model is tried on before anything is measured
FAR = 100.0  # pixels of inputs that are no images, where those of images lie in [0, 1]


def open_subject(
    version: ModelVersion,
    policy: Policy,
    *,
    workspace: Path,
    device: str = "auto",
) -> Subject:
    """The live subject of a version under a policy; downloads what is not on this machine.

    Args:
        version: Model version, as resolved.
        policy: Policy that names the validation images and their preprocessing.
        workspace: Folder for downloads; images are read from it as long as the subject is used.
        device: Device of the model: `auto`, `cpu` or `cuda`; `auto` takes a GPU if there is one.

    Raises:
        SubjectError: If model, images and policy do not go together; all problems of one kind at
            once.
        RegistryError: If something cannot be downloaded.
    """
    return open_materials(gather(version, policy, workspace), policy, device=device)


@full_precision()
def open_materials(
    materials: Materials,
    policy: Policy,
    *,
    device: str = "auto",
    validation: ValidationSet | None = None,
    ask: Ask | None = None,
) -> Subject:
    """The live subject of a version, from files on this machine alone.

    Args:
        materials: Files of the version, as gathered.
        policy: Policy that says how images become inputs.
        device: Device of the model: `auto`, `cpu` or `cuda`; `auto` takes a GPU if there is one.
        validation: Validation images that are open already, in place of those gathered.
        ask: Way to the scoring server of a model that is served.

    Raises:
        SubjectError: If model, images and policy do not go together; all problems of one kind at
            once.
    """
    place, version = device_named(device), materials.version
    # Before the model, which may take long to load.
    if validation is None:
        validation = open_validation(Path(materials.images), policy.validation, policy.images)
    files = model_files.read(Path(materials.model))
    validation = _in_order(validation, materials, policy.model)
    loaded = flavours.load(files, policy.model, place, ask)
    preprocessing = fitted(policy.model, loaded, version.uri)
    subject = Subject(
        identity=loaded.identity(
            files,
            uri=version.uri,
            ref=version.ref,
            model_id=version.model_id,
            run_id=version.run_id,
        ),
        classifier=loaded.classifier(preprocessing=preprocessing, outputs=policy.model.outputs),
        validation=validation,
        history=named(materials.history, training_signs.names(validation.class_names)),
    )
    if loaded.processor is not None:
        for index in validation.sample(TRIED, policy.seed):
            image = validation.images[int(index)]
            check_processor(loaded.processor, preprocessing, image, version.uri)
    try_out(subject, policy.seed)
    return subject


def _in_order(validation: ValidationSet, materials: Materials, terms: ModelTerms) -> ValidationSet:
    """The images with their labels in the order of the model's outputs, before it is loaded."""
    described = model_files.describe(Path(materials.model))
    listed = isinstance(terms.class_names, str)
    return class_names.matched(
        validation,
        materials.class_names if listed else terms.class_names,
        terms.absent,
        said=(*described.classes, *class_names.of_tag(materials.tagged)),
        outputs=described.outputs,
        where=materials.version.uri,
    )


def device_named(device: str) -> torch.device:
    """The device that `auto`, `cpu` or `cuda` means on this machine.

    Raises:
        SubjectError: For another word, or for a GPU that is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device not in {"cpu", "cuda"}:
        raise SubjectError(f"device {device!r}: auto, cpu and cuda are accepted")
    if device == "cuda" and not torch.cuda.is_available():
        raise SubjectError("device 'cuda': torch finds no GPU here; cpu and auto are accepted")
    return torch.device(device)


@full_precision()
def try_out(subject: Subject, seed: int) -> None:
    """Refuse a model that does not classify its validation images before anything is measured.

    Raises:
        SubjectError: If it does not.
    """
    classifier, chosen = subject.classifier, subject.validation.sample(TRIED, seed)
    where, pixels = subject.identity.uri, subject.pixels(chosen)
    scores = trial.check_batch(classifier.answers, pixels, where, classifier.tolerance)
    if isinstance(classifier, Network):
        # A timid network's logits may all lie in [0, 1]; far from real images a sigmoid's alone do.
        far = classifier.answers(FAR * (2 * pixels - 1))
        scores = torch.cat([scores, far[torch.isfinite(far).all(1)]])
    outputs.check(
        scores,
        classes=len(subject.validation.class_names),
        kind=classifier.outputs,
        where=where,
    )
