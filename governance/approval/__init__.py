"""Approval: signed statements about model versions, and when they count.

```
keys        who may sign what, and until when
statements  verdicts, waivers and revocations as tokens signed with Ed25519
agreement   what a signed verdict says of its record, and where the two differ
waivers     which signed waivers of a version count
tags        names of the tags that hold all this on a version in MLflow
lifecycle   the states of a version, and who may move it from one to the next
standing    whether the signed statement on a version counts, for this version, now
bundles     all that an auditor needs about a version, in one file, and its verification
```

The worker and people hold private keys. The registry's server holds public keys alone, so that an
intruder there cannot make an approval. Nothing here knows MLflow.
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
