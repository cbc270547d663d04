"""Policy: what a model is put through and what is expected of it.

`Policy.load` reads a TOML file and reports every problem at once. `docs/reference/policy.md`
describes the file; `decision.judge` holds evidence against it.
"""

import dataclasses
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from governance.errors import PolicyError
from governance.records.bounded import LARGEST_TOML, content_of
from governance.records.card import LONGEST_NAME, Card, printable_text, read_card
from governance.records.decoding import IF_SET
from governance.records.drift_terms import DriftTerms, read_drift
from governance.records.evidence import Metric
from governance.records.image_terms import ImageTerms, read_image_terms
from governance.records.model_terms import ModelTerms, read_model_terms
from governance.records.severities import SEVERITIES, Severity
from governance.records.toml_reader import Reader, parse

__all__ = [
    "CLASS",
    "DRIFT",
    "INAPPLICABLE",
    "MINIMUM_CLASS_IMAGES",
    "Expectation",
    "ModelTerms",
    "Policy",
    "Written",
    "declared",
    "undeclared",
    "unscaled",
]

#: Days within which a miss is to be dealt with.
MOST_DAYS = 3650

#: A number about each class rests on at least this many images of it.
MINIMUM_CLASS_IMAGES = 30

#: A place MLflow knows, such as `runs:/...`; anything else is a path.
URI = re.compile(r"[a-z][a-z0-9+.-]*:/")

#: In the name of a declared metric, stands for the name of any class.
CLASS = "{class}"

#: The evidence of what changed since the baseline, and why it has no measurement for a version that
#: no approved one went before. It is the only evidence whose expectations may not apply; those of
#: an analysis that cannot be put to a kind of model are missing.
DRIFT, INAPPLICABLE = "drift", "not applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One thing expected of a metric.

    Attributes:
        metric: Full name of the metric, `<analysis>.<metric>`.
        at_least: Smallest accepted value; exactly one of `at_least` and `at_most` is given.
        at_most: Largest accepted value.
        severity: What a miss does: `block` rejects, `review` asks a person, and `warn` never
            changes the verdict.
        rationale: Reason for the expectation, for the reader of the report.
        on: What is held against the bound: the `estimate`, or the end of its `interval` that is
            nearer to failing. A metric without an interval is then missing.
        owner: Person or team that a miss goes to; None where nobody is named.
        due_days: Days within which a miss is to be dealt with; None where none are set.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    severity: Severity = "block"
    rationale: str = ""
    on: Literal["estimate", "interval"] = "estimate"
    owner: str | None = field(default=None, metadata=IF_SET)
    due_days: int | None = field(default=None, metadata=IF_SET)

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise PolicyError(
                f"expectation on {self.metric}: one of at_least and at_most is needed"
            )

    @property
    def decides(self) -> bool:
        """Whether a miss changes the verdict."""
        return SEVERITIES[self.severity].unmet is not None

    @property
    def bound(self) -> str:
        """The accepted range in words."""
        if self.at_least is not None:
            return f"at least {self.at_least:.15g}"
        return f"at most {self.at_most:.15g}"

    def met_by(self, value: float) -> bool:
        """Whether `value` is in the accepted range; unrounded."""
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


class Written(NamedTuple):
    """An expectation as it stands in a policy file, right or wrong.

    Attributes:
        place: Place in the file, such as `expectations[2]`.
        metric: Name of the metric as written.
        bounds: `at_least` and `at_most`, if they are numbers.
    """

    place: str
    metric: str
    bounds: Mapping[str, float]


#: Finds what only the installed analyses can tell about a policy.
Check = Callable[["Policy", Sequence[Written]], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a model is put through and what is expected of it.

    Attributes:
        title: Title of the policy in reports.
        validation: A folder of class folders, a list of files and labels (`.csv`, `.tsv`, `.jsonl`,
            `.parquet`), a `.tar` archive of WebDataset or a folder of them, an `.npz` with
            `images`, `labels` and `class_names`, or an MLflow artifact URI of one of them. A
            relative path starts at the policy's folder.
        model: Terms about the model's files and inputs.
        analyses: Parameters by name of analysis, as written.
        expectations: All expectations, at least one of them of severity `block` or `review`.
        seed: Seed of everything random in the assessment.
        baseline: Alias or number of the version to compare with. In a file `none` stands for no
            comparison, which is None here.
        budget_minutes: Minutes after which no further analysis is started. Analyses that were not
            started count as missing. None for no limit.
        drift: Definition of drift from the baseline; None if drift is not looked for.
        text: Text of the policy file, kept with the assessment.
        card: Statements of the model's owner; None where the policy has none.
        images: Terms about reading the validation images; None where the policy has none.
    """

    title: str
    validation: str
    model: ModelTerms
    analyses: Mapping[str, Mapping[str, Any]]
    expectations: tuple[Expectation, ...]
    seed: int = 0
    baseline: str | None = "champion"
    budget_minutes: float | None = None
    drift: DriftTerms | None = None
    text: str = ""
    card: Card | None = field(default=None, metadata=IF_SET)
    images: ImageTerms | None = field(default=None, metadata=IF_SET)

    @property
    def digest(self) -> str:
        """sha256 of the file as read."""
        return f"sha256:{hashlib.sha256(self.text.encode()).hexdigest()}"

    def with_standing(self, standing: Iterable[Expectation]) -> "Policy":
        """This policy with expectations that hold unless it states its own on the same metric."""
        stated = {expectation.metric for expectation in self.expectations}
        extra = tuple(item for item in standing if item.metric not in stated)
        return dataclasses.replace(self, expectations=self.expectations + extra)

    @classmethod
    def load(cls, path: Path, *, check: Check = lambda _policy, _written: ()) -> "Policy":
        """The policy in a TOML file; a relative path of validation images starts at its folder.

        Raises:
            PolicyError: All problems at once; also if the file cannot be read.
        """
        try:
            text = content_of(path, LARGEST_TOML, PolicyError).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path}: cannot be read as a policy: {error}") from error
        policy = cls.loads(text, where=path.name, check=check)
        home, names = path.parent.resolve(), policy.model.class_names
        return policy.at(
            _placed(policy.validation, home),
            _placed(names, home) if isinstance(names, str) else None,
        )

    def at(self, validation: str, class_names: str | None) -> "Policy":
        """This policy with other places of what it names.

        Args:
            validation: Place of the validation images.
            class_names: Place of the file of class names; not looked at where it names none.
        """
        model = self.model
        if isinstance(model.class_names, str):
            model = dataclasses.replace(model, class_names=class_names)
        return dataclasses.replace(self, validation=validation, model=model)

    @classmethod
    def loads(
        cls,
        text: str,
        *,
        where: str,
        check: Check = lambda _policy, _written: (),
    ) -> "Policy":
        """A policy from the text of its file.

        Args:
            text: TOML.
            where: What to call the file in messages.
            check: Finds further problems, such as analyses that are not installed.

        Raises:
            PolicyError: All problems at once, each with its place and what would be accepted.
        """
        reader = parse(text, where)
        policy, written = _policy(reader, text)
        reader.problems.extend(f"{where}: {problem}" for problem in check(policy, written))
        if reader.problems:
            raise PolicyError(reader.problems)
        return policy


def _placed(location: str, home: Path) -> str:
    """A place that a policy names, from the policy's folder where it is a relative path."""
    return location if URI.match(location) else str(home / location)


def _policy(reader: Reader, text: str) -> tuple[Policy, tuple[Written, ...]]:
    model = read_model_terms(reader)
    data, images = read_image_terms(reader)
    baseline = reader.text("baseline", "champion")
    read = [_expectation(item) for item in reader.tables("expectations")]
    expectations = tuple(expectation for expectation, _ in read if expectation is not None)
    policy = Policy(
        title=reader.text("title", None),
        seed=int(reader.number("seed", 0, whole=True, lowest=0) or 0),
        baseline=None if baseline == "none" else baseline,
        budget_minutes=reader.number("budget_minutes", None, above=0),
        model=model,
        validation=data,
        analyses=reader.named_tables("analyses"),
        expectations=expectations,
        drift=read_drift(reader),
        card=read_card(reader),
        images=images,
        text=text,
    )
    reader.done()
    if policy.drift is not None and policy.baseline is None:
        reader.problem(
            "baseline", "is 'none' beside a table [drift], which compares with one; an alias or a "
            "number is accepted",
        )  # fmt: skip
    # One that is wrong in itself may yet become the one that is needed.
    if not any(item is None or item.decides for item, _ in read):
        reader.problem(
            "expectations", "none of severity 'block' or 'review'; at least one is needed, since a "
            "policy that expects nothing would approve everything",
        )  # fmt: skip
    return policy, tuple(written for _, written in read)


def _expectation(reader: Reader) -> tuple[Expectation | None, Written]:
    before = len(reader.problems)
    metric = reader.text("metric", None)
    at_least = reader.number("at_least", None)
    at_most = reader.number("at_most", None)
    severity = reader.choice("severity", "block", tuple(SEVERITIES))
    on = reader.choice("on", "estimate", ("estimate", "interval"))
    rationale = reader.text("rationale", "")
    owner = printable_text(reader, "owner", LONGEST_NAME)
    days = reader.number("due_days", None, whole=True, lowest=1)
    if days is not None and days > MOST_DAYS:
        reader.problem("due_days", f"is {days:g}; at most {MOST_DAYS} are accepted")
        days = None
    if at_least is not None and at_most is not None:
        reader.problem("at_most", "stands beside at_least; one of the two is accepted")
    if at_least is None and at_most is None and not reader.has("at_least", "at_most"):
        reader.problem("at_least", "missing; one of at_least and at_most is needed")
    reader.done()
    bounds = {"at_least": at_least, "at_most": at_most}
    stated = {key: value for key, value in bounds.items() if value is not None}
    written = Written(reader.path, metric, stated)
    if len(reader.problems) > before:
        return None, written
    expectation = Expectation(
        metric=metric, at_least=at_least, at_most=at_most, severity=severity,  # type: ignore[arg-type]
        rationale=rationale, on=on,  # type: ignore[arg-type]
        owner=owner, due_days=None if days is None else int(days),
    )  # fmt: skip
    return expectation, written


def declared(name: str, metrics: Mapping[str, Metric]) -> Metric | None:
    """The declaration of a metric, where `recall.{class}` stands for any class."""
    if name in metrics:
        return metrics[name]
    for pattern, metric in metrics.items():
        start, mark, end = pattern.partition(CLASS)
        if mark and name.startswith(start) and name.endswith(end) and len(name) > len(start + end):
            return metric
    return None


def undeclared(
    policy: Policy, written: Sequence[Written], catalogue: Mapping[str, Mapping[str, Metric]]
) -> Iterable[str]:
    """What a policy asks of analyses that they do not declare.

    Args:
        policy: To be checked.
        written: Its expectations, those included that are wrong in themselves.
        catalogue: Declared metrics by analysis.

    Yields:
        One sentence per problem, with its place and what would be accepted.
    """
    installed = ", ".join(sorted(catalogue))
    for name in sorted(policy.analyses):
        if name not in catalogue:
            yield f"[analyses.{name}]: no such analysis; installed are {installed}"
    for item in written:
        if not item.metric:
            continue
        analysis, _, name = item.metric.partition(".")
        if analysis not in catalogue:
            yield (
                f"{item.place}.metric: {item.metric!r} begins with no installed analysis; "
                f"installed are {installed}"
            )
            continue
        metric = declared(name, catalogue[analysis])
        if metric is None:
            names = ", ".join(sorted(catalogue[analysis])) or "none"
            yield f"{item.place}.metric: {analysis} has no metric {name!r}; it has {names}"
            continue
        for key, threshold in item.bounds.items():
            yield from _misjudged(item, key, threshold, metric)


def unscaled(model: ModelTerms) -> Iterable[str]:
    """Means and standard deviations that pixels in [0, 1] cannot have, a sentence each."""
    for name, values, lowest in (("mean", model.mean, "0"), ("std", model.std, "above 0")):
        if any(not 0 <= value <= 1 for value in values):
            yield (
                f"model.{name}: is {list(values)}; numbers from {lowest} to 1 are accepted, since "
                "pixels are scaled to [0, 1] before; those of a scale to 255 are divided by 255"
            )


def _misjudged(item: Written, key: str, threshold: float, metric: Metric) -> Iterable[str]:
    accepted = "at_least" if metric.better == "higher" else "at_most"
    if key != accepted:
        yield (
            f"{item.place}.{key}: {item.metric} is better when {metric.better}; {accepted} is "
            "accepted"
        )
    low = -math.inf if metric.lowest is None else metric.lowest
    high = math.inf if metric.highest is None else metric.highest
    if not low <= threshold <= high:
        yield (
            f"{item.place}.{key}: is {threshold:.15g}; {item.metric} lies between {low:g} and "
            f"{high:g}"
        )
