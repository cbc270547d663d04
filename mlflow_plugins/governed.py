"""Governed: MLflow's registry stores with our conditions on what they change.

A version is `pending` from the transaction that makes it. Protected aliases and stages are for
versions with a signed approval that counts; tags that begin with `governance.` are set from signed
statements alone. Reading, and everything about prompts, is MLflow's own. Refusals are 403 with a
text that says what is missing and which command helps; each decision is written to the audit.

In mode `report` an alias, a stage or a name that would be refused is let pass and written down as
`reported`. What is signed is checked in both modes: else it would be worth nothing at the switch.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from flask import g, has_request_context
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import _PROMPT_SOURCE_PLACEHOLDERS, IS_PROMPT_TAG_KEY
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.model_registry.abstract_store import AbstractStore
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from governance.approval import Keyring, Statement, statement_digest, with_signatures_of
from governance.approval.claims import claimed
from governance.approval.lifecycle import LIFECYCLE
from governance.approval.lookalikes import imitates, lookalike
from governance.approval.protection import Protection
from governance.approval.signed_rings import check_not_older
from governance.approval.standing import (
    RegisteredVersion,
    Standing,
    admission,
    last_state,
    standing,
)
from governance.approval.tags import (
    APPROVAL,
    AUTHOR,
    PENDING,
    POLICY_URI,
    PREFIX,
    RENAMED,
    REPLACED,
    RUNNING,
    STATUS,
    plain,
    replaced_tag,
    reserved,
    without_summary,
)
from governance.errors import ApprovalError
from governance.records.configuration import FILE
from governance.records.version_ref import VersionRef
from governance.records.wording import first_few
from mlflow_plugins import audit
from mlflow_plugins.audit import Outcome
from mlflow_plugins.registrations import Registration, Registrations
from mlflow_plugins.sealing import seal

__all__ = ["Governed"]

#: Why nothing that exists becomes a prompt.
HIDDEN = (
    "MLflow leaves a model out of its searches once it or a version of it is tagged as a prompt, "
    "so that nobody would assess it; a prompt has a name of its own, and is one from the start"
)

#: What helps a description that looks like our summary.
CLAIM = "leave out the line in bold that begins with 'Governance:'; an assessment writes it"
#: Why a tag that only looks like ours is refused.
ALIKE = f"looks like a tag that begins with {PREFIX!r}; write it in other letters"

#: Versions among which the one is sought that a failed request made.
NEWEST = 20
#: Problems told in one refusal.
SHOWN = 20

logger = logging.getLogger(__name__)


class Refusal(MlflowException):  # type: ignore[misc] # MLflow is not typed
    """A refusal, with its entry in the audit, which is written once the transaction has ended."""

    def __init__(self, text: str, entry: audit.AuditEntry) -> None:
        super().__init__(text, error_code=PERMISSION_DENIED)
        self.entry = entry


class Governed(AbstractStore):  # type: ignore[misc] # MLflow is not typed
    """What all governed stores refuse and write; mixed into one of MLflow's stores.

    `govern` comes before anything else.
    """

    _file: Path
    _audit: Engine
    _registrations: Registrations
    #: sha256 of the signed ring that this server used last.
    _newest_ring: str = ""

    def govern(self, folder: Path) -> None:
        """Take the rules from a folder, and open the audit.

        Raises:
            MlflowException: If the audit cannot be opened.
        """
        self._file, self._registrations = folder / FILE, Registrations()
        protection = self._protection()
        try:
            self._audit = self._audit_engine(protection.audit, folder)
            audit.prepare(self._audit)
        except SQLAlchemyError as error:
            raise MlflowException(f"the audit of governance cannot be opened: {error}") from error
        try:
            self._ring(protection)
        except ApprovalError as error:
            logger.warning("Every protected action is refused until this is put right: %s", error)

    def _audit_engine(self, url: str | None, folder: Path) -> Engine:
        """Of the audit's database."""
        raise NotImplementedError

    def _mark(self, registered: RegisteredVersion, tags: Mapping[str, str | None]) -> None:
        """Set tags of a version, and delete those without a value."""
        raise NotImplementedError

    def _locked(self, name: str) -> AbstractContextManager[None]:
        """Keeps other requests about a registered model waiting, as far as the registry can."""
        raise NotImplementedError

    def _confirm(self, check: Callable[[], object], undo: Callable[[], object]) -> None:
        """Check again after a change, where something may have come between check and change."""
        raise NotImplementedError

    @contextmanager
    def _one_step(self, name: str) -> Iterator[None]:
        """Read, check and write about one registered model, with nothing of another in between.

        An error undoes everything that was written. A refusal is written down afterwards.
        """
        with self._refusals_written_down(), self._locked(name):
            yield

    @contextmanager
    def _refusals_written_down(self) -> Iterator[None]:
        try:
            yield
        except Refusal as refusal:
            self._write_down(refusal.entry)
            raise

    def _protection(self) -> Protection:
        return Protection.at(self._file)

    def _ring(self, protection: Protection) -> Keyring:
        """The public keys as they are now; of a signed ring, the newest version that was seen.

        Raises:
            ApprovalError: If there are none that can be read, or the ring is older than another.
        """
        ring = protection.ring()
        if not ring.signed or ring.digest == self._newest_ring:
            return ring
        try:
            highest = audit.newest_ring(self._audit)
        except SQLAlchemyError as error:
            raise ApprovalError("the audit, which holds the ring's version, is away") from error
        if highest is not None:
            check_not_older(ring, *highest)
        if highest != (ring.version, ring.digest):
            self._write_down(audit.of_ring(ring))
        self._newest_ring = ring.digest
        return ring

    def create_registered_model(
        self,
        name: str,
        tags: Any = None,
        description: str | None = None,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        """Make a registered model, without tags that are ours or a name that looks like another."""
        action = "create_registered_model"
        with self._refusals_written_down():
            self._check_name(action, name, name)
            self._check_description(action, _no_version(name), description)
        kept = [tag for tag in tags or [] if not _kept_back(tag.key)]
        return super().create_registered_model(name, kept, description, *arguments, **options)

    def update_registered_model(
        self, name: str, description: str | None, *arguments: Any, **options: Any
    ) -> Any:
        """Change the description of a registered model, which has no verdict of its own."""
        held = self.get_registered_model(name).description
        with self._refusals_written_down():
            about = _no_version(name)
            self._check_description("update_registered_model", about, description, held)
        return super().update_registered_model(name, description, *arguments, **options)

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
        prompt = _is_prompt(source, {tag.key: tag.value for tag in given})
        if prompt:
            self._check_prompt(name)
        else:
            given = [tag for tag in given if not imitates(tag.key) and tag.key != IS_PROMPT_TAG_KEY]
            given.append(ModelVersionTag(STATUS, PENDING))
            if user := _user():
                given.append(ModelVersionTag(AUTHOR, user))
            description = without_summary(description) if description else description
            with self._refusals_written_down():
                self._check_description("create_model_version", _no_version(name), description)
        create = partial(
            super().create_model_version,
            *(name, source, run_id, given, run_link, description, local_model_path, model_id),
        )
        if prompt:
            return create()
        registration = Registration.of(
            given, name=name, source=source, run_id=run_id, run_link=run_link,
            description=description, model_id=model_id,
        )  # fmt: skip
        with self._one_step(name):
            looks = (partial(self._at, name), partial(self._newest, name))
            made = self._registrations.version(registration, *looks, _now()) or create()
            self._registrations.watch(registration, str(made.version))
            seal(self.get_model_version_download_uri(name, str(made.version)))
            return made

    def update_model_version(self, name: str, version: str, description: str | None = None) -> Any:
        """Change the description; it claims no verdict that does not stand.

        While a version is assessed, the assessment writes its summary before its verdict counts.
        """
        change = partial(super().update_model_version, name, version, description)
        with self._one_step(name):
            held = self.get_model_version(name, version)
            about = _from_mlflow(held)
            if about.tags.get(STATUS) != RUNNING and not _is_prompt(held.source, held.tags):
                action, text = "update_model_version", held.description
                self._check_description(action, about, description, text)
            return change()

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Set an alias; a protected one on an approved version alone."""
        change = partial(super().set_registered_model_alias, name, alias, version)
        if not self._protection().covers_alias(alias):
            change()
            return
        undo = partial(super().delete_registered_model_alias, name, alias)
        with self._one_step(name):
            check = partial(
                self._check_approved, "set_registered_model_alias", name, version, alias
            )
            check(written_down=True)
            change()
            self._confirm(check, undo)

    def transition_model_version_stage(
        self,
        name: str,
        version: str,
        stage: str,
        archive_existing_versions: bool,  # noqa: FBT001
    ) -> Any:
        """Change the stage; to a protected one of an approved version alone."""
        move = partial(super().transition_model_version_stage, name, version)
        if not self._protection().covers_stage(stage):
            return move(stage, archive_existing_versions)
        undo = partial(move, "Archived", False)  # noqa: FBT003 - MLflow's signature
        with self._one_step(name):
            check = partial(
                self._check_approved, "transition_model_version_stage", name, version, stage
            )
            check(written_down=True)
            moved = move(stage, archive_existing_versions)
            self._confirm(check, undo)
            return moved

    def set_model_version_tag(self, name: str, version: str, tag: Any) -> None:
        """Set a tag; one of ours from a signed statement alone, with all that follows from it."""
        change = partial(super().set_model_version_tag, name, version, tag)
        if not imitates(tag.key) and tag.key != IS_PROMPT_TAG_KEY:
            change()
            return
        with self._one_step(name):
            registered = self._current(name, version)
            if registered is None:
                change()
            else:
                self._take(registered, tag.key, tag.value)

    def _take(self, registered: RegisteredVersion, key: str, token: str) -> None:
        """Put a signed statement on a version, with all tags that follow from it."""
        action = "set_model_version_tag"
        if key == IS_PROMPT_TAG_KEY:
            self._refuse(action, registered, f"the tag {key!r}", ApprovalError(HIDDEN), alias=key)
        if not reserved(key):
            self._refuse(action, registered, f"the tag {key!r}", ApprovalError(ALIKE), alias=key)
        try:
            statement, signers = self._accepted(key, token, registered)
            held = registered.tags.get(key)
            # Whoever sends the same statement again takes no signature away.
            kept = with_signatures_of(token, held)
        except ApprovalError as error:
            self._refuse(action, registered, f"the tag {key!r}", error, alias=key, token=token)
        ref = registered.ref
        if statement.run_id is not None:
            location = self.get_model_version_download_uri(ref.name, ref.version)
            seal(location, statement.run_id)
        reason = f"{statement.verdict or statement.kind}, signed with {signers}"
        self._note("allowed", action, registered, reason, alias=key, token=token)
        follows = {} if statement.kind == "waiver" else plain(statement)
        if held is not None and statement_digest(held) != statement_digest(token):
            # What was replaced never counts again, whoever sends it and whenever.
            follows[replaced_tag(held)] = statement_digest(token)
        self._mark(registered, {key: kept, **follows})
        self._correct_description(registered.ref, follows.get(STATUS))

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Delete a tag that is not ours."""
        change = partial(super().delete_model_version_tag, name, version, key)
        if not reserved(key):
            change()
            return
        with self._one_step(name):
            registered = self._current(name, version)
            if registered is not None:
                why = ApprovalError("what governance wrote is replaced by signed statements alone")
                action = "delete_model_version_tag"
                self._refuse(action, registered, f"the tag {key!r}", why, alias=key)
            change()

    def rename_registered_model(self, name: str, new_name: str) -> Any:
        """Rename a model that nothing protected points to; its versions are `pending` again."""
        change = partial(super().rename_registered_model, name, new_name)
        with self._refusals_written_down():
            self._check_name("rename_registered_model", name, new_name)
        with self._one_step(name):
            versions = tuple(map(_from_mlflow, self._versions(name)))
            about = versions[0] if versions else _no_version(name)
            self._check_rename(about, tuple(_final(versions)), enforced=True)
            names = (name, new_name)
            enforced = any(map(self._protection().enforces, names))
            self._check_rename(about, tuple(self._held(name)), enforced=enforced)
            if versions:
                self._note("allowed", "rename_registered_model", about, f"to {new_name}")
            for registered in versions:
                tags = _after_rename(registered, time.time())
                self._mark(registered, tags)
                self._correct_description(registered.ref, tags[STATUS])
            # Our lines on the model lead to a page by its first name, which another may get.
            text = self.get_registered_model(name).description or ""
            if (kept := without_summary(text)) != text:
                super().update_registered_model(name, kept)
            return change()

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Delete an alias; that of a protected one is written down."""
        change = partial(super().delete_registered_model_alias, name, alias)
        if not self._protection().covers_alias(alias):
            change()
            return
        with self._one_step(name):
            number = dict(self.get_registered_model(name).aliases).get(alias)
            registered = None if number is None else self._current(name, str(number))
            if registered is not None:
                self._note("allowed", "delete_registered_model_alias", registered, "", alias=alias)
            change()

    def delete_model_version(self, name: str, version: str) -> None:
        """Delete a version, and write that down."""
        change = partial(super().delete_model_version, name, version)
        with self._one_step(name):
            registered = self._current(name, version)
            if registered is not None:
                self._note("allowed", "delete_model_version", registered, "")
            change()

    def delete_registered_model(self, name: str) -> None:
        """Delete a registered model, and write down which versions went with it."""
        change = partial(super().delete_registered_model, name)
        with self._one_step(name):
            for item in self._versions(name):
                self._note("allowed", "delete_registered_model", _from_mlflow(item), "")
            change()

    def _current(self, name: str, version: str) -> RegisteredVersion | None:
        """The version as it is now; None for one of a prompt, which is none of our business."""
        held = self.get_model_version(name, version)
        return None if _is_prompt(held.source, held.tags) else _from_mlflow(held)

    def _check_rename(
        self, about: RegisteredVersion, held: tuple[str, ...], *, enforced: bool
    ) -> None:
        """Refuse a new name to a model that holds what it must not take along."""
        if held:
            why = ApprovalError(f"approvals name the model; remove {', '.join(held)} first")
            action, what = "rename_registered_model", "a new name"
            if enforced:
                self._refuse(action, about, what, why)
            self._note("reported", action, about, "; ".join(why.problems))

    def _held(self, name: str) -> Iterator[str]:
        """The protected aliases and stages that a model would take along under another name."""
        protection, model = self._protection(), self.get_registered_model(name)
        # One by one, as MLflow's search leaves out models that have a version tagged as a prompt.
        for alias, number in dict(model.aliases).items():
            if protection.covers_alias(alias) and self._current(name, str(number)) is not None:
                yield f"alias {alias!r}"
        for item in model.latest_versions:
            stage = item.current_stage
            if protection.covers_stage(stage) and not _is_prompt(item.source, item.tags):
                yield f"stage {stage!r} of version {item.version}"

    def _check_prompt(self, name: str) -> None:
        """Refuse a prompt among the versions of a model, which it would hide from searches."""
        if not self.get_registered_model(name)._is_prompt():  # noqa: SLF001 - all that tells
            with self._refusals_written_down():
                why = ApprovalError(HIDDEN)
                self._refuse("create_model_version", _no_version(name), "a prompt", why)

    def _at(self, name: str, number: str) -> Any | None:
        """A version by its number, if there is one."""
        try:
            return self.get_model_version(name, number)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
            return None

    def _newest(self, name: str) -> Iterator[Any]:
        """The newest versions of a model, with their aliases, which a search does not tell."""
        page = self.search_model_versions(_named(name), NEWEST, order_by=["version_number DESC"])
        return filter(None, (self._at(name, str(item.version)) for item in page))

    def _versions(self, name: str) -> Iterator[Any]:
        """All versions of a model; none of a prompt's."""
        token = None
        while True:
            page = self.search_model_versions(_named(name), 1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _check_approved(
        self, action: str, name: str, version: str, alias: str, *, written_down: bool = False
    ) -> None:
        """Refuse or report what is for approved versions alone; prompts are not ours."""
        registered = self._current(name, version)
        if registered is None:
            return
        token = registered.tags.get(APPROVAL)
        try:
            signers = self._approved_by(registered, alias)
        except ApprovalError as error:
            if self._protection().enforces(name):
                what = f"the protected {'alias' if 'alias' in action else 'stage'} {alias!r}"
                self._refuse(action, registered, what, error, alias=alias, token=token)
            if written_down:
                why = "; ".join(error.problems)
                self._note("reported", action, registered, why, alias=alias, token=token)
            return
        if written_down:
            reason = f"approved, signed with {signers}"
            self._note("allowed", action, registered, reason, alias=alias, token=token)

    def _approved_by(self, registered: RegisteredVersion, name: str) -> str:
        """Ids of the keys that signed the approval of a version, if it counts for a use of it now.

        Raises:
            ApprovalError: If it has none; says which command helps.
        """
        protection = self._protection()
        answer = standing(
            registered,
            self._ring(protection),
            time.time(),
            policy_accepted=protection.accepts,
            expected="approved",
        )
        if answer.statement is None or not answer.counts:
            raise ApprovalError((*answer.problems, _cure(registered)))
        if lacking := tuple(protection.lacking(name, answer, registered.authors)):
            raise ApprovalError(lacking)
        return _ids(answer)

    def _accepted(
        self, key: str, token: str, registered: RegisteredVersion
    ) -> tuple[Statement, str]:
        """The signed statement that may be put on a version under a tag, and its keys' ids.

        Raises:
            ApprovalError: If it may not; says which command makes one that may.
        """
        protection = self._protection()
        ring = self._ring(protection)
        answer = admission(
            key, token, registered, ring, time.time(), policy_accepted=protection.accepts
        )
        if answer.statement is None or not answer.counts:
            useless = answer.statement is None or answer.doubtful("expired")
            cure = (_cure(registered),) if useless else ()
            raise ApprovalError((*answer.problems, *cure))
        return answer.statement, _ids(answer)

    def _check_model_tag(self, name: str, key: str, action: str) -> None:
        about = _no_version(name)
        with self._refusals_written_down():
            if _kept_back(key) and (reserved(key) or action != "delete_registered_model_tag"):
                what = f"a tag of the model beginning {PREFIX!r}"
                why = ApprovalError(f"of those, only {POLICY_URI} is for everybody to set")
                self._refuse(action, about, what, why, alias=key)
            if key == IS_PROMPT_TAG_KEY:
                self._refuse(action, about, f"the tag {key!r}", ApprovalError(HIDDEN), alias=key)

    def _check_name(self, action: str, about: str, name: str) -> None:
        """Refuse or report a new name that a person takes for that of another model."""
        other = lookalike(name, self._names())
        if other is not None:
            why = ApprovalError(f"it looks like that of models:/{other}; choose another one")
            if any(map(self._protection().enforces, (about, name, other))):
                self._refuse(action, _no_version(about), f"the name {name!r}", why)
            self._note("reported", action, _no_version(about), "; ".join(why.problems))

    def _check_description(
        self, action: str, about: RegisteredVersion, text: str | None, held: str | None = None
    ) -> None:
        """Refuse a description that claims a verdict which does not stand, unless it did before."""
        status = about.tags.get(STATUS, PENDING)
        if claims := sorted(claimed(text) - claimed(held) - {status}):
            why = f"it claims the verdict {claims[0]} and the status is {status}; {CLAIM}"
            self._refuse(action, about, "the description", ApprovalError(why))

    def _correct_description(self, ref: VersionRef, status: str | None) -> None:
        """Take our summary out of a description once it claims another verdict than stands."""
        if status in {None, RUNNING}:
            return
        text = self.get_model_version(ref.name, ref.version).description
        if claimed(text) - {status}:
            super().update_model_version(ref.name, ref.version, without_summary(text))

    def _names(self) -> Iterator[str]:
        """The names of all registered models."""
        token = None
        while True:
            page = self.search_registered_models(max_results=1000, page_token=token)
            yield from (model.name for model in page)
            token = page.token
            if not token:
                return

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
        why = first_few(error.problems, SHOWN, between="; ")
        who = f" to {user}" if (user := _user()) else ""
        raise Refusal(
            f"{registered.ref.uri}: {what} is refused{who}: {why}",
            _entry("refused", action, registered, why, alias=alias, token=token),
        ) from error

    def _note(
        self,
        outcome: Outcome,
        action: str,
        registered: RegisteredVersion,
        reason: str,
        *,
        alias: str | None = None,
        token: str | None = None,
    ) -> None:
        self._write_down(_entry(outcome, action, registered, reason, alias=alias, token=token))

    def _write_down(self, entry: audit.AuditEntry) -> None:
        """Write a decision into the audit; what cannot be written down is not done."""
        try:
            self._append(entry)
        except SQLAlchemyError as error:
            logger.exception("The audit of governance cannot be written")
            where = f"models:/{entry.model}" + (f"/{entry.version}" if entry.version else "")
            raise MlflowException(
                f"{where}: refused, since the audit cannot be written; ask whoever runs the server",
                error_code=PERMISSION_DENIED,
            ) from error
        if entry.outcome != "allowed":
            logger.warning("governance %s", audit.line(entry))

    def _append(self, entry: audit.AuditEntry) -> None:
        audit.append(self._audit, entry)


def _entry(
    outcome: Outcome,
    action: str,
    registered: RegisteredVersion,
    reason: str,
    *,
    alias: str | None,
    token: str | None,
) -> audit.AuditEntry:
    """A decision about a version, as the audit keeps it."""
    return audit.AuditEntry(
        action=action,
        model=registered.ref.name,
        version=registered.ref.version or None,
        created=registered.ref.created or None,
        alias=alias,
        outcome=outcome,
        reason=reason,
        user=_user(),
        token=None if token is None else statement_digest(token),
    )


def _final(versions: Iterable[RegisteredVersion]) -> Iterator[str]:
    """The versions whose state forbids another name of their model."""
    for version in versions:
        state = last_state(version, time.time())
        if LIFECYCLE[state].renamed is None:
            yield f"version {version.ref.version}, {state}"


def _after_rename(registered: RegisteredVersion, now: float) -> dict[str, str | None]:
    """The tags that a version gets with another name of its model.

    What was signed stays, so that nothing older takes its place, but counts no more, not even under
    the first name.
    """
    gone: dict[str, str | None] = {
        key: None
        for key in registered.tags
        if reserved(key) and key not in {APPROVAL, AUTHOR} and not key.startswith(REPLACED)
    }
    held = registered.tags.get(APPROVAL)
    replaced = {} if held is None else {replaced_tag(held): RENAMED}
    return {**gone, **replaced, STATUS: LIFECYCLE[last_state(registered, now)].renamed}


def _from_mlflow(version: Any) -> RegisteredVersion:
    """A version as MLflow's store returns it."""
    tags = dict(version.tags)
    authors = tuple(name for name in (tags.get(AUTHOR), version.user_id) if name)
    return RegisteredVersion(
        ref=VersionRef.of(version), source=version.source, tags=tags, authors=authors
    )


def _no_version(name: str) -> RegisteredVersion:
    """What a decision is about that concerns a registered model and none of its versions."""
    return RegisteredVersion(ref=VersionRef(name=name, version="", created=0), source="", tags={})


def _cure(registered: RegisteredVersion) -> str:
    return (
        f"assess it: governance assess {registered.ref.uri} --policy FILE --signing-key KEY, or "
        "let the worker do it"
    )


def _ids(answer: Standing) -> str:
    return ", ".join(key.id for key in answer.signers)


def _named(name: str) -> str:
    """MLflow's filter for the versions of a model."""
    quoted = name.replace("'", "''")
    return f"name = '{quoted}'"


def _now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def _is_prompt(source: str, tags: Mapping[str, str]) -> bool:
    # Whatever else it claims to be: from such a source no model can be loaded.
    return source in _PROMPT_SOURCE_PLACEHOLDERS and tags.get(IS_PROMPT_TAG_KEY) == "true"


def _kept_back(key: str) -> bool:
    return imitates(key) and key != POLICY_URI


def _user() -> str | None:
    """Who is logged in, if MLflow's basic authentication is on and this is a request."""
    return getattr(g, "mlflow_authenticated_user", None) if has_request_context() else None
