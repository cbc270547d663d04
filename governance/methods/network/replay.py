"""Replay: a network as a graph of which any part can be run again.

The part before a cut is run once and what is needed later kept; the part after it is run as often
as a changed value is to be followed to the output.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor, nn
from torch.fx import Graph, Node
from torch.fx.node import map_arg

from governance.methods.network.operations import Operation, canonical, described

__all__ = ["Replay"]


class Replay:
    """A network as a torch.fx graph of which any part can be run.

    Attributes:
        operations: In order of execution.
        names: Index of the operation that gives a module call's output, by module path with call
            index (`path#k`).
        output: Index of the operation that gives the network's output.
    """

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
        values = self._first_run(example.clone())
        self._inputs = [tuple(self._place[n] for n in node.all_input_nodes) for node in self._nodes]
        self._later: dict[int, tuple[int, ...]] = {}
        self.operations = tuple(
            self._described(index, modules.get(node, ""), values)
            for index, node in enumerate(self._nodes)
        )

        # Whether numbers of the images enter a result; their size alone may.
        self._of_images: list[bool] = []
        for index, operation in enumerate(self.operations):
            entered = any(self._of_images[read] for read in operation.inputs)
            self._of_images.append(index == 0 or (bool(operation.bytes) and entered))

    def run(
        self,
        inputs: Tensor,
        keep: Collection[int],
        tap: Callable[[int, Tensor], Tensor] | None = None,
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

    def finish(self, index: int, value: Tensor) -> Tensor:
        """The network's output for a given output of operation `index`, without an image.

        Every later operation must depend on the image through `index` alone, as `alone` tells.
        """
        shape = self.operations[0].shape or ()
        blank = value.new_zeros(1).expand(len(value), *shape[1:])
        fixed = {
            place: self._execute(self._before(place), {}, {place}, inputs=blank)[place]
            for place in self.live(index)
        }
        return self.resume(fixed, index, value)

    def alone(self, index: int) -> bool:
        """Whether the operations after `index` see the image through it alone.

        They may also read weights, and the size of the batch off the images themselves.
        """
        return not any(self._of_images[read] for read in self.live(index))

    def _before(self, index: int) -> list[int]:
        # The operation and all that it is made from, in order.
        needed = {index}
        for place in range(index, -1, -1):
            if place in needed:
                needed.update(self._inputs[place])
        return sorted(needed)

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
        tap: Callable[[int, Tensor], Tensor] | None = None,
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
        return node.target(*args, **kwargs)

    def _first_run(self, example: Tensor) -> list[Any]:
        """Run as written, find the steps that write to what they read, and free them of it.

        Later readers of an overwritten tensor are pointed at the step's result, and the step gets
        a copy from then on: no cached activation can change under our hands.
        """
        values: list[Any] = []
        for index, node in enumerate(self._nodes):
            read = [n for n in node.all_input_nodes if isinstance(values[self._place[n]], Tensor)]
            # torch counts the writes to a tensor; there is no public name for the count.
            before = [values[self._place[n]]._version for n in read]  # noqa: SLF001
            values.append(self._step(index, dict(enumerate(values)), example))
            after = [values[self._place[n]]._version for n in read]  # noqa: SLF001
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
        kind = self._kind(node)
        weight: Any = None
        if kind in {"conv2d", "linear"}:
            inner = node.op == "call_module"
            weight = (
                self._leaves(str(node.target)).weight if inner else values[self._inputs[index][1]]
            )
        return described(kind, module, self._inputs[index], values[index], weight)

    def _kind(self, node: Node) -> str:
        if node.op == "call_module":
            return canonical(type(self._leaves(str(node.target))).__name__)
        if node.op == "call_function":
            return canonical(getattr(node.target, "__name__", str(node.target)))
        return canonical(str(node.target)) if node.op == "call_method" else node.op
