"""Every metric of the analyses has its standing texts, and they fit what the analysis declares."""

import re

import pytest

from governance import analyses
from governance.drift.expectations import METRICS as DRIFT
from reports.amounts import UNITS
from reports.metric_texts import all_metric_texts, metric_texts

DECLARED = {
    **{
        f"{name}.{metric}": declared
        for name in analyses.names()
        for metric, declared in analyses.metrics(name).items()
    },
    **{f"drift.{metric}": declared for metric, declared in DRIFT.items()},
}
SLOTS = {"class", "value", "hits", "misses"}
OF_CLASSES = {"classes", "asked", "of_class", "class_misses"}


def test_every_declared_metric_has_its_texts_and_no_other_name_has():
    assert set(all_metric_texts()) == set(DECLARED)


@pytest.mark.parametrize("metric", sorted(DECLARED))
def test_texts_fit_what_the_analysis_declares(metric):
    texts, declared = all_metric_texts()[metric], DECLARED[metric]
    sentences = (texts.consequence, texts.remedy)
    clauses = (texts.whether, texts.says)

    assert texts.better == declared.better
    assert texts.unit in UNITS
    if texts.unit == "percent":  # the room above a bound is measured up to all of them
        assert declared.lowest == 0
        assert declared.highest == 1 or declared.better == "lower"
    assert all(item.endswith(".") for item in sentences)
    assert not any(item.endswith(".") for item in (texts.name, texts.title, *clauses))
    assert not any(item[0].isupper() for item in clauses)
    for text in (*sentences, *clauses, texts.name, texts.title, texts.points_to):
        assert set(re.findall(r"\{(.*?)\}", text)) <= SLOTS | (
            OF_CLASSES if texts.lowest_of_class else set()
        )
    assert "{class}" not in metric or "{class}" in texts.name


def test_a_metric_of_another_distribution_is_named_after_its_id():
    texts = metric_texts("glare_check.share_{value}")

    assert texts.name == "Share (value) (glare check)"
    assert texts.remedy == ""
