"""Permissions: what a login lacks to give verdicts, on a server with MLflow's basic-auth.

MLflow asks for EDIT on a registered model whose versions get tags and descriptions, and for EDIT on
a logged model that gets metrics. Both can be granted for all of them: the pattern is `*`.
"""

from typing import Any
from urllib.parse import urlencode

import mlflow
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from governance.errors import RegistryError
from governance.registry.versions import refusals

__all__ = ["missing_permissions"]

CURRENT = "/api/2.0/mlflow/users/current"
GRANTS = "/api/3.0/mlflow/users/current/permissions"
EFFECTIVE = "/api/3.0/mlflow/users/permissions/get"

OK, UNAUTHORIZED, FORBIDDEN = 200, 401, 403
EDITS = {"EDIT", "MANAGE"}
#: What must be editable, each with what MLflow falls back on where there is no grant of its own.
NEEDED = {"registered_model": (), "logged_model": ("experiment",)}


def missing_permissions() -> str | None:
    """What the login lacks to write verdicts, in one line with the cure.

    Returns:
        None if it lacks nothing, the server has no logins of MLflow's own, or does not answer now.

    Raises:
        RegistryError: If the server does not accept the login.
    """
    if not str(mlflow.get_tracking_uri()).startswith(("http://", "https://")):
        return None
    user = (_get(CURRENT) or {}).get("user")
    if not isinstance(user, dict) or user.get("is_admin"):
        return None
    name = str(user.get("username"))
    lacking = [kind for kind, others in NEEDED.items() if not _may_edit(name, (kind, *others))]
    if not lacking:
        return None
    calls = ", ".join(f"grant_user_permission({name!r}, {kind!r}, '*', 'EDIT')" for kind in lacking)
    return (
        f"the login {name!r} lacks EDIT on {' and '.join(lacking)} '*', so that its verdicts would "
        f"be refused; an administrator grants it with mlflow.server.get_app_client('basic-auth', "
        f"URI): {calls}"
    )


def _may_edit(name: str, kinds: tuple[str, ...]) -> bool:
    """Whether a login may edit all of one kind, or was granted EDIT on some by name."""
    for kind in kinds:
        query = urlencode({"username": name, "resource_type": kind, "resource_id": "*"})
        found = _get(f"{EFFECTIVE}?{query}")
        # Another version of MLflow that does not tell is not held against the login.
        if found is None or found.get("permission") in EDITS:
            return True
    rows = (_get(GRANTS) or {}).get("permissions", [])
    return any(row["resource_type"] in kinds and row["permission"] in EDITS for row in rows)


def _get(endpoint: str) -> dict[str, Any] | None:
    """The server's answer; None if it knows no such question, or does not answer at all.

    Raises:
        RegistryError: If it does not accept the login.
    """
    uri = str(mlflow.get_tracking_uri())
    try:
        with refusals(uri):
            answer = http_request(
                get_default_host_creds(uri), endpoint, "GET", raise_on_status=False, max_retries=0
            )
    except RegistryError:
        return None
    if answer.status_code in {UNAUTHORIZED, FORBIDDEN}:
        raise RegistryError(
            f"{uri}: does not accept the login ({answer.status_code}); MLFLOW_TRACKING_USERNAME "
            "and MLFLOW_TRACKING_PASSWORD of a user of the server are accepted"
        )
    if answer.status_code != OK:
        return None
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
