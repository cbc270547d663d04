"""The Markdown summary says what was decided, and nothing in it acts."""

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from governance.records.decision import judge
from reports.markdown import LONGEST, to_markdown

GOLDEN = Path(__file__).parents[1] / "golden" / "summary.md"
ATTACKS = (
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](http://example.com/x.png)",
    "http://example.com",
    "www.example.com",
    "| a | b |",
    "`code` ``` *bold* _it_ ~~no~~ # head",
    "</code></td><img src=x>",
    "@someone #1 :smile:",
    "line\n\n## heading\n- item",
    "a\\",
)


def rendered(text):
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


def named(assessment, name):
    return dataclasses.replace(
        assessment,
        identity=dataclasses.replace(
            assessment.identity, ref=dataclasses.replace(assessment.identity.ref, name=name)
        ),
        policy=dataclasses.replace(assessment.policy, title=name),
    )


def test_verdict_findings_and_digests_are_in_it(assessment):
    text = to_markdown(assessment)

    assert text.startswith("## Rejected: bildklassifikator-größe, version 3\n")
    assert "13 met, 3 not met, 3 not measured" in text
    assert assessment.digest in text
    assert assessment.identity.digest in text
    assert text.count("\n| ") - 1 == len(assessment.decision.findings)
    assert "compliant" not in text.lower()


def test_withdrawn_evidence_is_listed_with_its_reasons(assessment, withdrawn):
    text = to_markdown(withdrawn)

    assert "**Withdrawn evidence**" in text
    assert "- genetic_explanation: not better than a random map; &#60;script&#62;" in text
    assert "ithdrawn" not in to_markdown(assessment)


@pytest.mark.parametrize("attack", ATTACKS)
def test_foreign_text_is_nothing_but_text(assessment, attack):
    page = rendered(to_markdown(named(assessment, attack)))

    tags = set(re.findall(r"<(\w+)", page))
    assert tags <= {
        "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "strong", "ul", "li",
    }  # fmt: skip
    assert page.count("<tr>") == len(assessment.decision.findings) + 1
    assert len(set(re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL))) > 1
    assert page.count("<li>") == 15
    assert page.count("<h2>") == 1
    assert page.count("<strong>") == 3


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=80))
def test_no_text_breaks_the_table(assessment, text):
    page = rendered(to_markdown(named(assessment, text or "x")))

    assert page.count("<tr>") == len(assessment.decision.findings) + 1
    assert page.count("<h2>") == 1


def test_thousands_of_findings_stay_within_the_length(make_sample):
    text = to_markdown(make_sample(classes=tuple(f"{i} {'long ' * 40}" for i in range(1000))))

    assert len(text) <= LONGEST
    shown = text.count("\n| ") - 1
    assert f"{1009 - shown} more findings are in the report." in text
    assert "**not met**" in text


def test_assessment_without_expectations_says_so(assessment):
    policy = dataclasses.replace(assessment.policy, expectations=())
    bare = dataclasses.replace(assessment, policy=policy, decision=judge(policy, ()))

    text = to_markdown(bare)

    assert text.startswith("## Undetermined")
    assert "The policy expects nothing." in text


def test_summary_is_the_golden_one(assessment, request):
    text = to_markdown(assessment).replace(assessment.digest, "DIGEST")
    if request.config.getoption("--update-goldens"):
        GOLDEN.write_text(text, encoding="utf-8")

    assert text == GOLDEN.read_text(encoding="utf-8")
