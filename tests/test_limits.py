"""The page of limits and the code say the same, and no limit is left out."""

import ast
import importlib
import re
from pathlib import Path

import mlflow.data  # noqa: F401 - loads the plug-in, which must not be imported before it
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "reference" / "limits.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| .* \| ([\d,]+)( KiB| MiB| GiB)? \| `([\w.]+)\.(\w+)` \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE)
UNITS = {"": 1, " KiB": 2**10, " MiB": 2**20, " GiB": 2**30}
LIMIT = re.compile(r"(LARGEST|LONGEST|MOST|DEEPEST|HIGHEST|ALWAYS)(_\w+)?")
ROOT = Path(__file__).parents[1]
#: Constants that limit no input: how numbers are printed, and what a method works with.
OTHERS = {
    ("governance.records.numbers", "LARGEST_FIXED"),
    ("governance.methods.decision_rules.rules", "LARGEST"),
    ("governance.drift.version", "LARGEST_RESPONSE"),
}


def limits(source):
    """Names of the limits that a module sets, of several at once, too."""
    for item in ast.parse(source).body:
        if isinstance(item, ast.Assign):
            for name in ast.walk(item.targets[0]):
                if isinstance(name, ast.Name) and LIMIT.fullmatch(name.id):
                    yield name.id


@pytest.mark.parametrize(("number", "unit", "module", "name"), ROWS, ids=lambda item: item)
def test_a_limit_on_the_page_is_that_of_the_code(number, unit, module, name):
    stated = int(number.replace(",", "")) * UNITS[unit]
    assert getattr(importlib.import_module(module), name) == stated


@pytest.mark.parametrize("module", sorted({module for _, _, module, _ in ROWS}))
def test_every_limit_of_a_module_that_reads_is_on_the_page(module):
    source = Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")
    assert set(limits(source)) == {name for _, _, home, name in ROWS if home == module}


def test_no_module_has_a_largest_size_that_is_not_on_the_page():
    found = {
        (".".join(path.relative_to(ROOT).with_suffix("").parts), name)
        for part in ("governance", "mlflow_plugins", "reports")
        for path in sorted((ROOT / part).rglob("*.py"))
        for name in limits(path.read_text(encoding="utf-8"))
        if name.startswith("LARGEST")
    }
    stated = {(module, name) for _, _, module, name in ROWS}
    assert found - stated == OTHERS


def test_every_row_is_read():
    assert len(ROWS) == len(re.findall(r"^\| .*`[\w.]+\.[A-Z_]+` \|$", PAGE, re.MULTILINE)) > 30
