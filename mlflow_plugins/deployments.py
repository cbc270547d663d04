"""Deployments: `governed:/<target>` hands a model to another deployment target if it passes.

`mlflow deployments create -t governed:/sagemaker:/us-west-2 -m models:/retina@champion ...` asks
the gate first. What it hands over is a local folder with the very files that were checked, so that
nobody can change them in between.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.deployments import BaseDeploymentClient, get_deploy_client
from mlflow.deployments import run_local as run_inner
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from governance.records.wording import first_few

__all__ = ["GovernedDeploymentClient", "run_local", "target_help"]

SCHEME = "governed:/"
PREFIX = "governance."
KEYS, HAND_OVER, FOLDER = f"{PREFIX}keys", f"{PREFIX}hand_over", f"{PREFIX}folder"
TARGET = f"{PREFIX}target"
HANDED = ("files", "uri")
#: Reasons told in one refusal.
SHOWN = 20
HELP = f"""\
governed:/<target> asks the governance gate whether a model may be used, and hands it to <target>
if so; <target> is whatever `mlflow deployments -t` takes, such as governed:/sagemaker:/us-west-2.

A model is models:/name/version or models:/name@alias; an alias is pinned to its version. Versions
without an approving verdict are refused, and so are runs:/ and models:/m-<id>, which no verdict is
about. Options for -C, which <target> does not see:

  {KEYS}=RING.toml        ring of public keys; with it the approval must be signed by one of them
  {HAND_OVER}=files   (the default) hands over a folder with the files that were checked
  {HAND_OVER}=uri     hands over the pinned URI, for targets that take no folder; whoever may
                            write artifacts could then change the files after the check
  {FOLDER}=FOLDER        new folder to keep the files in; without it they are removed once
                            the target has answered
  {TARGET}=<target>   which target runs the model; needed for run-local, and only there

Endpoints cannot be made or changed through it, since their settings may name models unseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A model that passed the gate: its place, the target's options, and who signed for it."""

    model_uri: str
    config: dict[str, Any] | None
    version: str
    signed_by: str | None


def target_help() -> str:
    """How to name a target, and the options."""
    return HELP


def run_local(
    name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None
) -> Any:
    """Deploy a model that passes on this machine, as the target does it.

    MLflow does not say here which target stands behind this one, so that an option has to.

    Raises:
        MlflowException: 400 without the option; `PERMISSION_DENIED` with the reasons, if the model
            does not pass.
    """
    target = (config or {}).get(TARGET)
    if not target:
        raise MlflowException.invalid_parameter_value(
            f"config: no {TARGET}; {TARGET}=<target> is needed to run a model locally"
        )
    with _passed(model_uri, config) as passed:
        return run_inner(target, name, passed.model_uri, flavor, passed.config)


class GovernedDeploymentClient(BaseDeploymentClient):  # type: ignore[misc] # MLflow has no types
    """Another target's client that is given only models which pass the gate."""

    def __init__(self, target_uri: str) -> None:
        super().__init__(target_uri)
        self._target = target_uri.removeprefix(SCHEME)
        if self._target in {"", target_uri} or self._target.startswith("governed"):
            raise MlflowException.invalid_parameter_value(
                f"{target_uri}: names no target; governed:/<target> is accepted, such as "
                "governed:/sagemaker"
            )
        self._inner = get_deploy_client(self._target)

    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: dict[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Deploy a model that passes.

        Returns:
            What the target answers, and under `governance` which version was checked and whose key
            signed for it.

        Raises:
            MlflowException: `PERMISSION_DENIED` with the reasons, if it does not pass.
        """
        with _passed(model_uri, config) as passed:
            more = {} if endpoint is None else {"endpoint": endpoint}
            answer = self._inner.create_deployment(
                name, passed.model_uri, flavor=flavor, config=passed.config, **more
            )
        return {**answer, "governance": _told(passed)}

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: dict[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Change a deployment; a model is deployed only if it passes.

        Raises:
            MlflowException: `PERMISSION_DENIED` with the reasons, if it does not pass.
        """
        more = {} if endpoint is None else {"endpoint": endpoint}
        if model_uri is None:
            rest = _split(config)[1]
            answer = self._inner.update_deployment(name, flavor=flavor, config=rest, **more)
            return dict(answer)
        with _passed(model_uri, config) as passed:
            answer = self._inner.update_deployment(
                name, model_uri=passed.model_uri, flavor=flavor, config=passed.config, **more
            )
        return {**answer, "governance": _told(passed)}

    def create_endpoint(self, name: str, **_options: Any) -> Any:
        """Refuse.

        Raises:
            MlflowException: `PERMISSION_DENIED`, always.
        """
        raise _no_endpoints(name)

    def update_endpoint(self, endpoint: str, **_options: Any) -> Any:
        """Refuse.

        Raises:
            MlflowException: `PERMISSION_DENIED`, always.
        """
        raise _no_endpoints(endpoint)

    def delete_deployment(self, *arguments: Any, **options: Any) -> Any:
        """As the target does it."""
        return self._inner.delete_deployment(*arguments, **options)

    def list_deployments(self, *arguments: Any, **options: Any) -> Any:
        """As the target does it."""
        return self._inner.list_deployments(*arguments, **options)

    def get_deployment(self, *arguments: Any, **options: Any) -> Any:
        """As the target does it."""
        return self._inner.get_deployment(*arguments, **options)

    def predict(self, *arguments: Any, **options: Any) -> Any:
        """As the target does it."""
        return self._inner.predict(*arguments, **options)

    def predict_stream(self, *arguments: Any, **options: Any) -> Any:
        """As the target does it."""
        return self._inner.predict_stream(*arguments, **options)

    def explain(self, *arguments: Any, **options: Any) -> Any:
        """As the target does it."""
        return self._inner.explain(*arguments, **options)

    def delete_endpoint(self, *arguments: Any, **options: Any) -> Any:
        """As the target does it."""
        return self._inner.delete_endpoint(*arguments, **options)

    def list_endpoints(self, *arguments: Any, **options: Any) -> Any:
        """As the target does it."""
        return self._inner.list_endpoints(*arguments, **options)

    def get_endpoint(self, *arguments: Any, **options: Any) -> Any:
        """As the target does it."""
        return self._inner.get_endpoint(*arguments, **options)


@contextmanager
def _passed(model_uri: str, config: dict[str, Any] | None) -> Iterator[Passed]:
    """The model to be handed over, as long as the target is at work."""
    from governance import registry
    from governance.errors import GovernanceError

    ours, rest = _split(config)
    keys = Path(ours[KEYS]) if KEYS in ours else None
    with TemporaryDirectory(prefix="governance-") as scratch:
        try:
            answer = registry.ask(model_uri, Path(scratch), keys=keys)
        except GovernanceError as error:
            raise _refusal(model_uri, error.problems) from error
        if answer.reasons or answer.model is None:
            raise _refusal(model_uri, answer.reasons)
        handed = answer.version.uri
        if ours.get(HAND_OVER, "files") == "files":
            handed = str(_kept(answer.model, ours.get(FOLDER)))
        yield Passed(
            model_uri=handed,
            config=rest,
            version=answer.version.uri,
            signed_by=", ".join(answer.signed_by) or None,
        )


def _split(config: dict[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The options that are ours, and the target's."""
    given = config or {}
    ours = {key: value for key, value in given.items() if key.startswith(PREFIX)}
    unknown = sorted(set(ours) - {KEYS, HAND_OVER, FOLDER, TARGET})
    if unknown or ours.get(HAND_OVER, "files") not in HANDED:
        raise MlflowException.invalid_parameter_value(
            f"config: {', '.join(unknown) or f'{HAND_OVER}={ours[HAND_OVER]}'}; {KEYS}, {FOLDER}, "
            f"{TARGET} and {HAND_OVER}, which is one of {', '.join(HANDED)}, are accepted"
        )
    rest = {key: value for key, value in given.items() if key not in ours}
    return ours, rest if config is not None else None


def _kept(model: Path, folder: str | None) -> Path:
    """The checked files where the target finds them: in a folder that stays, if one is named."""
    if folder is None:
        return model
    try:
        return Path(shutil.copytree(model, folder))
    except OSError as error:
        raise MlflowException.invalid_parameter_value(
            f"{FOLDER}={folder}: cannot be made: {error}; a new folder is accepted"
        ) from error


def _told(passed: Passed) -> dict[str, str | None]:
    return {"version": passed.version, "signed_by": passed.signed_by}


def _refusal(model_uri: str, reasons: tuple[str, ...]) -> MlflowException:
    why = first_few(reasons, SHOWN, between="\n")
    return MlflowException(f"{model_uri} is not deployed:\n{why}", error_code=PERMISSION_DENIED)


def _no_endpoints(name: str) -> MlflowException:
    return MlflowException(
        f"endpoint {name}: not made or changed through governed:/, since its settings may name "
        "models unseen; create_deployment(..., endpoint=...) is accepted",
        error_code=PERMISSION_DENIED,
    )
