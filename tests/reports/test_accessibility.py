"""Accessibility: axe-core finds nothing on any of our pages, wide, on a phone and in the dark."""

from dataclasses import replace
from pathlib import Path

import pytest
import versions
from browsers import ABSENT, chromium
from lanes import needs
from versions import record

from governance.drift import about, compared
from governance.records.drift_terms import DriftTerms
from governance.records.evidence import Evidence, Figure
from governance.records.lineage import History, HistoryEntry, Lineage
from governance.records.portfolio import Portfolio, PortfolioModel, PortfolioVersion, Question
from reports import comparison, history, html
from reports.portfolio import pages as site_of

AXE = Path(__file__).parents[1] / "axe" / "axe.min.js"
RUN = """
const done = arguments[0];
axe.run(document).then(
  found => done(found.violations.map(one => [one.id, ...one.nodes.map(node => node.html)])),
  error => done([String(error)]));
"""
#: Width of the window, and whether the reader asked for dark pages.
LOOKS = {"wide": (1400, "light"), "a phone": (400, "light"), "dark": (1400, "dark")}


@pytest.fixture(scope="module")
@needs("browser")
def browser(tmp_path_factory):
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    if driver is None:
        pytest.skip(ABSENT)
    yield driver
    driver.quit()


def compared_version():
    """Version 2 held against version 1 and nine harmless runs."""
    lineage = Lineage(previous=record("1", seed=1), references=tuple(versions.harmless(9)))
    new = record("2", seed=2, wrong=(1, 4))
    _, found = compared(new, lineage, DriftTerms())
    evidence = Evidence(
        analysis="drift", about=about(), parameters={}, seed=0, seconds=1.0, device="records",
        measurement=found,
    )  # fmt: skip
    return replace(new, evidence=(*new.evidence, evidence), baseline=lineage.baseline)


def versions_of(assessment, new):
    told = HistoryEntry(
        version="1", verdict="rejected", created="2026-11-22T12:00:00+00:00",
        metrics={"performance.accuracy": 0.9}, problems=("a file differs",),
    )  # fmt: skip
    known = {
        "created": 0, "aliases": ("champion",), "state": "unchecked", "why": "", "expires": None,
        "waits": False, "waivers": (),
    }  # fmt: skip
    old = PortfolioVersion(uri="models:/pets/1", entry=told, record=assessment, **known)
    later = replace(old, uri="models:/pets/2", entry=replace(told, version="2"), record=new)
    return (replace(later, aliases=()), old)


@pytest.fixture(scope="module")
def pages(assessment, tmp_path_factory):
    """One page of each kind, as a file that Chromium can open."""
    folder = tmp_path_factory.mktemp("pages")
    new = compared_version()
    shown = versions_of(assessment, new)
    model = PortfolioModel(name="pets", versions=shown)
    question = Question(
        urgency=3, uri="models:/pets/2", model="pets", says="It is approved.", commands=("promote",)
    )
    site = site_of(Portfolio(made=0, signed=True, models=(model,), questions=(question,)))
    drawn = Figure(name="drift", caption="By version.", image=assessment.evidence[0].measurement
                   .figures[0].image)  # fmt: skip
    entries = tuple(item.entry for item in reversed(shown))
    files = {
        **site,
        "report.html": html.to_html(assessment),
        "comparison.html": comparison.to_html(new),
        "history.html": history.to_html(History(name="pets", entries=entries), [drawn]),
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    return sorted(path for path in folder.iterdir() if path.suffix == ".html")


@pytest.mark.parametrize(("width", "scheme"), LOOKS.values(), ids=LOOKS)
def test_axe_finds_nothing_and_no_page_scrolls_sideways(browser, pages, width, scheme):
    # arrange
    assert len(pages) == 6
    browser.set_script_timeout(120)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    found = {}
    for page in pages:
        # act
        browser.get(page.as_uri())
        browser.execute_script(AXE.read_text())
        violations = browser.execute_async_script(RUN)
        wider = browser.execute_script(
            "return document.documentElement.scrollWidth - window.innerWidth"
        )
        if violations or wider > 0:
            found[page.name] = (violations, wider)
    # assert
    assert not found
