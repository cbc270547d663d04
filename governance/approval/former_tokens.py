"""Former tokens: statements as releases before in-toto signed them, which count no more.

They were `base64url(JSON) "." base64url(Ed25519 signature)`. They are told apart from forgeries, so
that whoever reads of one learns which command signs it anew.
"""

import base64
import binascii
import json
import re

from governance.errors import ApprovalError

__all__ = ["FormerTokenError", "check_form", "was_revocation"]

LONGEST = 16_384
FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")


class FormerTokenError(ApprovalError):
    """A statement that is not signed in a form that counts."""


def check_form(token: str) -> None:
    """Refuse what a release before this format signed, or may have signed.

    Raises:
        FormerTokenError: If the text has that form; says which command signs anew.
    """
    if not _has_form(token):
        return
    cure = "a verdict: governance assess MODEL_URI --signing-key KEY, or the worker"
    if was_revocation(token):
        cure = "governance revoke MODEL_URI --key KEY"
    raise FormerTokenError(
        f"its statement is not signed in a form that counts, but in that of earlier releases; sign "
        f"it anew, {cure}"
    )


def _has_form(token: str) -> bool:
    return len(token) <= LONGEST and FORM.fullmatch(token) is not None


def was_revocation(token: str) -> bool:
    """Whether a text says of itself that it is a revocation in the former form.

    Whoever wrote that, it lets nothing pass, and a revocation is for good.
    """
    payload, _, _ = token.partition(".")
    if not _has_form(token):
        return False
    try:
        data = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(data, dict) and data.get("kind") == "revocation"
