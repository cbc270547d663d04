"""The table of what a governed registry lets pass, in this process, over HTTP and on PostgreSQL."""

import subprocess
import sys
import time

import pytest
import requests

from governance.approval import statement_digest, waiver_tag
from governance.approval.tags import APPROVAL, replaced_tag

PENDING = {"governance.status": "pending"}


def test_the_entry_module_loads_nothing():
    script = (
        "import sys, mlflow_plugins.registry_store\n"
        "print({'mlflow', 'torch', 'sqlalchemy', 'flask'} & set(sys.modules))"
    )

    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert found.stdout.strip() == "set()"


def test_a_new_version_is_pending_whatever_it_says(anywhere):
    tags = {"governance.status": "approved", "Governance.Approval": "x", "team": "vision"}

    version = anywhere.register(tags=tags)

    assert anywhere.tags(version) == {**PENDING, "team": "vision"}


def test_a_protected_alias_needs_an_approval(anywhere):
    version = anywhere.register()

    with anywhere.refused("champion", "status is pending", "governance assess", version.name):
        anywhere.client.set_registered_model_alias(version.name, "champion", "1")
    anywhere.approve(version)
    anywhere.client.set_registered_model_alias(version.name, "champion", "1")

    assert int(anywhere.client.get_model_version_by_alias(version.name, "champion").version) == 1


@pytest.mark.parametrize("alias", ["candidate", "challenger", "archived"])
def test_some_aliases_are_for_everybody(anywhere, alias):
    version = anywhere.register()

    anywhere.client.set_registered_model_alias(version.name, alias, "1")


@pytest.mark.parametrize("alias", ["prod", "Candidate", "candidáte", "shadow"])
def test_all_others_are_protected(anywhere, alias):
    version = anywhere.register()

    with anywhere.refused(alias):
        anywhere.client.set_registered_model_alias(version.name, alias, "1")


@pytest.mark.parametrize("stage", ["Staging", "Production", "production"])
def test_a_protected_stage_needs_an_approval(anywhere, stage):
    version = anywhere.register()
    move = anywhere.client.transition_model_version_stage

    with pytest.warns(FutureWarning, match="stages"), anywhere.refused("stage", stage):
        move(version.name, "1", stage)
    anywhere.approve(version)
    with pytest.warns(FutureWarning, match="stages"):
        assert move(version.name, "1", stage).current_stage == stage.capitalize()


def test_other_stages_are_for_everybody(anywhere):
    version = anywhere.register()

    with pytest.warns(FutureWarning, match="stages"):
        anywhere.client.transition_model_version_stage(version.name, "1", "Archived")


def test_an_approval_says_all_the_other_tags(anywhere):
    version = anywhere.register()

    token = anywhere.approve(version)

    assert anywhere.tags(version) == {
        "governance.approval": token,
        "governance.status": "approved",
        "governance.run_id": "0" * 32,
        "governance.digest": "sha256:" + "d" * 64,
        "governance.manifest": "sha256:" + "e" * 64,
        "governance.policy": f"Strict (sha256:{'c' * 64})",
    }


@pytest.mark.parametrize("status", ["rejected", "review", "undetermined", "running", "pending"])
def test_any_other_verdict_is_taken_and_opens_nothing(anywhere, status):
    version = anywhere.register()

    anywhere.approve(version, verdict=status)

    assert anywhere.tags(version)["governance.status"] == status
    with anywhere.refused(f"verdict {status}"):
        anywhere.client.set_registered_model_alias(version.name, "champion", "1")


@pytest.mark.parametrize(
    "key",
    [
        "governance.status",
        "governance.run_id",
        "governance.digest",
        "governance.manifest",
        "governance.policy",
        "governance.author",
        "governance.anything",
        "Governance.Status",
        APPROVAL,
        "governance.waiver.0123456789abcdef",
    ],
)
def test_a_tag_of_ours_is_not_for_everybody(anywhere, key):
    version = anywhere.register()

    with anywhere.refused(key):
        anywhere.client.set_model_version_tag(version.name, "1", key, "approved")
    assert anywhere.tags(version) == PENDING


def test_a_good_token_under_another_name_is_refused(anywhere):
    version = anywhere.register()

    with anywhere.refused("follows from a signed statement"):
        anywhere.client.set_model_version_tag(
            version.name, "1", "governance.status", anywhere.office.verdict(version)
        )


def test_other_tags_are_for_everybody(anywhere):
    version = anywhere.register()

    anywhere.client.set_model_version_tag(version.name, "1", "team", "vision")
    anywhere.client.delete_model_version_tag(version.name, "1", "team")


@pytest.mark.slow
@pytest.mark.parametrize("key", [APPROVAL, "governance.status", "governance.none"])
def test_a_tag_of_ours_is_not_deleted(anywhere, key):
    version = anywhere.register()
    anywhere.approve(version)
    before = anywhere.tags(version)

    with anywhere.refused(key):
        anywhere.client.delete_model_version_tag(version.name, "1", key)
    assert anywhere.tags(version) == before


def test_an_approval_of_another_version_is_refused(anywhere):
    first, second = anywhere.register(), anywhere.register()
    token = anywhere.approve(first)

    with anywhere.refused("its version is '2'"):
        anywhere.client.set_model_version_tag(second.name, "2", APPROVAL, token)


def test_an_approval_of_a_deleted_namesake_is_refused(anywhere):
    first = anywhere.register()
    token = anywhere.approve(first)
    anywhere.client.delete_registered_model(first.name)
    second = anywhere.register()

    assert second.version == first.version
    with anywhere.refused("its created is"):
        anywhere.client.set_model_version_tag(second.name, "1", APPROVAL, token)


def test_an_approval_of_other_files_is_refused(anywhere):
    version = anywhere.register()

    with anywhere.refused("its source is"):
        anywhere.approve(version, source="models:/m-another")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"issued": 1_000, "expires": 2_000, "policy_fixed": 1_000}, "not in use"),
        ({"issued": 1_790_000_000, "expires": 1_790_000_001}, "expired"),
        ({"issued": 4_000_000_000, "expires": 4_000_000_001}, "not valid before"),
    ],
)
def test_an_approval_out_of_its_time_is_refused(anywhere, changes, says):
    version = anywhere.register()

    with anywhere.refused(says):
        anywhere.approve(version, **changes)


def test_a_strangers_signature_is_refused(anywhere, tmp_path):
    from governance.approval import PrivateKey  # noqa: PLC0415 - beside its use

    version = anywhere.register()

    with anywhere.refused("not in the keyring"):
        anywhere.approve(version, key=PrivateKey.new(tmp_path / "mine.pem"))


def test_an_approver_does_not_assess(anywhere):
    version = anywhere.register()

    with anywhere.refused("of the role assessor"):
        anywhere.approve(version, key=anywhere.office.approver)


def test_an_older_statement_does_not_come_back(anywhere):
    version = anywhere.register()
    now = version.creation_timestamp // 1000
    approved = anywhere.approve(version, issued=now - 60)
    anywhere.approve(version, verdict="rejected", issued=now - 30)

    with anywhere.refused("newer statement"):
        anywhere.client.set_model_version_tag(version.name, "1", APPROVAL, approved)
    assert anywhere.tags(version)["governance.status"] == "rejected"


def test_the_same_statement_twice_is_once(anywhere):
    version = anywhere.register()

    token = anywhere.approve(version)

    anywhere.client.set_model_version_tag(version.name, "1", APPROVAL, token)
    assert anywhere.tags(version)["governance.status"] == "approved"


def test_two_verdicts_of_one_second_are_one(anywhere):
    version = anywhere.register()
    now = version.creation_timestamp // 1000
    anywhere.approve(version, verdict="rejected", issued=now)

    with anywhere.refused("same second"):
        anywhere.approve(version, issued=now)


def test_running_becomes_a_verdict_within_a_second(anywhere):
    version = anywhere.register()
    now = version.creation_timestamp // 1000

    anywhere.approve(version, verdict="running", issued=now)
    anywhere.approve(version, issued=now)

    assert anywhere.tags(version)["governance.status"] == "approved"


def test_a_revocation_is_final_and_leaves_the_alias(anywhere):
    version = anywhere.register()
    now = version.creation_timestamp // 1000
    anywhere.approve(version, issued=now - 10)
    anywhere.client.set_registered_model_alias(version.name, "champion", "1")

    revocation = anywhere.office.revocation(version)
    anywhere.client.set_model_version_tag(version.name, "1", APPROVAL, revocation)

    assert anywhere.tags(version)["governance.status"] == "rejected"
    assert int(anywhere.client.get_model_version_by_alias(version.name, "champion").version) == 1
    with anywhere.refused("was revoked: leaked training data"):
        anywhere.client.set_registered_model_alias(version.name, "prod", "1")
    with anywhere.refused("final"):
        anywhere.approve(version, issued=now + 60)


def test_a_copy_starts_anew(anywhere):
    text = "mine\n\n<!-- governance: begin -->\napproved\n<!-- governance: end -->"
    version = anywhere.register(description=text, tags={"team": "vision"})
    anywhere.client.update_model_version(version.name, "1", text)
    anywhere.approve(version)
    source = anywhere.client.get_model_version(version.name, "1")

    copy = anywhere.client.copy_model_version(
        f"models:/{version.name}/1", f"{version.name} in production"
    )

    assert copy.tags == {**PENDING, "team": "vision"}
    assert copy.description == "mine"
    with anywhere.refused("status is pending"):
        anywhere.client.set_registered_model_alias(copy.name, "champion", copy.version)
    with anywhere.refused("its name is"):
        anywhere.client.set_model_version_tag(
            copy.name, "1", APPROVAL, source.tags["governance.approval"]
        )


def test_a_model_in_use_keeps_its_name(anywhere):
    version = anywhere.register()
    anywhere.approve(version)
    anywhere.client.set_registered_model_alias(version.name, "champion", "1")

    with anywhere.refused("remove alias 'champion' first"):
        anywhere.client.rename_registered_model(version.name, f"{version.name} b")


def test_a_renamed_model_starts_anew(anywhere):
    version = anywhere.register(tags={"team": "vision"})
    token = anywhere.approve(version)
    anywhere.waive(version)

    anywhere.client.rename_registered_model(version.name, f"{version.name} b")

    renamed = anywhere.client.get_model_version(f"{version.name} b", "1")
    assert renamed.tags == {
        **PENDING, "team": "vision", APPROVAL: token, replaced_tag(token): "renamed",
    }  # fmt: skip
    with anywhere.refused("its name is"):
        anywhere.client.set_registered_model_alias(renamed.name, "champion", "1")


def test_another_name_and_back_does_not_bring_an_older_approval_back(anywhere):
    version = anywhere.register()
    approval = anywhere.approve(version, issued=version.creation_timestamp // 1000 - 60)
    anywhere.approve(version, verdict="rejected")
    there, back = f"{version.name} b", version.name

    anywhere.client.rename_registered_model(back, there)
    anywhere.client.rename_registered_model(there, back)

    with anywhere.refused("a newer statement is accepted"):
        anywhere.client.set_model_version_tag(back, "1", APPROVAL, approval)


def test_another_name_and_back_does_not_bring_the_approval_back(anywhere):
    version = anywhere.register()
    approval = anywhere.approve(version, issued=version.creation_timestamp // 1000 - 60)
    there, back = f"{version.name} b", version.name

    anywhere.client.rename_registered_model(back, there)
    anywhere.client.rename_registered_model(there, back)

    assert anywhere.tags(version)["governance.status"] == "pending"
    with anywhere.refused("replaced when its model was renamed"):
        anywhere.client.set_registered_model_alias(back, "champion", "1")
    with anywhere.refused("replaced when its model was renamed"):
        anywhere.client.set_model_version_tag(back, "1", APPROVAL, approval)
    anywhere.approve(version, replaces=statement_digest(approval))
    anywhere.client.set_registered_model_alias(back, "champion", "1")


def test_what_was_replaced_never_comes_back(anywhere):
    # All of one second, each naming the one of before: no time tells them apart.
    version = anywhere.register()
    first = anywhere.approve(version, verdict="rejected", issued=(now := int(time.time())))
    second = anywhere.approve(version, issued=now, replaces=statement_digest(first))
    third = anywhere.approve(
        version, verdict="running", issued=now, replaces=statement_digest(second)
    )

    for token in (first, second):
        with anywhere.refused("was replaced by the one with sha256"):
            anywhere.client.set_model_version_tag(version.name, "1", APPROVAL, token)
    assert anywhere.tags(version)[replaced_tag(first)] == statement_digest(second)
    assert anywhere.tags(version)[APPROVAL] == third


@pytest.mark.parametrize("replaces", ["0" * 64, statement_digest("another one")])
def test_a_statement_that_replaces_another_than_what_stands_is_refused(anywhere, replaces):
    version = anywhere.register()
    with anywhere.refused("replaces another statement"):
        anywhere.approve(version, replaces=replaces)
    anywhere.approve(version, issued=version.creation_timestamp // 1000 - 10)

    with anywhere.refused("replaces another statement"):
        anywhere.approve(version, verdict="rejected", replaces=replaces)


def test_a_revocation_ends_whatever_stands_by_then(anywhere):
    version = anywhere.register()
    token = anywhere.approve(version, issued=version.creation_timestamp // 1000 - 10)
    revocation = anywhere.office.revocation(version, replaces=statement_digest(token))
    anywhere.approve(version, verdict="running")

    anywhere.client.set_model_version_tag(version.name, "1", APPROVAL, revocation)

    assert anywhere.tags(version)["governance.status"] == "rejected"


def test_a_model_with_a_revoked_version_keeps_its_name(anywhere):
    version = anywhere.register()
    revocation = anywhere.office.revocation(version)
    anywhere.client.set_model_version_tag(version.name, "1", APPROVAL, revocation)

    with anywhere.refused("remove version 1, revoked first"):
        anywhere.client.rename_registered_model(version.name, f"{version.name} b")


def test_an_approval_rests_on_its_waivers(anywhere):
    version = anywhere.register()
    token = anywhere.office.waiver(version)
    digests = (statement_digest(token),)

    with anywhere.refused("1 waivers that do not count"):
        anywhere.approve(version, waivers=digests)
    anywhere.client.set_model_version_tag(version.name, "1", waiver_tag(token), token)
    anywhere.approve(version, waivers=digests)
    anywhere.client.set_registered_model_alias(version.name, "champion", "1")


@pytest.mark.parametrize("who", ["assessor", "stranger"])
def test_only_an_approver_waives(anywhere, tmp_path, who):
    from governance.approval import PrivateKey  # noqa: PLC0415 - beside its use

    version = anywhere.register()
    key = anywhere.office.assessor if who == "assessor" else PrivateKey.new(tmp_path / "x.pem")

    with anywhere.refused("governance.waiver."):
        anywhere.waive(version, key=key)


def test_a_waiver_has_one_place_and_one_version(anywhere):
    first, second = anywhere.register(), anywhere.register()
    token = anywhere.office.waiver(first)
    write = anywhere.client.set_model_version_tag

    with anywhere.refused("is kept under"):
        write(first.name, "1", "governance.waiver.0123456789abcdef", token)
    with anywhere.refused("is kept under"):
        write(first.name, "1", APPROVAL, token)
    with anywhere.refused("its version is '2'"):
        write(second.name, "2", waiver_tag(token), token)


def test_only_the_policy_of_a_model_is_for_everybody(anywhere):
    version = anywhere.register()

    anywhere.client.set_registered_model_tag(version.name, "governance.policy_uri", "runs:/1/p")
    with anywhere.refused("governance.policy_uri"):
        anywhere.client.set_registered_model_tag(version.name, "governance.status", "approved")
    with anywhere.refused("governance.policy_uri"):
        anywhere.client.delete_registered_model_tag(version.name, "governance.status")
    anywhere.client.delete_registered_model_tag(version.name, "governance.policy_uri")


def test_a_model_is_made_without_tags_of_ours(anywhere):
    tags = {"governance.status": "approved", "governance.policy_uri": "x", "a": "b"}

    made = anywhere.client.create_registered_model(f"{anywhere.model} tagged", tags)

    assert made.tags == {"governance.policy_uri": "x", "a": "b"}


def test_prompts_are_none_of_our_business(anywhere):
    name = anywhere.model.replace(" ", "-")
    anywhere.client.register_prompt(name, "Say {{thing}}", tags={"a": "b"})

    anywhere.client.set_prompt_alias(name, "champion", 1)
    anywhere.client.set_prompt_version_tag(name, "1", "governance.status", "mine")

    assert anywhere.client.get_prompt_version_by_alias(name, "champion").template == "Say {{thing}}"


def test_nothing_that_exists_becomes_a_prompt(anywhere):
    version, tag = anywhere.register(), ("mlflow.prompt.is_prompt", "true")

    # MLflow would leave all versions of the model out of its searches, the worker's among them.
    with anywhere.refused("nobody would assess it"):
        anywhere.client.set_model_version_tag(version.name, "1", *tag)
    with anywhere.refused("nobody would assess it"):
        anywhere.client.set_registered_model_tag(version.name, *tag)
    found = anywhere.client.search_model_versions(f"name = '{version.name}'")
    assert [item.version for item in found] == [version.version]


def test_a_prompt_among_the_versions_of_a_model_is_refused(registry):
    from mlflow.entities.model_registry import ModelVersionTag  # noqa: PLC0415 - seconds

    from mlflow_plugins.registry_store import build  # noqa: PLC0415 - seconds

    version, tag = registry.register(), ModelVersionTag("mlflow.prompt.is_prompt", "true")
    store = build(f"governed+sqlite:///{registry.office.folder}/mlflow.db")

    with registry.refused("a prompt is refused"):
        store.create_model_version(version.name, "prompt-template", tags=[tag])
    store.create_model_version(version.name, "a model", tags=[tag])

    assert len(registry.client.search_model_versions(f"name = '{version.name}'")) == 2


def test_a_version_that_does_not_exist_is_not_found(anywhere):
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds

    version = anywhere.register()

    for call in (
        lambda: anywhere.client.set_registered_model_alias(version.name, "champion", "9"),
        lambda: anywhere.client.set_model_version_tag(version.name, "9", APPROVAL, "x"),
    ):
        with pytest.raises(MlflowException) as caught:
            call()
        assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_everything_else_is_as_it_was(anywhere):
    version = anywhere.register(description="a model")
    client = anywhere.client
    anywhere.approve(version)

    client.set_registered_model_alias(version.name, "candidate", "1")
    client.delete_registered_model_alias(version.name, "candidate")
    client.update_registered_model(version.name, "models")
    client.update_model_version(version.name, "1", "another")
    found = client.search_model_versions("tags.`governance.status` = 'approved'")
    assert version.name in {item.name for item in found}
    assert client.get_model_version_download_uri(version.name, "1")
    client.delete_model_version(version.name, "1")
    client.delete_registered_model(version.name)


@pytest.mark.parametrize("prefix", ["api", "ajax-api"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "registered-models/alias", {"alias": "champion", "version": "1"}),
        (
            "POST",
            "model-versions/transition-stage",
            {"version": "1", "stage": "Production", "archive_existing_versions": False},
        ),
        ("POST", "model-versions/set-tag", {"version": "1", "key": APPROVAL, "value": "approved"}),
        ("DELETE", "model-versions/delete-tag", {"version": "1", "key": "governance.status"}),
        ("POST", "registered-models/set-tag", {"key": "governance.status", "value": "approved"}),
    ],
)
def test_clients_and_the_page_are_refused_alike(
    governed_server, anyone, prefix, method, path, body
):
    address, _ = governed_server
    version = anyone.register()

    answer = requests.request(
        method,
        f"{address}/{prefix}/2.0/mlflow/{path}",
        json={"name": version.name, **body},
        timeout=60,
    )

    assert answer.status_code == 403
    assert answer.json()["error_code"] == "PERMISSION_DENIED"
    assert version.name in answer.json()["message"]


@pytest.fixture
def anyone(governed_server, new_registry):
    """The registry as it is seen over HTTP."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    address, office = governed_server
    return new_registry(MlflowClient(address, address), office, address)
