"""Class counts: a number about one class counts only if it rests on enough images of it."""

from dataclasses import replace

from governance import analyses, drift
from governance.errors import PolicyError, SubjectError
from governance.records.evidence import Evidence, Metric
from governance.records.identity import ValidationIdentity
from governance.records.policy import (
    CLASS,
    DRIFT,
    MINIMUM_CLASS_IMAGES,
    Expectation,
    Policy,
    declared,
)

__all__ = ["check_classes", "sound"]


def check_classes(policy: Policy, validation: ValidationIdentity) -> None:
    """Refuse expectations about classes that do not exist or have too few images.

    Raises:
        PolicyError: For a class the validation set does not have.
        SubjectError: For a class with fewer images than a number about it needs.
    """
    unknown, scarce = [], []
    for expectation in policy.expectations:
        declared_as = _pattern(expectation)
        if declared_as is None or not declared_as[1].per_class:
            continue
        gated = _gated_classes(expectation, declared_as[0], validation)
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
    metrics = drift.METRICS if analysis == DRIFT else analyses.metrics(analysis)
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
        # Of classes that the policy says to have no images, nothing is asked.
        return {name: counts[name] for name in validation.counted_names}
    name = expectation.metric.partition(".")[2]
    return {label: n for label, n in counts.items() if pattern.replace(CLASS, label) == name}


def sound(evidence: Evidence, policy: Policy) -> Evidence:
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
    declared_as = _pattern(expectation)
    return declared_as is not None and declared_as[1].per_class
