"""Transformers: an image classifier that `mlflow.transformers.log_model` wrote, as a torch module.

Its architecture comes from the installed library and its weights from safetensors, so that nothing
from the folder is run: custom code, pickled weights and weights that lie elsewhere are refused. Its
image processor says how a photo becomes the input. Needs the extra `transformers`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from governance.errors import SubjectError
from governance.records.bounded import content_of, json_data
from governance.records.model_terms import ModelTerms
from governance.records.wording import first_few
from governance.subject.flavours.loaded import LoadedModel, Processor
from governance.subject.flavours.pytorch import module_at_hand
from governance.subject.model_files import UNKNOWN, ModelFiles, Shape

__all__ = ["load"]

TASK = "image-classification"
#: Bytes of a file of JSON: configuration, list of weights, processor.
LARGEST_JSON = 16 * 2**20
WEIGHTS, LISTED = "model.safetensors", "model.safetensors.index.json"
SIDES = 2  # of an image
#: Names of Pillow's interpolations by their number.
INTERPOLATIONS = {
    0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming",
}  # fmt: skip
#: Keys of a configuration that make the library run or load something else, and what they ask for.
FOREIGN = {
    "auto_map": "code from the folder",
    "quantization_config": "quantised weights",
    "model_args": "arguments of another library",
}
LOGGED = "log it again with mlflow.transformers.log_model and the whole pipeline"


class Logits(nn.Module):
    """A classifier of transformers as a module from images to logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, H, W)."""
        logits: Tensor = self.model(pixel_values=images).logits
        return logits


def load(files: ModelFiles, terms: ModelTerms, device: torch.device) -> LoadedModel:
    """Load an image classifier in evaluation mode.

    Args:
        files: Folder of the model, as read.
        terms: What the policy says about the model.
        device: Device of the module.

    Raises:
        SubjectError: If transformers is not installed, the model has another task, runs code from
            its folder or needs files that are not there.
    """
    table = files.flavours["transformers"]
    if (task := table.get("task")) != TASK:
        raise SubjectError(
            f"{files.folder}/MLmodel: the task of this pipeline is {str(task)[:80]!r}; {TASK!r} is "
            "accepted"
        )
    folder = files.inside(str(table.get("model_binary", "model")))
    config = _json(folder / "config.json")
    _refuse_foreign(config, folder)
    with _quiet(), _random_state_kept():
        model = _model(folder)
        processor = _processor(files, table)
    loaded = module_at_hand(
        Logits(model), terms, device, kind="safetensors", shape=_shape(config), signed=UNKNOWN
    )
    return replace(loaded, processor=processor)


def _refuse_foreign(config: Mapping[str, Any], folder: Path) -> None:
    """Refuse what would run or load anything but this folder's weights."""
    problems = [
        f"{folder.name}/config.json: {key} asks for {what}, which is not run; a classifier of the "
        "installed library with plain weights is accepted"
        for key, what in FOREIGN.items()
        if config.get(key)
    ]
    if (folder / LISTED).is_file():
        listed = _json(folder / LISTED).get("weight_map")
        names = set(listed.values()) if isinstance(listed, dict) else {None}
    else:
        names = {WEIGHTS}
    problems += [
        f"{folder.name}: weights in {name[:80]!r} are missing; {WEIGHTS} is accepted: {LOGGED}"
        for name in sorted(map(str, names))
        if not re.fullmatch(r"[\w-]+\.safetensors", name) or not (folder / name).is_file()
    ]
    if problems:
        raise SubjectError(problems)


def _model(folder: Path) -> nn.Module:
    """The module, of a class of the installed library."""
    try:
        from safetensors import SafetensorError
        from transformers import AutoModelForImageClassification
    except ImportError as error:
        raise SubjectError(
            f"a model of the flavour transformers is opened by transformers, and {error.name} is "
            "not installed: pip install 'mlflow-governance[transformers]'"
        ) from error
    try:
        model, told = AutoModelForImageClassification.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True,
            dtype="auto", attn_implementation="eager", output_loading_info=True,
        )  # fmt: skip
    except (
        SafetensorError, OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError,
        ImportError,
    ) as error:  # fmt: skip
        raise SubjectError(
            f"{folder.name}: transformers cannot load this model: {_first_line(error)}; an image "
            f"classifier of the installed library is accepted: {LOGGED}"
        ) from error
    if told["missing_keys"] or told["mismatched_keys"]:
        lacking = sorted(map(str, (*told["missing_keys"], *told["mismatched_keys"])))
        raise SubjectError(
            f"{folder.name}: the weights lack {first_few(lacking)}, which would be drawn at "
            f"random; all weights are needed: {LOGGED}"
        )
    module: nn.Module = model
    return module


def _processor(files: ModelFiles, table: Mapping[str, Any]) -> Processor | None:
    """The image processor that was logged with the model; None where none was."""
    components = table.get("components")
    named = [
        name
        for name in ("image_processor", "feature_extractor")
        if isinstance(components, list) and name in components
    ]
    if not named:
        return None
    from transformers import AutoImageProcessor

    folder = files.inside(f"components/{named[0]}")
    said = _json(folder / "preprocessor_config.json")
    if said.get("auto_map"):
        raise SubjectError(
            f"{folder.name}: auto_map asks for code from the folder, which is not run; a processor "
            "of the installed library is accepted"
        )
    try:
        processor = AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, ImportError) as error:
        raise SubjectError(
            f"{folder.name}: transformers cannot load this image processor: {_first_line(error)}; "
            f"one of the installed library is accepted: {LOGGED}"
        ) from error

    def prepare(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        planes = image if image.ndim > SIDES else np.stack([image] * 3, axis=-1)
        colours = np.array(planes)  # torch warns of arrays that it may not write
        found = processor(images=colours, input_data_format="channels_last", return_tensors="np")
        answer: NDArray[np.float32] = np.asarray(found["pixel_values"][0], dtype=np.float32)
        return answer

    return Processor(prepare=prepare, lines=_lines(said))


def _lines(said: Mapping[str, Any]) -> str:
    """What a policy writes to prepare images as a processor does, by the usual keys of its file."""
    size, cut = said.get("size"), said.get("crop_size")
    parts = {}
    if said.get("do_resize", True) and isinstance(size, dict):
        parts["to"] = size.get("shortest_edge") or [size.get("height"), size.get("width")]
    if said.get("do_center_crop") and isinstance(cut, dict):
        parts["crop"] = [cut.get("height"), cut.get("width")]
    resample = said.get("resample")
    name = INTERPOLATIONS.get(resample, "bilinear") if isinstance(resample, int) else "bilinear"
    resize = ", ".join(f"{key} = {value}" for key, value in parts.items())
    table = f'{{{resize}, interpolation = "{name}", like = "transformers"}}'
    lines = [f"resize = {table}"] if parts else []
    usual = said.get("do_normalize", True)
    for key, fallback in (("mean", [0.0]), ("std", [1.0])):
        lines.append(f"{key} = {said.get(f'image_{key}', fallback) if usual else fallback}")
    return ", ".join(lines)[:300]


def _shape(config: Mapping[str, Any]) -> Shape:
    """Channels, height and width of a configuration that says them; any other takes any size."""
    size = config.get("image_size")
    height, width = size if isinstance(size, list) and len(size) == SIDES else (size, size)
    return _whole(config.get("num_channels")), _whole(height), _whole(width)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json_data(content_of(path, LARGEST_JSON, SubjectError), path.name, SubjectError)
    except OSError as error:
        raise SubjectError(
            f"{path.parent.name}/{path.name}: cannot be read: {error.strerror}; {LOGGED}"
        ) from error
    if not isinstance(found, dict):
        raise SubjectError(f"{path.parent.name}/{path.name}: is no table; a table is accepted")
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's progress bars and advice."""
    try:
        from transformers.utils import logging
    except ImportError:  # said where the model is loaded
        yield
        return
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """The library draws weights before it reads them."""
    before = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(before)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
