"""The site over all models: names that mean harm, and images whose answer differs."""

import random
import re
from dataclasses import replace

from governance.records.decision import judge
from governance.records.evidence import Table
from governance.records.lineage import HistoryEntry
from governance.records.policy import Expectation
from governance.records.portfolio import Portfolio, PortfolioModel, PortfolioVersion
from reports.findings import findings
from reports.portfolio import file_of, pages
from reports.tiles import tiles

HOSTILE = '"><script>alert(1)</script>\u202e{{ 7 * 7 }}'
CLASSES = ("cat", "dog")


def version(number, record=None, **changes):
    told = HistoryEntry(version=number, verdict="approved")
    known = {
        "uri": f"models:/pets/{number}", "created": 0, "aliases": (), "state": "unchecked",
        "why": "", "expires": None, "waits": False, "waivers": (), "entry": told, "record": record,
    }  # fmt: skip
    return PortfolioVersion(**{**known, **changes})


def site(*models):
    return pages(Portfolio(made=0, signed=False, models=models, questions=()))


def answering(assessment, answers):
    """The assessment with these answers, as (class, answer)."""
    rows = tuple((true, given, 0.5) for true, given in answers)
    table = Table(name="answers", caption="c", columns=("class", "answer", "confidence"), rows=rows)
    first, *others = assessment.evidence
    measured = replace(first.measurement, tables=(table,))
    evidence = (replace(first, analysis="performance", measurement=measured), *others)
    validation = replace(assessment.validation, class_names=CLASSES)
    return replace(
        assessment, validation=validation,
        evidence=tuple({item.analysis: item for item in reversed(evidence)}.values()),
    )  # fmt: skip


def test_names_of_models_and_aliases_are_text_and_lead_to_no_other_file():
    model = PortfolioModel(name=HOSTILE, versions=(version("1", aliases=(HOSTILE,)),))

    made = site(model)

    assert set(made) == {"index.html", "style.css", file_of(model)}
    assert all("<script" not in page and "\u202e" not in page for page in made.values())
    assert "{{ 7 * 7 }}" in made[file_of(model)]
    assert file_of(model).isascii()
    assert "/" not in file_of(replace(model, name="../../etc/passwd"))


def test_models_whose_names_differ_in_signs_alone_have_pages_of_their_own():
    names = ("a b", "a-b", "a/b", "A B", "\u0430 b", "")
    assert len({file_of(PortfolioModel(name=name, versions=())) for name in names}) == len(names)


def test_images_that_turned_wrong_and_right_are_counted(assessment):
    # arrange
    draw = random.Random(0)  # noqa: S311 - no secret
    truth = [draw.choice(CLASSES) for _ in range(200)]
    before, now = ([draw.choice(CLASSES) for _ in truth] for _ in range(2))
    old = answering(assessment, zip(truth, before, strict=True))
    new = answering(assessment, zip(truth, now, strict=True))
    model = PortfolioModel(name="pets", versions=(version("2", new), version("1", old)))
    # act
    page = site(model)[file_of(model, version("1"), version("2"))]
    # assert: counted one by one
    wrong = right = 0
    for place, true in enumerate(truth):
        wrong += before[place] == true and now[place] != true
        right += before[place] != true and now[place] == true
    assert f"Of 200 images, {wrong} turned wrong and {right} turned right." in page


def test_a_table_of_answers_without_its_columns_ends_no_site(assessment):
    # arrange
    known = answering(assessment, [("cat", "cat")])
    odd = Table(name="answers", caption="c", columns=("a", "b"), rows=(("cat", "cat"),))
    changed = tuple(
        replace(item, measurement=replace(item.measurement, tables=(odd,)))
        if item.analysis == "performance" else item
        for item in known.evidence
    )  # fmt: skip
    new = replace(known, evidence=changed)
    model = PortfolioModel(name="pets", versions=(version("2", new), version("1", known)))
    # act / assert
    assert "The records do not tell" in site(model)[file_of(model, version("1"), version("2"))]


def test_a_requirement_that_is_met_hides_no_other_on_the_same_metric(assessment):
    # arrange: one that asks a person and is not met, above one that rejects and is met
    known = answering(assessment, [("cat", "cat"), ("cat", "dog")])
    low = Expectation(metric="performance.share", at_least=0.25)
    high = replace(low, at_least=0.75, severity="review")
    first, *others = (item for item in known.evidence if item.analysis == "performance")
    assert not others
    measured = replace(first.measurement, metrics={"share": 0.5}, intervals={})
    evidence = (replace(first, measurement=measured),)
    cells = []
    for expectations in ((high, low), (low, high)):
        policy = replace(known.policy, expectations=expectations)
        new = replace(
            known, policy=policy, evidence=evidence, decision=judge(policy, evidence), waivers=()
        )
        assert new.decision.verdict == "review"
        model = PortfolioModel(name="pets", versions=(version("1", new),))
        # act
        kept = site(model)[file_of(model)].partition('<table class="kept">')[2]
        cells += re.findall(r'<span class="mark"></span>([^<]+)<', kept.partition("</table>")[0])
    # assert
    assert cells == ["not met", "not met"]


def test_a_tile_shows_the_requirement_that_is_open_of_two_on_its_metric(assessment):
    # arrange
    known = answering(assessment, [("cat", "cat"), ("cat", "dog")])
    low = Expectation(metric="performance.accuracy", at_least=0.25)
    high = replace(low, at_least=0.75, severity="review")
    (first,) = (item for item in known.evidence if item.analysis == "performance")
    measured = replace(first.measurement, metrics={"accuracy": 0.5}, intervals={})
    evidence = (replace(first, measurement=measured),)
    policy = replace(known.policy, expectations=(low, high))
    found = replace(
        known, policy=policy, evidence=evidence, decision=judge(policy, evidence), waivers=()
    )
    # act
    tile, *_ = tiles(found, findings(found))
    # assert
    assert tile.outcome == "unmet"


def test_records_of_other_images_are_not_compared_image_by_image(assessment):
    old = answering(assessment, [("cat", "cat")])
    new = answering(assessment, [("cat", "dog")])
    new = replace(new, validation=replace(new.validation, digest=f"sha256:{'e' * 64}"))
    model = PortfolioModel(name="pets", versions=(version("2", new), version("1", old)))

    page = site(model)[file_of(model, version("1"), version("2"))]

    assert "The records do not tell" in page
