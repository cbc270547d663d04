"""The annex: every measure once with its meaning, and what paper leaves out is named."""

import dataclasses

from governance.records.evidence import Measurement, Table
from reports.annex import annex_sections
from reports.findings import findings


def sections(assessment, **given):
    given = {"paper": True, **given}
    found = annex_sections(assessment, findings(assessment), **given)
    return {item.evidence.analysis: item for item in found}


def test_every_metric_of_the_model_is_told_once_with_what_it_tells(assessment):
    found = sections(assessment)["performance"]

    told = {item.metric: item for item in found.measures}
    metrics = assessment.evidence[3].measurement.metrics
    of_the_model = {name for name in metrics if not name.startswith("recall.")}
    assert set(told) == {*of_the_model, "gone"}  # the baseline had it
    assert (told["gone"].value, told["gone"].before) == ("not measured", "0.200")
    assert told["never_measured"].value == "not measured"
    assert told["recall_worst"].meaning == (
        "Whether every class is recognised often enough; more is better."
    )
    assert (told["accuracy"].before, told["accuracy"].change) == ("91.0\u202f%", "+9.0\u00a0points")


def test_classes_are_told_worst_first_and_what_is_left_out_is_counted(assessment):
    names = tuple(f"class {index:03d}" for index in range(100))
    recall = {f"recall.{name}": 1 - index / 100 for index, name in enumerate(names)}
    item = assessment.evidence[3]
    measurement = dataclasses.replace(item.measurement, metrics=recall, intervals={})
    validation = dataclasses.replace(
        assessment.validation, class_names=names, class_counts=(1,) * 100
    )
    whole = dataclasses.replace(
        assessment, validation=validation, baseline=None,
        evidence=(dataclasses.replace(item, measurement=measurement),),
    )  # fmt: skip

    by_class = sections(whole)["performance"].by_class

    assert [row[0] for row in by_class.rows] == list(names[:-13:-1])
    assert by_class.left == 88
    assert len(sections(whole, paper=False)["performance"].by_class.rows) == 100


def test_paper_keeps_short_tables_and_names_the_others(assessment):
    item = assessment.evidence[3]
    long = Table(name="long", caption="Long.", columns=("a",), rows=tuple((i,) for i in range(13)))
    short = Table(name="short", caption="Short.", columns=("a",), rows=((1,),))
    kept = dataclasses.replace(short, name="kept", shown=0)
    measurement = dataclasses.replace(item.measurement, tables=(long, short, kept))
    whole = dataclasses.replace(
        assessment, evidence=(dataclasses.replace(item, measurement=measurement),)
    )

    paper, screen = (sections(whole, paper=flag)["performance"] for flag in (True, False))

    assert ([grid.name for grid in paper.grids], paper.kept) == (["short"], ("long", "kept"))
    assert ([grid.name for grid in screen.grids], screen.kept) == (["long", "short"], ("kept",))


def test_a_figure_is_printed_in_one_place_and_none_on_paper(assessment):
    shown = ["genetic_explanation.gallery"]

    assert sections(assessment, printed=shown)["genetic_explanation"].figures == ()
    found = sections(assessment, paper=False, printed=shown)["genetic_explanation"].figures
    assert [figure.name for figure in found] == ["convergence"]


def test_a_family_beyond_those_with_a_column_keeps_its_rows(assessment):
    name = assessment.validation.class_names[0]
    metrics = {f"family{index}.{name}": 0.5 for index in range(6)}
    item = dataclasses.replace(assessment.evidence[3], measurement=Measurement(metrics=metrics))

    found = sections(dataclasses.replace(assessment, evidence=(item,), baseline=None))

    performance = found["performance"]
    in_columns = {f"{family}.{name}" for family in performance.by_class.metrics}
    assert in_columns | {item.metric for item in performance.measures} == set(metrics)
