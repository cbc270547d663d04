"""Tracing: from a module, or a program exported from one, to a graph that can be replayed.

torch.fx traces modules written in Python; unflattened exported programs already are graphs, one per
module, and are joined. Both keep the module paths of the original. The module is left as found.
"""

import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.unflatten import InterpreterModule, InterpreterModuleDispatcher
from torch.fx import Graph, Node, Tracer
from torch.fx.node import map_arg

from governance.methods.network.replay import Replay

__all__ = ["exported", "traced"]

# A forward pass run on symbols, or a graph run out of its module, may fail in any way its author's
# code can.
FAILURES = (
    RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError, NameError,
)  # fmt: skip


def traced(model: nn.Module, example: Tensor) -> Replay | None:
    """The network as torch.fx traces it; None where its forward cannot be traced."""
    before = set(vars(model))
    tracer = _Tracer()
    try:
        graph = tracer.trace(model)
    # A forward pass run on symbols may fail in any way its author's code can.
    except FAILURES:
        return None
    finally:
        # fx leaves tensors it met in the forward pass as attributes of the model.
        constants = {name: vars(model).pop(name) for name in set(vars(model)) - before}

    def attribute(path: str) -> Callable[[], Any]:
        return lambda: (
            constants[path] if path in constants else reduce(getattr, path.split("."), model)
        )

    attributes = {n: attribute(str(n.target)) for n in graph.nodes if n.op == "get_attr"}
    return _replay(graph, tracer.modules, tracer.calls, attributes, model.get_submodule, example)


def exported(model: nn.Module, example: Tensor) -> Replay | None:
    """The network of an unflattened exported program: its nested graphs joined.

    None where the joined graph does not run.
    """
    graph = Graph()
    joined = _Joined(graph)
    joined.result(model, "", [graph.placeholder("inputs")])
    return _replay(
        graph, joined.modules, joined.calls, joined.attributes, model.get_submodule, example
    )


def _replay(
    graph: Graph,
    modules: Mapping[Node, str],
    calls: Mapping[str, Node],
    attributes: Mapping[Node, Callable[[], Any]],
    leaves: Callable[[str], nn.Module],
    example: Tensor,
) -> Replay | None:
    try:
        return Replay(graph, modules, calls, attributes, leaves, example)
    except FAILURES:
        return None


class _Tracer(Tracer):
    # Traces into everything that is not torch's own module, and notes which call made what. Torch's
    # transformer blocks would hide their units; they cannot be traced, only watched.
    def __init__(self) -> None:
        super().__init__()
        self.modules: dict[Node, str] = {}
        self.calls: dict[str, Node] = {}
        self._counts: Counter[str] = Counter()
        self._open: list[str] = [""]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        opened = isinstance(m, nn.Transformer | nn.TransformerEncoder | nn.TransformerEncoderLayer)
        return not opened and super().is_leaf_module(m, module_qualified_name)

    def create_node(self, *args: Any, **kwargs: Any) -> Node:
        node = super().create_node(*args, **kwargs)
        self.modules[node] = self._open[-1]
        return node

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
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
            turns: list[Any] = module.call_modules()  # type: ignore[no-untyped-call]
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
                named = [
                    kwargs[n] for n in getattr(inner, "arg_names", ())[len(args) :] if n in kwargs
                ]
                return self.result(inner, below, [*args, *named])
        if node.target is operator.getitem and isinstance(args[0], tuple | list):
            return operator.getitem(args[0], args[1])
        copy = self.graph.create_node(node.op, node.target, args, kwargs)
        self.modules[copy] = path
        if node.op == "get_attr":
            names = str(node.target).split(".")
            self.attributes[copy] = lambda: reduce(getattr, names, module)
        return copy
