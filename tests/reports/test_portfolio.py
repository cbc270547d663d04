"""The site over all models: names that mean harm, and images whose answer differs."""

import random
import re
from dataclasses import replace

from governance.records.decision import judge
from governance.records.lineage import HistoryEntry
from governance.records.policy import Expectation
from governance.records.portfolio import (
    Picture,
    Portfolio,
    PortfolioModel,
    PortfolioPair,
    PortfolioVersion,
)
from governance.records.turned import Answers
from governance.records.version_ref import VersionRef
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


def told(answers):
    """Answers to images, from (class, answer)."""
    labels, given = zip(*answers, strict=True)
    return Answers(labels=labels, given=given, confidence=(0.5,) * len(labels))


def measuring(assessment):
    """The assessment with evidence of `performance`."""
    first, *others = assessment.evidence
    evidence = (replace(first, analysis="performance"), *others)
    return replace(
        assessment,
        evidence=tuple({item.analysis: item for item in reversed(evidence)}.values()),
    )


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


def paired(old, new):
    """The page of versions 1 and 2."""
    model = PortfolioModel(name="pets", versions=(new, old))
    return site(model)[file_of(model, old, new)]


def test_images_that_turned_wrong_and_right_are_counted_and_listed(assessment):
    # arrange
    draw = random.Random(0)  # noqa: S311 - no secret
    truth = [draw.choice(CLASSES) for _ in range(200)]
    before, now = ([draw.choice(CLASSES) for _ in truth] for _ in range(2))
    # act
    page = paired(
        version("1", assessment, answers=told(zip(truth, before, strict=True))),
        version("2", assessment, answers=told(zip(truth, now, strict=True))),
    )
    # assert: counted one by one
    wrong = [i for i, true in enumerate(truth) if before[i] == true and now[i] != true]
    right = [i for i, true in enumerate(truth) if before[i] != true and now[i] == true]
    assert f"Of 200 images, {len(wrong)} turned wrong and {len(right)} turned right." in page
    assert "McNemar" in page
    first = f"image {wrong[0]} of class {truth[wrong[0]]}: {before[wrong[0]]} before"
    assert first in page


def test_a_record_without_answers_is_not_compared_image_by_image(assessment):
    page = paired(version("1", assessment), version("2", assessment, answers=told([("a", "a")])))
    assert "The records do not tell" in page


def test_a_requirement_that_is_met_hides_no_other_on_the_same_metric(assessment):
    # arrange: one that asks a person and is not met, above one that rejects and is met
    known = measuring(assessment)
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
    known = measuring(assessment)
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
    other = replace(assessment.validation, digest=f"sha256:{'e' * 64}")
    old = version("1", assessment, answers=told([("cat", "cat")]))
    new = version("2", replace(assessment, validation=other), answers=told([("cat", "dog")]))
    assert "The records do not tell" in paired(old, new)


def picture(name, sha256, **changes):
    known = {
        "analysis": "explanation_maps", "name": name, "caption": HOSTILE, "seen": HOSTILE,
        "home": "file:///home", "sha256": sha256,
    }  # fmt: skip
    return Picture(**{**known, **changes})


def test_explanations_of_two_versions_stand_side_by_side(assessment):
    # arrange
    old = version("1", assessment, pictures=(picture("class_maps", "a" * 64),))
    new = version("2", assessment, pictures=(picture("class_maps", "b" * 64),))
    model = PortfolioModel(name="pets", versions=(new, old))
    portfolio = Portfolio(made=0, signed=False, models=(model,), questions=())
    there = [item.file for item in portfolio.pictures]
    # act
    both = pages(portfolio, there)[file_of(model, old, new)]
    one = pages(portfolio, there[:1])[file_of(model, old, new)]
    # assert
    assert there == [f"picture-{'a' * 32}.png", f"picture-{'b' * 32}.png"]
    assert re.findall(r'<img src="([^"]*)"', both) == there
    assert "<script" not in both
    assert re.findall(r'<img src="([^"]*)"', one) == there[:1]
    assert "This picture cannot be had" in one
    assert "This picture cannot be had" not in both


def test_a_figure_of_a_comparison_is_shown_beside_the_version_that_it_compares_with(assessment):
    # arrange
    shared = picture("newly_wrong", "c" * 64, analysis="drift")
    ref = VersionRef(name="pets", version="1", created=1)
    first = replace(assessment, identity=replace(assessment.identity, ref=ref))
    held = replace(assessment.baseline, identity=first.identity)
    new = version("3", replace(assessment, baseline=held), pictures=(shared,))
    # act
    same = PortfolioPair(old=version("1", first), new=new).galleries
    other = PortfolioPair(old=version("2", assessment), new=new).galleries
    # assert
    assert [item.new for item in same] == [shared]
    assert other == ()
