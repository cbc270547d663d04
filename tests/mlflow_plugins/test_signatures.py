"""More than one signature, rings that root keys sign, and statements of other registries."""

import json
import shutil
from datetime import UTC, datetime

import pytest
import sqlalchemy

from governance.approval import Keyring, PrivateKey, countersign
from governance.approval.signed_rings import sign_ring
from governance.approval.tags import APPROVAL
from governance.cli.approvals import ROOT_HEAD, SIGNED
from governance.records.serialisation import canonical

START = datetime(2026, 1, 1, tzinfo=UTC)
BOTH = """keyring = "keyring.toml"
[[registry.signatures]]
for = ["champion", "Production"]
threshold = 2
roles = ["assessor", "approver"]
"""


def put(registry, version, token):
    registry.client.set_model_version_tag(version.name, version.version, APPROVAL, token)


def signatures(registry, version):
    return len(json.loads(registry.tags(version)[APPROVAL])["signatures"])


def test_an_alias_that_needs_two_people_is_set_once_both_have_signed(registry):
    (registry.office.folder / "governance.toml").write_text(BOTH)
    version = registry.register()
    token = registry.approve(version)

    with registry.refused("is signed by worker, and 2 owners", "governance countersign"):
        registry.client.set_registered_model_alias(version.name, "champion", "1")
    with registry.refused("is signed by worker"), pytest.warns(FutureWarning, match="stages"):
        registry.client.transition_model_version_stage(version.name, "1", "Production")
    registry.client.set_registered_model_alias(version.name, "shadow", "1")
    put(registry, version, countersign(token, registry.office.approver))
    registry.client.set_registered_model_alias(version.name, "champion", "1")


def test_sending_the_first_envelope_again_takes_no_signature_away(registry):
    (registry.office.folder / "governance.toml").write_text(BOTH)
    version = registry.register()
    token = registry.approve(version)
    put(registry, version, countersign(token, registry.office.approver))

    put(registry, version, token)

    assert signatures(registry, version) == 2
    registry.client.set_registered_model_alias(version.name, "champion", "1")


def test_a_signature_of_a_stranger_is_not_put_beside_the_others(registry, tmp_path):
    version = registry.register()
    token = registry.approve(version)

    with registry.refused("not in the keyring"):
        put(registry, version, countersign(token, PrivateKey.new(tmp_path / "thief.pem")))
    assert signatures(registry, version) == 1


def test_countersigning_does_not_bring_a_replaced_statement_back(registry):
    version = registry.register()
    token = registry.approve(version)
    registry.approve(version, verdict="rejected")

    with registry.refused("was replaced"):
        put(registry, version, countersign(token, registry.office.approver))
    assert registry.tags(version)["governance.status"] == "rejected"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("for = []\nthreshold = 2", "for"),
        ('for = ["x"]', "threshold"),
        ('for = ["x"]\nthreshold = 0', "threshold"),
        ('for = ["x"]\nthreshold = 1\nroles = ["assessor", "approver"]', "threshold"),
        ('for = ["x"]\nthreshold = 2\nroles = ["root"]', "roles"),
        ('for = ["x"]\nthreshold = 2\nwho = 1', "who"),
    ],
)
def test_a_rule_that_is_wrong_opens_nothing(registry, text, says):
    (registry.office.folder / "governance.toml").write_text(
        f'keyring = "keyring.toml"\n[[registry.signatures]]\n{text}\n'
    )
    version = registry.register()

    with registry.refused(says):
        registry.approve(version)


@pytest.fixture
def rooted(registry):
    """The registry, whose ring a root key has signed; and what signs it again."""
    folder = registry.office.folder
    root = PrivateKey.new(folder / "root.pem")
    public = root.public(owner="security", role="root", not_before=START)
    Keyring.add(folder / "root.toml", public, head=ROOT_HEAD)
    (folder / "governance.toml").write_text('keyring = "root.toml"\n')

    def signs():
        return sign_ring(folder / "keyring.toml", root, folder / SIGNED)

    signs()
    return registry, signs


def test_a_signed_ring_counts_and_an_older_one_does_not(rooted):
    registry, signs = rooted
    folder, version = registry.office.folder, registry.register()
    registry.approve(version)
    shutil.copy(folder / SIGNED, folder / "first.json")
    bob = PrivateKey.new(folder / "bob.pem").public(owner="bob", role="approver", not_before=START)
    Keyring.add(folder / "keyring.toml", bob)
    signs()
    registry.client.set_registered_model_alias(version.name, "champion", "1")

    shutil.copy(folder / "first.json", folder / SIGNED)

    with registry.refused("the keyring has version 1, and version 2 was in use before"):
        registry.client.set_registered_model_alias(version.name, "prod", "1")
    with registry.refused("a later one is accepted"):
        registry.approve(version, verdict="rejected")
    engine = sqlalchemy.create_engine(f"sqlite:///{folder}/mlflow.db")
    with engine.connect() as connection:
        rows = connection.execute(
            sqlalchemy.text("SELECT version FROM governance_audit WHERE action = 'keyring'")
        )
        assert [row.version for row in rows] == ["1", "2"]
    engine.dispose()


def test_a_ring_that_was_changed_without_a_root_key_opens_nothing(rooted):
    registry, _ = rooted
    folder, version = registry.office.folder, registry.register()
    data = json.loads((folder / SIGNED).read_text())
    (folder / SIGNED).write_text(json.dumps({**data, "signatures": [
        {**data["signatures"][0], "sig": "AAAA"}
    ]}))  # fmt: skip

    with registry.refused("not made by the key"):
        registry.approve(version)


def test_a_statement_of_staging_is_nothing_in_production(registry):
    ring = registry.office.folder / "keyring.toml"
    ring.write_text(f'registry = "production"\n{ring.read_text()}')
    version = registry.register()

    with registry.refused("its registry is 'production' and the statement is about ''"):
        registry.approve(version)
    with registry.refused("about 'staging'"):
        registry.approve(version, registry="staging")
    registry.approve(version, registry="production")
    registry.client.set_registered_model_alias(version.name, "champion", "1")


def test_a_token_of_earlier_releases_is_refused_as_such(registry):
    import base64  # noqa: PLC0415 - beside its use

    version = registry.register()
    payload = canonical({"kind": "verdict", "verdict": "approved", "name": version.name})
    parts = (payload, registry.office.assessor.sign(payload))
    token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)

    with registry.refused("not signed in a form that counts"):
        put(registry, version, token)
