"""The Markdown summary says what was decided, and nothing in it acts."""

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from governance.records.decision import judge
from reports.gate_view import gate_view
from reports.markdown import LONGEST, render

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


def to_markdown(assessment):
    return render(gate_view(assessment.identity.uri, assessment))


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
    assert "13 of 19 are met." in text
    assert assessment.digest in text
    assert assessment.identity.digest in text
    assert text.count("\n| ") - 2 == len(assessment.decision.findings)
    assert "compliant" not in text.lower()


def test_what_is_open_stands_first_and_the_rest_is_folded(assessment):
    text = to_markdown(assessment)

    opened, folded, rest = text.partition("<details><summary>13 met</summary>")
    assert opened.count("\n| ") - 1 == 6
    assert "| met |" not in opened
    assert folded
    assert rest.partition("</details>")[0].count("| met |") == 13
    assert text.count("<details>") == text.count("</details>")


def test_problems_of_the_gate_stand_above_findings_that_are_met(make_brief):
    view = gate_view("x", make_brief(), verdict="undetermined", problems=("not <signed>",))

    text = render(view)

    assert text.startswith("## Undetermined: bildklassifikator")
    assert text.index("- not &#60;signed&#62;") < text.index("1 met</summary>")


def test_an_answer_without_a_record_says_why():
    text = render(gate_view("models:/x/1", verdict="mismatch", problems=("a digest differs",)))

    assert text.startswith("## Mismatch: models&#58;/x/1")
    assert "- a digest differs" in text
    assert "| " not in text


def test_address_of_the_report_cannot_end_its_link(make_brief):
    text = render(gate_view("x", make_brief(), report="http://h/#/a) [b](c"))

    assert "[Report](http://h/#/a%29%20%5Bb%5D%28c)" in text


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
        "details", "summary",
        "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "strong", "ul", "li",
    }  # fmt: skip
    assert page.count("<tr>") == len(assessment.decision.findings) + 2
    assert len(set(re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL))) > 1
    assert page.count("<li>") == 15
    assert page.count("<h2>") == 1
    assert page.count("<strong>") == 3


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=80))
def test_no_text_breaks_the_table(assessment, text):
    page = rendered(to_markdown(named(assessment, text or "x")))

    assert page.count("<tr>") == len(assessment.decision.findings) + 2
    assert page.count("<h2>") == 1


def test_thousands_of_findings_stay_within_the_length(make_sample):
    text = to_markdown(make_sample(classes=tuple(f"{i} {'long ' * 40}" for i in range(1000))))

    assert len(text) <= LONGEST
    left = [int(item) for item in re.findall(r"(\d+) more findings are in the report", text)]
    assert sum(left) == 1009 - (text.count("\n| ") - text.count("\n| Outcome"))
    assert "**not met**" in text


def test_assessment_without_expectations_says_so(assessment):
    policy = dataclasses.replace(assessment.policy, expectations=())
    bare = dataclasses.replace(assessment, policy=policy, decision=judge(policy, ()))

    text = to_markdown(bare)

    assert text.startswith("## Undetermined")
    assert "No requirement that decides applies" in text


def test_summary_is_the_golden_one(assessment, request):
    text = to_markdown(assessment).replace(assessment.digest, "DIGEST")
    if request.config.getoption("--update-goldens"):
        GOLDEN.write_text(text, encoding="utf-8")

    assert text == GOLDEN.read_text(encoding="utf-8")
