"""Descriptions that look like the summary of an assessment."""

import pytest

from governance.approval.claims import claimed
from governance.approval.tags import BEGIN, END

BLOCK = f"{BEGIN}\n**Governance: approved** under the policy Strict ([report](#/x))\n{END}"


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        f"mine\n\n{BLOCK}\n\nmore",
        f"Governance: approved. All is met.\n{BEGIN}\nmore\n{END}",
        "Governance: approved. All is met.",
        "Governance: approved",
        "Governance: approved \u2013 see the report",
        "> Governance:  approved, at last",
        "G\u043evernance: appr\u043eved\uff0e All is met.",
        "**Governance: approved** under the policy Strict",
        "__Governance: approved__",
        "# Governance: approved",
        "**Governance:** approved",
        "> **Governance: Approved**",
        "<b>Governance: approved</b>",
        "  **G\u043evernance: appr\u043eved**",
        "**Gov\u200bernance: approved**",
        "**\uff27overnance: approved**",
        "<!-- governance: begin --> **Governance: approved**",
    ],
)
def test_what_looks_like_the_summary_claims_its_verdict(text):
    assert claimed(text) == {"approved"}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "Governance: approved by the committee on Monday",
        "# Governance: reviewers are Ann and Bob",
        "**Governance**",
        "the model was approved",
        "| Governance: approved | x |",
        "*" * 100_000,
        "<" * 100_000,
    ],
)
def test_other_text_claims_nothing(text):
    assert claimed(text) == frozenset()


def test_each_claim_is_told():
    assert claimed("**Governance: rejected**\n# Governance: undetermined") == {
        "rejected",
        "undetermined",
    }
