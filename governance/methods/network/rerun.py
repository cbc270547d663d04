"""Rerun: a network that cannot be traced, watched while it runs and run again to change a step.

Torch functions are seen as the forward pass calls them, with the module that calls them, so that
control flow in Python is no obstacle. To follow a changed value, the whole forward pass is run
again with that one result exchanged: slower than `replay`, same numbers.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from governance.methods.network.operations import Operation, canonical, described, tensors

__all__ = ["Rerun"]

Key = tuple[str, str, int]  # module path, kind, and which of these in one forward pass


class Rerun:
    """A network that is watched while it runs and run again to change a step.

    Attributes:
        operations: Operations in the order of the example's forward pass.
        names: Index of the operation that gives a module call's output, by `path#k`.
        output: Index of the operation that gives the network's output.
    """

    def __init__(self, model: nn.Module, example: Tensor) -> None:
        self._model = model
        with _Watch(model) as watch:
            watch.begin(example)
            result = model(example)
        self.operations = tuple(watch.operations)
        self.names = watch.calls
        self.output = watch.made_by(result) if isinstance(result, Tensor) else -1
        self._index = {key: index for index, key in enumerate(watch.keys)}
        self._linear = watch.linear

    def run(
        self,
        inputs: Tensor,
        keep: Collection[int],
        tap: Callable[[int, Tensor], Tensor] | None = None,
    ) -> dict[int, Any]:
        """Values of the operations in `keep`, as `Replay.run`.

        An operation that this forward pass does not reach is absent from the answer.
        """
        kept: dict[int, Any] = {}
        wanted = set(keep) - {self.output}

        def visit(key: Key, value: Tensor) -> Tensor | None:
            index = self._index.get(key, -1)
            if index not in wanted:
                return None
            # The model may go on to change this tensor in place: each side gets a copy.
            own = value.clone()
            kept[index] = changed = own if tap is None else tap(index, own)
            return changed.clone()

        with _Watch(self._model, visit):
            result = self._model(inputs.clone())
        if self.output in keep:
            kept[self.output] = result
        return kept

    def prefix(self, inputs: Tensor, cuts: Collection[int]) -> dict[int, Any]:
        """What `resume` needs: the input itself under -1, and the values at the cuts."""
        return {-1: inputs} | self.run(inputs, {*cuts, self.output})

    def resume(self, prefix: Mapping[int, Any], cut: int, value: Tensor) -> Tensor:
        """The network's output with the output of `cut` replaced."""
        result: Tensor = self.run(prefix[-1], {cut, self.output}, lambda _, __: value)[self.output]
        return result

    def finish(self, index: int, value: Tensor) -> Tensor:
        """The network's output for a given input of its last, linear operation."""
        del index
        assert self._linear is not None  # noqa: S101 - a head was found
        weight, bias = self._linear
        return nn.functional.linear(value, weight, bias)


class _Watch(TorchFunctionMode):
    # Sees every torch function a forward pass calls, and the module that calls it.
    def __init__(
        self,
        model: nn.Module,
        visit: Callable[[Key, Tensor], Tensor | None] | None = None,
    ) -> None:
        super().__init__()
        self._model = model
        self._visit = visit
        self._open = [""]
        self._counts: Counter[tuple[str, str]] = Counter()
        self._hooks: list[Any] = []
        self._alive: list[Any] = []  # keeps tensors, so that an id means one tensor
        self._made: dict[int, int] = {}
        self.operations: list[Operation] = []
        self.keys: list[Key] = []
        self.calls: dict[str, int] = {}
        self.linear: tuple[Tensor, Tensor | None] | None = None  # of the last linear operation

    def __enter__(self) -> Self:
        for path, module in self._model.named_modules():
            self._hooks.append(
                module.register_forward_pre_hook(lambda _, __, path=path: self._open.append(path))
            )
            self._hooks.append(module.register_forward_hook(self._closed))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for hook in self._hooks:
            hook.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kind = canonical(getattr(func, "__name__", str(func)))
        reads = self._reads((args, kwargs or {})) if self._visit is None else ()
        result = func(*args, **(kwargs or {}))
        if not tensors(result) or kind == "get":
            return result
        path = self._open[-1]
        key = (path, kind, self._counts[path, kind])
        self._counts[path, kind] += 1
        if self._visit is None:
            self._note(key, reads, result, args, kwargs or {})
            return result
        changed = self._visit(key, result) if isinstance(result, Tensor) else None
        if changed is None:
            return result
        if args and result is args[0] and not torch.is_grad_enabled():
            # The caller may go on with the argument, not with what we return.
            return result.copy_(changed) if changed.shape == result.shape else changed
        return changed

    def begin(self, example: Tensor) -> None:
        """Take the images as the first operation."""
        self._note(("", "placeholder", 0), (), example, (), {})

    def made_by(self, tensor: Tensor) -> int:
        """Index of the operation that made `tensor`; -1 for none."""
        return self._made.get(id(tensor), -1)

    def _closed(self, module: nn.Module, inputs: Any, result: Any) -> None:
        del module, inputs
        path = self._open.pop()
        count = self._counts[path, "call"]
        self._counts[path, "call"] += 1
        if isinstance(result, Tensor) and id(result) in self._made:
            self.calls[f"{path}#{count}"] = self._made[id(result)]

    def _reads(self, values: Any) -> tuple[int, ...]:
        return tuple(
            dict.fromkeys(self._made[id(t)] for t in tensors(values) if id(t) in self._made)
        )

    def _note(
        self,
        key: Key,
        reads: tuple[int, ...],
        result: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        path, kind, _ = key
        made = tensors(result)
        for tensor in made:
            self._made[id(tensor)] = len(self.operations)
        self._alive.append(made)
        named = dict(zip(("input", "weight", "bias"), args, strict=False)) | dict(kwargs)
        weight = named["weight"] if kind in {"conv2d", "linear"} else None
        if kind == "linear":
            self.linear = (named["weight"], named.get("bias"))
        self.keys.append(key)
        self.operations.append(described(kind, path, reads, result, weight))
