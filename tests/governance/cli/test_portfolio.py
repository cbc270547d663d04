"""The site over all models: who is in service, what a person decides, two versions side by side."""

import io
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from governance.records.assessment import Assessment
from governance.records.evidence import Figure, Measurement
from governance.records.policy import Expectation

MET = Expectation(metric="performance.accuracy", at_least=0.5)
DOUBTED = Expectation(metric="performance.nll", at_most=0.0, severity="review")


@pytest.fixture
def site(governance, tmp_path):
    """The site of the registry, as text by file name."""

    def make(*options):
        folder = tmp_path / "site"
        answer = governance("portfolio", "--out", folder, *options)
        assert answer.code == 0, answer.err
        return {path.name: path.read_text() for path in folder.iterdir()}

    return make


def text(page):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def number(uri):
    return uri.rpartition("/")[2]


@pytest.fixture
def champion(recorded):
    """Puts a version into service, in the registry that all tests share, until the test ends."""
    client = MlflowClient()

    def promote(uri):
        client.set_registered_model_alias("stripes", "champion", number(uri))

    yield promote
    client.delete_registered_model_alias("stripes", "champion")


def test_the_site_says_who_is_in_service_and_what_a_person_decides(recorded, site, champion):
    # arrange
    old, doubted = recorded(MET), recorded(MET, DOUBTED)
    champion(old)
    # act
    index = text(site()["index.html"])
    # assert
    assert f"stripes version {number(old)}: approved" in index
    assert f"{doubted} A person decides whether it may miss performance.nll." in index
    assert f"governance waive {doubted} --metric performance.nll --bound" in index
    assert f"governance revoke {doubted} --reason REASON --key APPROVER.pem" in index


def test_an_approved_version_newer_than_the_champion_waits_to_be_promoted(recorded, site, champion):
    old, new = recorded(MET), recorded(MET)
    champion(old)

    index = text(site()["index.html"])

    assert f"{new} It is approved. Version {number(old)} is in service." in index
    assert f"governance promote {new} --alias champion --keys KEYRING" in index
    assert f"governance promote {old}" not in index


def test_every_link_leads_to_a_page_and_nothing_is_loaded_from_elsewhere(recorded, site):
    # arrange
    old, new = recorded(MET), recorded(MET, DOUBTED)
    # act
    made = site()
    # assert
    links = {link for page in made.values() for link in re.findall(r'(?:href|src)="([^"]*)"', page)}
    assert {link for link in links if not link.startswith("file:")} <= set(made)
    assert any(name.endswith(f"-{number(old)}-{number(new)}.html") for name in links)
    pages = [page for name, page in made.items() if name.endswith(".html")]
    assert not any("<script" in page or " onclick" in page for page in pages)
    assert all("default-src 'none'" in page for page in pages)


def test_a_record_that_no_tag_names_is_not_shown(recorded, site):
    uri = recorded(MET)
    MlflowClient().set_model_version_tag("stripes", number(uri), "governance.digest", "sha256:0")

    made = site()

    (page,) = (made[name] for name in made if re.fullmatch(r"stripes-[0-9a-f]{8}\.html", name))
    assert "approved, not to be relied on" in text(page)
    assert "which no tag names" in text(page)
    assert f"governance promote {uri}" not in text(made["index.html"])


@pytest.mark.parametrize("run", ["0" * 32, "without a record"])
def test_a_version_whose_record_is_gone_ends_no_site(recorded, site, run, tmp_path):
    # arrange: anyone who may write a tag may name a run that is not there, or one without a record
    uri, other = recorded(MET), recorded(MET)
    if run != "0" * 32:
        place = MlflowClient().create_experiment("without records", tmp_path.as_uri())
        run = MlflowClient().create_run(place).info.run_id
    MlflowClient().set_model_version_tag("stripes", number(uri), "governance.run_id", run)
    # act
    made = site()
    # assert
    (page,) = (made[name] for name in made if re.fullmatch(r"stripes-[0-9a-f]{8}\.html", name))
    assert "approved, its record cannot be read" in text(page)
    assert f"governance promote {other}" in text(made["index.html"])
    assert f"governance promote {uri}" not in text(made["index.html"])


def test_a_version_whose_run_was_deleted_has_no_record(recorded, site):
    uri = recorded(MET)
    run = MlflowClient().get_model_version("stripes", number(uri)).tags["governance.run_id"]
    MlflowClient().delete_run(run)

    made = site()

    (page,) = (made[name] for name in made if re.fullmatch(r"stripes-[0-9a-f]{8}\.html", name))
    assert f"run {run}, its record, was deleted" in text(page)
    assert f"governance promote {uri}" not in text(made["index.html"])


def test_what_is_approved_by_no_signature_that_counts_is_not_offered_for_promotion(
    recorded, site, tmp_path, governance
):
    # arrange: nobody signed anything
    uri, ring = recorded(MET), tmp_path / "ring.toml"
    named = ("--owner", "ann", "--role", "assessor", "--keys", ring)
    governance("keys", "new", tmp_path / "key.pem", *named)
    # act
    index = text(site("--keys", ring)["index.html"])
    # assert
    assert f"governance promote {uri}" not in index
    assert f"{uri} It waits for an assessment." in index


def test_without_an_approval_that_counts_the_version_in_service_comes_first(
    recorded, site, tmp_path, governance, champion
):
    # arrange: nobody signed anything
    uri, ring = recorded(MET), tmp_path / "ring.toml"
    named = ("--owner", "ann", "--role", "assessor", "--keys", ring)
    governance("keys", "new", tmp_path / "key.pem", *named)
    champion(uri)
    # act
    index = text(site("--keys", ring)["index.html"])
    # assert
    decisions = index.partition("Standing of each model")[0]
    assert re.search(rf"Until {uri} It is in service, and no approval of it counts: ", decisions)
    assert "Signatures were checked." in index


def test_a_later_site_takes_the_place_of_an_earlier_one_and_of_nothing_else(
    recorded, governance, tmp_path
):
    # arrange
    recorded(MET)
    site, other = tmp_path / "site", tmp_path / "other"
    assert governance("portfolio", "--out", site).code == 0
    (site / "notes.txt").write_text("mine")
    listed = json.loads((site / "portfolio.json").read_text())
    (site / "gone.html").write_text("of a model that was deleted")
    (site / "portfolio.json").write_text(json.dumps([*listed, "gone.html"]))
    other.mkdir()
    (other / "index.html").write_text("of somebody else")
    # act / assert
    assert governance("portfolio", "--out", site).code == 0
    assert {path.name for path in site.iterdir()} == {*listed, "notes.txt", "portfolio.json"}
    refused = governance("portfolio", "--out", other)
    assert refused.code == 2
    assert "exists and is no earlier portfolio" in refused.err
    assert (other / "index.html").read_text() == "of somebody else"


@pytest.mark.parametrize("names", ['["../x.html"]', '["a/b.html"]', '["notes.txt"]', "{}", "["])
def test_a_list_that_names_other_files_is_none(governance, tmp_path, names):
    site = tmp_path / "site"
    site.mkdir()
    (site / "portfolio.json").write_text(names)
    (tmp_path / "x.html").write_text("mine")

    assert governance("portfolio", "--out", site).code == 2
    assert (tmp_path / "x.html").exists()


def explained(assessed, shade):
    """Evidence of the assessed version, and a picture of explanations."""
    drawn = io.BytesIO()
    Image.new("L", (4, 4), shade).save(drawn, format="png")
    figure = Figure(name="class_maps", caption="Heat maps.", image=drawn.getvalue(), seen="Heat.")
    (first, *others) = Assessment.load(assessed.folder).evidence
    maps = replace(
        first, analysis="explanation_maps", measurement=Measurement(metrics={}, figures=(figure,))
    )
    return (first, *others, maps), figure.image


def test_pictures_of_explanations_lie_beside_the_pages_and_are_kept_by_the_next_site(
    recorded, assessed, governance, tmp_path
):
    # arrange
    evidence, dark = explained(assessed, 10)
    recorded(MET, evidence=evidence)
    evidence, light = explained(assessed, 240)
    uri = recorded(MET, evidence=evidence)
    site = tmp_path / "site"
    run = MlflowClient().get_model_version("stripes", number(uri)).tags["governance.run_id"]
    home = Path(MlflowClient().get_run(run).info.artifact_uri.removeprefix("file://"))
    lost = home / "governance" / "evidence" / "explanation_maps" / "class_maps.png"
    # act
    assert governance("portfolio", "--out", site).code == 0
    first = {path.read_bytes() for path in site.glob("*.png")}
    lost.write_bytes(dark)
    assert governance("portfolio", "--out", site).code == 0
    kept = {path.read_bytes() for path in site.glob("*.png")}
    for path in site.glob("*.png"):
        path.write_bytes(b"changed")
    assert governance("portfolio", "--out", site).code == 0
    # assert: one that is not the recorded one is shown by no page
    assert first == kept == {dark, light}
    assert {path.read_bytes() for path in site.glob("*.png")} == {dark}
    page = next(site.glob(f"stripes-*-{int(number(uri)) - 1}-{number(uri)}.html")).read_text()
    assert page.count("<img") == 1
    assert "This picture cannot be had" in page
