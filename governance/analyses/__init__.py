"""Analyses: each file here asks one question of a model and answers with a measurement.

An analysis is a frozen dataclass whose fields are its parameters (the keys of
`[analyses.<name>]` in a policy), named in its module's `__all__` as the only class with a `run`.
Its module docstring is what the report prints. `docs/add-an-analysis.md` walks through one.
Analyses of other distributions come through the entry-point group `governance.analyses`.
"""

import dataclasses
import importlib
import inspect
import math
import pkgutil
import types
import typing
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, ClassVar, Protocol

from governance.errors import GovernanceError, PolicyError
from governance.records.evidence import Measurement, Metric
from governance.subject.subject import Needs, Subject

__all__ = ["Analysis", "about", "find", "load", "metrics", "names"]

GROUP = "governance.analyses"


class Analysis(Protocol):
    """One question asked of a model.

    Attributes:
        metrics: What the measurement may hold, by name; a policy can expect nothing else. A name
            such as `recall.{class}` stands for one metric per class.
        needs: What it asks of a model: `probabilities`, or the `network` with its layers.
    """

    metrics: ClassVar[Mapping[str, Metric]]
    needs: ClassVar[Needs]

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Measure, leaving the model as found; the same seed gives the same measurement."""
        ...


def names() -> tuple[str, ...]:
    """Names of all installed analyses, sorted."""
    return tuple(sorted(_own() | {point.name for point in entry_points(group=GROUP)}))


def _own() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(__path__)}


def find(name: str) -> type[Analysis]:
    """The class of an analysis.

    Raises:
        PolicyError: If no analysis has that name, two distributions bring one, it cannot be
            imported, or its file does not hold exactly one.
    """
    own, points = name in _own(), entry_points(group=GROUP, name=name)
    if not own and not points:
        raise PolicyError(f"analysis {name!r} does not exist; installed are {', '.join(names())}")
    if own + len(points) > 1:
        # Whoever came first would answer in the other's name.
        brought = ", ".join(sorted(point.value for point in points))
        raise PolicyError(
            f"analysis {name!r} is installed more than once ({brought}"
            f"{' and the one of this package' if own else ''}); a name of its own is accepted"
        )
    if own:
        return _only_class(name, importlib.import_module(f"{__name__}.{name}"))
    point = next(iter(points))
    try:
        return _only_class(name, point.load())
    except (ImportError, AttributeError, SyntaxError) as error:
        raise PolicyError(f"analysis {name!r}: {point.value} cannot be loaded: {error}") from error


def _only_class(name: str, loaded: object) -> type[Analysis]:
    """The analysis that a module exports, or that an entry point names itself."""
    exported = [loaded]
    if isinstance(loaded, types.ModuleType):
        exported = [getattr(loaded, item) for item in getattr(loaded, "__all__", ())]
    classes = [
        item
        for item in exported
        if inspect.isclass(item) and hasattr(item, "run") and dataclasses.is_dataclass(item)
    ]
    if len(classes) != 1:
        raise PolicyError(
            f"analysis {name!r}: __all__ names {len(classes)} dataclasses with a run(); exactly "
            "one is accepted"
        )
    return typing.cast("type[Analysis]", classes[0])


def load(name: str, parameters: Mapping[str, Any]) -> Analysis:
    """The analysis `name` with its parameters set.

    Raises:
        PolicyError: All unknown, mistyped or impossible parameters at once.
    """
    kind = find(name)
    known = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    where = f"[analyses.{name}]"
    problems = [
        f"{where} {key}: unknown parameter; accepted are {', '.join(sorted(known)) or 'none'}"
        for key in sorted(set(parameters) - set(known))
    ]
    values = {}
    for key in sorted(set(parameters) & set(known)):
        value, wanted = parameters[key], hints[key]
        values[key] = tuple(value) if isinstance(value, list) else value
        if not _fits(values[key], wanted):
            problems.append(f"{where} {key} = {value!r}: {_describe(wanted)} is accepted")
    problems += _needs_problems(name, kind)
    if problems:
        raise PolicyError(problems)
    try:
        return kind(**values)
    except (ValueError, TypeError, GovernanceError) as error:
        raise PolicyError(f"{where} {error}") from error


def _needs_problems(name: str, kind: type[Analysis]) -> Iterator[str]:
    # Guessed, an analysis could fail in the middle of a night, or be left out without need.
    declared = getattr(kind, "needs", None)
    if declared not in typing.get_args(Needs):
        was = "does not declare what it needs" if declared is None else f"needs = {declared!r}"
        yield (
            f"analysis {name!r}: {was}; one of {_describe(Needs).removeprefix('one of ')} is "
            f'accepted: write needs: ClassVar[Needs] = "network" into {kind.__name__} if it '
            'looks inside the model, else "probabilities"'
        )


def metrics(name: str) -> Mapping[str, Metric]:
    """What an analysis declares to measure; empty for one that declares nothing."""
    return getattr(find(name), "metrics", {})


def about(name: str) -> str:
    """The description of an analysis: the docstring of its module."""
    module = inspect.getmodule(find(name))
    return inspect.cleandoc((module and module.__doc__) or "")


def _fits(value: object, wanted: Any) -> bool:
    origin = typing.get_origin(wanted)
    if origin in {typing.Union, types.UnionType}:
        return any(_fits(value, option) for option in typing.get_args(wanted))
    if origin is typing.Literal:
        # By type too: TOML's true is no 1.
        return any(
            value == option and type(value) is type(option) for option in typing.get_args(wanted)
        )
    if origin is tuple:
        return isinstance(value, tuple) and _items_fit(value, typing.get_args(wanted))
    if wanted is float:
        # TOML knows nan and inf; a record can hold neither.
        number = isinstance(value, float | int) and not isinstance(value, bool)
        return number and math.isfinite(value)  # type: ignore[arg-type]
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted or types.NoneType)


def _items_fit(value: tuple[object, ...], wanted: tuple[Any, ...]) -> bool:
    if wanted[-1] is Ellipsis:
        return all(_fits(item, wanted[0]) for item in value)
    return len(value) == len(wanted) and all(map(_fits, value, wanted))


def _describe(wanted: Any) -> str:
    origin = typing.get_origin(wanted)
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(option) for option in typing.get_args(wanted))
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(
            _describe(option) for option in typing.get_args(wanted) if option is not types.NoneType
        )
    if origin is tuple:
        items = typing.get_args(wanted)
        count = "" if items[-1] is Ellipsis else f"{len(items)} times "
        return f"a list of {count}{_describe(items[0])}"
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}.get(
        wanted, str(wanted)
    )
