"""Rules that are wrong, keys that are exchanged, and what is written down: in this process."""

import os
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from governance.approval import PrivateKey, statement_digest
from governance.approval.tags import APPROVAL

OTHER = "sha256:" + "f" * 64


def change(path, text):
    """Write a file so that it is seen to be new, even within one tick of the clock."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def audited(registry):
    """All entries of the audit."""
    engine = sqlalchemy.create_engine(f"sqlite:///{registry.office.folder}/mlflow.db")
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT * FROM governance_audit")).mappings()
        found = [dict(row) for row in rows]
    engine.dispose()
    return found


@pytest.mark.parametrize("missing", ["governance.toml", "keyring.toml"])
def test_without_rules_or_keys_nothing_protected_is_done(registry, missing):
    version = registry.register()
    registry.approve(version)
    (registry.office.folder / missing).unlink()

    with registry.refused(missing):
        registry.client.set_registered_model_alias(version.name, "champion", "1")
    with registry.refused(missing):
        registry.approve(version, issued=version.creation_timestamp // 1000 + 60)
    assert registry.register().tags == {"governance.status": "pending"}


def test_a_broken_ring_opens_nothing(registry):
    version = registry.register()
    change(registry.office.folder / "keyring.toml", "[[keys]]\npublic = 3\n")

    with registry.refused("keyring.toml"):
        registry.approve(version)


def test_a_revoked_key_takes_its_approvals_with_it(registry):
    version = registry.register()
    registry.approve(version)
    registry.client.set_registered_model_alias(version.name, "champion", "1")
    ring = registry.office.folder / "keyring.toml"
    first, second = ring.read_text().split("[[keys]]")[1:]
    change(ring, f"[[keys]]{first}revoked = 2026-11-01T00:00:00Z\n[[keys]]{second}")

    with registry.refused("was revoked"):
        registry.client.set_registered_model_alias(version.name, "prod", "1")


def test_a_key_is_exchanged_without_a_gap(registry):
    version = registry.register()
    registry.approve(version)
    fresh = PrivateKey.new(registry.office.folder / "fresh.pem")
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    ring = registry.office.folder / "keyring.toml"
    added = fresh.public(owner="worker", role="assessor", not_before=start).toml()
    change(ring, f"{ring.read_text()}\n{added}")

    other = registry.register()
    registry.approve(other, key=fresh)

    for item in (version, other):
        registry.client.set_registered_model_alias(item.name, f"v{item.version}x", item.version)


def test_only_accepted_policies_count(registry):
    first, second = registry.register(), registry.register()
    registry.approve(first)
    rules = registry.office.folder / "governance.toml"
    change(rules, f'keyring = "keyring.toml"\n[registry]\npolicies = ["{OTHER}"]\n')

    with registry.refused("a policy that this registry does not accept"):
        registry.client.set_registered_model_alias(first.name, "champion", "1")
    with registry.refused("a policy that this registry does not accept"):
        registry.approve(second)
    registry.approve(second, policy_digest=OTHER)
    registry.client.set_registered_model_alias(second.name, "champion", "2")


def test_a_title_that_is_another_policys_digest_does_not_count(registry):
    version = registry.register()
    rules = registry.office.folder / "governance.toml"
    change(rules, f'keyring = "keyring.toml"\n[registry]\npolicies = ["{OTHER}", "Strict"]\n')

    with registry.refused("a policy that this registry does not accept"):
        registry.approve(version, policy_title=OTHER)
    registry.approve(version)


def test_an_approval_ends_with_a_waiver_it_rests_on(registry, monkeypatch):
    version = registry.register()
    now = version.creation_timestamp // 1000
    token = registry.waive(version, expires=now + 600)
    registry.approve(version, waivers=(statement_digest(token),), expires=now + 10_000)
    registry.client.set_registered_model_alias(version.name, "champion", "1")

    monkeypatch.setattr("time.time", lambda: now + 601.0)

    with registry.refused("waivers that do not count", "expired"):
        registry.client.set_registered_model_alias(version.name, "prod", "1")


def test_an_approval_ends(registry, monkeypatch):
    version = registry.register()
    now = version.creation_timestamp // 1000
    registry.approve(version, expires=now + 600)

    monkeypatch.setattr("time.time", lambda: now + 600.0)

    with registry.refused("expired", "governance assess"):
        registry.client.set_registered_model_alias(version.name, "champion", "1")


def test_who_made_a_version_does_not_waive_for_it(registry, monkeypatch):
    monkeypatch.setattr("mlflow_plugins.governed._user", lambda: "ann")
    version = registry.register()

    assert version.tags == {"governance.status": "pending", "governance.author": "ann"}
    with registry.refused("given by someone else", "to ann"):
        registry.waive(version)


CHANGES = {
    "alias": lambda client, name: client.set_registered_model_alias(name, "champion", "1"),
    "stage": lambda client, name: client.transition_model_version_stage(name, "1", "Production"),
    "no alias": lambda client, name: client.delete_registered_model_alias(name, "champion"),
    "name": lambda client, name: client.rename_registered_model(name, f"{name} b"),
    "no version": lambda client, name: client.delete_model_version(name, "1"),
    "no model": lambda client, name: client.delete_registered_model(name),
}


@pytest.fixture
def commits(registry):
    """The number of transactions in which something was written so far."""
    from mlflow.store.model_registry.sqlalchemy_store import (  # noqa: PLC0415 - seconds
        SqlAlchemyStore,
    )

    engine = SqlAlchemyStore._engine_map[f"sqlite:///{registry.office.folder}/mlflow.db"]
    written, seen = set(), []

    def note(connection, _cursor, statement, *_):
        if statement.split()[0] in {"INSERT", "UPDATE", "DELETE"}:
            written.add(connection)

    def count(connection):
        if connection in written:
            written.discard(connection)
            seen.append(connection)

    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    sqlalchemy.event.listen(engine, "commit", count)
    yield lambda: len(seen)
    sqlalchemy.event.remove(engine, "before_cursor_execute", note)
    sqlalchemy.event.remove(engine, "commit", count)


@pytest.mark.filterwarnings("ignore:.*stage.*:FutureWarning")
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_its_tags_and_its_entry_in_the_audit_are_one_transaction(
    registry, commits, change
):
    version = registry.register()
    registry.approve(version)
    if change == "no alias":
        registry.client.set_registered_model_alias(version.name, "champion", "1")
    before = commits()

    CHANGES[change](registry.client, version.name)

    assert commits() == before + 1


def test_a_statement_and_all_that_follows_from_it_are_one_transaction(registry, commits):
    version = registry.register()
    before = commits()

    registry.approve(version)

    assert commits() == before + 1


def test_a_change_that_fails_leaves_no_entry_in_the_audit(registry):
    version, other = registry.register("one"), registry.register("another")
    registry.approve(version)
    before = len(audited(registry))

    with pytest.raises(MlflowException, match="already exists"):
        registry.client.rename_registered_model(version.name, other.name)

    assert len(audited(registry)) == before
    assert registry.tags(version)["governance.status"] == "approved"


def test_each_decision_is_written_down(registry, monkeypatch):
    monkeypatch.setattr("mlflow_plugins.governed._user", lambda: "ben")
    version = registry.register()
    with registry.refused():
        registry.client.set_registered_model_alias(version.name, "champion", "1")
    token = registry.approve(version)
    registry.client.set_registered_model_alias(version.name, "champion", "1")
    with registry.refused():
        registry.client.delete_model_version_tag(version.name, "1", APPROVAL)
    registry.client.delete_registered_model_alias(version.name, "champion")
    registry.client.delete_model_version(version.name, "1")

    entries = audited(registry)

    assert [(item["action"], item["alias"], item["outcome"]) for item in entries] == [
        ("set_registered_model_alias", "champion", "refused"),
        ("set_model_version_tag", APPROVAL, "allowed"),
        ("set_registered_model_alias", "champion", "allowed"),
        ("delete_model_version_tag", APPROVAL, "refused"),
        ("delete_registered_model_alias", "champion", "allowed"),
        ("delete_model_version", None, "allowed"),
    ]
    assert {
        (item["user"], item["model"], item["version"], item["created"]) for item in entries
    } == {("ben", version.name, "1", version.creation_timestamp)}
    assert [item["token"] for item in entries[:3]] == [
        None, statement_digest(token), statement_digest(token),
    ]  # fmt: skip


def test_what_cannot_be_written_down_is_not_done(registry):
    version = registry.register()
    registry.approve(version)
    engine = sqlalchemy.create_engine(f"sqlite:///{registry.office.folder}/mlflow.db")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE governance_audit"))
    engine.dispose()

    with registry.refused("audit cannot be written"):
        registry.client.set_registered_model_alias(version.name, "champion", "1")
    assert registry.client.get_registered_model(version.name).aliases == {}


def test_the_audit_may_lie_elsewhere(migrated_store, registry, monkeypatch, tmp_path):
    text = f'keyring = "keyring.toml"\n[registry]\naudit = "sqlite:///{tmp_path}/elsewhere.db"\n'
    change(registry.office.folder / "governance.toml", text)
    from mlflow_plugins.registry_store import build  # noqa: PLC0415 - seconds

    store = build(f"governed+sqlite:///{tmp_path}/mlflow.db")
    store.create_registered_model("m")
    store.create_model_version("m", "source")
    with registry.refused():
        store.set_registered_model_alias("m", "champion", "1")

    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/elsewhere.db")
    with engine.connect() as connection:
        query = sqlalchemy.text("SELECT count(*) FROM governance_audit")
        assert connection.execute(query).scalar() == 1
    engine.dispose()


@pytest.mark.slow
def test_a_plain_client_goes_past_all_this(registry):
    # Said in the threat model: who has the database has the registry; the worker's sweep tells.
    version = registry.register()
    plain = MlflowClient(registry_uri=f"sqlite:///{registry.office.folder}/mlflow.db")

    plain.set_registered_model_alias(version.name, "champion", "1")

    assert registry.client.get_registered_model(version.name).aliases == {"champion": 1}
