"""Orchestration: a subject and a policy become an assessment.

Every analysis is built from the policy before any of them runs, so that a typo costs a second.
Three analyses stand under every policy, since no one should have to ask for them: the quality of
the validation data, a check of the declared preprocessing, and plain performance.
"""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from governance import analyses
from governance.analyses import Analysis
from governance.assessment import Assessment, Baseline
from governance.errors import AnalysisError, PolicyError, RegistryError, SubjectError
from governance.evidence import Evidence, Failure, Measurement, Metric, ValidationIdentity
from governance.policy import (
    CLASS,
    MINIMUM_CLASS_IMAGES,
    Expectation,
    Policy,
    Written,
    declared,
    judge,
    undeclared,
)
from governance.subject import Subject, tensor_digest

__all__ = ["STANDING", "Progress", "assess", "build", "check_classes", "read_policy"]

#: Analyses that run under every policy, first.
STANDING = ("data_quality", "preprocessing_check", "performance")

#: Told the name of each analysis as it begins, its place (from 0) and how many there are.
Progress = Callable[[str, int, int], None]

VERSIONED = (
    "mlflow-governance", "torch", "torchvision", "numpy", "scipy", "mlflow", "great-expectations",
)  # fmt: skip


def read_policy(path: Path) -> Policy:
    """The policy in a file, checked against all installed analyses.

    Raises:
        PolicyError: All problems at once.
    """
    return Policy.load(path, check=_problems)


def _problems(policy: Policy, written: Sequence[Written]) -> list[str]:
    catalogue = {name: analyses.metrics(name) for name in analyses.names()}
    problems = list(undeclared(policy, written, catalogue))
    for item in written:
        name = item.metric.partition(".")[0]
        if name in catalogue and name not in {*STANDING, *policy.analyses}:
            problems.append(
                f"{item.place}.metric: {item.metric!r} is expected and {name} is not run; a table "
                f"[analyses.{name}] is needed"
            )
    known = {name: policy.analyses[name] for name in policy.analyses if name in catalogue}
    try:
        build(replace(policy, analyses=known))
    except PolicyError as error:
        problems.extend(error.problems)
    return problems


def build(policy: Policy) -> dict[str, Analysis]:
    """Every analysis of a policy with its parameters set, in the order they will run.

    Raises:
        PolicyError: All unknown analyses and impossible parameters at once.
    """
    problems: list[str] = []
    built: dict[str, Analysis] = {}
    for name in dict.fromkeys((*STANDING, *policy.analyses)):
        try:
            built[name] = analyses.load(name, policy.analyses.get(name, {}))
        except PolicyError as error:
            problems.extend(error.problems)
    if problems:
        raise PolicyError(problems)
    return built


def assess(
    subject: Subject,
    policy: Policy,
    *,
    baseline: Baseline | None = None,
    progress: Progress = lambda _name, _index, _total: None,
) -> Assessment:
    """Put a subject through every analysis of a policy and judge what they leave.

    Raises:
        PolicyError: Before anything runs, if an analysis or a class does not exist.
        SubjectError: If the model or its images turn out not to be assessable.
        AnalysisError: If an analysis changed the model, after which nothing can be trusted.
    """
    built = build(policy)
    standing = [item for kind in built.values() for item in getattr(kind, "standing", ())]
    judged = policy.with_standing(standing)
    check_classes(judged, subject.validation.identity)
    started = time.monotonic()
    evidence: list[Evidence] = []
    for index, (name, analysis) in enumerate(built.items()):
        progress(name, index, len(built))
        spent = (time.monotonic() - started) / 60
        late = policy.budget_minutes is not None and spent >= policy.budget_minutes
        evidence.append((_unrun if late else _run)(name, analysis, subject, policy))
        if tensor_digest(subject.model) != subject.identity.digest:
            raise AnalysisError(
                f"analysis {name} changed the model's tensors; an analysis must leave the model as "
                "found, and nothing measured after this could be trusted"
            )
    evidence = [_sound(item, judged) for item in evidence]
    return Assessment(
        identity=subject.identity,
        validation=subject.validation.identity,
        policy=judged,
        evidence=tuple(evidence),
        decision=judge(judged, evidence),
        environment=_environment(subject.device),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        baseline=baseline,
    )


def check_classes(policy: Policy, validation: ValidationIdentity) -> None:
    """Refuse expectations about classes that do not exist or have too few images.

    Raises:
        PolicyError: For a class the validation set does not have.
        SubjectError: For a class with fewer images than a number about it needs.
    """
    unknown, scarce = [], []
    for expectation in policy.expectations:
        found = _pattern(expectation)
        if found is None or not found[1].per_class:
            continue
        gated = _gated_classes(expectation, found[0], validation)
        if not gated:
            unknown.append(
                f"expectation on {expectation.metric}: the validation set {validation.location} "
                f"has no such class; it has {', '.join(validation.class_names)}"
            )
        scarce += [
            f"validation set {validation.location}: class {label!r} has {count} images; "
            f"the expectation on {expectation.metric} needs at least {MINIMUM_CLASS_IMAGES}"
            for label, count in gated.items()
            if count < MINIMUM_CLASS_IMAGES
        ]
    if unknown:
        raise PolicyError(unknown)
    if scarce:
        raise SubjectError(scarce)


def _pattern(expectation: Expectation) -> tuple[str, Metric] | None:
    """The declared name behind an expectation, such as `recall.{class}`, and its metric."""
    analysis, _, name = expectation.metric.partition(".")
    metrics = analyses.metrics(analysis)
    if name in metrics:
        return name, metrics[name]
    for pattern, metric in metrics.items():
        if declared(name, {pattern: metric}) is not None:
            return pattern, metric
    return None


def _gated_classes(
    expectation: Expectation, pattern: str, validation: ValidationIdentity
) -> dict[str, int]:
    counts = dict(zip(validation.class_names, validation.class_counts, strict=True))
    if CLASS not in pattern:
        return counts
    name = expectation.metric.partition(".")[2]
    return {label: n for label, n in counts.items() if pattern.replace(CLASS, label) == name}


def _run(name: str, analysis: Analysis, subject: Subject, policy: Policy) -> Evidence:
    unmeasured = _unrun(name, analysis, subject, policy)
    begun = time.monotonic()
    measurement, failure = None, None
    try:
        measurement = _measured(analysis.run(subject, policy.seed))
    except (SubjectError, RegistryError):
        raise
    except Exception as error:  # noqa: BLE001 - the one place that turns a crash into evidence
        failure = Failure(kind=type(error).__name__, message=str(error) or type(error).__name__)
    seconds = round(time.monotonic() - begun, 3)
    return replace(unmeasured, seconds=seconds, measurement=measurement, failure=failure)


def _measured(answer: object) -> Measurement:
    # Analyses of other distributions are not under our type checker.
    if not isinstance(answer, Measurement):
        raise AnalysisError(f"run() returned {answer!r:.80}; a Measurement is accepted")
    return answer


def _sound(evidence: Evidence, policy: Policy) -> Evidence:
    """Evidence without gated numbers about a class that rest on too few of its images.

    The validation set may hold enough of a class and an analysis still sample few of them.
    """
    measurement = evidence.measurement
    if measurement is None:
        return evidence
    gated = {item.metric for item in policy.expectations if _is_per_class(item)}
    scarce = {
        name: interval.n
        for name, interval in measurement.intervals.items()
        if f"{evidence.analysis}.{name}" in gated and interval.n < MINIMUM_CLASS_IMAGES
    }
    if not scarce:
        return evidence
    kept = {name: item for name, item in measurement.intervals.items() if name not in scarce}
    notes = tuple(
        f"{name} rests on {n} images of its class and is missing; at least "
        f"{MINIMUM_CLASS_IMAGES} are needed where a policy expects something of it."
        for name, n in scarce.items()
    )
    metrics = {**measurement.metrics, **dict.fromkeys(scarce)}
    sound = replace(
        measurement, metrics=metrics, intervals=kept, notes=(*measurement.notes, *notes)
    )
    return replace(evidence, measurement=sound)


def _is_per_class(expectation: Expectation) -> bool:
    found = _pattern(expectation)
    return found is not None and found[1].per_class


def _unrun(name: str, analysis: Analysis, subject: Subject, policy: Policy) -> Evidence:
    """Evidence that an analysis was not run, for want of time."""
    return Evidence(
        analysis=name,
        about=analyses.about(name),
        parameters={item.name: getattr(analysis, item.name) for item in fields(analysis)},  # type: ignore[arg-type]
        seed=policy.seed,
        seconds=0.0,
        device=str(subject.device),
        failure=Failure(
            kind="not run",
            message=f"the policy's budget of {policy.budget_minutes} minutes was used up before",
        ),
    )


def _environment(device: torch.device) -> dict[str, str]:
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "device": f"{device} ({where})",
        "torch threads": str(torch.get_num_threads()),
        **{name: _version(name) for name in VERSIONED},
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # run from a checkout
        return "not installed"
