"""Policy choice: the policy that applies to a registered model."""

from collections.abc import Mapping
from pathlib import Path

from governance.approval.tags import POLICY_URI
from governance.errors import PolicyError
from governance.records.bounded import LARGEST_TOML
from governance.records.policy import Policy
from governance.registry.versions import Room, download
from governance.worker.config import WorkerConfig
from governance.workflows import orchestration

__all__ = ["NO_POLICY", "choose_policy"]

NO_POLICY = "no policy applies"


def choose_policy(
    name: str, tags: Mapping[str, str], config: WorkerConfig, workspace: Path
) -> Policy:
    """The policy that a model's tag names, or else that of the first rule that fits its name.

    A tag that names a place which the configuration does not allow is refused: if it were ignored,
    the person who set it would believe in a policy that was never applied.

    Args:
        name: Name of the registered model.
        tags: Tags of the registered model; anyone may have written them.
        config: Rules, and places that tags may name.
        workspace: Folder for a policy that is downloaded.

    Raises:
        PolicyError: If none applies, the tag names another place, or the policy cannot be read.
        RegistryError: If it cannot be downloaded.
    """
    uri = tags.get(POLICY_URI)
    if uri is not None:
        return orchestration.read_policy(_place(uri, config, workspace))
    rule = config.rule(name)
    if rule is None:
        raise PolicyError(
            f"{NO_POLICY} to models named {name!r}: its tag {POLICY_URI} is not set, and no "
            f"rule of the worker fits; there are {[item.models for item in config.rules]}"
        )
    return orchestration.read_policy(rule.policy)


def _place(uri: str, config: WorkerConfig, workspace: Path) -> Path:
    """Where the policy lies, if the configuration allows its place."""
    refused = PolicyError(
        f"tag {POLICY_URI} is {uri[:200]!r}; a file in one of {list(config.places)} is accepted"
    )
    if "\0" in uri:
        raise refused  # a file system takes no such name, and says so in its own way
    allowed = [item for item in config.places if ":/" in item]
    if ":/" in uri:
        # What begins as an allowed place must not lead out of it.
        if ".." in uri or "%" in uri or not any(uri.startswith(item) for item in allowed):
            raise refused
        return download(uri, workspace / "policy", Room(1, LARGEST_TOML, PolicyError))
    for item in set(config.places) - set(allowed):
        found = (Path(item) / uri).resolve()
        if found.is_relative_to(item) and found.is_file():
            return found
    raise refused
