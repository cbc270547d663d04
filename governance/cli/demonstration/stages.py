"""Stages: a version trained and registered, or assessed; and the store that holds both.

Each runs in another process than the command (`benches`), takes and returns plain data, and says
its steps to a function that it is given first.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import mlflow
import mlflow.pytorch
from mlflow import MlflowClient
from torch import nn

from governance.approval import PrivateKey, load_ring
from governance.cli.demonstration.digits import CLASS_NAMES, Images
from governance.cli.demonstration.network import inputs, new, train, weights
from governance.cli.demonstration.orders import (
    CHAMPION,
    NAME,
    Assessed,
    Store,
    Trained,
    Training,
)
from governance.registry.recording import experiment
from governance.registry.versions import refusals
from governance.training import record_epoch
from governance.workflows.assessing import assess_model
from governance.workflows.orchestration import read_policy

__all__ = ["assess", "open_store", "promote", "register"]

#: Told the name of each step as it begins.
Tell = Callable[[str], None]


def open_store(_tell: Tell, store: Store) -> None:
    """Let MLflow speak to a store, without a word of its own; its experiments are made.

    Raises:
        RegistryError: If MLflow, its store or the disk refuses.
    """
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(store.uri)
    mlflow.set_registry_uri(None)
    with refusals(f"{store.uri}: opening MLflow"):
        client = MlflowClient()
        for name in (NAME, f"governance/{NAME}"):
            if store.artifacts is None or client.get_experiment_by_name(name) is not None:
                experiment(client, name)
            else:
                home = (store.artifacts / name).resolve()
                client.create_experiment(name, artifact_location=home.as_uri())
        mlflow.set_experiment(NAME)


def register(tell: Tell, number: int, training: Training) -> Trained:
    """Train a version, and register it.

    Raises:
        RegistryError: If MLflow, its store or the disk refuses.
    """
    tell(f"training version {number} of 3")
    pixels, truth = inputs(training.watched[0]), training.watched[1]

    def watch(model: nn.Module, epoch: int) -> None:
        record_epoch(model, (pixels, truth), epoch, class_names=CLASS_NAMES)

    with refusals(f"models:/{NAME}: training and registering a version"), mlflow.start_run():
        model = train(
            new(training.start, seed=training.seed), training.images, training.labels,
            training.epochs, training.rate, seed=training.seed, watch=watch,
        )  # fmt: skip
        return Trained(number=_registered(model, training.images[:2]), weights=weights(model))


def _registered(model: nn.Module, example: Images) -> str:
    logged = mlflow.pytorch.log_model(
        model,
        name=NAME,
        input_example=inputs(example).numpy(),
        # Stated, since MLflow would find them out in an interpreter of their own.
        pip_requirements=mlflow.pytorch.get_default_pip_requirements(),
    )
    client = MlflowClient()
    if not client.search_registered_models(f"name = '{NAME}'"):
        client.create_registered_model(NAME)
    version = client.create_model_version(
        NAME, logged.model_uri, run_id=logged.run_id, model_id=logged.model_id
    )
    return str(version.version)


def assess(tell: Tell, number: str, policy: Path, out: Path, store: Store) -> Assessed:
    """Assess a version, print and record it.

    Raises:
        SubjectError: If model, images and policy do not go together.
        RegistryError: If MLflow, its store or the disk refuses.
    """
    told: set[str] = set()

    def step(what: str, done: int, total: int, detail: str = "") -> None:  # noqa: ARG001
        if what not in told:  # each is said once, since another version is assessed beside
            told.add(what)
            tell(f"version {number}: {what}")

    result = assess_model(
        f"models:/{NAME}/{number}",
        read_policy(policy),
        out=out,
        key=None if store.signing_key is None else PrivateKey.load(store.signing_key),
        ring=None if store.keys is None else load_ring(store.keys),
        progress=step,
    )
    verdict = result.assessment.decision.verdict
    return Assessed(verdict=verdict, run_id=result.run_id, unprinted=result.unprinted)


def promote(_tell: Tell, number: str) -> None:
    """Give a version the alias with which later ones are compared.

    Raises:
        RegistryError: If MLflow refuses.
    """
    with refusals(f"models:/{NAME}/{number}: setting the alias {CHAMPION!r}"):
        MlflowClient().set_registered_model_alias(NAME, CHAMPION, number)
