"""The page of the Python API lists every package with public names."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "python-api.md").read_text(encoding="utf-8")
METHODS = sorted(path.parent.name for path in (ROOT / "governance/methods").glob("*/__init__.py"))
SHOWN = re.findall(r"^<!-- (package|function): ([\w.]+) -->$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "name",
    ["governance", "governance.drift", "governance.training"]
    + [f"governance.methods.{name}" for name in METHODS],
)
def test_every_package_with_public_names_is_on_the_page(name):
    public = getattr(importlib.import_module(name), "__all__", ())

    assert (("package", name) in SHOWN) == bool(public)


@pytest.mark.parametrize("name", [name for kind, name in SHOWN if kind == "function"])
def test_every_function_on_the_page_is_public_and_documented(name):
    module = importlib.import_module(name.rpartition(".")[0])
    function = name.rpartition(".")[2]

    assert function in module.__all__
    assert getattr(module, function).__doc__
