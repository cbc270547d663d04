"""Analyses of another distribution, installed for the length of a test."""

import importlib
import sys
import textwrap

import pytest

HEADER = """
    from dataclasses import dataclass
    from typing import Literal
    from governance.errors import *
    from governance.evidence import *
    from governance.policy import Expectation
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution with one analysis: name, source, docstring and entry point."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    modules = []

    def put(name, source, *, about="", point="{module}"):
        module = f"installed_{len(modules)}_{name}"
        modules.append(module)
        text = f"{about!r}\n{textwrap.dedent(HEADER)}\n{textwrap.dedent(source)}"
        (site / f"{module}.py").write_text(text)
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[governance.analyses]\n{name} = {point.format(module=module)}\n"
        )
        importlib.invalidate_caches()

    yield put
    for module in modules:
        sys.modules.pop(module, None)
