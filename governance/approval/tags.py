"""Tags: the names under which governance stands on a model version, apart from any MLflow."""

import re
import unicodedata

from governance.approval.lifecycle import LIFECYCLE, state_of, step_of
from governance.approval.statements import Statement

__all__ = [
    "APPROVAL",
    "AUTHOR",
    "BEGIN",
    "DIGEST",
    "END",
    "MANIFEST",
    "PENDING",
    "POLICY",
    "POLICY_URI",
    "PREFIX",
    "RESERVED",
    "RUN",
    "RUNNING",
    "STATUS",
    "WAIVER",
    "folded",
    "plain",
    "reserved",
    "without_summary",
]

#: Every tag of a version that begins so is ours; a governed registry refuses all others' writing.
PREFIX = "governance."
#: The signed statement that all the others of a version are taken from.
APPROVAL = "governance.approval"
#: The verdict, or `pending` or `running` before there is one.
STATUS = "governance.status"
#: The run that holds the record.
RUN = "governance.run_id"
#: sha256 of the record.
DIGEST = "governance.digest"
#: sha256 of the manifest, which covers every file, the printed reports included.
MANIFEST = "governance.manifest"
#: Title and digest of the policy.
POLICY = "governance.policy"
#: Who registered the version, as the server knew them; written by a governed registry alone.
AUTHOR = "governance.author"
#: Begins the tags that hold signed waivers; 16 hexadecimal digits follow.
WAIVER = "governance.waiver."
#: Tags of a model version that nobody else should write, waivers apart.
RESERVED = (STATUS, RUN, DIGEST, MANIFEST, POLICY, APPROVAL)

#: On a registered model, which policy its versions are assessed under; anyone may set it.
POLICY_URI = "governance.policy_uri"

PENDING, RUNNING = "pending", "running"

#: Around our summary in the description of a version.
BEGIN, END = "<!-- governance: begin -->", "<!-- governance: end -->"
#: From a begin to the nearest end, so that a stray begin costs nobody their text.
OURS = re.compile(rf"{BEGIN}(?:(?!{BEGIN}).)*?{END}", re.DOTALL)

TITLE_LENGTH = 200


def folded(text: str) -> str:
    """A text as the laxest database compares it: without letter case, accents and outer blanks."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(item for item in letters if not unicodedata.combining(item)).strip().casefold()


def reserved(key: str) -> bool:
    """Whether a tag is ours, in any spelling that a database may take for it."""
    return folded(key).startswith(PREFIX)


def plain(statement: Statement) -> dict[str, str | None]:
    """The tags of a version that follow from what was signed; None where a tag has to go.

    A `running` or `pending` version keeps the record that it had, and so does a revoked one.
    """
    status = LIFECYCLE[state_of(statement.kind, statement.verdict)].status
    if step_of(statement.kind, statement.verdict) != "verdict":
        return {STATUS: status}
    title, digest = statement.policy_title, statement.policy_digest
    return {
        RUN: statement.run_id,
        DIGEST: statement.assessment_digest,
        MANIFEST: statement.manifest,
        POLICY: None if digest is None else f"{(title or '')[:TITLE_LENGTH]} ({digest})",
        STATUS: status,
    }


def without_summary(text: str) -> str:
    """A description without our summary; everything else as it was."""
    return OURS.sub("", text).strip("\n")
