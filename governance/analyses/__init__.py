"""Analyses: each file here asks one question of a model and answers with a measurement.

An analysis is a frozen dataclass whose fields are its parameters (the keys of
`[analyses.<name>]` in a policy), named in its module's `__all__` as the only class with a `run`.
Its module docstring is what the report prints. `docs/how-to/add-an-analysis.md` walks through one.
Analyses of other distributions come through the entry-point group `governance.analyses`.

```
data_quality                   whether the validation images can carry a judgement at all
preprocessing_check            whether the declared preprocessing is the one of the training
performance                    how often the model is right, and how sure it may be
learning_process               how the network came to be what it is, epoch by epoch
layer_prediction               what each depth would already answer, and what it could
filter_importance              what is lost when single filters are silenced
feature_correlation            which features move together, within and across layers
explanation_maps               what the model looks at, kept to be compared
genetic_explanation            which part of an image alone carries the decision
de_cam                         evolved heat maps, from the model's outputs alone
representative_interpretation  what the decisions on many similar images share
verified_perturbation          what provably cannot change the decision, and what can
```
"""

import dataclasses
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, ClassVar, Protocol

from governance.errors import GovernanceError, PolicyError
from governance.records.decoding import INVALID, decode, describe
from governance.records.evidence import Measurement, Metric
from governance.records.topics import TOPICS
from governance.subject.subject import Needs, Subject

__all__ = ["Analysis", "about", "covers", "find", "load", "metrics", "names", "takes_labels"]

GROUP = "governance.analyses"


class Analysis(Protocol):
    """One question asked of a model.

    Attributes:
        metrics: What the measurement may hold, by name; a policy can expect nothing else. A name
            such as `recall.{class}` stands for one metric per class.
        needs: What it asks of a model: `probabilities`, or the `network`, its `features` or its
            `filters`.

    A class may also have `covers`, keys of the topics that it assesses (`records.topics`): the
    report lists the others as not assessed. One that can be put to a model with independent labels,
    which gives no single decision for an image, says `takes_labels = True`.
    """

    metrics: ClassVar[Mapping[str, Metric]]
    needs: ClassVar[Needs]

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Measure, leaving the model as found; the same seed gives the same measurement."""
        ...


def names() -> tuple[str, ...]:
    """Names of all installed analyses, sorted."""
    return tuple(sorted(_packaged() | {point.name for point in entry_points(group=GROUP)}))


def _packaged() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(__path__)}


def find(name: str) -> type[Analysis]:
    """The class of an analysis.

    Raises:
        PolicyError: If no analysis has that name, two distributions bring one, it cannot be
            imported, or its file does not hold exactly one.
    """
    packaged, points = name in _packaged(), entry_points(group=GROUP, name=name)
    if not packaged and not points:
        raise PolicyError(f"analysis {name!r} does not exist; installed are {', '.join(names())}")
    if packaged + len(points) > 1:
        # Whoever came first would answer in the other's name.
        brought = ", ".join(sorted(point.value for point in points))
        raise PolicyError(
            f"analysis {name!r} is installed more than once ({brought}"
            f"{' and the one of this package' if packaged else ''}); a name of its own is accepted"
        )
    if packaged:
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
    known = sorted(item.name for item in dataclasses.fields(kind))  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    where = f"[analyses.{name}]"
    problems = [
        f"{where} {key}: unknown parameter; accepted are {', '.join(known) or 'none'}"
        for key in sorted(set(parameters) - set(known))
    ]
    decoded = {
        key: decode(hints[key], parameters[key], f"{where} {key}", problems)
        for key in sorted(set(parameters) & set(known))
    }
    values = {key: value for key, value in decoded.items() if value is not INVALID}
    problems += _needs_problems(name, kind)
    problems += [
        f"analysis {name!r}: covers {topic!r}; {', '.join(TOPICS)} are accepted"
        for topic in covers(kind)
        if topic not in TOPICS
    ]
    built, refused = _built(kind, values)
    problems += [f"{where} {problem}" for problem in refused]
    if problems or built is None:
        raise PolicyError(problems)
    return built


def _built(
    kind: type[Analysis], values: Mapping[str, object]
) -> tuple[Analysis | None, tuple[str, ...]]:
    """An analysis with its parameters, or everything that it refuses.

    An analysis refuses one parameter at a time, in a message that begins with its name. The next
    is found with the default in its place.
    """
    left, problems = dict(values), []
    while True:
        try:
            built = kind(**left)
        except (ValueError, TypeError, GovernanceError) as error:
            problems.append(str(error))
            key = str(error).partition(" ")[0].rstrip(":=,")
            if key not in left:
                return None, tuple(problems)
            del left[key]
        else:
            return None if problems else built, tuple(problems)


def _needs_problems(name: str, kind: type[Analysis]) -> Iterator[str]:
    # Guessed, an analysis could fail in the middle of a night, or be left out without need.
    declared = getattr(kind, "needs", None)
    if declared not in typing.get_args(Needs):
        was = "does not declare what it needs" if declared is None else f"needs = {declared!r}"
        yield (
            f"analysis {name!r}: {was}; one of {describe(Needs).removeprefix('one of ')} is "
            f'accepted: write needs: ClassVar[Needs] = "network" into {kind.__name__} if it '
            'looks inside the model, else "probabilities"'
        )


def metrics(name: str) -> Mapping[str, Metric]:
    """What an analysis declares to measure; empty for one that declares nothing."""
    return getattr(find(name), "metrics", {})


def covers(kind: object) -> tuple[str, ...]:
    """Keys of the topics that an analysis covers; empty for one that declares none."""
    return tuple(getattr(kind, "covers", ()))


def takes_labels(kind: object) -> bool:
    """Whether an analysis can be put to a model that answers for each label by itself."""
    return getattr(kind, "takes_labels", False) is True


def about(name: str) -> str:
    """The description of an analysis: the docstring of its module."""
    module = inspect.getmodule(find(name))
    return inspect.cleandoc((module and module.__doc__) or "")
