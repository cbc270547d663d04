"""Operations: what a network does, step by step, and how to do it again from any step on.

A network is a list of operations, each with the operations it reads. There are two ways to get
the list and to run it:

- `Replay` holds a torch.fx graph, traced from the module or joined from an exported program, and
  runs any part of it.
- `Rerun` watches a forward pass of a module that cannot be traced and, to change a step, runs the
  whole forward pass again. Slower, same numbers.

Neither leaves anything behind in the model.
"""

import operator
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.unflatten import InterpreterModule, InterpreterModuleDispatcher
from torch.fx import Graph, Node, Tracer
from torch.fx.node import map_arg
from torch.overrides import TorchFunctionMode

__all__ = ["Operation", "Replay", "Rerun", "exported", "traced", "watched"]

Tap = Callable[[int, Tensor], Tensor]

# Names of an operation as modules, functions, methods and ATen operators spell them, lower case
# and without underscores, under one name each.
SAME = {"iadd": "add", "imul": "mul", "convolution": "conv2d"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One step of a network.

    Attributes:
        kind: Canonical name: `conv2d`, `batchnorm2d`, `relu`, `add`, ...
        module: Path of the innermost module it runs in.
        inputs: The operations it reads, by index.
        shape: Of its output with the example's batch; None where it is no tensor.
        macs: Multiply-accumulate operations per image, of convolutions and linear layers.
        bytes: Of its output, per image.
    """

    kind: str
    module: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...] | None
    macs: int
    bytes: int


class Replay:
    """A network as a torch.fx graph of which any part can be run.

    Attributes:
        operations: In order of execution.
        names: Index of the operation that gives a module call's output, by module path with call
            index (`path#k`).
        output: Index of the operation that gives the network's output.
        whole: False: a suffix alone can be run.
    """

    whole = False

    def __init__(
        self,
        graph: Graph,
        modules: Mapping[Node, str],
        calls: Mapping[str, Node],
        attributes: Mapping[Node, Callable[[], Any]],
        leaves: Callable[[str], nn.Module],
        example: Tensor,
    ) -> None:
        self._in_place: set[Node] = set()
        self._attributes = attributes
        self._leaves = leaves
        self._nodes = [node for node in graph.nodes if node.op != "output"]
        self._place = {node: index for index, node in enumerate(self._nodes)}
        (result,) = (node.args[0] for node in graph.nodes if node.op == "output")
        if isinstance(result, tuple | list) and len(result) == 1:
            (result,) = result
        self.output = self._place[result] if isinstance(result, Node) else -1
        self.names = {name: self._place[node] for name, node in calls.items()}
        values = self._first_run(example)
        self._inputs = [tuple(self._place[n] for n in node.all_input_nodes) for node in self._nodes]
        self._later: dict[int, tuple[int, ...]] = {}
        self.operations = tuple(
            self._described(index, modules.get(node, ""), values)
            for index, node in enumerate(self._nodes)
        )

    def run(
        self, inputs: Tensor, keep: Collection[int], tap: Tap | None = None
    ) -> dict[int, Any]:
        """Values of the operations in `keep`, from the input on.

        Args:
            inputs: (B, C, H, W).
            keep: Indices of operations.
            tap: Gets each kept tensor as it is made; what it returns is used from there on.
        """
        return self._execute(range(len(self._nodes)), {}, keep, inputs=inputs, tap=tap)

    def prefix(self, inputs: Tensor, cuts: Collection[int]) -> dict[int, Any]:
        """What `resume` needs for each of `cuts`, computed once."""
        needed = set(cuts) | {self.output}
        for cut in cuts:
            needed |= self.live(cut)
        return self.run(inputs, needed)

    def resume(
        self, prefix: Mapping[int, Any], cut: int, value: Tensor, until: int | None = None
    ) -> Tensor:
        """The network's output, or operation `until`, with the output of `cut` replaced."""
        target = self.output if until is None else until
        if target == cut:
            return value
        known = {index: prefix[index] for index in self.live(cut)} | {cut: value}
        steps = [index for index in self.later(cut) if index <= target]
        result: Tensor = self._execute(steps, known, {target})[target]
        return result

    def later(self, cut: int) -> tuple[int, ...]:
        """The operations that depend on `cut`, in order."""
        if cut not in self._later:
            touched = {cut}
            for index in range(cut + 1, len(self._nodes)):
                if not touched.isdisjoint(self._inputs[index]):
                    touched.add(index)
            self._later[cut] = tuple(sorted(touched - {cut}))
        return self._later[cut]

    def live(self, cut: int) -> set[int]:
        """The operations before or beside `cut` that those after it read."""
        later = self.later(cut)
        return {read for index in later for read in self._inputs[index]} - {cut, *later}

    def _execute(
        self,
        steps: Collection[int],
        values: dict[int, Any],
        keep: Collection[int],
        inputs: Tensor | None = None,
        tap: Tap | None = None,
    ) -> dict[int, Any]:
        last = {read: index for index in steps for read in self._inputs[index]}
        for index in steps:
            value = self._step(index, values, inputs)
            if tap is not None and index in keep:
                value = tap(index, value)
            values[index] = value
            for read in self._inputs[index]:
                # Activations are dropped as soon as nothing reads them: memory stays bounded.
                if last[read] == index and read not in keep:
                    values.pop(read, None)
        return {index: values[index] for index in keep}

    def _step(self, index: int, values: Mapping[int, Any], inputs: Tensor | None) -> Any:
        node = self._nodes[index]
        if node.op == "placeholder":
            first = index == 0
            return inputs if first else node.args[0]
        if node.op == "get_attr":
            return self._attributes[node]()
        args = map_arg(node.args, lambda item: values[self._place[item]])
        kwargs = map_arg(node.kwargs, lambda item: values[self._place[item]])
        if node in self._in_place:
            args = (args[0].clone(), *args[1:])
        if node.op == "call_module":
            return self._leaves(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]

    def _first_run(self, example: Tensor) -> list[Any]:
        """Run as written, find the steps that write to what they read, and free them of it.

        Later readers of an overwritten tensor are pointed at the step's result, and the step gets
        a copy from then on: no cached activation can change under our hands.
        """
        values: list[Any] = []
        for index, node in enumerate(self._nodes):
            read = [n for n in node.all_input_nodes if isinstance(values[self._place[n]], Tensor)]
            before = [values[self._place[n]]._version for n in read]
            values.append(self._step(index, dict(enumerate(values)), example))
            after = [values[self._place[n]]._version for n in read]
            if before != after:
                self._free(index, values)
        return values

    def _free(self, index: int, values: list[Any]) -> None:
        node = self._nodes[index]
        self._in_place.add(node)
        first = node.args[0]
        if not isinstance(first, Node):
            raise TypeError(f"{node.name} writes to {first!r}")
        first.replace_all_uses_with(node, delete_user_cb=lambda user: self._place[user] > index)
        memory = values[self._place[first]].untyped_storage().data_ptr()
        for other in self._nodes[:index]:
            value = values[self._place[other]]
            if isinstance(value, Tensor) and value.untyped_storage().data_ptr() == memory:
                late = [n.name for n in other.users if self._place.get(n, index + 1) > index]
                if late:
                    raise TypeError(f"{node.name} writes to what {late[0]} reads another way")

    def _described(self, index: int, module: str, values: list[Any]) -> Operation:
        node = self._nodes[index]
        kind = _kind(node, self._leaves)
        weight = None
        if kind in {"conv2d", "linear"}:
            inner = node.op == "call_module"
            weight = (
                self._leaves(str(node.target)).weight if inner else values[self._inputs[index][1]]
            )
        return _operation(kind, module, self._inputs[index], values[index], weight)


class Rerun:
    """A network that is watched while it runs and run again to change a step.

    Attributes:
        operations: As the example's forward pass made them.
        names: Index of the operation that gives a module call's output, by `path#k`.
        output: Index of the operation that gives the network's output.
        whole: True: every change costs a whole forward pass.
    """

    whole = True

    def __init__(self, model: nn.Module, example: Tensor) -> None:
        self._model = model
        with _Watch(model) as watch:
            result = model(example)
        self.operations = tuple(watch.operations)
        self.names = watch.calls
        self.output = watch.made_by(result) if isinstance(result, Tensor) else -1
        self._index = {key: index for index, key in enumerate(watch.keys)}

    def run(
        self, inputs: Tensor, keep: Collection[int], tap: Tap | None = None
    ) -> dict[int, Any]:
        """Values of the operations in `keep`, as `Replay.run`.

        An operation that this forward pass does not reach is absent from the answer.
        """
        kept: dict[int, Any] = {}
        wanted = set(keep) - {self.output}

        def visit(key: tuple[str, str, int], value: Tensor) -> Tensor | None:
            index = self._index.get(key, -1)
            if index not in wanted:
                return None
            # The model may go on to change this tensor in place: each side gets a copy.
            own = value.clone()
            kept[index] = changed = own if tap is None else tap(index, own)
            return changed.clone()

        with _Watch(self._model, visit):
            result = self._model(inputs)
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


def traced(model: nn.Module, example: Tensor) -> Replay | None:
    """The network as torch.fx traces it; None where its forward cannot be traced."""
    before = set(vars(model))
    tracer = _Tracer()
    try:
        graph = tracer.trace(model)
    # A forward pass run on symbols may fail in any way its author's code can.
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError):
        return None
    finally:
        # fx leaves tensors it met in the forward pass as attributes of the model.
        constants = {name: vars(model).pop(name) for name in set(vars(model)) - before}

    def attribute(path: str) -> Callable[[], Any]:
        return lambda: constants[path] if path in constants else reduce(
            getattr, path.split("."), model
        )

    attributes = {n: attribute(str(n.target)) for n in graph.nodes if n.op == "get_attr"}
    try:
        return Replay(
            graph, tracer.modules, tracer.calls, attributes, model.get_submodule, example
        )
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError):
        return None


def exported(model: nn.Module, example: Tensor) -> Replay:
    """The network of an exported program that was unflattened: its nested graphs joined."""
    graph = Graph()
    joined = _Joined(graph)
    joined.result(model, "", [graph.placeholder("inputs")])
    return Replay(
        graph, joined.modules, joined.calls, joined.attributes, model.get_submodule, example
    )


def watched(model: nn.Module, example: Tensor) -> Rerun:
    """The network as one forward pass shows it."""
    return Rerun(model, example)


class _Tracer(Tracer):
    # Traces into everything that is not torch's own module, and notes which call made what.
    def __init__(self) -> None:
        super().__init__()
        self.modules: dict[Node, str] = {}
        self.calls: dict[str, Node] = {}
        self._counts: Counter[str] = Counter()
        self._open: list[str] = [""]

    def create_node(self, *args: Any, **kwargs: Any) -> Node:
        node = super().create_node(*args, **kwargs)
        self.modules[node] = self._open[-1]
        return node

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        path = self.path_of_module(m)
        name = f"{path}#{self._counts[path]}"
        self._counts[path] += 1
        self._open.append(path)
        result = super().call_module(m, forward, args, kwargs)
        self._open.pop()
        if isinstance(result, torch.fx.Proxy):
            self.calls[name] = result.node
        return result


class _Joined:
    # Copies the graph of each module of an exported program into one.
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.modules: dict[Node, str] = {}
        self.calls: dict[str, Node] = {}
        self.attributes: dict[Node, Callable[[], Any]] = {}
        self._counts: Counter[str] = Counter()

    def result(self, module: Any, path: str, args: list[Any]) -> Any:
        if isinstance(module, InterpreterModuleDispatcher):
            turns = module.call_modules()
            module = turns[self._counts[path] % len(turns)]
        name = f"{path}#{self._counts[path]}"
        self._counts[path] += 1
        values: dict[Node, Any] = {}
        waiting = iter(args)
        result: Any = None
        for node in module.graph.nodes:
            if node.op == "placeholder":
                values[node] = next(waiting)
            elif node.op == "output":
                result = map_arg(node.args[0], values.__getitem__)
            else:
                values[node] = self._copied(node, module, path, values)
        if not path:
            self.graph.output(result)
        elif isinstance(result, Node):
            self.calls[name] = result
        return result

    def _copied(self, node: Node, module: Any, path: str, values: Mapping[Node, Any]) -> Any:
        args = map_arg(node.args, values.__getitem__)
        kwargs = map_arg(node.kwargs, values.__getitem__)
        if node.op == "call_module":
            inner = module.get_submodule(str(node.target))
            # The exporter calls the second use of a module `name@1`.
            below = re.sub(r"@\d+", "", f"{path}.{node.target}".lstrip("."))
            if isinstance(inner, InterpreterModule | InterpreterModuleDispatcher):
                named = [kwargs[n] for n in getattr(inner, "arg_names", ())[len(args) :] if n in kwargs]
                return self.result(inner, below, [*args, *named])
        if node.target is operator.getitem and isinstance(args[0], tuple | list):
            return args[0][args[1]]
        copy = self.graph.create_node(node.op, node.target, args, kwargs)
        self.modules[copy] = path
        if node.op == "get_attr":
            names = str(node.target).split(".")
            self.attributes[copy] = lambda: reduce(getattr, names, module)
        return copy


class _Watch(TorchFunctionMode):
    # Sees every torch function a forward pass calls, and the module that calls it.
    def __init__(
        self,
        model: nn.Module,
        visit: Callable[[tuple[str, str, int], Tensor], Tensor | None] | None = None,
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
        self.keys: list[tuple[str, str, int]] = []
        self.calls: dict[str, int] = {}

    def __enter__(self) -> "_Watch":
        for path, module in self._model.named_modules():
            self._hooks.append(
                module.register_forward_pre_hook(lambda _, __, path=path: self._open.append(path))
            )
            self._hooks.append(module.register_forward_hook(self._closed))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for hook in self._hooks:
            hook.remove()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        del types
        kind = _canonical(getattr(func, "__name__", str(func)))
        reads = self._reads((args, kwargs or {})) if self._visit is None else ()
        result = func(*args, **(kwargs or {}))
        tensors = _tensors(result)
        if not tensors or kind == "get":
            return result
        path = self._open[-1]
        key = (path, kind, self._counts[path, kind])
        self._counts[path, kind] += 1
        if self._visit is None:
            self._note(key, reads, result, tensors, args)
            return result
        changed = self._visit(key, result) if isinstance(result, Tensor) else None
        if changed is None:
            return result
        if args and result is args[0] and not torch.is_grad_enabled():
            # The caller may go on with the argument, not with what we return.
            return result.copy_(changed) if changed.shape == result.shape else changed
        return changed

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
            dict.fromkeys(self._made[id(t)] for t in _tensors(values) if id(t) in self._made)
        )

    def _note(
        self,
        key: tuple[str, str, int],
        reads: tuple[int, ...],
        result: Any,
        tensors: list[Tensor],
        args: tuple[Any, ...],
    ) -> None:
        path, kind, _ = key
        weight = args[1] if kind in {"conv2d", "linear"} else None
        for tensor in tensors:
            self._made[id(tensor)] = len(self.operations)
        self._alive.append(tensors)
        self.keys.append(key)
        self.operations.append(_operation(kind, path, reads, result, weight))


def _operation(
    kind: str, module: str, inputs: tuple[int, ...], value: Any, weight: Tensor | None
) -> Operation:
    shape = tuple(value.shape) if isinstance(value, Tensor) else None
    macs = 0
    if weight is not None and shape:
        macs = weight.numel() * (reduce(operator.mul, shape[1:], 1) // shape[1])
    size = sum(t.numel() * t.element_size() // max(1, t.shape[0]) for t in _tensors(value) if t.ndim)
    return Operation(kind=kind, module=module, inputs=inputs, shape=shape, macs=macs, bytes=size)


def _kind(node: Node, leaves: Callable[[str], nn.Module]) -> str:
    if node.op == "call_module":
        return _canonical(type(leaves(str(node.target))).__name__)
    if node.op == "call_function":
        return _canonical(getattr(node.target, "__name__", str(node.target)))
    return _canonical(str(node.target)) if node.op == "call_method" else node.op


def _canonical(name: str) -> str:
    plain = name.split(".")[0].lower().replace("_", "")
    return SAME.get(plain, plain)


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, tuple | list):
        return [tensor for item in values for tensor in _tensors(item)]
    return []
