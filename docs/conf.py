"""The documentation site, made by Sphinx: `make site` writes it to build/site.

The source folder is the repository itself, so that a link between two pages is the same on the
site as on a Git host. Pages are plain Markdown. What a Git host would not understand is added here
while the site is built: navigation, executed examples and the reference of the Python API.
"""

import re
from typing import Any

from sphinx.application import Sphinx

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

sphinx_gallery_conf = {
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
    content[0] = text


def setup(app: Sphinx) -> dict[str, Any]:
    """Hook the preparation of pages into the build."""
    app.connect("source-read", prepare)
    return {"parallel_read_safe": True}
