import pytest
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from mlflow_plugins.audit import TABLE, AuditEntry, append, prepare

ENTRY = AuditEntry(
    action="set_registered_model_alias", model="m", outcome="refused", reason="no approval",
    user="ann", version="1", created=7, alias="champion", token="0" * 64,
)  # fmt: skip


def everything(engine):
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(TABLE.select()).mappings()]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request, tmp_path):
    if request.param == "sqlite":
        engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/audit.db")
    else:
        engine = sqlalchemy.create_engine(request.getfixturevalue("governed_postgresql")[0])
    yield engine
    engine.dispose()


def test_what_is_written_down_stays(engine):
    prepare(engine)
    before = len(everything(engine))

    append(engine, ENTRY)
    prepare(engine)
    append(engine, ENTRY)

    first, second = everything(engine)[before:]
    assert first["id"] < second["id"]
    assert first["time"].startswith("20")
    assert first["time"].endswith("+00:00")
    assert {key: first[key] for key in ("user", "alias", "created", "token", "outcome")} == {
        "user": "ann", "alias": "champion", "created": 7, "token": "0" * 64, "outcome": "refused",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    ["UPDATE governance_audit SET outcome = 'allowed'", "DELETE FROM governance_audit"],
)
def test_nothing_is_changed_or_deleted(engine, change):
    prepare(engine)
    append(engine, ENTRY)
    before = everything(engine)

    with pytest.raises(SQLAlchemyError, match="append-only"), engine.begin() as connection:
        connection.execute(sqlalchemy.text(change))
    assert everything(engine) == before


@pytest.mark.postgresql
def test_nothing_is_truncated(governed_postgresql):
    engine = sqlalchemy.create_engine(governed_postgresql[0])
    prepare(engine)
    append(engine, ENTRY)

    with pytest.raises(SQLAlchemyError, match="append-only"), engine.begin() as connection:
        connection.execute(sqlalchemy.text("TRUNCATE governance_audit"))
    engine.dispose()


def test_a_hostile_text_is_kept_as_far_as_there_is_room(engine):
    prepare(engine)

    append(
        engine, AuditEntry(action="a", model="m\0" * 300, outcome="refused", reason="'; --" * 999)
    )

    last = everything(engine)[-1]
    assert len(last["model"]) == 256
    assert len(last["reason"]) == 2000
