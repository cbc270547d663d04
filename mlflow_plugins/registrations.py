"""Registrations: a request that failed after it made a version, and is sent again, gets that one.

MLflow's server registers in two transactions: it writes the version, then says so on the logged
model. Where the second fails, as on a SQLite that stays locked, MLflow's client sends the request
again by itself, and plain MLflow makes a second version.
"""

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flask import after_this_request, has_request_context
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

__all__ = ["Registration", "Registrations"]

#: Milliseconds: how long a repeat may take, and after which nobody waits for an answer any more,
#: since MLflow's clients give up (MLFLOW_HTTP_REQUEST_TIMEOUT).
LONGEST, ANSWERED = 600_000, 120_000
#: Failed requests that are remembered.
MOST = 1000
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Everything that a request to register a version says.

    Attributes:
        name: Name of the registered model.
        source: URI that is registered.
        run_id: Run that the request names.
        run_link: Link that the request names.
        description: Description, as it is kept.
        model_id: Logged model that the request names.
        tags: Tags as they are kept, the user among them.
    """

    name: str
    source: str
    run_id: str | None
    run_link: str | None
    description: str | None
    model_id: str | None
    tags: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, tags: Iterable[Any], **about: str | None) -> "Registration":
        """A request, with MLflow's tags; an empty text says no more than none."""
        given = frozenset((tag.key, tag.value) for tag in tags)
        return cls(tags=given, **{key: value or None for key, value in about.items()})  # type: ignore[arg-type] # the name and the source are no empty texts

    def made(self, version: Any, now: int) -> bool:
        """Whether a version of MLflow's may be what this request made, and nobody touched it since.

        Args:
            version: Version of the model.
            now: Milliseconds since 1970.
        """
        untouched = (
            version.last_updated_timestamp == version.creation_timestamp
            and not version.aliases
            and version.current_stage == "None"
            and frozenset(version.tags.items()) == self.tags
        )
        alike = (
            version.source == self.source
            and (self.run_id is None or (version.run_id or None) == self.run_id)
            and (version.run_link or None) == self.run_link
            and (version.description or None) == self.description
        )
        return untouched and alike and 0 <= now - version.creation_timestamp < LONGEST

    def unfinished(self, version: Any, now: int) -> bool:
        """Whether the request that made a version must have failed, whichever server took it.

        MLflow has not noted the version on its logged model, though it had the time to.
        """
        if self.model_id is None or now - version.creation_timestamp < ANSWERED:
            return False
        noted = MlflowClient().get_logged_model(self.model_id).tags.get(MLFLOW_MODEL_VERSIONS)
        listed = {(item["name"], str(item["version"])) for item in json.loads(noted or "[]")}
        return (self.name, str(version.version)) not in listed


@dataclass(slots=True)
class Registrations:
    """Versions that were made for requests whose answer from this process was an error."""

    _failed: dict[tuple[str, str], Registration] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, registration: Registration, version: str) -> None:
        """Remember a version if the request that is being answered ends in an error after all."""
        if has_request_context():
            after_this_request(partial(self._note, registration, version))

    def version(
        self,
        registration: Registration,
        held: Callable[[str], Any],
        newest: Callable[[], Iterable[Any]],
        now: int,
    ) -> Any | None:
        """The version that a request made the last time it was sent; None if it is a new one.

        Args:
            registration: What the request says.
            held: Looks up a version of the model by its number; None if there is none.
            newest: Looks up the newest versions of the model.
            now: Milliseconds since 1970.
        """
        while (number := self._next(registration)) is not None:
            version = held(number)
            if version is not None and registration.made(version, now):
                return version
        if registration.model_id is None:
            return None
        for version in newest():
            if registration.made(version, now) and registration.unfinished(version, now):
                return version
        return None

    def _next(self, registration: Registration) -> str | None:
        """A version that failed for such a request, which nobody else gets now."""
        with self._lock:
            for (name, number), failed in self._failed.items():
                if failed == registration and name == registration.name:
                    del self._failed[name, number]
                    return number
        return None

    def _note(self, registration: Registration, version: str, answer: Any) -> Any:
        if answer.status_code >= SERVER_ERROR:
            with self._lock:
                self._failed[registration.name, version] = registration
                while len(self._failed) > MOST:
                    del self._failed[next(iter(self._failed))]
        return answer
