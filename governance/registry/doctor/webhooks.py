"""Webhooks: whether the server tells a worker of new versions, and can still do so after a restart.

A lost delivery loses no assessment, since the worker looks by itself; it only comes later.
"""

from typing import Any

from mlflow.exceptions import MlflowException

from governance.registry.doctor.observation import Observation, ok, problem, warning
from governance.registry.doctor.server import request

__all__ = ["webhooks"]

PATH = "/api/2.0/mlflow/webhooks"
KEY = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"
#: The server tries a receiver four times within about ten seconds.
DELIVERED = 60
FINE, SERVER_ERRORS = 200, 500


def webhooks(server: str, url: str | None) -> tuple[Observation, ...]:
    """Whether there is a webhook for new versions, can be read, and reaches its receiver.

    Args:
        server: Its address.
        url: Of the receiver; any if None.
    """
    try:
        answer = request(server, f"{PATH}?max_results=1000")
        if answer.status_code != FINE:
            return (_unreadable(answer.status_code),)
        known = answer.json().get("webhooks", [])
    except (MlflowException, ValueError) as error:
        return (warning("webhook", f"cannot be listed: {str(error)[:200]}", "ask again"),)
    secrets = (
        [ok("webhook secrets", f"can be read, as long as {KEY} stays the same at restarts")]
        if known
        else []
    )
    matching = [
        item for item in known if _for_versions(item) and (url is None or item.get("url") == url)
    ]
    if not matching:
        what = f"with the address {url}" if url else "for new versions"
        return (
            *secrets,
            warning(
                "webhook",
                f"none {what}; versions wait for the worker's next sweep",
                "make one: governance worker --help, docs/how-to/deploy-team-server.md",
            ),
        )
    return (*secrets, *(_delivered(server, item) for item in matching))


def _for_versions(item: dict[str, Any]) -> bool:
    events = [(event.get("entity"), event.get("action")) for event in item.get("events", [])]
    return ("MODEL_VERSION", "CREATED") in events


def _unreadable(status: int) -> Observation:
    if status >= SERVER_ERRORS:
        return problem(
            "webhook secrets",
            f"the server answers {status} when its webhooks are listed: it was started with "
            f"another {KEY} than the one their secrets were kept with, or without any",
            f"set {KEY} to the key they were kept with, or delete and make them anew, and keep it",
        )
    return warning(
        "webhook",
        f"the server answers {status} when its webhooks are listed",
        "run the doctor as an administrator to look at them",
    )


def _delivered(server: str, item: dict[str, Any]) -> Observation:
    name = f"{item.get('name')} to {item.get('url')}"
    if item.get("status") != "ACTIVE":
        return warning("webhook", f"{name} is {item.get('status')}", "activate it")
    try:
        answer = request(server, f"{PATH}/{item['webhook_id']}/test", "POST", DELIVERED)
        result = answer.json()["result"]
    except (MlflowException, ValueError, KeyError) as error:
        return warning("webhook", f"{name} could not be tried: {str(error)[:200]}", "ask again")
    status = result.get("response_status")
    if result.get("success"):
        return ok("webhook", f"{name} is delivered by the server, and answered with {status}")
    why = result.get("error_message") or f"answered with {status}"
    return problem(
        "webhook",
        f"{name} is not taken: {why[:200]}",
        "start the worker's receiver there, give it the webhook's secret, and see that the "
        "server may reach it (docs/how-to/deploy-team-server.md)",
    )
