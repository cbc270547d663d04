"""Change between versions on the command line: references, comparison, history, self-test."""

import copy
import json
import shutil
import sys

import pytest
import torch
from lanes import needs

from governance.records.assessment import Assessment
from governance.records.policy import Policy
from governance.workflows.version_history import MOST_LAST

TEXT = """
title = "Stripes"
[model]
channels = "grey"
mean = [0.5]
std = [0.5]
[validation]
data = "{data}"
[analyses.explanation_maps]
samples = 60
steps = 4
repeated = 6
[drift]
[[expectations]]
metric = "performance.accuracy"
at_least = 0.5
"""
RECIPE = """
import torch
from torch import nn

def fit(seed, start):
    torch.manual_seed(seed)
    layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    return nn.Sequential(*layers)

def fault(seed, start):
    return fit(seed + 77, start)

def nothing(seed, start):
    return "no network"
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory, saved_model, tiny_subject):
    """The folders of two versions: the second is the first with a nudge to its weights."""
    import mlflow  # noqa: PLC0415 - seconds

    nudged = copy.deepcopy(tiny_subject.network.model)
    with torch.no_grad():
        nudged.head.weight += 0.01 * torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    folder = tmp_path_factory.mktemp("nudged") / "model"
    example = torch.zeros(1, 1, 16, 16).numpy()
    mlflow.pytorch.save_model(
        nudged.eval(), folder, input_example=example, pip_requirements=["torch"]
    )
    return saved_model, folder


@pytest.fixture(scope="module")
@needs("slow")
def home(tmp_path_factory, migrated_store, models, images_file):
    """An MLflow with both versions assessed and recorded; what was recorded."""
    import mlflow  # noqa: PLC0415 - seconds
    from mlflow import MlflowClient  # noqa: PLC0415

    from governance import registry  # noqa: PLC0415
    from governance.registry.opening import open_subject  # noqa: PLC0415
    from governance.workflows import orchestration  # noqa: PLC0415

    place = tmp_path_factory.mktemp("drift")
    shutil.copy(migrated_store, place / "mlflow.db")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{place}/mlflow.db")
    client = MlflowClient()
    client.create_experiment("governance/stripes", artifact_location=(place / "runs").as_uri())
    client.create_registered_model("stripes")
    policy = Policy.loads(TEXT.format(data=images_file), where="policy.toml")
    (place / "policy.toml").write_text(policy.text)
    (place / "training.py").write_text(RECIPE)
    for number, source in enumerate(models, start=1):
        client.create_model_version("stripes", str(source))
        version = registry.resolve(f"models:/stripes/{number}")
        subject = open_subject(version, policy, workspace=place / "w", device="cpu")
        lineage = registry.lineage(version, policy)
        found = orchestration.assess(subject, policy, lineage=lineage, standing=("performance",))
        found.save(place / f"v{number}")
        registry.record(version, found, place / f"v{number}")
    yield place
    mlflow.set_tracking_uri(before)


@pytest.fixture(autouse=True)
def here(home, monkeypatch):
    """The working directory holds the recipe."""
    monkeypatch.chdir(home)


@pytest.fixture(scope="module")
def made(home):
    """Four references of version 1, made once."""
    from governance.workflows.references import make_references  # noqa: PLC0415

    sys.path.append(str(home))
    return make_references("models:/stripes/1", "training:fit", 4)


@pytest.mark.slow
def test_a_second_version_was_held_against_the_first_without_being_told(home):
    first, second = (Assessment.load(home / f"v{number}") for number in (1, 2))
    assert first.decision.verdict == "approved"
    assert second.baseline.identity.uri == "models:/stripes/1"
    assert second.metrics["drift.distance"] < 0.2
    # Nothing says how much is harmless, so that drift could not have been found.
    assert second.metrics["drift.drifted"] is None
    assert second.decision.verdict == "undetermined"


@pytest.mark.slow
def test_references_are_made_once_and_listed(made, governance):
    answer = governance("references", "make", "models:/stripes/1", "--recipe", "training:fit",
                        "-n", 4, "--json")  # fmt: skip
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)["references"]
    assert [item["run_id"] for item in found] == [item.run_id for item in made]
    assert {item["kind"] for item in found} == {"retrain"}


@pytest.mark.slow
def test_a_comparison_takes_the_recorded_references(made, governance, tmp_path):
    page = tmp_path / "comparison.html"
    answer = governance("compare", "models:/stripes/1", "models:/stripes/2", "--json",
                        "--html", page)  # fmt: skip
    found = json.loads(answer.out)
    assert found["flips"]["all_images"]
    assert len(found["flips"]["newly_wrong"]) == round(
        found["metrics"]["newly_wrong_share"] * found["flips"]["images"]
    )
    assert len(found["references"]["uris"]) == 4
    assert (
        answer.code
        == found["exit_code"]
        == {"EQUIVALENT": 0, "DRIFT": 10, "INCONCLUSIVE": 30}[found["verdict"]]
    )
    assert found["metrics"]["distance"] >= 0
    assert "models:/stripes/1" in page.read_text()
    assert found["verdict"] in page.read_text()


def test_a_comparison_in_words_leads_with_its_answer_and_says_all_three(governance):
    answer = governance("compare", "v1", "v2")
    first = answer.out.splitlines()[0]
    assert " decides for " in first
    assert first.endswith(".")
    for word in ("Identity:", "Exchangeability", "Equivalence:", "--all shows all"):
        assert word in answer.out
    assert "False alarms:" in governance("compare", "v1", "v2", "--all").out


@pytest.mark.slow
def test_a_model_without_a_record_is_looked_at_first(models, governance, made):
    answer = governance("compare", "models:/stripes/1", models[1], "--json")
    found = json.loads(answer.out)
    assert found["new"] == str(models[1])
    assert found["metrics"]["distance"] >= 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("models:/stripes/1", "models:/stripes/1"), 40, "itself"),
        (("models:/stripes/1", "models:/stripes/9"), 2, "no version 9"),
        (("models:/stripes/1", "nowhere"), 2, "no model"),
        (("models:/stripes/1", "v2", "--references", "v2"), 40, "itself"),
        (("models:/stripes/1", "v2", "--policy", "none.toml"), 2, "cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, code, words, governance):
    answer = governance("compare", *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("training", "module:function is accepted"),
        ("nowhere:fit", "cannot be imported"),
        ("training:absent", "cannot be imported"),
        ("training:torch", "is no function"),
        ("training:nothing", "a nn.Module is accepted"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused(recipe, words, governance):
    answer = governance("references", "make", "models:/stripes/2", "--recipe", recipe, "-n", 1)
    assert answer.code == 2
    assert words in answer.err


@pytest.mark.slow
def test_models_at_hand_are_added_as_checkpoints(models, governance):
    arguments = ("references", "add", "models:/stripes/1", models[1], "--kind")
    assert governance(*arguments, "other").code == 2
    answer = governance(*arguments, "checkpoint", "--json")
    (found,) = json.loads(answer.out)["references"]
    assert (found["kind"], found["recipe"]) == ("checkpoint", str(models[1]))
    assert json.loads(governance(*arguments, "checkpoint", "--json").out) == {"references": []}
    refused = governance("references", "add", "models:/stripes/1", "models:/stripes/1",
                         "--kind", "lineage")  # fmt: skip
    assert "itself" in refused.err


@pytest.mark.slow
def test_the_history_is_printed_drawn_and_logged(governance, tmp_path):
    from mlflow import MlflowClient  # noqa: PLC0415

    page = tmp_path / "history.html"
    answer = governance("history", "stripes", "--record", "--json", "--html", page)
    found = json.loads(answer.out)
    first, second = found["entries"]
    assert (first["version"], first["verdict"], first["to_previous"]) == (
        "1", "approved", [None, None],
    )  # fmt: skip
    assert second["to_previous"] == second["to_first"]
    assert second["to_previous"][0] > 0
    logged = {
        point.step: point.value
        for point in MlflowClient().get_metric_history(found["run_id"], "performance.accuracy")
    }
    assert logged == {
        int(entry["version"]): entry["metrics"]["performance.accuracy"]
        for entry in found["entries"]
    }
    assert page.read_text().count("<img") >= 1
    # Asked again, nothing is logged twice.
    again = json.loads(governance("history", "stripes", "--record", "--json").out)["run_id"]
    assert json.loads(governance("history", "stripes", "--json").out)["run_id"] is None
    assert again == found["run_id"]
    assert len(MlflowClient().get_metric_history(again, "performance.accuracy")) == 2
    shown = governance("history", "stripes").out
    assert "drift to previous" in shown
    assert "Nothing was recorded; --record logs these numbers to MLflow" in shown
    assert governance("history", "other").code == 2
    assert governance("history", "stripes", "--last", MOST_LAST + 1).code == 2


@pytest.mark.slow
def test_a_self_test_plants_a_fault_and_says_whether_it_was_found(made, governance):
    from governance import registry  # noqa: PLC0415

    answer = governance("drift", "selftest", "models:/stripes/1", "--recipe", "training:fault",
                        "--json")  # fmt: skip
    found = json.loads(answer.out)
    assert [item["name"] for item in found["tests"]] == ["aa", "planted"]
    # A fault that is one more harmless run must not be found: the detector is not to be relied on.
    assert (found["passed"], answer.code) == (False, 30)
    version = registry.resolve("models:/stripes/2")
    lineage = registry.lineage(version, registry.recorded(version).policy)
    assert lineage.planted.identity.uri == "models:/stripes/1#planted"
