"""Choosing: which flavour a model version is opened by.

MLflow keeps a model under several flavours at once, such as `pytorch` and `python_function`. The
policy may name one of them. Otherwise it is the one through which most of the model can be seen.
`python_function` alone runs whatever its author wrote, and so it is asked behind a server.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from governance.errors import SubjectError
from governance.records.model_terms import ModelTerms
from governance.records.wording import first_few
from governance.subject.flavours import onnx, pytorch, served, transformers
from governance.subject.flavours.loaded import LoadedModel
from governance.subject.flavours.scoring_server import Ask
from governance.subject.model_files import ModelFiles

__all__ = ["chosen", "load"]

#: Loads a model from its files under the terms of a policy, onto a device.
Load = Callable[[ModelFiles, ModelTerms, torch.device], LoadedModel]

#: By the flavour's name in a policy, the most transparent first.
LOADERS: Mapping[str, Load] = MappingProxyType(
    {"pytorch": pytorch.load, "transformers": transformers.load, "onnx": onnx.load}
)


def load(
    files: ModelFiles, terms: ModelTerms, device: torch.device, ask: Ask | None = None
) -> LoadedModel:
    """Load a model by the flavour that the policy names, or else by the most transparent one.

    Args:
        files: Folder of the model, as read.
        terms: What the policy says about the model.
        device: Device of the model, where it computes with torch.
        ask: Way to the scoring server of a model that is served; None where there is none.

    Raises:
        SubjectError: If the model has no such flavour, or cannot be loaded by it.
    """
    if terms.flavour == served.NAME:
        return served.load(files, terms, ask)
    return LOADERS[chosen(files, terms)](files, terms, device)


def chosen(files: ModelFiles, terms: ModelTerms) -> str:
    """Name of the flavour that a model is opened by.

    Raises:
        SubjectError: If it has none that can be opened, or not the one that the policy names.
    """
    found = [name for name in LOADERS if name in files.flavours]
    if terms.flavour is None and found:
        return found[0]
    if terms.flavour in found:
        return terms.flavour
    theirs = first_few(sorted(set(files.flavours) - {"python_function"})) or "none known"
    where = f"{files.folder}/MLmodel: the flavour of this model is {theirs}"
    if terms.flavour is None:
        raise SubjectError(
            f"{where}; {', '.join(LOADERS)} are accepted, and with flavour = 'served' in [model] "
            "of the policy any other behind a scoring server"
        )
    raise SubjectError(
        f"{where}, and flavour = {terms.flavour!r} in [model] of the policy asks for another; "
        f"{', '.join(found) or 'a model of that flavour'} is accepted"
    )
