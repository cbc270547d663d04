"""Governed: MLflow's registry stores with our conditions on what they change.

A version is `pending` from the transaction that makes it. Protected aliases and stages are for
versions with a signed approval that counts; tags that begin with `governance.` are set from signed
statements alone. Reading, and everything about prompts, is MLflow's own. Refusals are 403 with a
text that says what is missing and which command helps; each decision is written to the audit first.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from flask import g, has_request_context
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import _PROMPT_SOURCE_PLACEHOLDERS, IS_PROMPT_TAG_KEY
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.model_registry.abstract_store import AbstractStore
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from governance.approval import Statement, token_digest
from governance.approval.lifecycle import LIFECYCLE
from governance.approval.standing import RegisteredVersion, admission, last_state, standing
from governance.approval.tags import (
    APPROVAL,
    AUTHOR,
    PENDING,
    POLICY_URI,
    PREFIX,
    STATUS,
    plain,
    reserved,
    without_summary,
)
from governance.errors import ApprovalError
from governance.records.version_ref import VersionRef
from mlflow_plugins import audit
from mlflow_plugins.protection import FILE, Protection

__all__ = ["Governed"]

#: Why nothing that exists becomes a prompt.
HIDDEN = (
    "MLflow leaves a model out of its searches once it or a version of it is tagged as a prompt, "
    "so that nobody would assess it; a prompt has a name of its own, and is one from the start"
)

logger = logging.getLogger(__name__)


class Governed(AbstractStore):  # type: ignore[misc] # MLflow is not typed
    """What all governed stores refuse and write; mixed into one of MLflow's stores.

    `govern` comes before anything else.
    """

    _file: Path
    _audit: Engine

    def govern(self, folder: Path) -> None:
        """Take the rules from a folder, and open the audit.

        Raises:
            MlflowException: If the audit cannot be opened.
        """
        self._file = folder / FILE
        protection = self._protection()
        try:
            self._audit = self._audit_engine(protection.audit, folder)
            audit.prepare(self._audit)
        except SQLAlchemyError as error:
            raise MlflowException(f"the audit of governance cannot be opened: {error}") from error
        try:
            protection.ring()
        except ApprovalError as error:
            logger.warning("Every protected action is refused until this is put right: %s", error)

    def _audit_engine(self, url: str | None, folder: Path) -> Engine:
        """Of the audit's database."""
        raise NotImplementedError

    def _mark(self, registered: RegisteredVersion, tags: Mapping[str, str | None]) -> None:
        """Set tags of a version, and delete those without a value."""
        raise NotImplementedError

    def _protection(self) -> Protection:
        return Protection.at(self._file)

    def create_registered_model(
        self, name: str, tags: Any = None, *arguments: Any, **options: Any
    ) -> Any:
        """Make a registered model, without tags that are ours."""
        kept = [tag for tag in tags or [] if not _kept_back(tag.key)]
        return super().create_registered_model(name, kept, *arguments, **options)

    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        """Set a tag of a registered model that is not ours; which policy applies anyone may say."""
        self._check_model_tag(name, tag.key, "set_registered_model_tag")
        super().set_registered_model_tag(name, tag)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Delete a tag of a registered model that is not ours."""
        self._check_model_tag(name, key, "delete_registered_model_tag")
        super().delete_registered_model_tag(name, key)

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Any = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> Any:
        """Register a version as `pending`, whatever it was copied from says."""
        given = list(tags or [])
        if _is_prompt(source, {tag.key: tag.value for tag in given}):
            self._check_prompt(name)
        else:
            given = [tag for tag in given if not reserved(tag.key) and tag.key != IS_PROMPT_TAG_KEY]
            given.append(ModelVersionTag(STATUS, PENDING))
            if user := _user():
                given.append(ModelVersionTag(AUTHOR, user))
            description = without_summary(description) if description else description
        return super().create_model_version(
            name, source, run_id, given, run_link, description, local_model_path, model_id
        )

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Set an alias; a protected one on an approved version alone."""
        registered = None
        if self._protection().covers_alias(alias):
            registered = self._current(name, version)
        if registered is None:
            super().set_registered_model_alias(name, alias, version)
            return
        undo = partial(super().delete_registered_model_alias, name, alias)
        with self._approved("set_registered_model_alias", registered, alias, undo):
            super().set_registered_model_alias(name, alias, version)

    def transition_model_version_stage(
        self,
        name: str,
        version: str,
        stage: str,
        archive_existing_versions: bool,  # noqa: FBT001
    ) -> Any:
        """Change the stage; to a protected one of an approved version alone."""
        move = partial(super().transition_model_version_stage, name, version)
        registered = None
        if self._protection().covers_stage(stage):
            registered = self._current(name, version)
        if registered is None:
            return move(stage, archive_existing_versions)
        undo = partial(move, "Archived", False)  # noqa: FBT003 - MLflow's signature
        with self._approved("transition_model_version_stage", registered, stage, undo):
            return move(stage, archive_existing_versions)

    def set_model_version_tag(self, name: str, version: str, tag: Any) -> None:
        """Set a tag; one of ours from a signed statement alone, with all that follows from it."""
        ours = reserved(tag.key) or tag.key == IS_PROMPT_TAG_KEY
        registered = self._current(name, version) if ours else None
        if registered is None:
            super().set_model_version_tag(name, version, tag)
            return
        action, key, token = "set_model_version_tag", tag.key, tag.value
        if key == IS_PROMPT_TAG_KEY:
            self._refuse(action, registered, f"the tag {key!r}", ApprovalError(HIDDEN), alias=key)
        try:
            statement = self._accepted(key, token, registered)
        except ApprovalError as error:
            self._refuse(action, registered, f"the tag {key!r}", error, alias=key, token=token)
        reason = f"{statement.verdict or statement.kind}, signed with {statement.key}"
        self._note("allowed", action, registered, reason, alias=key, token=token)
        follows = {} if statement.kind == "waiver" else plain(statement)
        self._mark(registered, {key: token, **follows})

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Delete a tag that is not ours."""
        registered = self._current(name, version) if reserved(key) else None
        if registered is not None:
            why = ApprovalError("what governance wrote is replaced by signed statements alone")
            self._refuse("delete_model_version_tag", registered, f"the tag {key!r}", why, alias=key)
        super().delete_model_version_tag(name, version, key)

    def rename_registered_model(self, name: str, new_name: str) -> Any:
        """Rename a model that nothing protected points to; its versions are `pending` again."""
        versions = tuple(map(_from_mlflow, self._versions(name)))
        used = tuple(self._held(name, versions))
        about = versions[0] if versions else _no_version(name)
        if used:
            why = ApprovalError(f"approvals name the model; remove {', '.join(used)} first")
            self._refuse("rename_registered_model", about, "a new name", why)
        if versions:
            self._note("allowed", "rename_registered_model", about, f"to {new_name}")
        now = time.time()
        for registered in versions:
            # What was signed stays: an older statement must not count after a name and back.
            kept = {APPROVAL, AUTHOR}
            gone = {key: None for key in registered.tags if reserved(key) and key not in kept}
            self._mark(registered, {**gone, STATUS: LIFECYCLE[last_state(registered, now)].renamed})
        return super().rename_registered_model(name, new_name)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Delete an alias; that of a protected one is written down."""
        if self._protection().covers_alias(alias):
            number = dict(self.get_registered_model(name).aliases).get(alias)
            registered = None if number is None else self._current(name, str(number))
            if registered is not None:
                self._note("allowed", "delete_registered_model_alias", registered, "", alias=alias)
        super().delete_registered_model_alias(name, alias)

    def delete_model_version(self, name: str, version: str) -> None:
        """Delete a version, and write that down."""
        registered = self._current(name, version)
        if registered is not None:
            self._note("allowed", "delete_model_version", registered, "")
        super().delete_model_version(name, version)

    def delete_registered_model(self, name: str) -> None:
        """Delete a registered model, and write down which versions went with it."""
        for item in self._versions(name):
            self._note("allowed", "delete_registered_model", _from_mlflow(item), "")
        super().delete_registered_model(name)

    def _current(self, name: str, version: str) -> RegisteredVersion | None:
        """The version as it is now; None for one of a prompt, which is none of our business."""
        found = self.get_model_version(name, version)
        return None if _is_prompt(found.source, found.tags) else _from_mlflow(found)

    def _held(self, name: str, versions: Iterable[RegisteredVersion]) -> Iterator[str]:
        """What a model must not take along under another name."""
        protection, model = self._protection(), self.get_registered_model(name)
        # One by one, as MLflow's search leaves out models that have a version tagged as a prompt.
        for alias, number in dict(model.aliases).items():
            if protection.covers_alias(alias) and self._current(name, str(number)) is not None:
                yield f"alias {alias!r}"
        for item in model.latest_versions:
            stage = item.current_stage
            if protection.covers_stage(stage) and not _is_prompt(item.source, item.tags):
                yield f"stage {stage!r} of version {item.version}"
        for version in versions:
            state = last_state(version, time.time())
            if LIFECYCLE[state].renamed is None:
                yield f"version {version.ref.version}, {state}"

    def _check_prompt(self, name: str) -> None:
        """Refuse a prompt among the versions of a model, which it would hide from searches."""
        if not self.get_registered_model(name)._is_prompt():  # noqa: SLF001 - all that tells
            why = ApprovalError(HIDDEN)
            self._refuse("create_model_version", _no_version(name), "a prompt", why)

    def _versions(self, name: str) -> Iterator[Any]:
        """All versions of a model; none of a prompt's."""
        token, quoted = None, name.replace("'", "''")
        while True:
            page = self.search_model_versions(f"name = '{quoted}'", 1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    @contextmanager
    def _approved(
        self, action: str, registered: RegisteredVersion, alias: str, undo: Callable[[], object]
    ) -> Iterator[None]:
        """Let something be done to an approved version alone, before and still after it was done.

        A version deleted and made anew in between would otherwise get what the first one earned.
        """
        what = f"the protected {'alias' if 'alias' in action else 'stage'} {alias!r}"
        token = registered.tags.get(APPROVAL)
        try:
            statement = self._approval(registered)
        except ApprovalError as error:
            self._refuse(action, registered, what, error, alias=alias, token=token)
        reason = f"approved, signed with {statement.key}"
        self._note("allowed", action, registered, reason, alias=alias, token=token)
        yield
        try:
            again = _from_mlflow(
                self.get_model_version(registered.ref.name, registered.ref.version)
            )
            self._approval(again)
        except (ApprovalError, MlflowException) as error:
            undo()
            self._refuse(
                action, registered, what, ApprovalError(str(error)), alias=alias, token=token
            )

    def _approval(self, registered: RegisteredVersion) -> Statement:
        """The approval of a version that counts now.

        Raises:
            ApprovalError: If it has none; says which command helps.
        """
        protection = self._protection()
        answer = standing(
            registered,
            protection.ring(),
            time.time(),
            policy_accepted=protection.accepts,
            expected="approved",
        )
        if answer.statement is None or not answer.counts:
            raise ApprovalError((*answer.problems, _cure(registered)))
        return answer.statement

    def _accepted(self, key: str, token: str, registered: RegisteredVersion) -> Statement:
        """The signed statement that may be put on a version under a tag.

        Raises:
            ApprovalError: If it may not; says which command makes one that may.
        """
        protection = self._protection()
        ring = protection.ring()
        answer = admission(
            key, token, registered, ring, time.time(), policy_accepted=protection.accepts
        )
        if answer.statement is None or not answer.counts:
            useless = answer.statement is None or answer.doubtful("expired")
            cure = (_cure(registered),) if useless else ()
            raise ApprovalError((*answer.problems, *cure))
        return answer.statement

    def _check_model_tag(self, name: str, key: str, action: str) -> None:
        about = _no_version(name)
        if _kept_back(key):
            why = ApprovalError(f"of those, only {POLICY_URI} is for everybody to set")
            self._refuse(action, about, f"a tag of the model beginning {PREFIX!r}", why, alias=key)
        if key == IS_PROMPT_TAG_KEY:
            self._refuse(action, about, f"the tag {key!r}", ApprovalError(HIDDEN), alias=key)

    def _refuse(
        self,
        action: str,
        registered: RegisteredVersion,
        what: str,
        error: ApprovalError,
        *,
        alias: str | None = None,
        token: str | None = None,
    ) -> NoReturn:
        why = "; ".join(error.problems)
        self._note("refused", action, registered, why, alias=alias, token=token)
        who = f" to {user}" if (user := _user()) else ""
        raise MlflowException(
            f"{registered.ref.uri}: {what} is refused{who}: {why}", error_code=PERMISSION_DENIED
        ) from error

    def _note(
        self,
        outcome: str,
        action: str,
        registered: RegisteredVersion,
        reason: str,
        *,
        alias: str | None = None,
        token: str | None = None,
    ) -> None:
        """Write a decision down; what cannot be written down is not done."""
        entry = audit.AuditEntry(
            action=action,
            model=registered.ref.name,
            version=registered.ref.version or None,
            created=registered.ref.created or None,
            alias=alias,
            outcome=outcome,  # type: ignore[arg-type]
            reason=reason,
            user=_user(),
            token=None if token is None else token_digest(token),
        )
        try:
            audit.append(self._audit, entry)
        except SQLAlchemyError as error:
            logger.exception("The audit of governance cannot be written")
            raise MlflowException(
                f"{registered.ref.uri}: refused, since the audit cannot be written; ask whoever "
                "runs the server",
                error_code=PERMISSION_DENIED,
            ) from error


def _from_mlflow(found: Any) -> RegisteredVersion:
    """A version as MLflow's store returns it."""
    tags = dict(found.tags)
    ref = VersionRef(
        name=found.name, version=str(found.version), created=int(found.creation_timestamp)
    )
    authors = tuple(name for name in (tags.get(AUTHOR), found.user_id) if name)
    return RegisteredVersion(ref=ref, source=found.source, tags=tags, authors=authors)


def _no_version(name: str) -> RegisteredVersion:
    """What a decision is about that concerns a registered model and none of its versions."""
    return RegisteredVersion(ref=VersionRef(name=name, version="", created=0), source="", tags={})


def _cure(registered: RegisteredVersion) -> str:
    return (
        f"assess it: governance assess {registered.ref.uri} --policy FILE --signing-key KEY, or "
        "let the worker do it"
    )


def _is_prompt(source: str, tags: Mapping[str, str]) -> bool:
    # Whatever else it claims to be: from such a source no model can be loaded.
    return source in _PROMPT_SOURCE_PLACEHOLDERS and tags.get(IS_PROMPT_TAG_KEY) == "true"


def _kept_back(key: str) -> bool:
    return reserved(key) and key != POLICY_URI


def _user() -> str | None:
    """Who is logged in, if MLflow's basic authentication is on and this is a request."""
    return getattr(g, "mlflow_authenticated_user", None) if has_request_context() else None
