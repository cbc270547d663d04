"""Names, numbers and tags in requests that look like others, or are no such thing."""

import pytest
from mlflow.exceptions import MlflowException

from governance.approval.tags import APPROVAL, BEGIN, END

STATUS = "g\u043evernance.status"
TAGS = [
    STATUS,
    "governance\u200b.status",
    "\uff27overnance.status",
    "\U0001d420overnance.status",
    "govemance.status",
]


@pytest.mark.parametrize("key", TAGS)
def test_a_tag_that_looks_like_ours_is_refused_and_may_be_deleted(registry, key):
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    version = registry.register(tags={key: "approved", "mine": "x"})
    client = registry.client

    assert version.tags == {"governance.status": "pending", "mine": "x"}
    with registry.refused("is refused"):
        client.set_model_version_tag(version.name, "1", key, "approved")
    with registry.refused("is refused"):
        client.set_registered_model_tag(version.name, key, "approved")
    # as it was set before the plug-in; MLflow itself takes no characters without width
    plain = MlflowClient(*[f"sqlite:///{registry.office.folder}/mlflow.db"] * 2)
    if key in {STATUS, "govemance.status"}:
        plain.set_registered_model_tag(version.name, key, "approved")
        plain.set_model_version_tag(version.name, "1", key, "approved")
        client.delete_registered_model_tag(version.name, key)
        client.delete_model_version_tag(version.name, "1", key)
        assert client.get_model_version(version.name, "1").tags == version.tags
        assert client.get_registered_model(version.name).tags == {}


def test_an_alias_that_looks_like_a_protected_one_is_protected(registry):
    rules = registry.office.folder / "governance.toml"
    rules.write_text('keyring = "keyring.toml"\n[registry]\naliases = ["champion", "prod*"]\n')
    version = registry.register()
    likes = [
        "champi\u043en", "CHAMPION", "Ch\u00e1mpion", "\uff43hampion",
        "cham\u0440ion", "\u0440rod-eu", "pr0d", "champ1on",
    ]  # fmt: skip

    for alias in likes:
        with registry.refused("the protected alias"):
            registry.client.set_registered_model_alias(version.name, alias, "1")
    registry.client.set_registered_model_alias(version.name, "campion", "1")
    registry.approve(version)
    for alias in likes:
        registry.client.set_registered_model_alias(version.name, alias, "1")


def test_an_exception_is_for_the_alias_as_it_is_written(registry):
    version = registry.register()

    registry.client.set_registered_model_alias(version.name, "candidate", "1")
    for alias in ("c\u0430ndidate", "Candidate"):
        with registry.refused("the protected alias"):
            registry.client.set_registered_model_alias(version.name, alias, "1")


def test_a_model_does_not_get_the_looks_of_another(registry):
    client = registry.client
    client.create_registered_model("retina")
    client.create_registered_model("other")

    for name in ("retin\u0430", "retina\u200b", "r\u00e9tina", "\uff52etina"):
        with registry.refused("looks like that of models:/retina"):
            client.create_registered_model(name)
        with registry.refused("looks like that of models:/retina"):
            client.rename_registered_model("other", name)
    for name in ("Retina", "retinal", "\u043c\u043e\u0434\u0435\u043b\u044c"):
        client.create_registered_model(name)
    with pytest.raises(MlflowException) as caught:
        client.create_registered_model("retina")
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"


#: Every way to name a version over HTTP: method, path, and where the number stands.
WAYS = [
    ("GET", "model-versions/get", {}),
    ("GET", "model-versions/get-download-uri", {}),
    ("PATCH", "model-versions/update", {"description": "x"}),
    ("DELETE", "model-versions/delete", {}),
    ("POST", "model-versions/transition-stage",
     {"stage": "Production", "archive_existing_versions": False}),
    ("POST", "model-versions/transition-stage",
     {"stage": "Archived", "archive_existing_versions": False}),
    ("POST", "model-versions/set-tag", {"key": "a", "value": "b"}),
    ("POST", "model-versions/set-tag", {"key": APPROVAL, "value": "b"}),
    ("DELETE", "model-versions/delete-tag", {"key": "a"}),
    ("DELETE", "model-versions/delete-tag", {"key": APPROVAL}),
    ("POST", "registered-models/alias", {"alias": "champion"}),
    ("POST", "registered-models/alias", {"alias": "candidate"}),
]  # fmt: skip


@pytest.mark.parametrize("number", ["9" * 22, "-" + "9" * 22, "9" * 5000, "1.5", "", "one"])
def test_a_number_that_is_no_version_is_answered_as_mlflow_answers(served, registry, number):
    version = registry.register()
    client = served()
    for method, path, more in WAYS:
        about = {"name": version.name, "version": number, **more}
        options = {"query_string": about} if method == "GET" else {"json": about}
        answer = client.open(f"/api/2.0/mlflow/{path}", method=method, **options)
        assert answer.status_code in {400, 403, 404}, (path, answer.json)
    about = {"name": version.name, "version": number, "path": "MLmodel"}
    assert client.get("/model-versions/get-artifact", query_string=about).status_code < 500
    for text in (f"version_number = {number}", f"version_number > {number}"):
        answer = client.get("/api/2.0/mlflow/model-versions/search", query_string={"filter": text})
        assert answer.status_code < 500, answer.json
    copied = {"name": version.name, "source": f"models:/{version.name}/{number}"}
    answer = client.post("/api/2.0/mlflow/model-versions/create", json=copied)
    assert 400 <= answer.status_code < 500, answer.json
    assert registry.tags(version) == {"governance.status": "pending"}


@pytest.mark.postgresql
def test_on_postgresql_too(on_postgresql):
    version = on_postgresql.register()
    number, client = "9" * 22, on_postgresql.client

    for ask in (
        lambda: client.get_model_version(version.name, number),
        lambda: client.set_model_version_tag(version.name, number, "a", "b"),
        lambda: client.set_registered_model_alias(version.name, "champion", number),
        lambda: client.delete_model_version(version.name, number),
    ):
        with pytest.raises(MlflowException) as caught:
            ask()
        assert 400 <= caught.value.get_http_status_code() < 500


def block(verdict):
    """A summary as an assessment writes it."""
    return f"Governance: {verdict}. So it is.\n{BEGIN}\nBy the policy Strict\n{END}"


def description(registry, version):
    return registry.client.get_model_version(version.name, version.version).description


def test_a_description_claims_no_verdict_that_does_not_stand(registry):
    version = registry.register(description=f"mine\n\n{block('approved')}")
    client, name = registry.client, version.name
    assert version.description == "mine"

    for text in (
        block("approved"),
        "Governance: approved.",
        "**G\u043evernance: approved**",
        "# Governance: approved",
    ):
        with registry.refused("claims the verdict approved", "the status is pending"):
            client.update_model_version(name, "1", text)
        with registry.refused("claims the verdict approved"):
            client.update_registered_model(name, text)
        with registry.refused("claims the verdict approved"):
            client.create_registered_model(f"{name} other", description=text)
    with registry.refused("claims the verdict rejected"):
        registry.register(description="**Governance: rejected**")
    client.update_model_version(name, "1", "the committee approved this on Monday")
    assert registry.client.search_registered_models(f"name = '{name} other'") == []


def test_the_description_of_a_model_takes_our_lines_and_no_verdict_among_them(registry):
    version = registry.register()
    client, name = registry.client, version.name
    said = "Governance: version 1 was assessed last, by the policy Strict."
    client.update_registered_model(name, f"mine\n\n{said}\n{BEGIN}\nno verdict\n{END}")
    for inside in ("Governance: approved.", "<b>Governance: approved</b>"):
        with registry.refused("claims the verdict approved"):
            client.update_registered_model(name, f"{said}\n{BEGIN}\n{inside}\n{END}")
    assert client.get_registered_model(name).description.startswith("mine")


def test_a_summary_is_written_while_a_version_is_assessed_and_goes_with_its_verdict(registry):
    version = registry.register()
    client, name, start = registry.client, version.name, version.creation_timestamp // 1000
    # an assessment writes its summary, then its verdict
    registry.approve(version, verdict="running", issued=start - 9)
    client.update_model_version(name, "1", f"mine\n\n{block('approved')}")
    registry.approve(version, issued=start - 8)
    assert "approved" in description(registry, version)
    # people write around it, and a later verdict takes it away
    client.update_model_version(name, "1", f"mine, too\n\n{block('approved')}")
    with registry.refused("claims the verdict review", "the status is approved"):
        client.update_model_version(name, "1", block("review"))
    registry.approve(version, verdict="running", issued=start - 7)
    assert "approved" in description(registry, version)
    client.update_model_version(name, "1", f"mine, too\n\n{block('undetermined')}")
    registry.approve(version, verdict="rejected", issued=start - 6)
    assert description(registry, version) == "mine, too"


def test_a_revocation_and_a_new_name_take_the_summary_away(registry):
    for change in ("revocation", "rename"):
        version = registry.register(f"{change} {registry.model}")
        start = version.creation_timestamp // 1000
        registry.approve(version, issued=start - 9)
        registry.client.update_model_version(version.name, "1", f"mine\n\n{block('approved')}")
        name = version.name
        if change == "revocation":
            token = registry.office.revocation(version)
            registry.client.set_model_version_tag(name, "1", APPROVAL, token)
        else:
            name = f"{version.name} new"
            about = (
                f"ours\n\nGovernance: version 1 was assessed last.\n{BEGIN}\n[1](#/models)\n{END}"
            )
            registry.client.update_registered_model(version.name, about)
            registry.client.rename_registered_model(version.name, name)
            assert registry.client.get_registered_model(name).description == "ours"
        assert registry.client.get_model_version(name, "1").description == "mine"
