"""The PDF report: pages, structure and reproducibility, read back with another library."""

import dataclasses
import hashlib
import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
from lanes import needs
from pypdf import PdfReader

from governance.records.decision import judge
from reports.html import to_html
from reports.pdf import to_pdf

HERE = Path(__file__).parent

RENDER = """
import hashlib, importlib.util, sys
spec = importlib.util.spec_from_file_location("sample", sys.argv[1])
sample = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sample)
from reports.pdf import to_pdf
print(hashlib.sha256(to_pdf(sample.brief())).hexdigest())
"""


@pytest.fixture(scope="module")
@needs("slow")
def reader(assessment):
    return PdfReader(io.BytesIO(to_pdf(assessment)))


@pytest.fixture(scope="module")
def pages(reader):
    return [" ".join(page.extract_text().split()) for page in reader.pages]


def elements(node, kind):
    """Structure elements of a kind, anywhere below a node."""
    node = node.get_object()
    if isinstance(node, list):
        for child in node:
            yield from elements(child, kind)
    elif isinstance(node, dict):
        if node.get("/S") == kind:
            yield node
        if "/K" in node:
            yield from elements(node["/K"], kind)


@pytest.mark.slow
def test_every_page_names_the_model_the_assessment_and_itself(pages, assessment):
    for text in pages:
        assert "bildklassifikator-größe, version 3" in text
        assert f"assessment {assessment.digest[7:19]}" in text
    annex = next(place for place, text in enumerate(pages) if "Everything that was" in text)
    for number, text in enumerate(pages[:annex], start=1):
        assert f"Page {number} of {annex}" in text
    for number, text in enumerate(pages[annex:], start=1):
        assert f"Annex {number} of {len(pages) - annex}" in text


def test_first_page_has_the_decision_its_grounds_and_what_was_left_out(pages, assessment):
    first = pages[0]

    assert "Rejected" in first
    for digest in (
        assessment.digest, assessment.identity.digest, assessment.validation.digest,
        assessment.policy.digest,
    ):  # fmt: skip
        assert digest[7:19] in first
    assert "performance.recall_worst" in first
    assert "What is open, and what to do" in first
    assert "Not assessed: intended purpose and use" in first
    assert "UNSIGNED" in first
    assert "…" not in first


@pytest.mark.slow
def test_first_page_holds_even_the_longest_names(assessment):
    name = "an-unreasonably-long-model-name-without-a-break_" * 4
    ref = dataclasses.replace(assessment.identity.ref, name=name)
    identity = dataclasses.replace(assessment.identity, ref=ref, uri=f"models:/{name}/12")
    classes = tuple(f"class {i} " + "long " * 40 for i in range(10))
    policy = dataclasses.replace(
        assessment.policy,
        title="A title of many words " * 20,
        expectations=tuple(
            dataclasses.replace(
                assessment.policy.expectations[0], metric=f"filter_importance.{item}"
            )
            for item in classes
        ),
    )
    failed = assessment.evidence[1]
    failure = dataclasses.replace(failed.failure, message="some long message " * 40)
    evidence = tuple(
        dataclasses.replace(failed, analysis=item, failure=failure)
        for item in ("filter_importance", "layer_prediction", "performance", "genetic_explanation")
    )
    worst = dataclasses.replace(
        assessment, identity=identity, policy=policy, evidence=evidence,
        decision=judge(policy, evidence),
    )  # fmt: skip

    found = [page.extract_text() for page in PdfReader(io.BytesIO(to_pdf(worst))).pages]

    assert "Who answers for it" in found[0]
    assert "F Limits" in found[0]
    assert "…" not in found[0]
    assert "Findings: 10 of 10 requirements are open" in found[1]


@pytest.mark.slow
def test_first_page_holds_withdrawn_evidence_beside_the_longest_names(assessment):
    reasons = tuple("some long reason " * 20 for _ in range(4))
    found = dataclasses.replace(assessment.evidence[3].measurement, withdrawn=reasons)
    names = ("filter_importance", "layer_prediction", "performance", "genetic_explanation")
    evidence = tuple(
        dataclasses.replace(assessment.evidence[3], analysis=item, measurement=found)
        for item in names
    )
    policy = dataclasses.replace(
        assessment.policy, title="A title of many words " * 20,
        expectations=assessment.policy.expectations[:1] * 6 + assessment.policy.expectations[5:8],
    )  # fmt: skip
    worst = dataclasses.replace(
        assessment, policy=policy, evidence=evidence, decision=judge(policy, evidence)
    )

    pages = [page.extract_text() for page in PdfReader(io.BytesIO(to_pdf(worst))).pages]

    assert "Withdrawn evidence: filter_importance" in pages[0]
    assert "F Limits" in pages[0]
    assert "requirements are open" in pages[1]
    assert sum("This evidence is withdrawn." in text for text in pages) == 4


def test_first_page_gives_the_pages_on_which_the_parts_stand(pages):
    listed = re.findall(r"([B-F]) ([A-Z][a-z -]+), page (\d+)", pages[0])

    assert [letter for letter, _, _ in listed] == list("BCDEF")
    for letter, title, page in listed:
        assert f"{letter} {title.split()[0]}" in pages[int(page) - 1]


def test_bookmarks_lead_to_every_part(reader):
    titles = [item.title for item in reader.outline if not isinstance(item, list)]

    assert titles[0] == "bildklassifikator-größe, version 3"
    assert [title.split()[0].rstrip(":") for title in titles[1:]] == [*"BCDEF", "Annex"]


def test_file_says_what_it_is(reader, assessment):
    assert reader.metadata.title == "Assurance report: bildklassifikator-größe, version 3: rejected"
    assert reader.metadata.creation_date.isoformat().startswith("2026-11-22T01:45:00")
    assert reader.trailer["/Root"]["/Lang"] == "en"
    identifier = reader.trailer["/ID"][0]
    assert bytes(identifier.original_bytes) == bytes.fromhex(assessment.digest[7:39])


def test_file_is_tagged_for_screen_readers(reader, assessment):
    root = reader.trailer["/Root"]
    tree = root["/StructTreeRoot"]

    assert root["/MarkInfo"]["/Marked"]
    assert len(list(elements(tree, "/H1"))) == 1
    assert len(list(elements(tree, "/H2"))) >= 9
    assert len(list(elements(tree, "/TH"))) > 50
    figures = [element.get("/Alt") for element in elements(tree, "/Figure")]
    assert all(figures)
    assert {"Smallest sufficient regions of 18 images, drawn by the seed."} <= set(figures)


def test_header_cells_have_their_scope_and_cells_name_their_headers(reader):
    tree = reader.trailer["/Root"]["/StructTreeRoot"]

    scopes = [element["/A"]["/Scope"] for element in elements(tree, "/TH")]
    assert set(scopes) == {"/Column", "/Row"}
    known = {element["/ID"] for element in elements(tree, "/TH")}
    cells = [element["/A"]["/Headers"] for element in elements(tree, "/TD")]
    assert all(set(headers) <= known for headers in cells)
    assert sum(bool(headers) for headers in cells) > 0.9 * len(cells)


def test_headings_skip_no_level(reader):
    tree = reader.trailer["/Root"]["/StructTreeRoot"]
    levels = []

    def walk(node):
        node = node.get_object()
        for item in node if isinstance(node, list) else [node]:
            child = item.get_object()
            if isinstance(child, dict):
                kind = str(child.get("/S", ""))
                if len(kind) == 3 and kind[1] == "H" and kind[2].isdigit():
                    levels.append(int(kind[2]))
                if "/K" in child:
                    walk(child["/K"])

    walk(tree)
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_link_stands_in_the_structure_and_says_where_it_leads(reader):
    tree = reader.trailer["/Root"]["/StructTreeRoot"]
    links = [
        note.get_object()
        for page in reader.pages
        for note in page.get("/Annots", [])
        if note.get_object()["/Subtype"] == "/Link"
    ]

    assert len(list(elements(tree, "/Link"))) >= len(links) > 20
    assert {"To finding 1", "To part C", "To annex: layer prediction"} <= {
        link["/Contents"] for link in links
    }
    assert all("/StructParent" in link for link in links)


def test_findings_and_their_evidence_are_linked_both_ways(reader):
    places = reader.named_destinations
    assert {"f1", "d", "reason-layer_prediction", "annex-layer_prediction"} <= set(places)
    pages = {name: reader.get_destination_page_number(place) for name, place in places.items()}
    leads = [
        (number, note.get_object().get("/Dest"))
        for number, page in enumerate(reader.pages)
        for note in page.get("/Annots", [])
    ]

    # the card of the unmet gap leads to its analysis, and that back to the card
    assert (pages["reason-layer_prediction"], "f3") in leads
    assert (pages["f3"], "reason-layer_prediction") in leads


def test_the_record_is_attached_as_it_was_written(reader, assessment):
    assert list(reader.attachments) == ["assessment.json"]
    assert reader.attachments["assessment.json"] == [assessment.record]
    assert hashlib.sha256(assessment.record).hexdigest() == assessment.digest[7:]


def test_file_names_its_author_its_subject_and_the_standards_that_it_was_made_for(reader):
    metadata = reader.trailer["/Root"]["/Metadata"].get_object().get_data()

    assert reader.metadata.author.startswith("mlflow-governance")
    assert "rejected" in reader.metadata["/Keywords"]
    assert b'pdfaid:part="3"' in metadata
    assert b'pdfuaid:part="1"' in metadata
    assert metadata.count(b"<rdf:RDF") == 1
    ET.fromstring(metadata[metadata.index(b"<x:xmpmeta") : metadata.rindex(b"<?xpacket")])  # noqa: S314
    assert reader.trailer["/Root"]["/ViewerPreferences"]["/DisplayDocTitle"]


@pytest.mark.slow
def test_a_character_that_no_font_has_is_printed_as_its_code_and_page_one_says_so(make_brief):
    whole = make_brief()
    # Greek, which Plex has, and cuneiform, which few machines have.
    validation = dataclasses.replace(
        whole.validation, class_names=("λάμδα", "\U00012000"), class_counts=(1, 1)
    )

    found = PdfReader(io.BytesIO(to_pdf(dataclasses.replace(whole, validation=validation))))

    text = " ".join(page.extract_text() for page in found.pages)
    assert "λάμδα" in text
    assert "[U+12000]" in text
    assert "No font here has 1 of the characters" in found.pages[0].extract_text()


def test_file_runs_nothing_and_brings_its_fonts(reader):
    root = reader.trailer["/Root"]

    assert "/OpenAction" not in root or "/JS" not in str(root["/OpenAction"])
    assert "/JavaScript" not in root.get("/Names", {})
    fonts = {}
    for page in reader.pages:
        fonts.update(page["/Resources"].get("/Font", {}))
    names = {str(font.get_object()["/BaseFont"]) for font in fonts.values()}
    assert any("Plex-Sans" in name or "PlexSans" in name for name in names)
    for font in fonts.values():
        descendant = font.get_object()["/DescendantFonts"][0].get_object()
        embedded = {"/FontFile", "/FontFile2", "/FontFile3"} & set(
            descendant["/FontDescriptor"].get_object()
        )
        assert embedded


def test_text_of_others_is_printed_and_not_obeyed(pages):
    text = "".join(pages).replace(" ", "")

    for where in ("title", "rationale"):
        assert f"<script>alert('{where}')</script>" in text
    assert "compliant" not in text.lower()


def test_nothing_lies_outside_the_page(reader, assessment):
    outside = []
    # Of text within a drawing pypdf knows the place in the drawing only.
    drawn = {
        " ".join(text.split())
        for text in re.findall(r"<text[^>]*>(.*?)</text>", to_html(assessment))
    }

    def visit(text, matrix, text_matrix, _font, _size):
        x = matrix[4] + text_matrix[4] * matrix[0]
        if text.strip() and " ".join(text.split()) not in drawn and not 50 < x < 545:
            outside.append(text)

    for page in reader.pages:
        page.extract_text(visitor_text=visit)

    assert outside == []


@pytest.mark.slow
def test_style_sheet_is_understood_and_a_broken_picture_leaves_its_caption(make_brief, caplog):
    whole = make_brief()
    figure = dataclasses.replace(
        whole.evidence[0].measurement.figures[0], image=b"not a picture", caption="lost one"
    )
    measurement = dataclasses.replace(whole.evidence[0].measurement, figures=(figure,))
    evidence = dataclasses.replace(whole.evidence[0], analysis="other", measurement=measurement)

    found = PdfReader(io.BytesIO(to_pdf(dataclasses.replace(whole, evidence=(evidence,)))))

    assert "lost one" in " ".join(page.extract_text() for page in found.pages)
    assert [message[:20] for message in caplog.messages] == ["Failed to load image"]


@pytest.mark.slow
def test_two_processes_print_the_same_bytes(make_brief, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    command = [sys.executable, "-c", RENDER, str(HERE / "conftest.py")]
    environment = {**os.environ, "PYTHONHASHSEED": "4"}

    here = hashlib.sha256(to_pdf(make_brief())).hexdigest()
    there = subprocess.run(
        command, env=environment, cwd=HERE.parents[1], check=True, capture_output=True, text=True
    ).stdout

    assert there.strip() == here


@pytest.mark.slow
def test_a_record_that_contradicts_itself_says_so_on_every_page(make_brief):
    doubts = ("the record says approved and its evidence, judged again, gives rejected",)

    found = PdfReader(io.BytesIO(to_pdf(make_brief(), doubts)))

    texts = [page.extract_text() for page in found.pages]
    assert len(texts) > 1
    assert all("UNVERIFIED" in text for text in texts)
    assert "do not rely on this report" in texts[0]
    assert "judged again, gives rejected" in " ".join(texts[0].split())
