"""Unwrapping: a model without what trained it in parallel, averaged it or compiled it.

Such a wrapper puts `module.` or `_orig_mod.` before every name, sends images to devices that are
not here, or compiles at the first call. What it computes is what the module inside computes.
"""

from torch import nn

__all__ = ["unwrapped"]

#: By the wrapper's class in torch, the attribute that holds the module inside.
WRAPPERS = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "AveragedModel": "module",
    "OptimizedModule": "_orig_mod",
}


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside all wrappers; wrappers of modules inside it are taken away in place."""
    inner = model
    while (attribute := _attribute(inner)) is not None:
        inner = getattr(inner, attribute)
    for module in list(inner.modules()):
        for name, child in list(module.named_children()):
            if _attribute(child) is not None:
                setattr(module, name, unwrapped(child))
    return inner


def _attribute(model: nn.Module) -> str | None:
    kind = type(model)
    attribute = WRAPPERS.get(kind.__name__) if kind.__module__.startswith("torch.") else None
    held = attribute is not None and isinstance(getattr(model, attribute, None), nn.Module)
    return attribute if held else None
