"""Draft subject: a model and labelled images, opened before anything is known of how they fit.

An assessment is told by its policy how images become inputs. Here there is no policy yet: sizes and
channels come from the model's files, the rest is to be found out.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from governance import registry
from governance.errors import SubjectError
from governance.records.identity import ModelFormat
from governance.records.model_terms import ModelTerms
from governance.records.numbers import count
from governance.registry import ModelVersion
from governance.registry.materials import class_tag, model_folder
from governance.registry.opening import device_named
from governance.subject import class_names, flavours, model_files
from governance.subject.class_names import read_names
from governance.subject.classifier import Classifier
from governance.subject.flavours import LoadedModel
from governance.subject.images import open_validation
from governance.subject.images.validation_set import ValidationSet
from governance.subject.model_files import Description, trial
from governance.subject.outputs import Outputs, check, recognised
from governance.subject.precision import full_precision
from governance.subject.preprocessing import Preprocessing

__all__ = ["DraftSubject", "open_draft"]

#: Fewer images choose and confirm nothing: on 50 of them a share of 0.9 is known to 0.09.
LEAST = 100
TRIED = 8  # images that the model is tried on before anything else


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftSubject:
    """A model and images that policies can be tried on.

    Attributes:
        version: The model version, as resolved.
        format: How it is stored.
        classifier: The model behind some preprocessing.
        described: What its author wrote about it.
        validation: The images.
        unsized: Whether the files leave the size open.
    """

    version: ModelVersion
    format: ModelFormat
    classifier: Classifier
    described: Description
    validation: ValidationSet
    unsized: bool


@full_precision()
def open_draft(
    uri: str,
    data: Path,
    scratch: Path,
    device: str,
    *,
    allow_pickle: bool,
    names: Path | None = None,
) -> DraftSubject:
    """Open the images and the model at `uri`, and try the model on some of them.

    Args:
        uri: Address of the model, as `registry.resolve` takes it.
        data: Validation images on this machine.
        scratch: Folder for downloads.
        device: `auto`, `cpu` or `cuda`.
        allow_pickle: Whether a pickled model may be loaded.
        names: File with the names of the outputs in order; None for those that the model says.

    Raises:
        SubjectError: If there are too few images, or the model does not classify them, or into
            other classes.
        RegistryError: If MLflow refuses.
    """
    validation = open_validation(data, str(data))
    if len(validation) < LEAST:
        raise SubjectError(
            f"validation images {data}: {count(len(validation))} in "
            f"{count(len(validation.class_names))} classes; at least {LEAST} are needed to draft a "
            "policy: half of them choose a preprocessing, and the others confirm it"
        )
    version = registry.resolve(uri)
    place = device_named(device)
    files = model_files.read(model_folder(version, scratch / "model"))
    described = model_files.describe(files.folder)
    validation = class_names.matched(
        validation,
        read_names(names, str(names)) if names else None,
        said=(*described.classes, *class_names.of_tag(class_tag(version))),
        outputs=described.outputs,
        where=f"model {version.uri}",
    )
    terms = ModelTerms(allow_pickle=allow_pickle)
    loaded = flavours.load(files, terms, place)
    start, unsized = _start(version, loaded, validation)
    outputs = _outputs(version, loaded.classifier(preprocessing=start), validation)
    if outputs != terms.outputs:
        # What is made of the model's numbers depends on their meaning.
        loaded = flavours.load(files, replace(terms, outputs=outputs), place)
    return DraftSubject(
        version=version,
        format=loaded.format,
        classifier=loaded.classifier(preprocessing=start, outputs=outputs),
        described=described,
        validation=validation,
        unsized=unsized,
    )


def _start(
    version: ModelVersion, loaded: LoadedModel, validation: ValidationSet
) -> tuple[Preprocessing, bool]:
    """Size and number of channels to begin with, and whether the files leave the size open."""
    channels, height, width = (
        taken if taken is not None else signed
        for taken, signed in zip(loaded.shape, loaded.signed, strict=True)
    )
    if channels not in {None, 1, 3}:
        raise SubjectError(
            f"{version.uri}: takes {channels} channels; 1 (grey) and 3 (colour) are accepted"
        )
    first = validation.images[0]
    grey = channels == 1 or (channels is None and first.ndim == 2)  # noqa: PLR2004 - (H, W)
    unsized = height is None or width is None
    size = (height or first.shape[0], width or first.shape[1])
    return Preprocessing(size=size, channels="grey" if grey else "rgb", resize="crop"), unsized


def _outputs(version: ModelVersion, classifier: Classifier, validation: ValidationSet) -> Outputs:
    """The kind of the model's outputs, tried on a few images as an assessment does it."""
    images = [validation.images[int(i)] for i in validation.sample(TRIED, 0)]
    start, where = classifier.preprocessing, f"model {version.uri}"
    pixels = torch.from_numpy(np.stack([start.pixels(image) for image in images]))
    found = trial.check_batch(
        classifier.answers, pixels.to(classifier.device), version.uri, classifier.tolerance
    )
    classes = len(validation.class_names)
    if found.dim() == 2 and found.shape[1] != classes:  # noqa: PLR2004 - (B, K)
        raise SubjectError(class_names.other_number(found.shape[1], validation, where))
    kind = recognised(found)
    if kind not in {"probabilities", "sigmoid"}:
        check(found, classes=classes, kind="logits", where=version.uri)
    return kind
