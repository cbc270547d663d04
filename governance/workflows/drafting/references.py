"""References: whose measurements the thresholds of a drafted policy are taken from.

The champion's, where the model has one that was assessed on the same images; else those of the
version itself, on the images that did not choose its preprocessing.
"""

from governance import registry
from governance.errors import EvidenceError
from governance.methods.statistics.intervals import wilson
from governance.methods.statistics.proportions import by_class
from governance.records.assessment import Assessment
from governance.records.numbers import count
from governance.registry import ModelVersion
from governance.registry.versions import aliases
from governance.subject.images.validation_set import ValidationSet
from governance.workflows.drafting.opening import DraftSubject
from governance.workflows.drafting.proposing import Reference
from governance.workflows.drafting.searching import Choice

__all__ = ["reference_of"]

CHAMPION = "champion"


def reference_of(opened: DraftSubject, choice: Choice) -> tuple[Reference, tuple[str, ...]]:
    """What thresholds are taken from, and what is to be told of it."""
    champion, told = _champion(opened.version)
    if champion is not None:
        found = _recorded(champion, opened.validation)
        if found is not None:
            return found, ()
        told = (
            (
                f"{champion.identity.uri} (alias {CHAMPION}) was assessed on other images or "
                "without performance, so that the thresholds are taken from this version."
            ),
        )
    labels, best = opened.validation.labels, choice.confirmed
    right = best.right(labels)
    classes = by_class(right, labels[best.images], len(opened.validation.class_names))
    own = Reference(
        what=f"this version, on the {count(len(right))} images that did not choose its "
        "preprocessing",
        accuracy=float(right.mean()),
        interval=wilson(int(right.sum()), len(right)),
        recalls=tuple((item.hits, item.n) if item.n else None for item in classes),
    )
    return own, told


def _champion(version: ModelVersion) -> tuple[Assessment | None, tuple[str, ...]]:
    """The record of another version that is the champion; None where there is none to rely on."""
    if version.ref is None:
        return None, ()
    number_of = aliases(version.ref.name, version.uri).get(CHAMPION)
    if number_of is None or number_of == version.ref.version:
        return None, ()
    try:
        return registry.recorded(registry.resolve(f"models:/{version.ref.name}@{CHAMPION}")), ()
    except EvidenceError as error:
        return None, (f"Version {number_of} (alias {CHAMPION}) is not relied on: {error}",)


def _recorded(record: Assessment, validation: ValidationSet) -> Reference | None:
    accuracy = record.metrics.get("performance.accuracy")
    if accuracy is None or record.validation.digest != validation.digest:
        return None
    counts = dict(zip(record.validation.class_names, record.validation.class_counts, strict=True))
    recalls = [
        None if share is None else (round(share * n), n)
        for name, n in counts.items()
        for share in [record.metrics.get(f"performance.recall.{name}")]
    ]
    return Reference(
        what=f"{record.identity.uri} (alias {CHAMPION}), as recorded on these images",
        accuracy=accuracy,
        interval=record.intervals.get("performance.accuracy"),
        recalls=tuple(recalls),
    )
