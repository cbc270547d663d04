"""Waivers in what is printed: who, why, how far and until when, harmless whatever they say."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from governance.records.decision import judge
from governance.records.waiver import Waiver
from reports import junit, markdown
from reports.gate_view import gate_view
from reports.html import to_html

REASON = "<b>pilot</b> | with @ten users"

LAST = int(datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module")
def waived(assessment):
    """The sample, with its first unmet finding waived."""
    unmet = next(item for item in assessment.decision.findings if item.outcome == "unmet")
    waiver = Waiver(
        metric=unmet.expectation.metric, bound=unmet.observed, reason=REASON,
        approver="Ann Approver", issued=1_795_000_000, expires=LAST, token="0" * 64,
    )  # fmt: skip
    decision = judge(assessment.policy, assessment.evidence, (waiver,))
    assert "waived" in {item.outcome for item in decision.findings}
    return replace(assessment, waivers=(waiver,), decision=decision)


def test_the_page_tells_each_waiver(waived):
    page = to_html(waived)

    table = page.partition('<table class="waivers">')[2].partition("</table>")[0]
    assert "Ann Approver" in table
    assert "2026-11-29" in table
    assert "&lt;b&gt;pilot&lt;/b&gt;" in table
    assert "<b>" not in table


def test_a_page_without_waivers_has_no_table_of_them(assessment):
    assert 'class="waivers"' not in to_html(assessment)


def test_markdown_tells_each_waiver(waived):
    text = markdown.render(gate_view("", waived))

    line = next(line for line in text.splitlines() if "Ann Approver" in line)
    assert "until 2026-11-29" in line
    assert "1 waived" in text
    assert "<b>" not in text
    assert "@" not in line


def test_junit_skips_what_was_waived_and_says_by_whom(waived):
    xml = junit.render(gate_view("", waived))

    assert "by Ann Approver" in xml
