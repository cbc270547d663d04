"""The audit is read by what is asked for, and nothing is written to its database."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import servers
import sqlalchemy

from governance.errors import RegistryError, SubjectError
from governance.registry.audit import FIELDS, Wanted, counts, entries, reading
from mlflow_plugins.audit import TABLE, AuditEntry, append, prepare


def filled(url):
    """The URL of an audit, after three decisions."""
    engine = sqlalchemy.create_engine(url)
    prepare(engine)
    alias = "set_registered_model_alias"
    for entry in (
        AuditEntry(action=alias, model="m", version="1", outcome="refused", reason="", user="ann"),
        AuditEntry(action=alias, model="m", version="2", outcome="allowed", reason="yes"),
        AuditEntry(action="rename_registered_model", model="n\n", outcome="refused", reason="ü"),
    ):
        append(engine, entry)
    engine.dispose()
    return url


@pytest.fixture
def database(tmp_path):
    """The URL of an audit with three decisions."""
    return filled(f"sqlite:///{tmp_path}/a b.db")


@pytest.mark.postgresql
def test_on_postgresql_it_is_read_alike_and_nothing_can_be_written(tmp_path):
    with servers.postgresql(tmp_path) as place:
        database = filled(f"postgresql+pg8000://{place}")

        assert [row["id"] for row in entries(database, Wanted(outcome="refused"))] == [1, 3]
        assert [row["id"] for row in entries(database, Wanted(), last=2)] == [2, 3]
        assert sum(row["number"] for row in counts(database, Wanted(model="m"))) == 2
        with (
            pytest.raises(RegistryError, match="cannot be read"),
            reading(database) as connection,
        ):
            connection.execute(sqlalchemy.text("DROP TABLE governance_audit"))


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({}, [1, 2, 3]),
        ({"model": "m"}, [1, 2]),
        ({"version": "2"}, [2]),
        ({"user": "ann"}, [1]),
        ({"action": "rename_registered_model"}, [3]),
        ({"outcome": "refused"}, [1, 3]),
        ({"since": datetime.now(UTC) + timedelta(days=1)}, []),
        ({"until": datetime.now(UTC) - timedelta(days=1)}, []),
        ({"since": datetime.now(UTC) - timedelta(days=1)}, [1, 2, 3]),
        ({"model": "m' OR '1'='1"}, []),
    ],
    ids=lambda item: str(item)[:20],
)
def test_only_what_is_asked_for_is_told(database, wanted, ids):
    assert [row["id"] for row in entries(database, Wanted(**wanted))] == ids


def test_the_last_ones_come_in_their_order(database):
    assert [row["id"] for row in entries(database, Wanted(), last=2)] == [2, 3]


def test_decisions_are_counted_by_kind(database):
    found = [(row["model"], row["outcome"], row["number"]) for row in counts(database, Wanted())]

    assert found == [("m", "allowed", 1), ("m", "refused", 1), ("n\n", "refused", 1)]


def test_nothing_can_be_written(database):
    with (
        pytest.raises(RegistryError, match="cannot be read"),
        reading(database) as connection,
    ):
        connection.execute(sqlalchemy.text("INSERT INTO governance_audit (id) VALUES (9)"))


def test_a_database_that_is_missing_is_not_made(tmp_path):
    with pytest.raises(RegistryError, match="cannot be read"):
        list(entries(f"sqlite:///{tmp_path}/none.db", Wanted()))
    assert not (tmp_path / "none.db").exists()


def test_a_password_is_not_told():
    with pytest.raises(RegistryError) as caught:
        list(entries("postgresql+pg8000://ann:hidden@127.0.0.1:1/x", Wanted()))
    assert "hidden" not in str(caught.value)
    with pytest.raises(SubjectError, match="no URL"):
        list(entries("hidden", Wanted()))


def test_the_columns_are_those_that_the_server_writes():
    assert {column.name for column in TABLE.columns} == set(FIELDS)


def test_an_export_holds_one_decision_a_line_and_overwrites_nothing(governance, tmp_path):
    database = f"sqlite:///{tmp_path}/audit.db"
    engine = sqlalchemy.create_engine(database)
    prepare(engine)
    for _ in range(3):
        append(engine, AuditEntry(action="a", model="m\n", outcome="refused", reason="r"))
    engine.dispose()
    file = tmp_path / "audit.jsonl"

    first = governance("audit", "--audit", database, "--export", file)
    second = governance("audit", "--audit", database, "--export", file)

    assert first.code == 0
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == [1, 2, 3]
    assert second.code == 2
    assert "a new file is accepted" in second.err


def test_a_list_shows_every_decision_on_its_line(governance, tmp_path):
    database = f"sqlite:///{tmp_path}/audit.db"
    engine = sqlalchemy.create_engine(database)
    prepare(engine)
    append(engine, AuditEntry(action="a", model="[red]m", outcome="refused", reason="why not"))
    engine.dispose()

    shown = governance("audit", "--audit", database)
    counted = governance("audit", "--audit", database, "--count", "--json")

    assert "[red]m" in shown.out
    assert "why not" in shown.out
    assert json.loads(counted.out)["counts"] == [
        {"model": "[red]m", "action": "a", "outcome": "refused", "number": 1}
    ]
