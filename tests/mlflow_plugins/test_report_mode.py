"""Mode `report`: what would be refused is let pass and written down; then enforced, by model."""

import json
import os
import shutil

import mlflow
import pytest
import servers
from lanes import needs
from typer.testing import CliRunner

from governance.cli import app
from governance.registry.audit import Wanted, counts, entries

REPORT = 'keyring = "keyring.toml"\n[registry]\nmode = "report"\n'
ENFORCED = '[[registry.models]]\nmodels = "{}"\nmode = "enforce"\n'


def change(office, text):
    """Write other rules; another size or time tells the server."""
    path = office.folder / "governance.toml"
    path.write_text(text)
    stamp = path.stat().st_mtime_ns + 1
    os.utime(path, ns=(stamp, stamp))


def outcomes(office):
    """Number of decisions by outcome."""
    found = {}
    for row in counts(f"sqlite:///{office.folder}/mlflow.db", Wanted()):
        found[row["outcome"]] = found.get(row["outcome"], 0) + row["number"]
    return found


def test_aliases_stages_and_names_are_let_pass_and_written_down(registry, caplog):
    change(registry.office, REPORT)
    version = registry.register()

    registry.client.set_registered_model_alias(version.name, "champion", "1")
    with pytest.warns(FutureWarning):
        registry.client.transition_model_version_stage(version.name, "1", "Production")
    registry.client.rename_registered_model(version.name, f"{version.name} x")

    rows = list(entries(f"sqlite:///{registry.office.folder}/mlflow.db", Wanted()))
    assert [row["action"] for row in rows if row["outcome"] == "reported"] == [
        "set_registered_model_alias",
        "transition_model_version_stage",
        "rename_registered_model",
    ]
    lines = [item.getMessage() for item in caplog.records if "reported" in item.getMessage()]
    told = [json.loads(line.removeprefix("governance ")) for line in lines]
    assert [(item["action"], item["model"]) for item in told] == [
        (row["action"], version.name) for row in rows if row["outcome"] == "reported"
    ]
    assert "carries no signed statement" in told[0]["reason"]


def test_a_name_that_looks_like_another_is_let_pass_unless_one_of_them_is_enforced(registry):
    change(registry.office, REPORT + ENFORCED.format("retina"))
    for name in ("retina", "kidney", "other"):
        registry.client.create_registered_model(name)

    registry.client.create_registered_model("kidn\u0435y")
    registry.client.rename_registered_model("other", "k\u0456dney")
    with registry.refused("looks like that of models:/retina"):
        registry.client.create_registered_model("retin\u0430")
    with registry.refused("looks like that of models:/kidn"):
        registry.client.rename_registered_model("retina", "kidney\u200b")

    rows = entries(f"sqlite:///{registry.office.folder}/mlflow.db", Wanted(outcome="reported"))
    told = [(row["action"], row["model"], row["reason"]) for row in rows]
    assert [item[:2] for item in told] == [
        ("create_registered_model", "kidn\u0435y"),
        ("rename_registered_model", "other"),
    ]
    assert all("looks like that of models:/kidn" in reason for *_, reason in told)


def test_what_is_signed_is_checked_as_ever(registry):
    change(registry.office, REPORT)
    version = registry.register()

    with registry.refused():
        registry.client.set_model_version_tag(version.name, "1", "governance.status", "approved")
    with registry.refused():
        registry.client.set_model_version_tag(version.name, "1", "governance.approval", "e30.e30")
    with registry.refused():
        registry.client.set_model_version_tag(version.name, "1", "mlflow.prompt.is_prompt", "true")


def test_a_revoked_version_keeps_the_name_of_its_model(registry):
    change(registry.office, REPORT)
    version = registry.register()
    token = registry.office.revocation(version)
    registry.client.set_model_version_tag(version.name, "1", "governance.approval", token)

    with registry.refused("approvals name the model"):
        registry.client.rename_registered_model(version.name, "other")


def test_an_alias_does_not_come_along_into_an_enforced_name(registry):
    change(registry.office, REPORT + ENFORCED.format("retina*"))
    version = registry.register("free")
    registry.client.set_registered_model_alias("free", "champion", "1")

    with registry.refused("remove alias 'champion' first"):
        registry.client.rename_registered_model("free", "retina left")
    assert registry.client.get_registered_model("free").aliases == {
        "champion": int(version.version)
    }


def test_rules_with_a_mistake_enforce(registry):
    change(registry.office, REPORT + 'model = "x"\n')
    version = registry.register()

    with registry.refused("registry.model: unknown key"):
        registry.client.set_registered_model_alias(version.name, "champion", "1")


def test_a_reported_use_is_not_done_unless_it_can_be_written_down(registry):
    change(registry.office, REPORT + f'audit = "sqlite:///{registry.office.folder}/none/a.db"\n')
    version = registry.register()
    from mlflow_plugins import registry_store  # noqa: PLC0415 - seconds

    with pytest.raises(mlflow.exceptions.MlflowException, match="cannot be opened"):
        registry_store.build(f"governed+sqlite:///{registry.office.folder}/mlflow.db")
    assert registry.client.get_registered_model(version.name).aliases == {}


@pytest.fixture
@needs("server")
def older(migrated_store, tmp_path, new_office, new_registry):
    """Fifty models with champions that nobody assessed, and a governed server over them now."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    database = f"sqlite:///{tmp_path}/mlflow.db"
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    plain = MlflowClient(database, database)
    for index in range(50):
        name = f"model {index:02}"
        plain.create_registered_model(name)
        for _ in range(1 + index % 2):
            plain.create_model_version(name, f"{tmp_path}/model")
        plain.set_registered_model_alias(name, "champion", "1")
    plain.set_registered_model_alias("model 03", "shadow", "2")
    plain.set_registered_model_alias("model 05", "candidate", "2")

    office = new_office(tmp_path)
    change(office, REPORT)
    options = ("--registry-store-uri", f"governed+{database}")
    before = mlflow.get_tracking_uri()
    with servers.mlflow_server(tmp_path, *options) as address:
        mlflow.set_tracking_uri(address)
        yield new_registry(MlflowClient(address, address), office, address)
        mlflow.set_tracking_uri(before)


def test_governance_is_switched_on_over_fifty_models_one_by_one(older, tmp_path):
    config = str(tmp_path / "governance.toml")

    def command(*arguments):
        answer = CliRunner().invoke(app, [*arguments, "--config", config])
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    def champion(name, version):
        older.client.set_registered_model_alias(name, "champion", version)

    # 1. Report: pipelines go on, and what they do is counted.
    champion("model 01", "2")
    champion("model 02", "1")
    assert outcomes(older.office) == {"reported": 2}
    assert '"outcome": "reported"' in (tmp_path / "log").read_text()

    # 2. Inventory: what is there, and in which order to assess it.
    stock = json.loads(command("inventory", "--json"))
    assert len(stock["models"]) == 50
    assert len(stock["versions"]) == 75
    assert [item["priority"] for item in stock["versions"]] == [1] * 50 + [2] + [3] * 23 + [4]
    assert [item["uri"] for item in stock["versions"] if item["priority"] == 2] == [
        "models:/model 03/2"
    ]
    assert sum(len(item["refused"]) for item in stock["versions"]) == 51
    order = command("inventory", "--uris").splitlines()
    assert order == [item["uri"] for item in stock["versions"]]
    told = command("inventory")
    assert "51 of 51 protected uses rest on no approval\n" in told
    assert "versions that wait for an assessment: 75\n" in told
    # Without keys nobody can tell who waits.
    unchecked = " ".join(CliRunner().invoke(app, ["inventory"]).stdout.split())
    assert "versions whose verdict was not checked: 75; --keys KEYRING tells which" in unchecked
    assert "51 of 51 protected uses rest on no approval that was checked" in unchecked
    assert "assessment: 75" not in unchecked

    # 3. One model is assessed and enforced; the others are not held up.
    older.approve(older.client.get_model_version("model 07", "1"))
    change(older.office, REPORT + ENFORCED.format("model 07"))
    with older.refused("carries no signed statement"):
        champion("model 07", "2")
    champion("model 07", "1")
    champion("model 08", "1")
    after = json.loads(command("inventory", "--json"))["models"]
    assert [item["name"] for item in after if item["mode"] == "enforce"] == ["model 07"]
    assert [item["name"] for item in after if not item["refused"]] == ["model 07"]
    assert order[0] == command("inventory", "--uris").splitlines()[0]

    # 4. All of them: what nobody assessed keeps its alias and gets no other.
    change(older.office, 'keyring = "keyring.toml"\n')
    with older.refused("carries no signed statement"):
        champion("model 08", "1")
    assert older.client.get_registered_model("model 08").aliases == {"champion": "1"}
    database = f"sqlite:///{tmp_path}/mlflow.db"
    refused = command("audit", "--audit", database, "--outcome", "refused", "--json")
    assert [row["model"] for row in json.loads(refused)["decisions"]] == ["model 07", "model 08"]
