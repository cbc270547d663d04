"""Tags: names of the tags that governance writes on a model version in MLflow."""

import re
import unicodedata

from governance.approval.lifecycle import LIFECYCLE, state_of, step_of
from governance.approval.signed_statements import statement_digest
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
    "RENAMED",
    "REPLACED",
    "RESERVED",
    "RUN",
    "RUNNING",
    "STATUS",
    "WAIVER",
    "folded",
    "plain",
    "replaced_tag",
    "reserved",
    "without_summary",
]

#: Beginning of every tag of ours. A governed registry lets nobody else write such a tag.
PREFIX = "governance."
#: The signed statement, from which the other tags of a version follow.
APPROVAL = "governance.approval"
#: The verdict; `pending` or `running` before there is one.
STATUS = "governance.status"
#: The run that holds the record.
RUN = "governance.run_id"
#: sha256 of the record.
DIGEST = "governance.digest"
#: sha256 of the manifest, which covers every file, the printed reports included.
MANIFEST = "governance.manifest"
#: Title and digest of the policy.
POLICY = "governance.policy"
#: User who registered the version, written by a governed registry.
AUTHOR = "governance.author"
#: Beginning of the tags that hold signed waivers; 16 hexadecimal digits follow.
WAIVER = "governance.waiver."
#: Begins the tags that name the statements which stood on the version before and count no more; 16
#: hexadecimal digits follow.
REPLACED = "governance.replaced."
#: Value of such a tag where no other statement took the place: the model got another name.
RENAMED = "renamed"
#: Tags of a model version that only governance should write, without those of waivers.
RESERVED = (STATUS, RUN, DIGEST, MANIFEST, POLICY, APPROVAL)

#: Tag of a registered model: the policy that its versions are assessed under. Anyone may set it.
POLICY_URI = "governance.policy_uri"

PENDING, RUNNING = "pending", "running"

#: Marks around our summary in the description of a version, below its first sentence: lists of
#: versions show the beginning of a description as it is.
BEGIN, END = "<!-- governance: begin -->", "<!-- governance: end -->"
#: From a begin to the nearest end, so that a stray begin costs nobody their text; with the sentence
#: right above it, if it is one of ours: about a version, or about a registered model.
FIRST = r"^Governance: (?:(?:approved|rejected|review|undetermined)\.|version [0-9]+ was)[^\n]*\n"
OURS = re.compile(rf"(?:{FIRST})?{BEGIN}(?:(?!{BEGIN}).)*?{END}", re.DOTALL | re.MULTILINE)

TITLE_LENGTH = 200
#: Categories of characters that MySQL's collations ignore: marks, formats, controls.
IGNORED = {"Mn", "Me", "Cf", "Cc"}


def folded(text: str) -> str:
    """A text as the least strict database compares it.

    Such a database ignores case, accents, blanks around the text and characters of no width.
    """
    letters = unicodedata.normalize("NFKD", text)
    kept = (item for item in letters if unicodedata.category(item) not in IGNORED)
    return "".join(kept).strip().casefold()


def reserved(key: str) -> bool:
    """Whether a tag is ours, in any spelling that a database may treat as the same."""
    return folded(key).startswith(PREFIX)


def replaced_tag(token: str) -> str:
    """The tag that says of a signed statement that it was replaced, and counts no more.

    Its value is the digest of the statement that took its place, or `renamed`.
    """
    return f"{REPLACED}{statement_digest(token)[:16]}"


def plain(statement: Statement) -> dict[str, str | None]:
    """The tags of a version that follow from a signed statement; None for a tag to be deleted.

    A version that becomes `running`, `pending` or revoked keeps the tags of its record.
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
    """A description without our summary and otherwise unchanged."""
    return OURS.sub("", text).strip("\n")
