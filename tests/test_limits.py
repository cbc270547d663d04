"""The page of limits and the code say the same, and no limit is left out."""

import importlib
import re
from pathlib import Path

import mlflow.data  # noqa: F401 - loads the plug-in, which must not be imported before it
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "limits.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| .* \| ([\d,]+)( KiB| MiB| GiB)? \| `([\w.]+)\.(\w+)` \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE)
UNITS = {"": 1, " KiB": 2**10, " MiB": 2**20, " GiB": 2**30}
LIMIT = re.compile(
    r"^((?:LARGEST|(?:LARGEST|LONGEST|MOST|DEEPEST|HIGHEST|ALWAYS)_\w+)) = ", re.MULTILINE
)


@pytest.mark.parametrize(("number", "unit", "module", "name"), ROWS, ids=lambda item: item)
def test_a_limit_on_the_page_is_that_of_the_code(number, unit, module, name):
    stated = int(number.replace(",", "")) * UNITS[unit]
    assert getattr(importlib.import_module(module), name) == stated


@pytest.mark.parametrize("module", sorted({module for _, _, module, _ in ROWS}))
def test_every_limit_of_a_module_that_reads_is_on_the_page(module):
    source = Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")
    assert set(LIMIT.findall(source)) == {name for _, _, home, name in ROWS if home == module}


def test_every_row_is_read():
    assert len(ROWS) == len(re.findall(r"^\| .*`[\w.]+\.[A-Z_]+` \|$", PAGE, re.MULTILINE)) > 30
