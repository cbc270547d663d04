import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.approval.printable import cleaned, unprintable


@pytest.mark.parametrize("text", ["", "Ann", "Zoë Müller", "網膜 3", "a b", "A\ufe0f"])
def test_what_shows_is_accepted(text):
    assert unprintable(unicodedata.normalize("NFC", text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "a\nb", "a\tb", "a\0b", "a\x1b[31mb", "a\x7fb", "a\u202eb", "a\u2066b", "a\u200bb",
        "a\u00adb", "a\ufeffb", "a\u2028b", "a\ue000b", "a\ud800b", "e\u0301", "\u212b",
    ],
)  # fmt: skip
def test_what_hides_or_has_two_spellings_is_refused(text):
    assert unprintable(text) is not None


@given(text=st.text())
def test_what_was_cleaned_is_accepted(text):
    assert unprintable(cleaned(text, 20), 20) is None
    assert len(cleaned(text, 20)) <= 20


@given(text=st.text(max_size=20).filter(lambda text: not unprintable(text)))
def test_cleaning_leaves_what_is_accepted_but_for_blanks_around_it(text):
    assert cleaned(text) == text.strip()
