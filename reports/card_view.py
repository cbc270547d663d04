"""Card view: an assessment arranged for exchange with other tools.

CycloneDX, OSCAL, CHAI's model card and Hugging Face's are all written from this one view, so that
they tell the same. What nobody stated is "not stated" in all of them, and what was not measured has
no figure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import NAMESPACE_URL, UUID, uuid5

from governance.records.assessment import Assessment
from governance.records.card import STATEMENTS
from governance.records.evidence import Interval
from governance.records.numbers import interval, number
from reports.approvals import SOFTWARE
from reports.findings import FindingText, findings
from reports.gaps import Gap, uncovered, unmeasured, withdrawn
from reports.metric_texts import metric_texts
from reports.prose import printable
from reports.verdicts import verdict_sentence

__all__ = ["NOT_STATED", "CardView", "Figure", "card_view"]

NOT_STATED = "not stated"
#: Analysis all of whose metrics are told; of the others those with a requirement.
PLAIN = "performance"
MOST_FIGURES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured value.

    Attributes:
        metric: Full name of the metric.
        name: Human name.
        value: Value as recorded.
        interval: Its interval; None where it has none.
        class_name: Class that it is about; None for all.
    """

    metric: str
    name: str
    value: float
    interval: Interval | None
    class_name: str | None

    @property
    def text(self) -> str:
        """Value and interval for a reader."""
        return f"{number(self.value)} {interval(self.interval)}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class CardView:
    """What is told about a model version.

    Attributes:
        assessment: The assessment as given.
        name: Name of the model; its address where it is not registered.
        version: Number of the version; the start of the model's digest where it has none.
        tool: Version of this tool that assessed it; empty where not recorded.
        sentence: Verdict and what decided it.
        statements: What the owner stated, by the keys of `[card]`; "not stated" where nothing is.
        figures: Measured values.
        findings: Findings in words, open ones first.
        limits: What was not assessed.
    """

    assessment: Assessment
    name: str
    version: str
    tool: str
    sentence: str
    statements: dict[str, str]
    figures: tuple[Figure, ...]
    findings: tuple[FindingText, ...]
    limits: tuple[Gap, ...]

    def identifier(self, part: str) -> UUID:
        """An identifier of a part, the same whenever the same assessment is exported."""
        return uuid5(NAMESPACE_URL, f"{self.assessment.digest}#{part}")


def card_view(assessment: Assessment) -> CardView:
    """The assessment arranged for exchange."""
    identity, card = assessment.identity, assessment.policy.card
    told = findings(assessment)
    return CardView(
        assessment=assessment,
        name=printable(identity.name or identity.uri),
        version=printable(identity.version or identity.digest[7:19]),
        tool=printable(assessment.environment.get(SOFTWARE, "")),
        sentence=verdict_sentence(assessment),
        statements={
            key: (None if card is None else getattr(card, key)) or NOT_STATED for key in STATEMENTS
        },
        figures=tuple(_figures(assessment, told))[:MOST_FIGURES],
        findings=told,
        limits=(*withdrawn(assessment), *unmeasured(assessment), *uncovered(assessment)),
    )


def _figures(assessment: Assessment, told: tuple[FindingText, ...]) -> Iterator[Figure]:
    required = {item.metric: item for item in told}
    classes = assessment.validation.class_names
    for metric, value in assessment.metrics.items():
        analysis, _, name = metric.partition(".")
        if value is None or not (analysis == PLAIN or metric in required):
            continue
        text, found = required.get(metric), name.partition(".")[2]
        class_name = found if found in classes else None
        yield Figure(
            metric=printable(metric),
            name=_named(metric, class_name) if text is None else text.name,
            value=value,
            interval=assessment.intervals.get(metric),
            class_name=None if class_name is None else printable(class_name),
        )


def _named(metric: str, class_name: str | None) -> str:
    name = metric_texts(metric).name
    return printable(name if class_name is None else name.replace("{class}", f"class {class_name}"))
