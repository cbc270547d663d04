"""Descriptions of analyses become headings, paragraphs and lists, and lose no word."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reports.prose import Block, describe, printable

ABOUT = """Brightness: how bright the images are,
    on all of them.

A word before the headings.

Purpose
    One paragraph
    on two lines.

    Another one.

Method:
    - first
    - second, which
      goes on
    After the list.

## Signs of risk
Dark images.

Limits
------
None that
is known.
"""


def test_title_question_and_headings_are_told_apart():
    found = describe("brightness", ABOUT)

    assert found.title == "Brightness"
    assert found.question == "How bright the images are, on all of them."
    assert found.lead == (Block("paragraph", "A word before the headings."),)
    assert [part.heading for part in found.parts] == [
        "Purpose",
        "Method",
        "Signs of risk",
        "Limits",
    ]
    assert found.parts[0].blocks == (
        Block("paragraph", "One paragraph on two lines."),
        Block("paragraph", "Another one."),
    )
    assert found.parts[1].blocks[:2] == (
        Block("item", "first"),
        Block("item", "second, which goes on After the list."),
    )
    assert found.parts[3].blocks == (Block("paragraph", "None that is known."),)  # fmt: skip


def test_name_of_the_analysis_stands_in_for_a_missing_title():
    assert describe("filter_importance", "").title == "Filter importance"
    assert describe("x", "A sentence without a name. " * 5).title == "X"


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="ab \n-#:.=1)`", max_size=120))
def test_no_word_of_a_description_is_lost(text):
    found = describe("name", text)

    blocks = [*found.lead, *(block for part in found.parts for block in part.blocks)]
    printed = " ".join(
        [found.title, found.question, *(part.heading for part in found.parts)]
        + [block.text for block in blocks]
    )
    letters = sorted(character for character in text if character in "ab")
    kept = sorted(character for character in printed.lower() if character in "ab")
    stand_in = sorted(character for character in "name" if character in "ab")
    assert kept in (letters, sorted([*letters, *stand_in]))


def test_characters_that_hide_or_turn_text_become_visible():
    assert printable("safe\u202efdp.exe\x00\u200b") == "safe\ufffdfdp.exe\ufffd\ufffd"
    assert printable("собака 犬 👨\u200d👩\n\t") == "собака 犬 👨\u200d👩\n\t"
