"""A release in CI
===============

A pipeline asks the gate before it deploys, and goes by the exit code. The commands below run as
they would in a job: each is a process of its own, on a registry with
:doc:`two versions <digits>`.
"""

from digits import assessed, governance

# %%
# Nothing was assessed before the first release, so ``governance assess`` measures version 1 under
# the policy, judges it and records everything in MLflow. Its exit code is that of the verdict.

for version in (1, 2):
    assessed(version)

# %%
# **The gate** runs no analysis. It reads the record, holds it against the files of the model, and
# answers by its exit code: 0 approved, 10 rejected, 20 a person must decide, 30 undetermined, 40
# the evidence does not match.

for version in (1, 2):
    code, printed = governance("gate", f"models:/digits/{version}", "--junit", "findings.xml")
    print(printed.partition("\n\n")[0])  # the verdict and why
    print(f"exit code {code}\n")

# %%
# **Promotion** asks the same question and then sets the alias. Version 2 does not get it.

for version in (1, 2):
    code, printed = governance("promote", f"models:/digits/{version}", "--alias", "champion")
    print(f"version {version}: exit code {code}")
    assert code == {1: 0, 2: 10}[version]  # what the text says is held when it is built

# %%
# In a job this is one line, since shells stop at an exit code other than 0:
#
# .. code-block:: sh
#
#    governance gate models:/digits/1 --keys keyring.toml --junit findings.xml
#
# **What this registry does not do.** It is a plain MLflow store without keys: whoever may write to
# it can set any alias past the command, and forge a record. On a governed server pass ``--keys``
# and name a version number. :doc:`The threat model </docs/concepts/threat-model>` says who can get
# past what.
