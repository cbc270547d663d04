"""Envelope: whether a version changed only where, by what and as far as a policy allows."""

from collections.abc import Sequence
from dataclasses import dataclass

from governance.records.drift_terms import Envelope
from governance.records.evidence import ModelIdentity, Table
from governance.records.numbers import number
from governance.records.wording import first_few

__all__ = ["Side", "changed_layers", "outside", "sides", "table"]

LISTED = 8  # names in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of an envelope, held against what was found.

    Attributes:
        name: `layers`, `data` or `drift`.
        allowed: In words.
        found: In words.
        inside: None where the records do not tell.
    """

    name: str
    allowed: str
    found: str
    inside: bool | None


def sides(
    envelope: Envelope,
    old: ModelIdentity,
    new: ModelIdentity,
    data: Sequence[tuple[str, str]],
    upper: float | None,
) -> tuple[Side, ...]:
    """The sides that an envelope closes.

    Args:
        envelope: As the policy states it.
        old: The version before.
        new: The version in question.
        data: Name and digest of the data sets that its training run logged.
        upper: Upper end of the interval of its drift from the version before.
    """
    found = []
    if envelope.allowed_layers is not None:
        found.append(_layers(envelope.allowed_layers, old, new))
    if envelope.data is not None:
        found.append(_data(envelope.data, data))
    if envelope.drift is not None:
        found.append(
            Side(
                name="drift",
                allowed=f"at most {envelope.drift:g}",
                found="not measured" if upper is None else f"at most {number(upper)}",
                inside=None if upper is None else upper <= envelope.drift,
            )
        )
    return tuple(found)


def changed_layers(old: ModelIdentity, new: ModelIdentity) -> tuple[str, ...] | None:
    """Modules whose tensors differ, or that one version alone has; None where not recorded."""
    if not old.layers or not new.layers:
        return None
    names = sorted({*old.layers, *new.layers})
    return tuple(name for name in names if old.layers.get(name) != new.layers.get(name))


def _layers(allowed: Sequence[str], old: ModelIdentity, new: ModelIdentity) -> Side:
    changed = changed_layers(old, new)
    words = first_few(allowed, LISTED) or "none may change"
    if changed is None:
        return Side(name="layers", allowed=words, found="not recorded", inside=None)
    stray = [name for name in changed if not _below(name, allowed)]
    found = f"{len(changed)} changed"
    if stray:
        found += f", of these not allowed: {first_few(stray, LISTED)}"
    return Side(name="layers", allowed=words, found=found, inside=not stray)


def _below(name: str, allowed: Sequence[str]) -> bool:
    return any(name == layer or name.startswith(f"{layer}.") for layer in allowed)


def _data(allowed: Sequence[str], data: Sequence[tuple[str, str]]) -> Side:
    words = first_few(allowed, LISTED) or "none"
    if not data:
        found = "the training run logged no data set"
        return Side(name="data", allowed=words, found=found, inside=None)
    stray = [" ".join(item) for item in data if not set(item) & set(allowed)]
    found = first_few([" ".join(item) for item in data], LISTED)
    return Side(name="data", allowed=words, found=found, inside=not stray)


def outside(found: Sequence[Side]) -> float | None:
    """How many sides were overstepped; None where that could not be told of one, and none was."""
    overstepped = sum(side.inside is False for side in found)
    unknown = any(side.inside is None for side in found)
    return None if unknown and not overstepped else float(overstepped)


def table(found: Sequence[Side]) -> Table:
    """The sides as rows."""
    return Table(
        name="envelope",
        caption="The change envelope of the policy: what may differ from the version before.",
        columns=("side", "allowed", "found", "inside"),
        rows=tuple((side.name, side.allowed, side.found, side.inside) for side in found),
    )
