"""Canary: a test model on which the doctor tries everything that the server should refuse."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from governance.registry.doctor.observation import Observation, ok, problem, warning
from governance.registry.versions import APPROVAL, PENDING, STATUS

__all__ = ["canary"]

#: Nothing is there, and nothing is read from it.
SOURCE = "s3://governance-doctor/nothing"
DENIED = "PERMISSION_DENIED"
#: The tag of the status with a Cyrillic letter, and the first line of a summary that nobody earned.
LOOKALIKE, SUMMARY = STATUS.replace("o", "\u043e"), "**Governance: approved**"
CURE = (
    "start the server with --registry-store-uri governed+<the plain URI>, with mlflow-governance "
    "installed beside it and governance.toml in its working directory"
)


def canary(server: str, alias: str, stage: str) -> tuple[Observation, ...]:
    """What the server lets through on a model without any assessment.

    Args:
        server: Address of the server.
        alias: Alias that should be protected.
        stage: Stage that should be protected.

    Returns:
        One observation per trial, and one if the test model could not be removed.
    """
    # The server's own registry, whatever MLFLOW_REGISTRY_URI says.
    client = MlflowClient(server, server)
    left: list[Observation] = []
    try:
        with _made(client, left) as (name, number):
            return (*_tried(client, name, number, alias, stage), *left)
    except MlflowException as error:
        return (
            warning(
                "canary",
                f"no test model could be registered: {_short(error)}",
                "run the doctor as a user that may create registered models",
            ),
            *left,
        )


@contextmanager
def _made(client: MlflowClient, left: list[Observation]) -> Iterator[tuple[str, str]]:
    name = f"governance-doctor-{uuid4().hex[:12]}"
    client.create_registered_model(
        name, description="Made by `governance doctor`, which deletes it again."
    )
    try:
        made = client.create_model_version(
            name, SOURCE, tags={STATUS: "approved"}, await_creation_for=0
        )
        yield name, str(made.version)
    finally:
        try:
            client.delete_registered_model(name)
        except MlflowException as error:
            left.append(
                warning(
                    "canary",
                    f"the registered model {name} is left behind: {_short(error)}",
                    f"delete the registered model {name}",
                )
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Something that should be refused."""

    about: str
    doing: str
    attempt: Callable[[], object]


def _tried(
    client: MlflowClient, name: str, number: str, alias: str, stage: str
) -> tuple[Observation, ...]:
    trials = (
        Trial(
            about="forged verdict",
            doing=f"setting the tag {STATUS} to approved",
            attempt=lambda: client.set_model_version_tag(name, number, STATUS, "approved"),
        ),
        Trial(
            about="forged approval",
            doing=f"setting the tag {APPROVAL} to a token nobody signed",
            attempt=lambda: client.set_model_version_tag(name, number, APPROVAL, "e30.e30"),
        ),
        Trial(
            about="look-alike",
            doing=f"setting a tag that looks like {STATUS} to approved",
            attempt=lambda: client.set_model_version_tag(name, number, LOOKALIKE, "approved"),
        ),
        Trial(
            about="description",
            doing="describing a version without an assessment as approved",
            attempt=lambda: client.update_model_version(name, number, SUMMARY),
        ),
        Trial(
            about="alias",
            doing=f"setting the alias {alias} on a version without an assessment",
            attempt=lambda: client.set_registered_model_alias(name, alias, number),
        ),
        Trial(
            about="stage",
            doing=f"moving a version without an assessment to {stage}",
            attempt=lambda: _move(client, name, number, stage),
        ),
    )
    # In order: a verdict that is taken would make what follows look allowed.
    return (_stamped(client, name, number), *(_outcome(trial) for trial in trials))


def _move(client: MlflowClient, name: str, number: str, stage: str) -> None:
    with warnings.catch_warnings():
        # MLflow calls stages deprecated; they still promote.
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(name, number, stage)


def _stamped(client: MlflowClient, name: str, number: str) -> Observation:
    status = client.get_model_version(name, number).tags.get(STATUS)
    if status == PENDING:
        return ok("stamp", f"a version registered as approved is {PENDING}: the plug-in is active")
    return problem(
        "stamp", f"a version registered as approved is {status}: the plug-in is not active", CURE
    )


def _outcome(trial: Trial) -> Observation:
    try:
        trial.attempt()
    except MlflowException as error:
        if error.error_code != DENIED:
            return warning(
                trial.about,
                f"{trial.doing} failed for another reason: {_short(error)}",
                "look into the server's log",
            )
        return ok(trial.about, f"{trial.doing} is refused: {_short(error)}")
    return problem(trial.about, f"{trial.doing} is let through", CURE)


def _short(error: MlflowException) -> str:
    return str(error).partition("\n")[0].removeprefix(f"{DENIED}: ")[:300]
