"""Orchestration: from a subject and a policy to an assessment.

Every analysis is built from the policy before any of them runs, so that a typo costs a second.
Three analyses run under every policy, without being asked for: the quality of the validation data,
a check of the declared preprocessing, and plain performance.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from governance import analyses, drift
from governance.analyses import Analysis
from governance.errors import (
    AnalysisError,
    HostError,
    InapplicableError,
    PolicyError,
    RegistryError,
    SubjectError,
)
from governance.records.assessment import Assessment
from governance.records.decision import judge
from governance.records.evidence import Evidence, Failure, Measurement, Metric
from governance.records.lineage import Lineage
from governance.records.policy import (
    DRIFT,
    INAPPLICABLE,
    Policy,
    Written,
    declared,
    undeclared,
    unscaled,
)
from governance.records.serialisation import to_data
from governance.subject.network import Network, tensor_digest
from governance.subject.outputs import INDEPENDENT
from governance.subject.precision import full_precision
from governance.subject.subject import NEEDS, Subject
from governance.workflows.class_counts import check_classes, sound
from governance.workflows.environment import environment
from governance.workflows.progress import Progress, metered, silent

__all__ = [
    "STANDING",
    "assess",
    "build",
    "check_classes",
    "judged_by",
    "measured_again",
    "read_policy",
]

#: Analyses that run under every policy, first.
STANDING = ("data_quality", "preprocessing_check", "performance")

#: Numbers are computed in float32 and float64: so far beyond its range one is still at its end.
ROUNDING = 1e-9


def read_policy(path: Path) -> Policy:
    """The policy in a file, checked against all installed analyses.

    Raises:
        PolicyError: All problems at once.
    """
    return Policy.load(path, check=_problems)


def _problems(policy: Policy, written: Sequence[Written]) -> list[str]:
    catalogue = {name: analyses.metrics(name) for name in analyses.names()}
    measured = {*STANDING, *policy.analyses}
    if policy.drift is not None:
        catalogue[DRIFT] = drift.METRICS
        measured.add(DRIFT)
    problems = [
        *unscaled(policy.model),
        *undeclared(policy, written, catalogue),
        *drift.problems(policy, written),
    ]
    for item in written:
        name = item.metric.partition(".")[0]
        if name in catalogue and name not in measured:
            problems.append(
                f"{item.place}.metric: {item.metric!r} is expected and {name} is not run; a table "
                f"[analyses.{name}] is needed"
            )
    known = {name: policy.analyses[name] for name in policy.analyses if name in analyses.names()}
    try:
        build(replace(policy, analyses=known))
    except PolicyError as error:
        problems.extend(error.problems)
    return problems


def build(policy: Policy, standing: Sequence[str] | None = None) -> dict[str, Analysis]:
    """Every analysis of a policy with its parameters set, in the order they will run.

    Args:
        policy: Policy as read.
        standing: Analyses that run whatever it says; `STANDING` if not given.

    Raises:
        PolicyError: All unknown analyses and impossible parameters at once.
    """
    problems: list[str] = []
    built: dict[str, Analysis] = {}
    for name in dict.fromkeys((*(STANDING if standing is None else standing), *policy.analyses)):
        try:
            built[name] = analyses.load(name, policy.analyses.get(name, {}))
        except PolicyError as error:
            problems.extend(error.problems)
    if problems:
        raise PolicyError(problems)
    return built


def judged_by(policy: Policy, standing: Sequence[str] | None = None) -> Policy:
    """A policy with the expectations that its analyses bring: what an assessment is judged by.

    Raises:
        PolicyError: All unknown analyses and impossible parameters at once.
    """
    built = build(policy, standing)
    expected = [item for kind in built.values() for item in getattr(kind, "standing", ())]
    if policy.drift is not None:
        expected += drift.standing(policy.drift)
    return policy.with_standing(expected)


@full_precision()
def assess(
    subject: Subject,
    policy: Policy,
    *,
    lineage: Lineage | None = None,
    standing: Sequence[str] | None = None,
    progress: Progress = silent,
) -> Assessment:
    """Run every analysis of a policy on a subject, and judge the evidence.

    Args:
        subject: The opened model with its images.
        policy: Policy as read.
        lineage: Earlier versions to compare with; without it, drift that the policy asks for is
            missing.
        standing: Analyses that run whatever the policy says; `STANDING` if not given.
        progress: Called as each analysis begins.

    Raises:
        PolicyError: Before anything runs, if an analysis or a class does not exist.
        SubjectError: If the model or its images turn out not to be assessable.
        AnalysisError: If an analysis changed the model, after which nothing can be trusted.
        HostError: If an analysis ended because the disk of this machine is full or fails.
    """
    built = build(policy, standing)
    judged = judged_by(policy, standing)
    check_classes(judged, subject.validation.identity)
    started = time.monotonic()
    evidence: list[Evidence] = []
    compares = policy.drift is not None or _damaged(subject, lineage)
    total = len(built) + compares
    for index, (name, analysis) in enumerate(built.items()):
        if why := _unanswerable(analysis, subject):
            evidence.append(_inapplicable(_unrun(name, analysis, subject, policy), why))
            continue
        with metered(progress, name, index, total, subject.meter):
            measured = _unrun if _late(policy, started) else _run
            evidence.append(measured(name, analysis, subject, policy))
        _check_unchanged(subject, name)
    evidence = [sound(item, judged) for item in evidence]
    found = Assessment(
        identity=subject.identity,
        validation=subject.validation.identity,
        policy=judged,
        evidence=tuple(evidence),
        decision=judge(judged, evidence),
        environment=environment(subject.device),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        baseline=lineage.baseline if lineage else None,
    )
    if not compares:
        return found
    progress(DRIFT, len(built), total)
    compared = _compare(subject, found, lineage, late=_late(policy, started))
    _check_unchanged(subject, DRIFT)
    everything = (*found.evidence, compared)
    return replace(found, evidence=everything, decision=judge(judged, everything))


@full_precision()
def measured_again(subject: Subject, policy: Policy, recorded: Evidence) -> Evidence:
    """The evidence of one analysis, made again with the parameters and the seed on record.

    Args:
        subject: The opened model with its images.
        policy: Policy as recorded, built-in expectations included.
        recorded: Evidence on record.

    Raises:
        PolicyError: If the analysis is not installed, or does not take these parameters any more.
        SubjectError: If the model or its images turn out not to be assessable.
        AnalysisError: If the analysis changed the model.
        HostError: If it ended because the disk of this machine is full or fails.
    """
    analysis = analyses.load(recorded.analysis, recorded.parameters)
    seeded = replace(policy, seed=recorded.seed)
    if why := _unanswerable(analysis, subject):
        return _inapplicable(_unrun(recorded.analysis, analysis, subject, seeded), why)
    found = _run(recorded.analysis, analysis, subject, seeded)
    _check_unchanged(subject, recorded.analysis)
    return sound(found, policy)


def _unanswerable(analysis: Analysis, subject: Subject) -> str | None:
    """Why a question cannot be put to this kind of model, without its subject; None if it can."""
    if subject.classifier.outputs in INDEPENDENT and not analyses.takes_labels(analysis):
        return (
            "asks for one decision for each image, and this model answers for each label by "
            "itself; a model that decides for one class is accepted"
        )
    if analysis.needs != "probabilities" and not isinstance(subject.classifier, Network):
        return (
            f"asks for {NEEDS[analysis.needs]}, and this model {subject.classifier.closed}; a "
            "float32 torch module (from mlflow.pytorch.log_model) is accepted"
        )
    return None


def _inapplicable(unmeasured: Evidence, why: str) -> Evidence:
    """Evidence that a question cannot be put to this kind of model; never counted as met."""
    failure = Failure(kind=INAPPLICABLE, message=f"{unmeasured.analysis} {why}")
    return replace(unmeasured, failure=failure)


def _late(policy: Policy, started: float) -> bool:
    spent = (time.monotonic() - started) / 60
    return policy.budget_minutes is not None and spent >= policy.budget_minutes


def _check_unchanged(subject: Subject, name: str) -> None:
    # What only gives probabilities has no tensors here that an analysis could change.
    if not isinstance(subject.classifier, Network):
        return
    if tensor_digest(subject.classifier.model) != subject.identity.digest:
        raise AnalysisError(
            f"analysis {name} changed the model's tensors; an analysis must leave the model as "
            "found, and nothing measured after this could be trusted"
        )


def _damaged(subject: Subject, lineage: Lineage | None) -> bool:
    """Whether the record that a registered version is compared with cannot be relied on.

    Then the report says so, also under a policy that does not ask about drift.
    """
    return subject.identity.ref is not None and lineage is not None and lineage.unknown is not None


def _compare(
    subject: Subject, found: Assessment, lineage: Lineage | None, *, late: bool
) -> Evidence:
    """The evidence on what changed since the version before."""
    policy = found.policy
    unmeasured = _out_of_time(DRIFT, drift.about(), to_data(policy.drift) or {}, subject, policy)
    unmeasured = replace(unmeasured, covers=drift.COVERS)
    unanswerable = drift.unanswerable(lineage)
    if unanswerable is not None:
        return replace(unmeasured, failure=unanswerable)
    if late or lineage is None:
        return unmeasured
    return _answered(unmeasured, lambda: drift.measured(subject, found, lineage), drift.METRICS)


def _run(name: str, analysis: Analysis, subject: Subject, policy: Policy) -> Evidence:
    unmeasured = _unrun(name, analysis, subject, policy)
    return _answered(unmeasured, lambda: analysis.run(subject, policy.seed), analyses.metrics(name))


def _answered(
    unmeasured: Evidence, run: Callable[[], object], metrics: Mapping[str, Metric]
) -> Evidence:
    begun = time.monotonic()
    measurement, failure = None, None
    try:
        measurement = _measured(run(), metrics)
    except (SubjectError, RegistryError):
        raise
    except Exception as error:
        # A full disk says nothing about a model.
        if (fault := HostError.behind(error)) is not None:
            raise fault from error
        lacking = isinstance(error, InapplicableError)
        kind = INAPPLICABLE if lacking else type(error).__name__
        failure = Failure(kind=kind, message=str(error) or type(error).__name__)
    seconds = round(time.monotonic() - begun, 3)
    return replace(unmeasured, seconds=seconds, measurement=measurement, failure=failure)


def _measured(answer: object, metrics: Mapping[str, Metric]) -> Measurement:
    # Analyses of other distributions are under neither our type checker nor our tests.
    if not isinstance(answer, Measurement):
        raise AnalysisError(f"run() returned {answer!r:.80}; a Measurement is accepted")
    problems = list(_out_of_range(answer, metrics))
    if problems:
        raise AnalysisError(problems)
    return answer


def _out_of_range(answer: Measurement, metrics: Mapping[str, Metric]) -> Iterator[str]:
    """Values and ends of intervals beyond what their metric is declared to be."""
    for name, value in answer.metrics.items():
        metric, interval = declared(name, metrics), answer.intervals.get(name)
        if metric is None:
            continue
        low = -math.inf if metric.lowest is None else metric.lowest
        high = math.inf if metric.highest is None else metric.highest
        for number in (value, *((interval.low, interval.high) if interval else ())):
            if number is not None and not low - ROUNDING <= number <= high + ROUNDING:
                yield (
                    f"{name} or an end of its interval is {number:.15g}; numbers from {low:g} to "
                    f"{high:g} are accepted, as the analysis declares"
                )


def _unrun(name: str, analysis: Analysis, subject: Subject, policy: Policy) -> Evidence:
    """Evidence that an analysis was not run, for want of time."""
    parameters = {item.name: getattr(analysis, item.name) for item in fields(analysis)}  # type: ignore[arg-type]
    unmeasured = _out_of_time(name, analyses.about(name), parameters, subject, policy)
    return replace(unmeasured, covers=analyses.covers(analysis))


def _out_of_time(
    name: str, about: str, parameters: Mapping[str, Any], subject: Subject, policy: Policy
) -> Evidence:
    return Evidence(
        analysis=name,
        about=about,
        parameters=parameters,
        seed=policy.seed,
        seconds=0.0,
        device=str(subject.device),
        failure=Failure(
            kind="not run",
            message=f"the policy's budget of {policy.budget_minutes} minutes was used up before",
        ),
    )
