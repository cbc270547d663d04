"""Version: the recorded explanations of one assessed version, ready to be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from governance.errors import EvidenceError
from governance.methods.coarse_maps import Maps, ranked, unpack
from governance.records.assessment import Assessment
from governance.records.evidence import Evidence, Measurement, Table
from governance.records.identity import ModelIdentity
from governance.records.turned import Answers, answers_in

__all__ = [
    "MAPS",
    "ResponseProfiles",
    "Version",
    "aligned",
    "comparable_parts",
    "refuse",
    "version_of",
    "with_maps",
]

#: The analysis whose record every comparison needs.
MAPS = "explanation_maps"
LEVELS = 255
#: Twice the largest number of float32 squared is far below that of float64.
LARGEST_RESPONSE = 3.5e38
LEAST = 2  # images below which a mean distance has no spread to judge it by

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResponseProfiles:
    """Response profiles of the filters of one layer on the same images.

    Attributes:
        units: Numbers of the channels.
        responses: Mean activations, (units, images).
    """

    units: tuple[int, ...]
    responses: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Version:
    """One version, as its record describes it.

    Attributes:
        identity: Identity of the model.
        class_names: Class names in the order of the model's outputs.
        images: Names of the images, (N).
        places: Places of the images in the validation set, (N,).
        labels: True classes, (N,).
        answers: Answered classes, (N,).
        p_true: Probabilities of the true class, (N,).
        maps: Coarse heat maps, (N, cells).
        twice: Rows of the images explained twice.
        again: Second heat maps of these images, (twice, cells).
        filters: Response profiles by layer.
        lens: Recall of the lens by layer and class, (K,) each; NaN if unknown.
        importance: Mass of filter importance by class, (K,); None if not recorded.
        unit_importance: Added loss by layer and channel.
        whole: Class and answer of every validation image, (images); None if not recorded.
        covered: Whether a representative rule of its answered class covers an image, by image.
        metrics: All recorded metrics by full name.
    """

    identity: ModelIdentity
    class_names: tuple[str, ...]
    images: tuple[str, ...]
    places: NDArray[np.int64]
    labels: NDArray[np.int64]
    answers: NDArray[np.int64]
    p_true: Array
    maps: Maps
    twice: NDArray[np.int64]
    again: Maps
    filters: Mapping[str, ResponseProfiles]
    lens: Mapping[str, Array]
    importance: Array | None
    unit_importance: Mapping[tuple[str, int], float]
    covered: Mapping[str, bool]
    whole: Answers | None = None
    metrics: Mapping[str, float | None]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which images are answered rightly, (N,)."""
        right: NDArray[np.bool_] = self.answers == self.labels
        return right


def refuse(named: Mapping[str, Assessment]) -> None:
    """Refuse assessments that cannot be compared.

    Args:
        named: Assessments by their name in messages; the first is the old version.

    Raises:
        EvidenceError: All problems at once, each with the assessment's place.
    """
    problems: list[str] = []
    places: dict[str, str] = {}
    weights: dict[str, str] = {}
    (lead, first), *_ = named.items()
    for name, item in named.items():
        where, uri = f"{name} ({item.identity.uri})", item.identity.uri
        if uri in places:
            problems.append(f"{where}: is {places[uri]} itself; another version or run is accepted")
        # A reference run that repeats weights is no further run.
        elif "reference" in name and item.identity.digest in weights:
            problems.append(
                f"{where}: has the weights of {weights[item.identity.digest]}; a run of its own is "
                "accepted"
            )
        places.setdefault(uri, name)
        weights.setdefault(item.identity.digest, name)
        problems += [f"{where}: {what}" for what in _differences(item, first, lead)]
    if problems:
        raise EvidenceError(problems)


def _differences(item: Assessment, first: Assessment, lead: str) -> list[str]:
    problems = []
    if item.schema != first.schema:
        problems.append(f"schema {item.schema}; {first.schema}, as of {lead}, is accepted")
    if item.validation.class_names != first.validation.class_names:
        problems.append(
            f"classes {', '.join(item.validation.class_names)}; those of {lead} in the same order "
            f"are accepted: {', '.join(first.validation.class_names)}"
        )
    elif item.validation.digest != first.validation.digest:
        problems.append(
            f"validation images {item.validation.digest}; the same images as of {lead} are "
            f"accepted: {first.validation.digest}"
        )
    recorded, theirs = _evidence(item, MAPS), _evidence(first, MAPS)
    if recorded is None or recorded.measurement is None:
        reason = (
            recorded.failure.message if recorded is not None and recorded.failure else "was not run"
        )
        problems.append(
            f"holds no {MAPS} ({reason}); an assessment under a policy with [analyses.{MAPS}] is "
            "accepted"
        )
    elif theirs is not None and (recorded.seed, recorded.parameters) != (
        theirs.seed,
        theirs.parameters,
    ):
        problems.append(
            f"{MAPS} with seed {recorded.seed} and {dict(recorded.parameters)}; as of {lead} is "
            f"accepted: seed {theirs.seed} and {dict(theirs.parameters)}"
        )
    return problems


def comparable_parts(named: Sequence[Assessment], analysis: str) -> str | None:
    """Reason why an analysis cannot be compared over all these records; None if it can."""
    recorded = [_evidence(item, analysis) for item in named]
    missing = sum(item is None or item.measurement is None for item in recorded)
    if missing:
        return f"{analysis} is missing from {missing} of {len(named)} records"
    settings = [(item.seed, dict(item.parameters)) for item in recorded if item is not None]
    if any(other != settings[0] for other in settings):
        return f"{analysis} was run with different seeds or parameters"
    return None


def version_of(assessment: Assessment) -> Version:
    """Read the version of an assessment that `refuse` accepted.

    Raises:
        EvidenceError: If a recorded table is damaged.
    """
    try:
        return _version(assessment)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise EvidenceError(
            f"{assessment.identity.uri}: a recorded table is damaged: {error!r}"
        ) from error


def _version(assessment: Assessment) -> Version:
    names = assessment.validation.class_names
    frame = _frame(assessment, MAPS, "maps")
    if frame is None or frame.empty:
        raise EvidenceError(f"{assessment.identity.uri}: {MAPS} holds no map")
    cells = int(_parameter(assessment, "grid")) ** 2
    where = f"{assessment.identity.uri}: {MAPS}/maps"
    twice = np.flatnonzero(frame["again"].notna().to_numpy())
    return Version(
        identity=assessment.identity,
        class_names=names,
        images=tuple(frame["image"].astype(str)),
        places=frame["place"].to_numpy(np.int64),
        labels=frame["label"].to_numpy(np.int64),
        answers=frame["answer"].to_numpy(np.int64),
        p_true=frame["p_true"].to_numpy(np.float64),
        maps=_maps(frame["map"], cells, where),
        twice=twice,
        again=_maps(frame["again"].iloc[twice], cells, where),
        filters=_filters(assessment, int(frame["signed"].sum())),
        lens=_lens(assessment, names),
        importance=_importance(assessment, names),
        unit_importance=_unit_importance(assessment),
        covered=_covered(assessment),
        whole=_whole(assessment),
        metrics=assessment.metrics,
    )


def aligned(versions: Sequence[Version]) -> None:
    """Refuse versions whose heat maps are of other images or of another grid.

    Raises:
        EvidenceError: All such versions at once.
    """
    first = versions[0]
    problems = [
        f"{item.identity.uri}: {MAPS} are of other images of the set, or of another number of "
        f"cells, than those of {first.identity.uri}; the same sample is accepted"
        for item in versions[1:]
        if item.maps.shape != first.maps.shape
        or not np.array_equal(item.places, first.places)
        or not np.array_equal(item.labels, first.labels)
        or not np.array_equal(item.twice, first.twice)
    ]
    if problems:
        raise EvidenceError(problems)


def with_maps(versions: Sequence[Version]) -> tuple[list[Version], tuple[str, ...]]:
    """Versions without the images on which none of them has a heat map, and a note on these.

    In an empty heat map nothing in the image matters to the model. Two such heat maps are alike,
    but nothing was compared.

    Raises:
        EvidenceError: If fewer than two images are left, or none that was explained twice.
    """
    seen = np.any([ranked(item.maps).any(1) for item in versions], axis=0)
    images, left = len(seen), int(seen.sum())
    if left == images and left >= LEAST:
        return list(versions), ()
    if left < LEAST or not seen[versions[0].twice].any():
        raise EvidenceError(
            f"{versions[0].identity.uri}: a version has a map on {left} of {images} images; maps "
            f"on at least {LEAST} images, one of them explained twice, are accepted"
        )
    note = (
        f"{images - left} of {images} images are left out: under no version does any pixel change "
        "the score of their class, so that there is no map to compare."
    )
    return [_only(item, np.flatnonzero(seen)) for item in versions], (note,)


def _only(version: Version, rows: NDArray[np.int64]) -> Version:
    """A version on some of its images."""
    repeated = np.isin(version.twice, rows)
    return replace(
        version,
        images=tuple(version.images[row] for row in rows),
        places=version.places[rows],
        labels=version.labels[rows],
        answers=version.answers[rows],
        p_true=version.p_true[rows],
        maps=version.maps[rows],
        twice=np.searchsorted(rows, version.twice[repeated]),
        again=version.again[repeated],
    )


def _evidence(assessment: Assessment, analysis: str) -> Evidence | None:
    return next((item for item in assessment.evidence if item.analysis == analysis), None)


def _parameter(assessment: Assessment, name: str) -> float:
    evidence = _evidence(assessment, MAPS)
    value = None if evidence is None else evidence.parameters.get(name)
    if not isinstance(value, int):
        raise EvidenceError(f"{assessment.identity.uri}: {MAPS} names no {name}")
    return value


def _frame(assessment: Assessment, analysis: str, name: str) -> pd.DataFrame | None:
    evidence = _evidence(assessment, analysis)
    measurement: Measurement | None = None if evidence is None else evidence.measurement
    tables: tuple[Table, ...] = () if measurement is None else measurement.tables
    table = next((item for item in tables if item.name == name), None)
    return None if table is None else pd.DataFrame(list(table.rows), columns=list(table.columns))


def _whole(assessment: Assessment) -> Answers | None:
    """The answer to every image; None in a record of before there were answers."""
    frame = _frame(assessment, "performance", "answers")
    if frame is None:
        return None
    found = answers_in({str(name): frame[name].tolist() for name in frame})
    if found is None:
        raise LookupError("performance/answers lacks a column")
    return found


def _maps(texts: "pd.Series[str]", cells: int, where: str) -> Maps:
    rows = [unpack(text, np.float16, cells, where) for text in texts]
    maps = np.stack(rows) if rows else np.zeros((0, cells))
    if (maps < 0).any():
        raise EvidenceError(f"{where}: a map holds a negative number; shares are accepted")
    return maps


def _filters(assessment: Assessment, images: int) -> dict[str, ResponseProfiles]:
    frame = _frame(assessment, MAPS, "units")
    if frame is None:
        return {}
    where = f"{assessment.identity.uri}: {MAPS}/units"
    profiles = {}
    for layer, rows in frame.groupby("layer", sort=False):
        levels = np.stack([unpack(t, np.uint8, images, where) for t in rows["signature"]])
        low, high = (rows[name].to_numpy(np.float64)[:, None] for name in ("low", "high"))
        responses = low + levels / LEVELS * (high - low)
        if not (np.abs(responses) <= LARGEST_RESPONSE).all():
            raise EvidenceError(f"{where}: a response is missing, or none of a float32 network")
        units = tuple(int(unit) for unit in rows["unit"])
        profiles[str(layer)] = ResponseProfiles(units=units, responses=responses)
    return profiles


def _lens(assessment: Assessment, names: Sequence[str]) -> dict[str, Array]:
    frame = _frame(assessment, "layer_prediction", "classes")
    if frame is None:
        return {}
    lens = frame[(frame["method"] == "lens") & frame["class"].isin(names)]
    return {
        str(layer): rows.groupby("class")["recall"].last().reindex(list(names)).to_numpy(np.float64)
        for layer, rows in lens.groupby("layer", sort=False)
    }


def _importance(assessment: Assessment, names: Sequence[str]) -> Array | None:
    frame = _frame(assessment, "filter_importance", "filters")
    if frame is None:
        return None
    single = frame[(frame["metric"] == "dp_true") & frame["unit"].notna()]
    single = single[single["class"].isin(names)].dropna(subset="estimate")
    if single.empty:
        return None
    mass = single.assign(mass=single["estimate"].clip(lower=0)).groupby("class")["mass"].sum()
    known: Array = mass.reindex(list(names)).to_numpy(np.float64)
    return known


def _unit_importance(assessment: Assessment) -> dict[tuple[str, int], float]:
    frame = _frame(assessment, "filter_importance", "filters")
    if frame is None:
        return {}
    single = frame[(frame["metric"] == "dloss") & (frame["class"] == "all") & frame["unit"].notna()]
    single = single.dropna(subset="estimate")
    keys = zip(single["layer"], single["unit"], single["estimate"], strict=True)
    return {(str(layer), int(unit)): float(estimate) for layer, unit, estimate in keys}


def _covered(assessment: Assessment) -> dict[str, bool]:
    frame = _frame(assessment, "representative_interpretation", "images")
    if frame is None:
        return {}
    return dict(zip(frame["image"].astype(str), frame["covered"].astype(bool), strict=True))
