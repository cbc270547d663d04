"""Opening: a model version and its validation images as a live subject."""

from pathlib import Path

import torch

from governance.errors import SubjectError
from governance.methods import training_signs
from governance.records.policy import ModelTerms, Policy
from governance.registry.materials import Materials, gather
from governance.registry.training_curves import named
from governance.registry.versions import ModelVersion
from governance.subject import model_files
from governance.subject.images import open_validation
from governance.subject.images.validation_set import ValidationSet
from governance.subject.model_files import Shape, loading, trial
from governance.subject.network import Network
from governance.subject.precision import full_precision
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject

__all__ = ["device_named", "open_materials", "open_subject", "try_out"]

TRIED = 8  # validation images that the model is tried on before anything is measured


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
) -> Subject:
    """The live subject of a version, from files on this machine alone.

    Args:
        materials: Files of the version, as gathered.
        policy: Policy that says how images become inputs.
        device: Device of the model: `auto`, `cpu` or `cuda`; `auto` takes a GPU if there is one.
        validation: Validation images that are open already, in place of those gathered.

    Raises:
        SubjectError: If model, images and policy do not go together; all problems of one kind at
            once.
    """
    place, version = device_named(device), materials.version
    # Before the model, which may take long to load.
    if validation is None:
        validation = open_validation(Path(materials.images), policy.validation, policy.images)
    files = model_files.read(Path(materials.model))
    loaded = loading.load(files, allow_pickle=policy.model.allow_pickle, device=place)
    preprocessing = _preprocessing(policy.model, files.shape, loaded.shape, version.uri)
    subject = Subject(
        identity=loaded.identity(
            files,
            uri=version.uri,
            ref=version.ref,
            model_id=version.model_id,
            run_id=version.run_id,
        ),
        classifier=Network(
            model=loaded.model,
            device=place,
            preprocessing=preprocessing,
            outputs=policy.model.outputs,
        ),
        validation=validation,
        history=named(materials.history, training_signs.names(validation.class_names)),
    )
    try_out(subject, policy.seed)
    return subject


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


def _preprocessing(terms: ModelTerms, signed: Shape, taken: Shape, where: str) -> Preprocessing:
    """The preprocessing of the policy, completed and checked by the shapes in the model's files."""
    problems = [
        f"{where}: {what} is {theirs} in the signature and {ours} in the model; log the model "
        "again with an input_example as it takes it"
        for what, theirs, ours in zip(("channels", "height", "width"), signed, taken, strict=True)
        if None not in {theirs, ours} and theirs != ours
    ]
    channels, height, width = (
        signed[place] if size is None else size for place, size in enumerate(taken)
    )
    size = terms.input_size
    if size is None and height is not None and width is not None:
        size = (height, width)
    if size is None:
        problems.append(
            f"{where}: its files do not say which size of image it takes; size = [height, width] "
            "in [model] of the policy is needed"
        )
    elif height not in {None, size[0]} or width not in {None, size[1]}:
        problems.append(
            f"{where}: takes images of {height} x {width} and the policy says {size[0]} x "
            f"{size[1]}; leave size out of [model] of the policy, or set it to that"
        )
    depth = 1 if terms.channels == "grey" else 3
    if channels not in {None, depth}:
        problems.append(
            f"{where}: takes {channels} channels and the policy says {terms.channels}, which is "
            f"{depth}; channels = 'grey' for 1, 'rgb' or 'bgr' for 3 in [model] of the policy is "
            "accepted"
        )
    if problems or size is None:
        raise SubjectError(problems)
    return Preprocessing(
        size=size, channels=terms.channels, mean=terms.mean, std=terms.std, resize=terms.resize
    )


@full_precision()
def try_out(subject: Subject, seed: int) -> None:
    """Refuse a model that does not classify its validation images before anything is measured.

    Raises:
        SubjectError: If it does not.
    """
    network = subject.network
    inputs = network.inputs(subject.pixels(subject.validation.sample(TRIED, seed)))
    outputs = trial.check_batch(network.model, inputs, subject.identity.uri)
    trial.check_outputs(
        outputs,
        classes=len(subject.validation.class_names),
        kind=network.outputs,
        where=subject.identity.uri,
    )
