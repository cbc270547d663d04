"""Results: how often the model is right, for part D of the report.

Classes are listed by their recall, the lowest first, and confusions by their number; what does not
fit is counted and stands in the record. Nothing is measured here: differences from the baseline
are plain ones, and their paired intervals are printed where the record holds them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from governance.records.assessment import Assessment
from governance.records.evidence import Interval
from governance.records.numbers import count
from reports.amounts import amount, bound, change, span
from reports.charts import Dot, Mark, curve, dots, unit_axis
from reports.class_names import named, noun_of, table_of
from reports.findings import FindingText
from reports.metric_texts import metric_texts
from reports.table_rows import Row, number_in, rows_of
from reports.turned_images import TurnedImages, turned_images

__all__ = ["Changed", "Errors", "Results", "data_line", "results"]

MOST_CLASSES = 25
MOST_SQUARE = 12
MOST_PAIRS = 10
MOST_CHANGES = 6
PAGE, COLUMN = 493, 226
#: Measures that are told whether or not the policy has a requirement on them.
HEADLINES = ("performance.accuracy", "performance.recall_worst", "performance.ece",
             "performance.nll")  # fmt: skip
#: Columns without which a table is not the one that is meant.
CLASSES = ("class", "n", "recall")
CONFUSIONS = ("class", "named", "images", "n")
COMPARED = "accuracy on the images compared"
NOT_RECORDED = "not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Which classes are taken for which.

    Attributes:
        total: Number of wrong answers.
        names: Classes of the square, in the order of the model's outputs; empty for a list.
        square: Wrong answers by true class (row) and answer (column).
        pairs: True class, answer, images, images of the true class; the most frequent first.
        left: Number of confused pairs that are not listed.
    """

    total: int
    names: tuple[str, ...]
    square: tuple[tuple[int, ...], ...]
    pairs: tuple[tuple[str, str, int, int], ...]
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A measure of both versions, in words."""

    name: str
    old: str
    new: str
    change: str
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Part D of the report.

    Attributes:
        lead: What the part says, in two sentences; says that nothing was measured where it was not.
        recall: Recall of each class in SVG.
        recall_note: What is drawn in it.
        errors: Confusions; None where the record holds none.
        confidence: Whether the stated confidence can be believed, in sentences.
        calibration: The same in SVG.
        data: The state of the images in a line.
        before: Name of the baseline; empty where there is none.
        same_images: Whether the baseline was measured on the same images.
        changes: Changed measures.
        changes_left: Number of changed measures that are not printed.
        turned: Images whose answer changed since the baseline; None where not recorded.
    """

    lead: str
    recall: Markup | None
    recall_note: str
    errors: Errors | None
    confidence: str
    calibration: Markup | None
    data: str
    before: str
    same_images: bool
    changes: tuple[Changed, ...]
    changes_left: int
    turned: TurnedImages | None


def results(assessment: Assessment, told: Sequence[FindingText]) -> Results:
    """Part D of the report.

    Args:
        assessment: The assessment as recorded.
        told: Its findings in words.
    """
    noun = noun_of(assessment)
    classes = rows_of(assessment, "performance", "classes", *CLASSES)
    mark = _bound(assessment)
    errors = _errors(assessment)
    changed = _changes(assessment, told, noun)
    chart, note = _recall(assessment, classes, mark) if classes else (None, "")
    return Results(
        lead=_lead(assessment, classes, mark, errors, noun),
        recall=chart,
        recall_note=note,
        errors=errors,
        confidence=_confidence(assessment),
        calibration=_calibration(assessment),
        data=data_line(told),
        before=_before(assessment),
        same_images=assessment.baseline is not None
        and assessment.baseline.validation_digest == assessment.validation.digest,
        changes=changed[:MOST_CHANGES],
        changes_left=max(0, len(changed) - MOST_CHANGES),
        turned=turned_images(assessment, noun),
    )


def _before(assessment: Assessment) -> str:
    baseline = assessment.baseline
    if baseline is None:
        return ""
    version = baseline.identity.version
    return f"version {version}" if version else "the baseline"


def _bound(assessment: Assessment) -> Mark | None:
    """The recall that the policy asks of each class."""
    for item in assessment.policy.expectations:
        if item.metric == "performance.recall_worst" and item.at_least is not None:
            text = f"at least {bound(item.at_least, 'percent')}"
            return Mark(value=item.at_least, text=text, side="above")
    asked = {item.metric for item in assessment.policy.expectations}
    for evidence in assessment.evidence:
        recall = evidence.parameters.get("class_recall")
        if "performance.classes_short" in asked and isinstance(recall, int | float):
            text = f"{bound(recall, 'percent')} asked of each"
            return Mark(value=float(recall), text=text, side="above")
    return None


def _lead(
    assessment: Assessment,
    classes: Sequence[Row],
    mark: Mark | None,
    errors: Errors | None,
    noun: str,
) -> str:
    accuracy = assessment.metrics.get("performance.accuracy")
    if accuracy is None:
        return "How often the model is right was not measured."
    images = count(assessment.validation.images)
    parts = [f"{amount(accuracy, 'percent')} of {images} images are recognised."]
    if mark is not None:
        recalls = [(row, number_in(row, "recall")) for row in classes]
        below = [
            (row, recall) for row, recall in recalls if recall is not None and recall < mark.value
        ]
        unknown = sum(recall is None for _, recall in recalls)
        some = "no class" if not below else f"{len(below)} of {count(len(classes))} classes"
        parts.append(f"By its recall {some} lies below its bound of {bound(mark.value, 'percent')}")
        if len(below) == 1:
            row, recall = below[0]
            told = amount(recall, "percent", (mark.value,))
            parts[-1] += f": {named(str(row['class']), noun)}, at {told}"
            if errors is not None and errors.total:
                missed = round((1 - recall) * (number_in(row, "n") or 0))
                parts.append(f"It makes {missed} of the {count(errors.total)} errors")
        if unknown:
            some = "1 class" if unknown == 1 else f"{count(unknown)} classes"
            parts.append(f"The recall of {some} was not measured")
        parts[1:] = [f"{part}." for part in parts[1:]]
    return " ".join(parts)


def _recall(
    assessment: Assessment, classes: Sequence[Row], mark: Mark | None
) -> tuple[Markup, str]:
    known = sorted(
        classes,
        key=lambda row: (number_in(row, "recall") is not None, number_in(row, "recall") or 0),
    )
    shown = known[:MOST_CLASSES]
    old = {} if assessment.baseline is None else assessment.baseline.metrics
    before = _before(assessment)
    rows = [
        _dot(row, old.get(f"performance.recall.{row['class']}"), mark, compared=bool(before))
        for row in shown
    ]
    values = [value for row in rows for value in (row.value, row.low, row.before)]
    axis = unit_axis([*values, mark.value if mark else None], "recall: share of the class's images")
    heads = ("Recall", "95\u202f% interval", *(("Change",) if before else ()))
    lowest = rows[0]
    chart = dots(
        rows, axis, width=PAGE, mark=mark, heads=heads,
        title=f"Recall of {len(rows)} classes, lowest first: {lowest.label} has "
        f"{lowest.cells[0]}, {rows[-1].label} has {rows[-1].cells[0]}"
        + (f"; {mark.text}." if mark else "."),
    )  # fmt: skip
    sizes = {row["n"] for row in shown}
    each = f"{sizes.pop()} images of each" if len(sizes) == 1 else "images as in the annex"
    which = f"The {len(shown)} lowest of {count(len(classes))} classes" if (
        len(classes) > len(shown)
    ) else "All classes"  # fmt: skip
    ring = f"ring: {before}; " if before else ""
    note = (
        f"{which}, lowest first; {each}; {ring}a square lies below the bound. Each interval is "
        "that of its class alone (Wilson). The requirement uses a wider one: its class was picked."
    )
    return chart, note


def _dot(row: Row, before: float | None, mark: Mark | None, *, compared: bool) -> Dot:
    value, low, high = (number_in(row, name) for name in ("recall", "recall_low", "recall_high"))
    apart = (mark.value if mark else None,)
    new = "not measured" if value is None else amount(value, "percent", apart, decimals=1)
    ends = ""
    if low is not None and high is not None:
        ends = span(Interval(low=low, high=high, n=1), "percent", apart)
    moved = "\N{EN DASH}" if value is None or before is None else _plain_change(value - before)
    below = mark is not None and value is not None and value < mark.value
    return Dot(
        label=str(row["class"]), value=value, low=low, high=high, before=before,
        state="unmet" if below else "", cells=(new, ends, *((moved,) if compared else ())),
    )  # fmt: skip


def _plain_change(value: float) -> str:
    return change(value, "percent").replace("\N{NO-BREAK SPACE}points", "").replace(
        "\N{NO-BREAK SPACE}point", ""
    )  # fmt: skip


def _errors(assessment: Assessment) -> Errors | None:
    table = table_of(assessment, "performance", "confusions")
    if table is None or not set(CONFUSIONS) <= set(table.columns):
        return None
    rows = [
        (
            str(row["class"]),
            str(row["named"]),
            int(number_in(row, "images") or 0),
            int(number_in(row, "n") or 0),
        )
        for row in rows_of(assessment, "performance", "confusions", *CONFUSIONS)
    ]
    names = assessment.validation.class_names
    square: tuple[tuple[int, ...], ...] = ()
    if len(names) <= MOST_SQUARE:
        counts = {(true, answer): images for true, answer, images, _ in rows}
        square = tuple(tuple(counts.get((a, b), 0) for b in names) for a in names)
    return Errors(
        total=sum(images for _, _, images, _ in rows),
        names=names if square else (),
        square=square,
        pairs=tuple(rows[:MOST_PAIRS]),
        left=max(0, len(rows) - MOST_PAIRS),
    )


def _confidence(assessment: Assessment) -> str:
    error = assessment.metrics.get("performance.ece")
    if error is None:
        return "Whether the stated confidence can be believed was not measured."
    interval = assessment.intervals.get("performance.ece")
    level = f" (95\u202f% interval {span(interval, 'points')})" if interval else ""
    text = (
        "Stated confidence and share of right answers differ by "
        f"{amount(error, 'points')} on average{level}."
    )
    control = [
        number_in(row, "control")
        for row in rows_of(assessment, "performance", "overall", "measure")
        if row["measure"] == "ece"
    ]
    if control and control[0] is not None:
        text += (
            f" A perfectly calibrated model shows {amount(control[0], 'points')} on as many images."
        )
    asked = {item.metric for item in assessment.policy.expectations}
    return text if "performance.ece" in asked else f"{text} The policy sets no bound on it."


def _calibration(assessment: Assessment) -> Markup | None:
    points = [
        (x, y, number_in(row, "low"), number_in(row, "high"))
        for row in rows_of(assessment, "performance", "calibration")
        if (x := number_in(row, "confidence")) is not None
        and (y := number_in(row, "right")) is not None
    ]
    if not points:
        return None
    first = points[0]
    return curve(
        points, across="mean confidence of a bin", up="share of right answers", width=COLUMN,
        title=f"Right answers against confidence in {len(points)} bins: in the least sure one "
        f"confidence is {amount(first[0], 'percent')} and {amount(first[1], 'percent')} are right. "
        "On the dotted line both are equal.",
    )  # fmt: skip


def data_line(told: Iterable[FindingText]) -> str:
    """The state of the images and of their preparation in a line."""
    about = [item for item in told if item.metric.startswith("data_quality.")]
    prepared = [item for item in told if item.metric.startswith("preprocessing_check.")]
    if not about and not prepared:
        return "The policy has no requirement on the images or on their preparation."
    parts = []
    for items, what in ((about, "on the images"), (prepared, "on their preparation")):
        if items:
            met = sum(item.outcome == "met" for item in items)
            parts.append(f"{met} of {len(items)} requirements {what} are met")
    text = "; ".join(parts) + "."
    flagged = [
        f"{item.name[:1].lower()}{item.name[1:]} {item.value}"
        for item in about
        if item.outcome == "met" and item.record.observed
    ]
    if flagged:
        text += f" Flagged within the bounds: {'; '.join(flagged)}."
    return text


def _changes(assessment: Assessment, told: Sequence[FindingText], noun: str) -> tuple[Changed, ...]:
    baseline = assessment.baseline
    if baseline is None:
        return ()
    beside = {
        str(row["measure"]): row for row in rows_of(assessment, "drift", "beside", "measure", "n")
    }
    lowest = [
        f"performance.recall.{row['class']}"
        for row in rows_of(assessment, "performance", "classes", *CLASSES)[:1]
    ]
    found = []
    for metric in dict.fromkeys([*HEADLINES[:1], *lowest, *HEADLINES, *(t.metric for t in told)]):
        old, new = baseline.metrics.get(metric), assessment.metrics.get(metric)
        if old is None or new is None or old == new:
            continue
        texts = metric_texts(metric)
        found.append(
            Changed(
                name=texts.name.replace("{class}", named(metric.rpartition(".")[2], noun)),
                old=amount(old, texts.unit),
                new=amount(new, texts.unit),
                change=change(new - old, texts.unit),
                interval=_paired(beside.get(metric)),
            )
        )
    compared = beside.get(COMPARED)
    if compared is not None and _paired(beside.get("performance.accuracy")) == NOT_RECORDED:
        found.insert(1, _compared(compared))
    return tuple(found)


def _compared(row: Row) -> Changed:
    old, new = number_in(row, "old") or 0.0, number_in(row, "new") or 0.0
    return Changed(
        name=f"Right answers on the {row['n']} images explained in both",
        old=amount(old, "percent"),
        new=amount(new, "percent"),
        change=change(new - old, "percent"),
        interval=_paired(row),
    )


def _paired(row: Row | None) -> str:
    low, high = (None, None) if row is None else (number_in(row, "low"), number_in(row, "high"))
    if low is None or high is None:
        return NOT_RECORDED
    return f"{_plain_change(low)} to {change(high, 'percent')}"
