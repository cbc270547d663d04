"""The documentation site, made by Sphinx: `make site` writes it to build/site.

The source folder is the repository itself, so that a link between two pages is the same on the
site as on a Git host. Pages are plain Markdown. What a Git host would not understand is added here
while the site is built: navigation, executed examples and the reference of the Python API.
"""

import re
from textwrap import indent
from typing import Any

from sphinx.application import Sphinx
from sphinx_gallery.sorting import FunctionSortKey

project = "mlflow-governance"
copyright = "the authors of mlflow-governance"  # noqa: A001 - Sphinx asks for this name

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]

root_doc = "docs/index"
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
include_patterns = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/results/*.md",
    "docs/**",
    "integrations/README.md",
]
exclude_patterns = [".*", "build", "demo", "dist", "docs/static", "docs/templates"]

# Links to headings are spelt as Git hosts spell them.
myst_heading_anchors = 4

# Docstrings name code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

#: Examples in the order in which they are shown and run; the first makes what the others share.
EXAMPLES = [
    "digits.py",
    "accurate_and_rejected.py",
    "what_a_layer_knows.py",
    "a_filter_nobody_needs.py",
    "one_photo_explained.py",
    "a_forest_nobody_can_open.py",
    "a_certificate_and_its_limits.py",
    "what_drift_sees.py",
    "a_release_in_ci.py",
    "replay_as_an_auditor.py",
]
sphinx_gallery_conf = {
    "within_subsection_order": FunctionSortKey(EXAMPLES.index),
    "examples_dirs": "examples",
    "gallery_dirs": "docs/gallery",
    "filename_pattern": r"\.py$",
    # Executed at each build: what they show depends on the packages and not on the scripts alone.
    "run_stale_examples": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "mlflow-governance"
html_static_path = ["static"]
templates_path = ["templates"]
html_additional_pages = {"index": "home.html"}  # the first page lies in docs/
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}
# Its text is in the prompt of a shell, and in that of Python.
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

#: A link to an example: on a Git host it leads to the script, on the site to what it gave.
EXAMPLE = re.compile(r"\]\((?:\.\./)*examples/(?:README\.md|(\w+)\.py)\)")
#: Where a page wants the docstrings of a package's public names, or that of one function.
API = re.compile(r"^<!-- (package|function): ([\w.]+) -->$", re.MULTILINE)
#: A block of code in a docstring, between fences.
FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
#: A link to another page; a heading of it may follow.
PAGE = re.compile(r"\]\(([^)#:\s]+)\.md(?:#[^)\s]*)?\)")


def navigation(name: str, text: str) -> list[str]:
    """Pages that stand below an index in the navigation: those that it links to, in their order.

    Below the first index stand the other ones and the gallery; below each of those stand the pages
    of its own folder and those that lie outside docs/.
    """
    linked = dict.fromkeys(PAGE.findall(text))
    if name == root_doc:
        return [page for page in linked if page.endswith("/index")] + ["gallery/index"]
    return [page for page in linked if "/" not in page or page.startswith("../../")]


def prepare(_app: Sphinx, name: str, content: list[str]) -> None:
    """Turn links to examples into links to their pages, and the links of an index to navigation."""
    text = EXAMPLE.sub(lambda link: f"](/docs/gallery/{link[1] or 'index'}.rst)", content[0])
    if name.endswith("/index") and not name.endswith("gallery/index"):
        pages = "\n".join(navigation(name, text))
        text += f"\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n"
    content[0] = API.sub(docstrings, text)


def docstrings(mark: re.Match[str]) -> str:
    """What a page shows of a package's public names, or of one function."""
    package = f".. automodule:: {mark[2]}\n   :members:\n   :imported-members:"
    wanted = package if mark[1] == "package" else f".. autofunction:: {mark[2]}"
    return f"```{{eval-rst}}\n{wanted}\n```"


def unfenced(_app: Sphinx, _what: str, _name: str, _held: Any, _options: Any, lines: list[str]
) -> None:  # fmt: skip
    """Turn the fenced blocks of a docstring into those of reStructuredText."""
    text = FENCED.sub(
        lambda block: f".. code-block:: text\n\n{indent(block[1], '   ')}\n", "\n".join(lines)
    )
    lines[:] = text.split("\n")


def no_field_number(_app: Sphinx, _what: str, _name: str, held: Any, _skip: Any, _options: Any
) -> bool | None:  # fmt: skip
    """Leave out the fields of a named tuple, which its own docstring tells."""
    return True if (getattr(held, "__doc__", "") or "").startswith("Alias for field") else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Hook the preparation of pages into the build."""
    app.connect("source-read", prepare)
    app.connect("autodoc-skip-member", no_field_number)
    app.connect("autodoc-process-docstring", unfenced)
    return {"parallel_read_safe": True}
