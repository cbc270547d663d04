"""The table of the lifecycle, walked against what a governed registry really does."""

import shutil
import time
from contextlib import nullcontext

import pytest

from governance.approval import decode, sign, statement_digest, waiver_tag
from governance.approval.lifecycle import LIFECYCLE, SIGNERS, step_of
from governance.approval.tags import APPROVAL, STATUS

AGE = 5_000  # seconds since the statement was issued on which a version stands
VERDICTS = ("approved", "rejected", "review", "undetermined")
PROGRESS = ("pending", "running")
STATEMENTS = (*VERDICTS, *PROGRESS, "revocation", "waiver")
#: How long after the statement that stands another one was issued, in seconds.
AGES = {"before": -1, "same second": 0, "after": 1}


#: Of two statements of one second, the one further to the right stands.
STRICTER = ("running", "pending", "approved", "review", "undetermined", "rejected", "revocation")


def naive(state, statement, age, *, greater):
    """What the documentation promises, told again without the table.

    Args:
        state: Of the version.
        statement: What is to follow.
        age: When it was issued, compared to what stands.
        greater: Whether its sha256 is the greater one, which decides where nothing else does.
    """
    if statement == "waiver":
        return True
    if state == "revoked" or age == "before":
        return False
    stands = {"expired": "approved"}.get(state, state)
    if age == "same second" and stands != statement:
        return STRICTER.index(statement) > STRICTER.index(stands)
    return age == "after" or greater


def token_of(office, version, statement, issued, **changes):
    if statement == "waiver":
        return office.waiver(version, issued=issued, **changes)
    if statement == "revocation":
        return office.revocation(version, issued=issued, **changes)
    return office.verdict(version, verdict=statement, issued=issued, **changes)


@pytest.fixture(scope="module")
def place(migrated_store, tmp_path_factory, new_office, new_registry):
    """A governed registry, and a client of the same database that nothing holds back."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    folder = tmp_path_factory.mktemp("lifecycle")
    shutil.copy(migrated_store, folder / "mlflow.db")
    uri, office = f"sqlite:///{folder}/mlflow.db", new_office(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        governed = MlflowClient(tracking_uri=uri, registry_uri=f"governed+{uri}")
        governed.search_registered_models(max_results=1)
        yield new_registry(governed, office), MlflowClient(tracking_uri=uri, registry_uri=uri)


def standing_in(state, place, name=None):
    """A version in a state, and the second in which its statement was issued."""
    registry, plain = place
    now = int(time.time())
    version, issued = registry.register(name), now - AGE
    statement = {"revoked": "revocation", "expired": "approved"}.get(state, state)
    changes = {"expires": now - 1} if state == "expired" else {}
    token = token_of(registry.office, version, statement, issued, **changes)
    # Past the conditions of the registry: what expired cannot be put there any more.
    plain.set_model_version_tag(version.name, version.version, APPROVAL, token)
    status = LIFECYCLE[state].status or "approved"
    plain.set_model_version_tag(version.name, version.version, STATUS, status)
    return version, issued, status, token


@pytest.mark.slow
@pytest.mark.parametrize("state", LIFECYCLE)
@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("age", AGES)
def test_a_statement_follows_where_the_table_says_so(place, state, statement, age):
    registry, _ = place
    version, issued, before, held = standing_in(state, place)
    # The very statement that stands is accepted again, so this one ends at another time.
    changes = {"expires": int(time.time()) + 2_000}
    token = token_of(registry.office, version, statement, issued + AGES[age], **changes)
    kind = statement if statement in {"waiver", "revocation"} else "verdict"
    order = LIFECYCLE[state].follow[step_of(kind, statement if kind == "verdict" else None)]
    greater = statement_digest(token) > statement_digest(held)
    expected = naive(state, statement, age, greater=greater)
    assert order == (
        "always" if statement == "waiver" else "never" if state == "revoked" else "after"
    )

    key = waiver_tag(token) if kind == "waiver" else APPROVAL
    after = {"revocation": "rejected", "waiver": before}.get(statement, statement)
    with nullcontext() if expected else registry.refused():
        registry.client.set_model_version_tag(version.name, version.version, key, token)
    assert registry.tags(version)[STATUS] == (after if expected else before)


@pytest.mark.parametrize("state", [state for state in LIFECYCLE if state != "revoked"])
@pytest.mark.parametrize("statement", [item for item in STATEMENTS if item != "waiver"])
def test_a_statement_that_names_what_it_replaces_follows_within_the_second(place, state, statement):
    registry, _ = place
    version, issued, _, held = standing_in(state, place)
    changes = {"expires": int(time.time()) + 2_000, "replaces": statement_digest(held)}

    token = token_of(registry.office, version, statement, issued, **changes)
    registry.client.set_model_version_tag(version.name, version.version, APPROVAL, token)

    assert registry.tags(version)[APPROVAL] == token


@pytest.mark.parametrize("state", LIFECYCLE)
def test_a_new_name_takes_a_version_where_the_table_says_so(place, state):
    registry, _ = place
    version, *_ = standing_in(state, place, f"named {state}")

    if LIFECYCLE[state].renamed is None:
        with registry.refused("remove version 1, revoked"):
            registry.client.rename_registered_model(version.name, f"renamed {state}")
    else:
        registry.client.rename_registered_model(version.name, f"renamed {state}")
        renamed = registry.client.get_model_version(f"renamed {state}", "1")
        assert renamed.tags[STATUS] == LIFECYCLE[state].renamed


@pytest.mark.parametrize("role", ["assessor", "approver"])
@pytest.mark.parametrize("statement", STATEMENTS)
def test_only_the_role_of_the_table_moves_a_version(place, statement, role):
    registry, _ = place
    version, issued, *_ = standing_in("running", place)
    office = registry.office
    kind = statement if statement in {"waiver", "revocation"} else "verdict"
    signed = decode(token_of(office, version, statement, issued + 1))
    token = sign(signed, office.assessor if role == "assessor" else office.approver)
    key = waiver_tag(token) if kind == "waiver" else APPROVAL

    if role == SIGNERS[kind]:
        registry.client.set_model_version_tag(version.name, version.version, key, token)
    else:
        with registry.refused(f"of the role {SIGNERS[kind]} is accepted"):
            registry.client.set_model_version_tag(version.name, version.version, key, token)
