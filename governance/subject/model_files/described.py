"""Description: what the metadata of an MLmodel file say about preprocessing and classes.

`mlflow.pytorch.log_model(..., metadata={...})` keeps what the author wrote. Nothing of it is taken
for true: it is tried before the usual guesses, and held against the images.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.errors import SubjectError
from governance.records.bounded import content_of, json_data
from governance.subject.class_names import ClassNames, names_in
from governance.subject.model_files.mlmodel import mlmodel
from governance.subject.usual_preprocessings import Scale

__all__ = ["Description", "describe"]

MEANS = ("mean", "image_mean", "pixel_mean")
STDS = ("std", "image_std", "pixel_std")
CLASSES = ("class_names", "classes", "labels", "id2label")
#: Keys about size that are told to the reader, since a policy may not be able to say them.
TOLD = ("crop_pct", "crop_size", "input_size", "interpolation", "resize", "resize_size", "size")
#: Where MLflow keeps the configuration of a `transformers` model.
CONFIG = "model/config.json"
LARGEST_CONFIG = 16 * 2**20
DEEPEST = 4
RGB = 3
LEVELS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the author of a model wrote about its inputs and outputs.

    Attributes:
        scale: Mean and standard deviation of pixels in [0, 1]; None if nothing readable is said.
        classes: Names in the order of the outputs, from each file that says any.
        outputs: Number of outputs by the signature; None if it does not say.
        told: Further keys about preprocessing, each with its value as it stands there.
    """

    scale: Scale | None = None
    classes: tuple[ClassNames, ...] = ()
    outputs: int | None = None
    told: Mapping[str, str]


def describe(folder: Path) -> Description:
    """The description in the files of a folder that `model_files.read` has looked at."""
    written = mlmodel(folder)
    entries = dict(_entries(written.get("metadata")))
    means = [_numbers(entries[key]) for key in MEANS if key in entries]
    stds = [_numbers(entries[key]) for key in STDS if key in entries]
    names = (names_in(entries[key]) for key in CLASSES if key in entries)
    given = next((item for item in names if item), None)
    found = {"the model's metadata": given, CONFIG: _configured(folder)}
    return Description(
        scale=_scale(means[0], stds[0]) if means and stds else None,
        classes=tuple(
            ClassNames(names=said, source=source) for source, said in found.items() if said
        ),
        outputs=_outputs(written.get("signature")),
        told={key: str(entries[key]) for key in TOLD if key in entries},
    )


def _entries(data: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every key with its value, those of inner tables first, so that outer ones count."""
    if not isinstance(data, dict) or depth == DEEPEST:
        return
    read = {str(key): _parsed(value) for key, value in data.items()}
    for key, value in read.items():
        if key not in CLASSES:
            yield from _entries(value, depth + 1)
    yield from read.items()


def _parsed(value: Any) -> Any:
    """What a text holds, where it is JSON: MLflow's own metadata are often written so."""
    if not isinstance(value, str) or value[:1] not in {"[", "{"}:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _numbers(value: Any) -> tuple[float, ...] | None:
    listed = value if isinstance(value, list | tuple) else [value]
    if len(listed) not in {1, RGB}:
        return None
    if not all(isinstance(item, int | float) for item in listed):
        return None
    try:
        numbers = tuple(float(item) for item in listed)
    except OverflowError:  # a whole number that no fraction can hold
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _scale(mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> Scale | None:
    if mean is None or std is None:
        return None
    if max(*mean, *std) > 1:  # of pixels from 0 to 255
        mean, std = tuple(item / LEVELS for item in mean), tuple(item / LEVELS for item in std)
    usable = all(0 <= item <= 1 for item in mean) and all(0 < item <= 1 for item in std)
    return (mean, std) if usable else None


def _configured(folder: Path) -> tuple[str, ...] | None:
    """The class names in the configuration of a `transformers` model; None if there is none."""
    try:
        text = content_of(folder / CONFIG, LARGEST_CONFIG, SubjectError)
        configured = json_data(text, CONFIG, SubjectError)
    except (OSError, SubjectError):  # whoever loads the model says what is wrong with it
        return None
    return names_in(configured.get("id2label")) if isinstance(configured, dict) else None


def _outputs(signature: Any) -> int | None:
    """Number of outputs of an image by a signature of one tensor (-1, K); None for any other."""
    written = signature.get("outputs") if isinstance(signature, dict) else None
    try:
        (output,) = json.loads(written)  # type: ignore[arg-type] # refused as what it is
        _, size = output["tensor-spec"]["shape"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return size if isinstance(size, int) and size > 0 else None
