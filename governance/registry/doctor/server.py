"""Server: whether it answers, and which MLflow it is; requests that are never repeated."""

import os
import re
from typing import Any
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from governance.registry.doctor.observation import Observation, ok, problem, warning

__all__ = ["answering", "request"]

PATIENCE = 30  # seconds
#: The releases of MLflow that the server-side plug-in was tried on, as (first, beyond the last).
TRIED = ((3, 17), (3, 18))
NEAR = ("127.0.0.1", "localhost", "::1")


def request(server: str, path: str, method: str = "GET", patience: int = PATIENCE) -> Any:
    """One request with MLflow's credentials, as MLflow's own answers come.

    MLflow repeats what ends with 500 for minutes; here that is an answer.

    Raises:
        MlflowException: If there is no answer.
    """
    body: dict[str, Any] = {} if method == "GET" else {"json": {}}
    return http_request(
        get_default_host_creds(server), path, method,
        max_retries=0, raise_on_status=False, timeout=patience, **body,
    )  # fmt: skip


def answering(server: str) -> tuple[Observation, ...]:
    """Whether the server answers, which MLflow it is, and how it is reached."""
    try:
        answer = request(server, "/version")
    except MlflowException as error:
        why = str(error).partition("\n")[0][:300]
        return (
            problem("server", f"{server} does not answer: {why}", "start it, or name another one"),
        )
    release = re.match(r"(\d+)\.(\d+)", answer.text)
    if answer.status_code != 200 or release is None:  # noqa: PLR2004 - HTTP's "OK"
        seen = f"{server} answers {answer.status_code} to /version, which is no MLflow server"
        return (problem("server", seen, "name the address of an MLflow server"),)
    return (
        _release(server, answer.text.strip()[:40], (int(release[1]), int(release[2]))),
        *_ways(server),
    )


def _release(server: str, version: str, release: tuple[int, int]) -> Observation:
    if TRIED[0] <= release < TRIED[1]:
        return ok("server", f"{server} answers, MLflow {version}")
    tried = " to ".join(f"{major}.{minor}" for major, minor in TRIED)
    return warning(
        "server",
        f"{server} answers, MLflow {version}; the plug-in was tried on {tried} (excluded)",
        "run the plug-in's tests with this MLflow before relying on it",
    )


def _ways(server: str) -> tuple[Observation, ...]:
    """How clients get there."""
    observations: list[Observation] = []
    parts = urlsplit(server)
    if parts.scheme == "http" and parts.hostname not in NEAR:
        observations.append(
            warning(
                "transport",
                "passwords and approvals travel unencrypted over http",
                "put a proxy with TLS in front of the server",
            )
        )
    # A client that governs itself would hide what the server lets through.
    elsewhere = os.environ.get("MLFLOW_REGISTRY_URI", "")
    if elsewhere and elsewhere.rstrip("/") != server:
        observations.append(
            warning(
                "registry",
                f"MLFLOW_REGISTRY_URI sends registry calls to {_bare(elsewhere)}",
                f"unset it, so that {server} is what is looked at",
            )
        )
    return tuple(observations)


def _bare(uri: str) -> str:
    """An address without credentials."""
    return re.sub(r"//[^/@]*@", "//", uri)[:200]
