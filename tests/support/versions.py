"""Records of versions whose maps, answers and filters are drawn, not trained."""

import numpy as np

from governance.methods.coarse_maps import pack
from governance.records.assessment import Assessment
from governance.records.decision import judge
from governance.records.evidence import Evidence, Measurement, Table
from governance.records.identity import ModelIdentity, ValidationIdentity
from governance.records.policy import Expectation, ModelTerms, Policy

CLASSES = ("cat", "dog", "owl")
GRID = 4
IMAGES = 60
PARAMETERS = {"samples": IMAGES, "steps": 16, "grid": GRID, "repeated": 12}
MAP_COLUMNS = ("place", "image", "sha256", "label", "answer", "p_true", "map", "again", "signed")


def truth():
    """The maps that every harmless version scatters around, (IMAGES, cells)."""
    drawn = np.random.default_rng(7).gamma(1.0, size=(IMAGES, GRID * GRID))
    return drawn / drawn.sum(1, keepdims=True)


def scattered(maps, noise, seed):
    """Maps with multiplicative noise, summing to one."""
    drawn = maps * np.exp(np.random.default_rng(seed).normal(0, noise, maps.shape))
    # An empty map stays one.
    return drawn / np.maximum(drawn.sum(1, keepdims=True), np.finfo(float).tiny)


def map_table(maps, again, answers):
    """As `explanation_maps` records it."""
    labels = np.arange(len(maps)) % len(CLASSES)
    rows = tuple(
        (row, f"{row}.png", f"{row:064x}", int(labels[row]), int(answers[row]), 0.9,
         pack(maps[row].astype(np.float16)),
         pack(again[row].astype(np.float16)) if row < len(again) else None, True)
        for row in range(len(maps))
    )  # fmt: skip
    return Table(name="maps", caption="maps", columns=MAP_COLUMNS, rows=rows)


def unit_table(responses):
    """As `explanation_maps` records it, from {layer: (units, images)}."""
    rows = []
    for layer, values in responses.items():
        for unit, row in enumerate(values):
            low, high = float(row.min()), float(row.max())
            levels = np.rint((row - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
            rows.append((layer, unit, low, high, pack(levels)))
    return Table(
        name="units", caption="units", columns=("layer", "unit", "low", "high", "signature"),
        rows=tuple(rows),
    )  # fmt: skip


def record(
    name, maps=None, *, noise=0.2, seed=0, wrong=(), filters=None, again=None, extra=(),
    parameters=None, classes=CLASSES, digest="sha256:v", weights=None, about_maps=True, whole=(),
):  # fmt: skip
    """The record of a version; harmless unless told otherwise.

    Args:
        whole: Class and answer of every validation image, where the record is to hold them.
    """
    own = scattered(truth(), noise, [seed, 0]) if maps is None else maps
    second = scattered(own, 0.02, [seed, 1])[: PARAMETERS["repeated"]]
    answers = np.arange(IMAGES) % len(CLASSES)
    answers[list(wrong)] = (answers[list(wrong)] + 1) % len(CLASSES)
    responses = np.random.default_rng(3).normal(size=(5, IMAGES))
    tables = (
        map_table(own, second if again is None else again, answers),
        unit_table({"conv": responses} if filters is None else filters),
    )
    answered = Table(
        name="answers", caption="answers", columns=("image", "class", "answer", "confidence"),
        rows=tuple((f"{row}.png", *both, 0.5 + row / 1000) for row, both in enumerate(whole)),
    )  # fmt: skip
    accuracy = Measurement(
        metrics={"accuracy": 1 - len(wrong) / IMAGES}, tables=(answered,) if whole else ()
    )
    found = [("performance", {}, accuracy), *extra]
    if about_maps:
        maps_found = Measurement(metrics={"self_agreement": 0.9}, tables=tables)
        found.append(("explanation_maps", parameters or PARAMETERS, maps_found))
    evidence = tuple(
        Evidence(
            analysis=analysis, about="", parameters=used, seed=0, seconds=0.0, device="cpu",
            measurement=measurement,
        )
        for analysis, used, measurement in found
    )  # fmt: skip
    policy = Policy(
        title="T", validation="v", model=ModelTerms(), analyses={},
        expectations=(Expectation(metric="performance.accuracy", at_least=0),),
    )  # fmt: skip
    return Assessment(
        identity=ModelIdentity(
            uri=f"models:/tiny/{name}", digest=weights or f"sha256:{name}",
            artifact_digest="sha256:0", format="pt2", parameters=1,
        ),
        validation=ValidationIdentity(
            location="memory", digest=digest, images=IMAGES, class_names=classes,
            class_counts=(20, 20, 20),
        ),
        policy=policy, evidence=evidence, decision=judge(policy, evidence), environment={},
        created="2026-11-22T12:00:00+00:00",
    )  # fmt: skip


def harmless(m, start=100):
    """Records of m references."""
    return [record(f"r{k}", seed=start + k) for k in range(m)]
