"""Scope: what a version was judged for, on what, and on what nobody judged it."""

from dataclasses import dataclass

from governance.records.assessment import Assessment
from governance.records.card import STATEMENTS
from governance.records.numbers import count
from governance.records.reading import FileReading
from governance.records.severities import SEVERITIES
from governance.records.wording import first_few
from reports.amounts import bound
from reports.gaps import Gap, uncovered, unmeasured, withdrawn
from reports.prose import printable

__all__ = ["Fact", "Scope", "Statement", "scope"]

#: What follows while a statement is absent, by its key in the card.
WHILE_ABSENT = {
    "purpose": "Nobody can say whether the bounds are strict enough for the use.",
    "users": "The harm of a wrong answer is not known.",
    "out_of_scope": "Any use can claim this report.",
    "owner": "Findings have nobody to go to.",
    "risk_tier": "The bounds cannot be compared with what the tier demands.",
    "training_data": "A finding cannot be traced to its images.",
    "monitoring": "A fall in operation would be seen by nobody.",
}
#: Classes that are listed with their number of images where these differ.
MOST_CLASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement of the owner; what follows while it is absent."""

    name: str
    text: str | None
    absent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that was judged, in words, with an id where it has one."""

    name: str
    words: str
    mono: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Part C of the report.

    Attributes:
        stated: Number of statements that the owner made.
        statements: All statements, made or not.
        facts: What was judged.
        gaps: What was not assessed, with its consequence and the role that decides.
        owner: Owner of the model; empty where it is not stated.
    """

    stated: int
    statements: tuple[Statement, ...]
    facts: tuple[Fact, ...]
    gaps: tuple[Gap, ...]
    owner: str


def scope(assessment: Assessment) -> Scope:
    """Part C of the report."""
    card = assessment.policy.card
    statements = tuple(
        Statement(
            name=name,
            text=None if card is None else getattr(card, key),
            absent=WHILE_ABSENT[key],
        )
        for key, name in STATEMENTS.items()
    )
    return Scope(
        stated=sum(item.text is not None for item in statements),
        statements=statements,
        facts=(_model(assessment), _baseline(assessment), _images(assessment),
               _preparation(assessment), _policy(assessment)),
        gaps=_together(
            (*withdrawn(assessment), *unmeasured(assessment), *uncovered(assessment))
        ),
        owner="" if card is None or card.owner is None else card.owner,
    )  # fmt: skip


def _together(gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """Gaps on one subject with one consequence as a single one."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for gap in gaps:
        key = (gap.subject, gap.consequence, gap.decides)
        grouped.setdefault(key, []).append(gap.reason[:1].upper() + gap.reason[1:].rstrip("."))
    return tuple(
        Gap(subject, ". ".join(reasons), consequence, decides)
        for (subject, consequence, decides), reasons in grouped.items()
    )


def _model(assessment: Assessment) -> Fact:
    identity = assessment.identity
    size = "parameters not known"
    if identity.parameters is not None:
        size = f"{count(identity.parameters)} parameters"
    words = f"{size}, file format {identity.format}"
    if identity.signature is None:
        words += "; its files carry no signature"
    elif identity.signature.signer is None:
        words += "; its files are signed, and nobody checked the signature"
    else:
        words += f"; its files are signed by {printable(identity.signature.signer)}"
    return Fact(name="Model", words=words, mono=identity.uri)


def _baseline(assessment: Assessment) -> Fact:
    baseline, asked = assessment.baseline, assessment.policy.baseline
    if baseline is None:
        words = "none: the policy names none"
        if asked is not None:
            words = f"none: no assessed version was found under “{printable(asked)}”"
        return Fact(name="Baseline", words=words)
    same = baseline.validation_digest == assessment.validation.digest
    words = f"verdict {printable(baseline.verdict)}; measured on "
    words += "the same images" if same else "other images, so a difference may come from them"
    if baseline.identity.digest == assessment.identity.digest:
        words += "; its weights are those of this version"
    return Fact(name="Baseline", words=words, mono=baseline.identity.uri)


def _images(assessment: Assessment) -> Fact:
    validation = assessment.validation
    absent = validation.absent or ()
    counts, names = validation.counted, validation.counted_names
    words = f"{count(validation.images)} images of {count(len(names))} classes"
    if counts and min(counts) == max(counts):
        words += f", {count(counts[0])} of each"
    elif counts:
        words += f", {count(min(counts))} to {count(max(counts))} of each"
    if len(names) <= MOST_CLASSES and all(len(name) <= MOST_CLASSES for name in names):
        words += f" ({', '.join(map(printable, names))})"
    if validation.named_by is not None:
        words += f"; classes named by {printable(validation.named_by)}"
    if absent:
        words += (
            f"; {count(len(absent))} further classes of the model have no images, and nothing is "
            f"known of them ({first_few(list(map(printable, absent)))})"
        )
    if validation.skipped:
        left = [f"{printable(kind)} ({count(n)})" for kind, n in validation.skipped.items()]
        words += f"; left out: {first_few(left)}"
    if validation.metadata:
        columns = [printable(name) for name in validation.metadata]
        words += f"; their list also names {first_few(columns)}"
    return Fact(name="Images", words=words, mono=validation.location)


def _preparation(assessment: Assessment) -> Fact:
    model = assessment.policy.model
    size = f"{model.size[0]} × {model.size[1]} pixels" if model.size else "size of the model"  # noqa: RUF001 - a product
    parts = [size, f"channels {model.channels}"]
    parts.append("no resizing" if model.resize == "none" else f"resizing: {model.resize}")
    if assessment.policy.images is not None and assessment.policy.images.reading != FileReading():
        parts.append(f"files read {assessment.policy.images.reading}")
    for name, values in (("mean", model.mean), ("standard deviation", model.std)):
        parts.append(f"{name} {', '.join(bound(value, 'number') for value in values)}")
    better = assessment.metrics.get("preprocessing_check.better_alternatives")
    if better is not None:
        none = "no usual alternative does better"
        parts.append(f"{count(int(better))} alternatives do better" if better else none)
    return Fact(name="Preparation", words="; ".join(parts))


def _policy(assessment: Assessment) -> Fact:
    expectations = assessment.policy.expectations
    numbers = ", ".join(
        f"{count(sum(item.severity == name for item in expectations))} {consequence.word}"
        for name, consequence in SEVERITIES.items()
    )
    title = printable(assessment.policy.title)
    return Fact(
        name="Policy", words=f"{title}: {count(len(expectations))} requirements ({numbers})"
    )
