"""Approval: what is said about a version by someone who can be held to it, signed with Ed25519.

```
Statement                      what is said: a verdict, a waiver or a revocation, of one version
sign(statement, key)           the statement as a token
read(token, ring, now)         the statement of a token whose signature, key and time are in order
unbound(statement, ...)        why it is about another version than the one at hand
PrivateKey, PublicKey, Keyring who may sign what
tags, marks                    under which names all this stands on a version in MLflow
```

The worker and people hold private keys; the registry's server holds public ones alone, so that
whoever breaks into it cannot make an approval. Nothing here knows MLflow.
"""

from governance.approval.keys import Keyring, PrivateKey, PublicKey
from governance.approval.statements import (
    LONGEST_DETAIL,
    LONGEST_WAIVER,
    SKEW,
    Statement,
    decode,
    read,
    sign,
    token_digest,
    unbound,
)
from governance.approval.waivers import check_approver, waiver_tag, waivers_among

__all__ = [
    "LONGEST_DETAIL",
    "LONGEST_WAIVER",
    "SKEW",
    "Keyring",
    "PrivateKey",
    "PublicKey",
    "Statement",
    "check_approver",
    "decode",
    "read",
    "sign",
    "token_digest",
    "unbound",
    "waiver_tag",
    "waivers_among",
]
