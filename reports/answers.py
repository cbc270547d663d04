"""Answers: what each analysis says in one sentence, with the chart that shows it.

An analysis of another distribution, or one whose tables are not those that are known here, answers
with the values of its metrics.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from markupsafe import Markup

from governance.records.assessment import Assessment
from governance.records.evidence import Evidence
from governance.records.numbers import number
from reports.amounts import amount, span
from reports.charts import Dot, Line, Mark, dots, lines, unit_axis
from reports.class_names import named
from reports.metric_texts import metric_texts
from reports.table_rows import number_in, rows_of

__all__ = ["Answer", "answer_of"]

WIDTH = 278
MOST_ROWS, MOST_TOLD = 6, 2
#: Share of an image that lies within an eighth of its border.
EVEN = 1 - (1 - 2 / 8) ** 2
SENTENCE = re.compile(r"(?<=\.) (?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an analysis found, for a reader who has a minute.

    Attributes:
        text: The answer in a sentence or two.
        question: What it answers, where that is narrower than what the analysis asks.
        chart: What shows it, in SVG; None where the figure of the evidence does.
        note: How the chart is read.
        figure: Name of the figure of the evidence that takes the place of a chart.
        reliable: How far this evidence carries.
    """

    text: str
    question: str = ""
    chart: Markup | None = None
    note: str = ""
    figure: str = ""
    reliable: str = ""


def answer_of(assessment: Assessment, evidence: Evidence, noun: str) -> Answer:
    """The answer of an analysis that has a measurement.

    Args:
        assessment: The assessment as recorded.
        evidence: That of the analysis.
        noun: Noun for a class.
    """
    known = ANSWERS.get(evidence.analysis)
    found = None if known is None else known(assessment, evidence, noun)
    return found or _plain(assessment, evidence)


def _plain(assessment: Assessment, evidence: Evidence) -> Answer:
    """The metrics with a requirement, or else the first ones, in words."""
    measurement, start = evidence.measurement, f"{evidence.analysis}."
    values = {} if measurement is None else measurement.metrics
    asked = [
        item.metric.removeprefix(start)
        for item in assessment.policy.expectations
        if item.metric.startswith(start)
    ]
    told: list[str] = []
    for name in dict.fromkeys([*asked, *values]):
        value = values.get(name)
        if value is not None and len(told) < MOST_TOLD:
            texts = metric_texts(f"{start}{name}")
            told.append(f"{texts.name}: {amount(value, texts.unit)}")
    figures = () if measurement is None else measurement.figures
    text = f"{'; '.join(told)}." if told else "Nothing was measured."
    first = next(iter(_sentences(evidence)), "")
    return Answer(text=text, figure=figures[0].name if figures else "", reliable=first)


def _sentences(evidence: Evidence) -> list[str]:
    notes = () if evidence.measurement is None else evidence.measurement.notes
    return [sentence for note in notes for sentence in SENTENCE.split(note)]


def _said(evidence: Evidence, *starts: str) -> str:
    """The sentences of the notes that begin so."""
    return " ".join(item for item in _sentences(evidence) if item.startswith(starts))


def _share(value: float | None) -> str:
    return "not measured" if value is None else amount(value, "percent")


def _preparation(assessment: Assessment, evidence: Evidence, noun: str) -> Answer | None:  # noqa: ARG001
    rows = rows_of(
        assessment, evidence.analysis, "alternatives", "preprocessing", "accuracy", "better", "n"
    )
    if len(rows) < 2:  # noqa: PLR2004 - the declared one and another
        return None
    declared, *rest = rows
    better = [row for row in rest if row["better"]]
    best = max(better or rest, key=lambda row: number_in(row, "accuracy") or 0.0)
    mine, other = (_share(number_in(row, "accuracy")) for row in (declared, best))
    known = assessment.metrics.get(f"{evidence.analysis}.better_alternatives") is not None
    start = "As far as can be seen, yes" if known else "Cannot tell"
    text = f"{start}: as declared, {mine} of the images are recognised; the best of {len(rest)} "
    text += f"usual alternatives reaches {other}."
    if better:
        text = f"Probably not: prepared “{best['preprocessing']}”, {other} of the images are "
        text += f"recognised, and {mine} as declared."
    drawn = [
        Dot(label=str(row["preprocessing"]), value=number_in(row, "accuracy"),
            low=number_in(row, "low"), high=number_in(row, "high"))
        for row in rows
    ]  # fmt: skip
    chart = dots(
        drawn, unit_axis([0.0], "images answered rightly"), width=WIDTH,
        title=f"As declared {mine} right; best alternative {other}.",
    )  # fmt: skip
    return Answer(
        text=text,
        chart=chart,
        note=f"Share of the same {declared['n']} images that is answered rightly, with 95 % "
        "intervals; an estimate where an alternative was given up early.",
        reliable="Only the usual alternatives were tried. An unusual preparation in training may "
        "show in none of them.",
    )


def _layers(assessment: Assessment, evidence: Evidence, noun: str) -> Answer | None:
    gaps = rows_of(assessment, evidence.analysis, "gaps", "class", "gap", "n")
    if not gaps or number_in(gaps[0], "gap") is None:
        return None
    widest, others = gaps[0], [number_in(row, "gap") for row in gaps[1:]]
    rest = [gap for gap in others if gap is not None]
    name = str(widest["class"])
    probe, lens = number_in(widest, "probe_recall"), number_in(widest, "lens_recall")
    outcomes = {
        item.outcome
        for item in assessment.decision.findings
        if item.expectation.metric.startswith(f"{evidence.analysis}.lens_probe_gap")
    }
    start = "As far as can be seen, yes" if outcomes == {"met"} else "Cannot tell"
    if outcomes & {"unmet", "waived"}:
        start = f"Not for {named(name, noun)}"
    text = (
        f"{start}: from the last layer a simple reader recognises {_share(probe)} of "
        f"{named(name, noun)}, the answer {_share(lens)}."
    )
    if rest:
        which = "every other class" if len(rest) == len(others) else "each other class measured"
        text += f" For {which} the difference is {amount(max(rest), 'points')} or less."
    series = _by_layer(assessment, name)
    reliable = []
    agreement = assessment.metrics.get("layer_prediction.agreement_last")
    if agreement is not None:
        same = f"{_share(agreement)} of the images"
        reliable.append(f"Read at the last layer, the answer is the model's own on {same}.")
    interval = assessment.intervals.get("layer_prediction.lens_probe_gap")
    if interval is not None:
        ends = span(interval, "points")
        reliable.append(f"Interval of the gap, which allows for the picking: {ends}.")
    return Answer(
        text=text,
        question="Does the answer use what the layers see of a class?",
        chart=series,
        note=f"Share of {widest['n']} images of {named(name, noun)} that is recognised after each "
        "layer: by a simple reader fitted to the layer (discs), and by the model's own head "
        "(squares). Dotted: the reader on exchanged labels. Dashed: the version before.",
        reliable=" ".join(reliable),
    )


def _by_layer(assessment: Assessment, name: str) -> Markup | None:
    rows = [
        row
        for row in rows_of(assessment, "layer_prediction", "classes", "layer", "class", "method")
        if row["class"] == name
    ]
    places = list(dict.fromkeys(str(row["layer"]) for row in rows))
    if not places:
        return None

    def values(method: str) -> tuple[float | None, ...]:
        found = {
            str(row["layer"]): number_in(row, "recall") for row in rows if row["method"] == method
        }
        return tuple(found.get(place) for place in places)

    lens, probe = values("lens"), values("probe")
    control = values("probe, permuted labels")
    before = {
        str(row["layer"]): number_in(row, "old")
        for row in rows_of(assessment, "drift", "lens", "layer", "class")
        if row["class"] == name
    }
    drawn = [
        Line(text=f"reader: {_share(probe[-1])}", values=probe),
        Line(text=f"answer: {_share(lens[-1])}", values=lens, state="unmet", square=True),
    ]
    if any(value is not None for value in control):
        drawn.append(Line(text=f"control: {_share(control[-1])}", values=control, dash="1 2"))
    if all(place in before for place in places):
        old = tuple(before[place] for place in places)
        drawn.append(Line(text=f"answer before: {_share(old[-1])}", values=old, dash="4 3"))
    return lines(
        places, drawn, unit_axis([0.0], "images recognised", whole=True),
        across="layer, from input to answer", width=WIDTH,
        title=f"By layer, for class {name}: "
        + "; ".join(f"{line.text} at the end, {_share(line.values[0])} at the start"
                    for line in drawn) + ".",
    )  # fmt: skip


def _learning(assessment: Assessment, evidence: Evidence, noun: str) -> Answer | None:
    rows = [
        row
        for row in rows_of(assessment, evidence.analysis, "classes", "class", "n")
        if number_in(row, "lens_recall") is not None and number_in(row, "best") is not None
    ]
    if not rows:
        return None
    falls = [(number_in(row, "best") or 0) - (number_in(row, "lens_recall") or 0) for row in rows]
    fall = max(falls)
    lost = rows[falls.index(fall)]
    epochs = assessment.metrics.get("learning_process.epochs")
    text = f"In {number(epochs)} recorded epochs no class lost recall."
    if fall > 0:
        text = (
            f"In {number(epochs)} recorded epochs the largest fall is that of "
            f"{named(str(lost['class']), noun)}: it ended {amount(fall, 'points')} below its best "
            f"epoch, on {lost['n']} images."
        )
    rows.sort(key=lambda row: number_in(row, "lens_recall") or 0.0)
    shown = rows[:MOST_ROWS]
    drawn = [
        Dot(label=str(row["class"]), value=number_in(row, "lens_recall"), low=number_in(row, "low"),
            high=number_in(row, "high"), before=number_in(row, "best"))
        for row in shown
    ]  # fmt: skip
    values = [value for dot in drawn for value in (dot.value, dot.low)]
    return Answer(
        text=text,
        chart=dots(
            drawn, unit_axis(values, "images of the class recognised"), width=WIDTH,
            title=f"Last epoch beside best epoch for {len(shown)} classes; largest fall "
            f"{amount(fall, 'points')}.",
        ),
        note=f"Recall read from the last layer in the last epoch, with 95 % intervals; the "
        f"{len(shown)} lowest of {len(rows)} classes. Ring: best epoch.",
        reliable=_said(evidence, "If the recall of every class", "The training run recorded"),
    )  # fmt: skip


def _filters(assessment: Assessment, evidence: Evidence, noun: str) -> Answer | None:
    rows = rows_of(assessment, evidence.analysis, "top_filters", "layer", "unit", "class")
    top = [row for row in rows if row["unit"] is not None]
    control = next((row for row in rows if row["unit"] is None), None)
    if not top:
        return None
    first = top[0]
    text = (
        f"Filter {first['unit']} of {first['layer']} matters most: without it the loss grows by "
        f"{amount(number_in(first, 'dloss') or 0.0, 'number')} nats"
    )
    drop = number_in(first, "class_dp")
    if drop is not None:
        text += f", and {named(str(first['class']), noun)} loses {amount(drop, 'points')}"
    concentration = assessment.metrics.get("filter_importance.concentration")
    text += "." if concentration is None else (
        f". A tenth of the filters carries {_share(concentration)} of the importance."
    )  # fmt: skip
    drawn = [
        Dot(label=f"{row['layer']}: {row['unit']}", value=number_in(row, "dloss"),
            low=number_in(row, "low"), high=number_in(row, "high"))
        for row in top[:MOST_ROWS]
    ]  # fmt: skip
    blind = None if control is None else number_in(control, "dloss")
    mark = None if blind is None else Mark(value=blind, text="control")
    values = [value for dot in drawn for value in (dot.value, dot.low, dot.high)]
    axis = unit_axis([*values, blind], "cross-entropy added (nats)", percent=False)
    return Answer(
        text=text,
        chart=dots(
            drawn, axis, width=WIDTH, mark=mark,
            title=f"{drawn[0].label} adds {number(drawn[0].value, 3)} nats; the control "
            f"{number(blind, 3)}.",
        ),
        note=f"What silencing a filter adds to the loss, with 95 % intervals; the {len(drawn)} "
        "largest. Control: the largest effect if each image's effects had a random sign.",
        reliable=_said(evidence, "The network has", "0 filters were only", "Control: silencing"),
    )  # fmt: skip


def _regions(assessment: Assessment, evidence: Evidence, noun: str) -> Answer | None:  # noqa: ARG001
    rows = rows_of(assessment, evidence.analysis, "images", "status")
    if not rows:
        return None
    counts = {
        name: sum(row["status"] == name for row in rows) for name in ("sufficient", *STATUSES)
    }
    told = [words.format(counts[name]) for name, words in STATUSES.items() if counts[name]]
    weak = len(rows) - counts["sufficient"]
    beaten = assessment.metrics.get("genetic_explanation.random_percentile")
    reliable = f"Weak for {weak} of {len(rows)} images. " if weak else ""
    if beaten is not None:
        reliable += f"The regions beat {_share(beaten)} of random ones of their size. "
    return Answer(
        text=f"For {counts['sufficient']} of {len(rows)} images a region alone is enough for the "
        f"answer.{' ' * bool(told)}{' '.join(told)}",
        figure="regions",
        reliable=reliable + _said(evidence, "Of "),
    )


#: What became of the search on an image, beside `sufficient`.
STATUSES = MappingProxyType(
    {
        "fragile": "For {} it is enough under one fill only (fragile).",
        "not_found": "For {} none was found.",
        "undefined_baseline": "For {} no region means anything, since the fill alone decides.",
    }
)


def _maps(assessment: Assessment, evidence: Evidence, noun: str) -> Answer | None:  # noqa: ARG001
    border = assessment.metrics.get("explanation_maps.border_mass")
    again = assessment.metrics.get("explanation_maps.self_agreement")
    if border is None:
        return None
    where = "Mostly the inside" if border < EVEN else "The border at least as much as the inside"
    return Answer(
        text=f"{where} of the images: {_share(border)} of the evidence lies near the border; "
        f"without preference it would be {_share(EVEN)}.",
        figure="class_maps",
        reliable=""
        if again is None
        else f"A heat map agrees with its repetition by a rank correlation of {number(again)}. "
        + _said(evidence, "Measured on"),
    )


def _drift(assessment: Assessment, evidence: Evidence, noun: str) -> Answer | None:  # noqa: ARG001
    answers = {
        str(row["question"]): row
        for row in rows_of(assessment, "drift", "answers", "question", "outcome", "words")
    }
    if "verdict" not in answers:
        return None
    verdict = answers["verdict"]
    start = {"EQUIVALENT": "Yes", "DRIFT": "No"}.get(str(verdict["outcome"]), "Cannot tell")
    words = str(verdict["words"])
    text = f"{start}: {words[:1].lower()}{words[1:]}"
    distance = assessment.metrics.get("drift.distance")
    if distance is not None and "identity" in answers:
        moved = "did change" if answers["identity"]["outcome"] == "yes" else "did not change"
        text += f" The explanations {moved} beyond the explainer's own noise (mean distance "
        text += f"{amount(distance, 'number')} of 2)."
    rows = rows_of(assessment, "drift", "classes", "class")[:MOST_ROWS]
    drawn = [
        Dot(
            label=str(row["class"]),
            value=number_in(row, "distance"),
            before=number_in(row, "benign"),
        )
        for row in rows
    ]
    axis = unit_axis([value for dot in drawn for value in (dot.value, dot.before)],
                     "mean distance of heat maps", percent=False)  # fmt: skip
    return Answer(
        text=text,
        chart=dots(
            drawn, axis, width=WIDTH,
            title=f"Distance by class: {drawn[0].label} moved most, {number(drawn[0].value, 2)}.",
        ) if drawn else None,
        note=f"How far the heat maps moved since the version before, by class; the {len(drawn)} "
        "that moved most, each on the same images. Ring: harmless runs, where there are any.",
        reliable=_said(evidence, "A/A passed", "A/A failed", "Without reference runs"),
    )  # fmt: skip


#: How each analysis answers; `performance` and `data_quality` do in part D.
ANSWERS: Mapping[str, Callable[[Assessment, Evidence, str], Answer | None]] = MappingProxyType(
    {
        "preprocessing_check": _preparation,
        "layer_prediction": _layers,
        "learning_process": _learning,
        "filter_importance": _filters,
        "genetic_explanation": _regions,
        "explanation_maps": _maps,
        "drift": _drift,
    }
)
