"""Approval: signed statements about model versions, and when they count.

```
keys               private keys, and whatever else signs
public_keys        the two kinds of public keys, their bytes, ids and what they verify
printable          names and reasons whose letters all show
keyring            whose signatures count, for what, and until when
envelopes          signed bytes with their signatures (DSSE)
statements         what a verdict, a waiver or a revocation says, and what none may say
signed_statements  the same as in-toto has them, in envelopes, made and read back
former_tokens      statements in the form of earlier releases, which count no more
verdict_claims     what a verdict says because its record says it, and where the two differ
attestations       an assessment as in-toto's test results and verification, for tools of others
model_signatures   who signed the files of a model (OpenSSF Model Signing)
signing_requests   what the process that holds a key is asked, and its answer
signable           what an assessor's key may sign, judged again from the record
signer_process     holds an assessor's key, and answers on a socket
remote_keys        keys that such a process holds
signed_rings       keyrings that root keys signed, of versions that only rise
waivers            which signed waivers of a version count
thresholds         how many people have to have signed, by what the approval is used for
tags               names of the tags that hold all this on a version in MLflow
lookalikes         names that a person takes for another name
claims             verdicts that a description claims in the form of our summary
lifecycle          the states of a version, and who may move it from one to the next
standing           whether the signed statement on a version counts, for this version, now
protection         which aliases and stages a server protects, and whose approval counts there
bundles            all that an auditor needs of a version, in one file
auditing           what a bundle proves to someone who trusts a ring, offline
```

The worker and people hold private keys. The registry's server holds public keys alone, so that an
intruder there cannot make an approval. Nothing here knows MLflow.
"""

from governance.approval.former_tokens import FormerTokenError
from governance.approval.keyring import Keyring, PublicKey
from governance.approval.keys import PrivateKey, Signer
from governance.approval.printable import cleaned
from governance.approval.signed_rings import load_ring
from governance.approval.signed_statements import (
    Signed,
    countersign,
    decode,
    read,
    sign,
    statement_digest,
    with_signatures_of,
)
from governance.approval.statements import LONGEST_DETAIL, LONGEST_WAIVER, SKEW, Statement, unbound
from governance.approval.waivers import check_approver, waiver_tag, waivers_among

__all__ = [
    "LONGEST_DETAIL",
    "LONGEST_WAIVER",
    "SKEW",
    "FormerTokenError",
    "Keyring",
    "PrivateKey",
    "PublicKey",
    "Signed",
    "Signer",
    "Statement",
    "check_approver",
    "cleaned",
    "countersign",
    "decode",
    "load_ring",
    "read",
    "sign",
    "statement_digest",
    "unbound",
    "waiver_tag",
    "waivers_among",
    "with_signatures_of",
]
