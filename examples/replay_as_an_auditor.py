"""Replay as an auditor
====================

An auditor gets one file from the team: the *bundle* of a version. It holds the record, its tables
and reports, and the list of the model's files. The auditor picks a number, and the program measures
a part of the assessment again, in analyses that nobody could know before.
"""

import shutil

from digits import assessed, governance

bundle = assessed(2).parent / "digits-2.bundle"
bundle.unlink(missing_ok=True)
code, _ = governance("bundle", "models:/digits/2", "--out", str(bundle))
print(f"exit code {code}, {bundle.stat().st_size / 1024:.0f} KiB")

# %%
# Half of the analyses, picked by the seed 2026, are measured again from the model and the images,
# and every number is held against the record within the tolerance that its metric declares.

code, printed = governance("replay", str(bundle), "--seed", "2026", "--sample", "50%")
print(printed)
print(f"exit code {code}: 0 reproduced, 40 something differs, 30 nothing follows")
assert code == 0  # what the text says is held when it is built

# %%
# **Control: a record that was touched.** In a copy of the kept record, "rejected" is replaced by
# "approved". A record is judged again and held against its digests when it is read, so this ends
# with 40.

touched = assessed(2).parent / "touched"
shutil.rmtree(touched, ignore_errors=True)
shutil.copytree(assessed(2), touched)
record = touched / "assessment.json"
record.write_text(record.read_text().replace('"rejected"', '"approved"'))
code, _ = governance("replay", str(touched), "--seed", "2026", "--sample", "50%")
print(f"exit code {code}")
assert code == 40

# %%
# **What a replay does not say.** It checks no signature: ``governance verify`` does, with the
# auditor's own keyring. And a sample misses what it does not draw: with half of the analyses a
# single false one is found every second time.
