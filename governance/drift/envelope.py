"""Allowed changes: does a version stay within the change envelope of its policy?"""

from collections.abc import Sequence
from dataclasses import dataclass

from governance.records.drift_terms import Envelope
from governance.records.evidence import Table
from governance.records.identity import ModelIdentity
from governance.records.numbers import number
from governance.records.wording import first_few

__all__ = ["Side", "changed_layers", "outside", "sides", "table"]

LISTED = 8  # names in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One kind of allowed change, compared with the change that was found.

    Attributes:
        name: Kind of change: `layers`, `data` or `drift`.
        allowed: Allowed change in words.
        found: Change that was found, in words.
        inside: Whether the change is allowed; None if the records do not tell.
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
    """The kinds of change that an envelope limits, each compared with the change found.

    Args:
        envelope: Allowed changes as the policy states them.
        old: The baseline version.
        new: The version in question.
        data: Name and digest of each data set that the new version's training run logged.
        upper: Upper end of the interval of the drift from the baseline version.
    """
    checked = []
    if envelope.allowed_layers is not None:
        checked.append(_layers(envelope.allowed_layers, old, new))
    if envelope.data is not None:
        checked.append(_data(envelope.data, data))
    if envelope.drift is not None:
        checked.append(
            Side(
                name="drift",
                allowed=f"at most {envelope.drift:g}",
                found="not measured" if upper is None else f"at most {number(upper)}",
                inside=None if upper is None else upper <= envelope.drift,
            )
        )
    return tuple(checked)


def changed_layers(old: ModelIdentity, new: ModelIdentity) -> tuple[str, ...] | None:
    """Modules whose tensors differ or that only one version has; None if not recorded."""
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
    observed = f"{len(changed)} changed"
    if stray:
        observed += f", of these not allowed: {first_few(stray, LISTED)}"
    return Side(name="layers", allowed=words, found=observed, inside=not stray)


def _below(name: str, allowed: Sequence[str]) -> bool:
    return any(name == layer or name.startswith(f"{layer}.") for layer in allowed)


def _data(allowed: Sequence[str], data: Sequence[tuple[str, str]]) -> Side:
    words = first_few(allowed, LISTED) or "none"
    if not data:
        observed = "the training run logged no data set"
        return Side(name="data", allowed=words, found=observed, inside=None)
    stray = [" ".join(item) for item in data if not set(item) & set(allowed)]
    observed = first_few([" ".join(item) for item in data], LISTED)
    return Side(name="data", allowed=words, found=observed, inside=not stray)


def outside(checked: Sequence[Side]) -> float | None:
    """Number of changes beyond the envelope; None if none is known and one is unknown."""
    overstepped = sum(side.inside is False for side in checked)
    unknown = any(side.inside is None for side in checked)
    return None if unknown and not overstepped else float(overstepped)


def table(checked: Sequence[Side]) -> Table:
    """One row per kind of change."""
    return Table(
        name="envelope",
        caption="Changes that the policy allows from the baseline version, and those found.",
        columns=("side", "allowed", "found", "inside"),
        rows=tuple((side.name, side.allowed, side.found, side.inside) for side in checked),
    )
