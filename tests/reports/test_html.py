"""The HTML report is whole in itself, and what it prints of others is text and nothing else."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile import png

from governance.records.decision import EXIT_CODES, judge
from reports.html import to_html

GOLDEN = Path(__file__).parents[1] / "golden" / "report.html"
VOID = {"meta", "br", "img", "col", "link", "input", "hr", "wbr"}


@pytest.fixture(scope="module")
def html(assessment):
    return to_html(assessment)


class Reader(HTMLParser):
    """Elements, their attributes and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.open, self.text, self.unbalanced = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def words(page):
    return " ".join(" ".join(Reader(page.replace("<wbr>", "")).text).split())


def test_page_is_well_formed(html):
    reader = Reader(html)

    assert reader.unbalanced == []
    assert reader.open == []
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(set(ids)) == len(ids)
    links = [attrs["href"] for tag, attrs in reader.elements if tag == "a"]
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_page_loads_nothing_and_runs_nothing(html):
    reader = Reader(html)

    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in reader.elements}
    sources = [attrs["src"] for _, attrs in reader.elements if "src" in attrs]
    sources += re.findall(r"url\(\"?([^)]{5})", html)
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert not [name for _, attrs in reader.elements for name in attrs if name.startswith("on")]
    assert "default-src 'none'" in html


@pytest.mark.parametrize("where", ["class", "caption", "rationale", "title"])
def test_markup_in_foreign_text_is_printed_as_text(html, where):
    assert f"alert('{where}')</script>" not in html
    assert f"<script>alert('{where}')</script>" in words(html)


def test_markup_in_every_text_of_a_record_is_printed_as_text(assessment):
    attack = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    ref = dataclasses.replace(assessment.identity.ref, name=attack, version=attack)
    identity = dataclasses.replace(assessment.identity, uri=attack, ref=ref)
    evidence = tuple(
        dataclasses.replace(
            item, about=attack, device=attack, parameters={attack: attack}, analysis=f"a{index}"
        )
        for index, item in enumerate(assessment.evidence)
    )
    attacked = dataclasses.replace(
        assessment, identity=identity, evidence=evidence, environment={attack: attack}
    )

    reader = Reader(to_html(attacked))

    assert not [tag for tag, _ in reader.elements if tag == "script"]
    assert not [attrs for _, attrs in reader.elements if "onerror" in attrs]


def test_text_that_turns_its_neighbours_around_is_made_visible(assessment):
    ref = dataclasses.replace(assessment.identity.ref, name="model\u202etxt")
    identity = dataclasses.replace(assessment.identity, ref=ref)

    page = to_html(dataclasses.replace(assessment, identity=identity))

    assert "\u202e" not in page
    assert "model\ufffdtxt" in page


def test_word_that_no_report_may_say_is_not_said(html):
    assert "compliant" not in html.lower()


@pytest.mark.parametrize("verdict", EXIT_CODES)
def test_every_verdict_is_a_word_and_a_mark(assessment, verdict):
    decision = dataclasses.replace(assessment.decision, verdict=verdict)

    page = to_html(dataclasses.replace(assessment, decision=decision))

    assert f'<div class="verdict {verdict}">' in page
    assert f'<p class="word"><span class="mark"></span>{verdict.capitalize()}</p>' in page
    style = page[page.index("<style>") : page.index("</style>")]
    assert re.search(rf"\.{verdict} \.mark {{ background-image: url", style)


def test_every_figure_is_printed_once_with_a_text_in_its_place(html, assessment):
    images = [attrs for tag, attrs in Reader(html).elements if tag == "img"]
    captions = [
        figure.caption
        for item in assessment.evidence
        if item.measurement
        for figure in item.measurement.figures
    ]

    assert sorted(image["alt"] for image in images) == sorted(captions)


def test_rows_that_are_not_printed_are_counted_with_their_file(html):
    assert "Not printed: 494 more rows of evidence/data_quality/rows.parquet" in words(html)


def test_table_that_is_only_kept_is_named_without_rows(make_brief):
    whole = make_brief()
    measurement = whole.evidence[0].measurement
    kept = dataclasses.replace(measurement.tables[0], shown=0)
    empty = dataclasses.replace(measurement.tables[0], name="empty", rows=())
    measurement = dataclasses.replace(measurement, tables=(kept, empty))
    evidence = dataclasses.replace(whole.evidence[0], measurement=measurement)

    text = words(to_html(dataclasses.replace(whole, evidence=(evidence,))))

    assert "Not printed here: pair ( evidence/performance/ )." in text
    assert "A pair. No rows." in text


def test_asterisks_and_backticks_set_type_and_nothing_else(make_brief):
    whole = make_brief()
    notes = ("*Lens* and `probe <b>`", "2 * 3 * 4", "*<script>alert(1)</script>*")
    measurement = dataclasses.replace(whole.evidence[0].measurement, notes=notes)
    evidence = dataclasses.replace(whole.evidence[0], measurement=measurement)

    page = to_html(dataclasses.replace(whole, evidence=(evidence,)))

    assert "<li><em>Lens</em> and <code>probe &lt;b&gt;</code></li>" in page
    assert "<li>2 * 3 * 4</li>" in page
    assert "<li>*&lt;script" in page or "<em>&lt;script" in page
    assert not [tag for tag, _ in Reader(page).elements if tag == "script"]


def test_missing_and_failed_are_said(html):
    text = words(html)

    assert "This analysis failed; nothing was measured." in text
    assert "no convolution in <model>: nothing to silence" in text
    assert re.search(r"never_measured .* not measured", text)


def test_withdrawn_evidence_is_said_with_its_reasons_and_its_numbers_are_struck(withdrawn):
    page = to_html(withdrawn)
    first, _, rest = words(page).partition("B Findings:")

    assert "Withdrawn evidence: genetic_explanation." in first
    assert "This evidence is withdrawn." in rest
    assert rest.count("ot better than a random map") == 5  # card, scope, banner, finding, limits
    assert "<script>alert" not in page
    struck = page.split('<div class="struck">')[1].partition("</div>\n")[0]
    assert "area_<wbr>median" in struck
    assert page.count('class="struck"') == 1


def test_nothing_is_said_of_withdrawal_where_nothing_is_withdrawn(html):
    assert "ithdrawn" not in words(html)
    assert 'class="struck"' not in html


def test_baseline_on_other_images_is_called_so(html, make_sample):
    assert "Not the validation images used here" in words(html)
    assert "not the images used here" in words(html)  # in the annex, beside the digests
    assert "No baseline: nothing here says" in words(to_html(make_sample(baseline=False)))


def test_baseline_on_the_same_images_is_called_so(assessment):
    baseline = dataclasses.replace(
        assessment.baseline, validation_digest=assessment.validation.digest
    )

    text = words(to_html(dataclasses.replace(assessment, baseline=baseline)))

    assert "ot the validation images used here" not in text
    assert "not the images used here" not in text


def test_assessment_without_evidence_prints_a_report(assessment):
    decision = judge(assessment.policy, ())

    text = words(to_html(dataclasses.replace(assessment, evidence=(), decision=decision)))

    assert "How often the model is right was not measured." in text
    assert "No analysis of the reasons was run." in text
    assert "performance The policy asks for it; it was not run" in text


def test_page_is_the_golden_one(html, assessment, request):
    digest = assessment.digest
    page = re.sub(r"<style>.*?</style>", "<style>STYLE</style>", html, flags=re.DOTALL)
    page = re.sub(r"data:image/png;base64,[^\"]+", "PICTURE", page)
    page = page.replace(digest, "DIGEST").replace(digest[:19], "SHORT DIGEST")
    if request.config.getoption("--update-goldens"):
        GOLDEN.write_text(page, encoding="utf-8")

    assert page == GOLDEN.read_text(encoding="utf-8")


def test_a_record_that_contradicts_itself_says_so_first(assessment):
    page = to_html(assessment, ("<b>one</b> doubt",))

    body = page[page.index("<body") :]
    assert body.index("UNVERIFIED") < body.index("&lt;b&gt;one&lt;/b&gt; doubt") < body.index("<h1")
    assert "UNVERIFIED" not in to_html(assessment)


@pytest.mark.parametrize(
    "content",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a", png(8000, 6500)],
    ids=["nothing", "svg", "gif", "many pixels"],
)
def test_what_is_no_picture_of_ours_is_left_out(assessment, content):
    item = next(
        item for item in assessment.evidence if item.measurement and item.measurement.figures
    )
    figure = dataclasses.replace(item.measurement.figures[0], image=content)
    measurement = dataclasses.replace(item.measurement, figures=(figure,))
    evidence = (dataclasses.replace(item, measurement=measurement),)

    page = to_html(dataclasses.replace(assessment, evidence=evidence))

    assert 'src="data:image/png;base64,"' in page
