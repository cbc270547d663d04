"""Printable: names and reasons whose letters all show, so that what is read is what was signed.

Control characters hide text, format characters turn it round, and two spellings of one letter look
alike. Categories and normal form C as Unicode has them (UAX 44, UAX 15).
"""

import unicodedata

__all__ = ["cleaned", "unprintable"]

#: Control, format (which turns text round, or shows nothing), surrogate and private letters, and
#: the separators of lines and paragraphs.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
LONGEST = 500


def unprintable(text: str, longest: int = LONGEST) -> str | None:
    """Why a text is not accepted as a name or a reason; None where it is."""
    if len(text) > longest:
        return f"has {len(text)} characters; {longest} are accepted"
    hidden = sorted({f"U+{ord(item):04X}" for item in text if unicodedata.category(item) in HIDDEN})
    if hidden:
        return f"holds {', '.join(hidden[:5])}; letters that show are accepted"
    if not unicodedata.is_normalized("NFC", text):
        return "is not written in normal form C, in which each letter has one spelling"
    return None


def cleaned(text: str, longest: int = LONGEST) -> str:
    """A text that nobody chose, such as an error, with blanks in the place of what is hidden."""
    shown = (" " if unicodedata.category(item) in HIDDEN else item for item in text)
    # Cut after it is normalised; what is left of a normal text is normal.
    return unicodedata.normalize("NFC", "".join(shown)).strip()[:longest]
