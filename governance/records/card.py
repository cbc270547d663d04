"""Card: what a model is for and who answers for it, as its owner states it in a policy.

Nothing here is measured. A report prints each statement as that of the owner, and says what follows
from one that is absent.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from governance.records.toml_reader import Reader

__all__ = ["LONGEST_NAME", "LONGEST_STATEMENT", "STATEMENTS", "Card", "printable_text", "read_card"]

#: Characters of a statement, and of a noun or a name.
LONGEST_STATEMENT, LONGEST_NAME = 600, 80
#: Control, format, surrogate, private and unassigned characters: they hide text or turn it round.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
NAMES = frozenset({"owner", "class_noun"})

#: What a reader calls a statement, by its key, in the order of the report.
STATEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "purpose": "Intended purpose",
        "users": "Users and people concerned",
        "out_of_scope": "Uses out of scope",
        "owner": "Owner",
        "risk_tier": "Risk tier",
        "training_data": "Training data",
        "monitoring": "Monitoring plan",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Statements of a model's owner: the `[card]` table of a policy.

    Attributes:
        purpose: Task that the model is for.
        users: Users of the model, and people whom its answers concern.
        out_of_scope: Uses that the model is not for.
        owner: Person or team that answers for the model.
        risk_tier: Risk tier of the use, in the words of the owner's own scheme.
        training_data: Origin of the training data and the way they were labelled.
        monitoring: How the model is watched in operation.
        class_noun: Noun that stands before the name of a class, such as "digit".
    """

    purpose: str | None = None
    users: str | None = None
    out_of_scope: str | None = None
    owner: str | None = None
    risk_tier: str | None = None
    training_data: str | None = None
    monitoring: str | None = None
    class_noun: str | None = None


def read_card(policy: Reader) -> Card | None:
    """The statements in the `[card]` table of a policy; None where there is no such table."""
    table = policy.table("card")
    if not policy.has("card"):
        return None
    read = {
        item.name: printable_text(
            table, item.name, LONGEST_NAME if item.name in NAMES else LONGEST_STATEMENT
        )
        for item in fields(Card)
    }
    table.done()
    return Card(**read)


def printable_text(table: Reader, key: str, longest: int) -> str | None:
    """An optional text all of whose letters show; None where it is absent or not accepted.

    Args:
        table: Table that may hold it; problems are noted there.
        key: Its key.
        longest: Largest number of characters.
    """
    written = table.text(key, "")
    if not table.has(key):
        return None
    text = " ".join(written.split())
    hidden = sorted({f"U+{ord(c):04X}" for c in text if unicodedata.category(c) in HIDDEN})
    if not text:
        table.problem(key, "is empty; a text is accepted, or no such key for what is not stated")
    elif len(text) > longest:
        table.problem(key, f"has {len(text)} characters; {longest} are accepted")
    elif hidden:
        table.problem(key, f"holds {', '.join(hidden[:5])}; letters that show are accepted")
    else:
        return text
    return None
