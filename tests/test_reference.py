"""The generated parts of the reference stand on one page each, and name what the program takes."""

import importlib.util
import re
from pathlib import Path

import pytest

from governance.approval.keyring import Keyring
from governance.errors import ApprovalError

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("reference", ROOT / "ci" / "reference.py")
reference = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(reference)

PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("part", reference.PARTS)
def test_every_part_stands_on_one_page(part):
    texts = [path.read_text(encoding="utf-8") for path in PAGES]

    assert sum(text.count(f"<!-- reference: {part} -->") for text in texts) == 1


def test_what_stands_between_the_marks_is_replaced_and_nothing_else():
    page = "before\n<!-- reference: policy -->\nold\n<!-- end -->\nafter\n"

    new = reference.filled(page)

    assert new.startswith("before\n<!-- reference: policy -->\n| key |")
    assert new.endswith("|\n<!-- end -->\nafter\n")
    assert "old" not in new
    assert reference.filled(new) == new


@pytest.mark.parametrize(("part", "table"), [("keyring", ""), ("keyring keys", "[[keys]]")])
def test_every_key_of_a_keyring_is_told(part, table):
    with pytest.raises(ApprovalError) as caught:
        Keyring.read(f"{'' if table else 'keys = [{}]'}\n{table}\nnonsense = 1\n".encode(), "ring")

    (problem,) = (item for item in caught.value.problems if "nonsense" in item)
    keys = re.findall(r"^\| `(\w+)` \|", reference.PARTS[part](), flags=re.MULTILINE)
    assert [key for key in keys if key not in problem] == []


def test_angle_brackets_are_text_outside_code_and_stay_inside_it():
    row = reference.table(("a", "b"), [("<x>", "see <name> or `m-<id>`, not <that>")])

    assert row.splitlines()[-1] == r"| `<x>` | see \<name> or `m-<id>`, not \<that> |"
