"""The check of the site's links finds what is broken, and what would be loaded from elsewhere."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("site_links", ROOT / "ci" / "site_links.py")
site_links = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(site_links)


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ('<a href="other.html">', None),
        ('<a href="other.html#heading">', None),
        ('<a href="#here">', None),
        ('<a href="folder/">', None),
        ('<a href="https://example.org/page#part">', None),
        ('<a href="mailto:someone@example.org">', None),
        ('<img src="data:image/png;base64,AA==">', None),
        ('<a href="missing.html">', "leads to no file"),
        ('<a href="#missing">', "leads to no heading of that page"),
        ('<a href="other.html#missing">', "leads to no heading of that page"),
        ('<img src="missing.png">', "leads to no file"),
        ('<a href="https:///page">', "is no address; http, https and mailto are accepted"),
        ('<a href="htps://example.org">', "is no address; http, https and mailto are accepted"),
        ('<script src="https://cdn.example.org/x.js">', "is loaded from another host"),
        ('<link rel="stylesheet" href="//fonts.example.org/x">', "is loaded from another host"),
    ],
)  # fmt: skip
def test_a_link_leads_somewhere_and_loads_nothing_from_another_host(link, problem, tmp_path):
    (tmp_path / "folder").mkdir()
    for page in ("other.html", "folder/index.html"):
        (tmp_path / page).write_text('<h1 id="heading">Other</h1>')
    (tmp_path / "page.html").write_text(f'<h1 id="here">Page</h1>{link}')

    found = site_links.problems(tmp_path)

    assert len(found) == (problem is not None)
    assert all(text.startswith("page.html: ") and text.endswith(problem) for text in found)


def test_a_style_sheet_loads_nothing_from_another_host(tmp_path):
    (tmp_path / "a.css").write_text("@font-face { src: url('https://fonts.example.org/a.woff2') }")
    (tmp_path / "b.css").write_text("@font-face { src: url('../fonts/a.woff2') }")

    assert site_links.problems(tmp_path) == [
        "a.css: https://fonts.example.org/a.woff2: is loaded from another host"
    ]
