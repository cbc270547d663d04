"""Hypothesis strategies for records, shared by all tests: small, valid, and odd where allowed."""

import math

from hypothesis import strategies as st

from governance.approval import Statement, cleaned
from governance.records.assessment import Assessment, Baseline
from governance.records.decision import judge
from governance.records.evidence import Evidence, Failure, Figure, Interval, Measurement, Table
from governance.records.identity import ModelIdentity, ValidationIdentity
from governance.records.image_terms import ImageTerms
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.records.reading import FileReading
from governance.records.resizing import Resize
from governance.records.version_ref import VersionRef

names = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True)
# Anything a person or a hostile class folder may write, but for lone surrogates.
texts = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
small = st.floats(-2, 2)
digests = st.binary(max_size=4).map(lambda content: f"sha256:{content.hex():0>64}")
metric_names = st.one_of(names, texts.filter(bool).map("recall.{}".format))


@st.composite
def intervals(draw):
    low, high = sorted((draw(numbers), draw(numbers)))
    return Interval(low=low, high=high, n=draw(st.integers(1, 10**6)), method=draw(texts))


def columns(size):
    """One column of a table: one kind of cell, or None."""
    kinds = (st.booleans(), st.integers(-(2**63) + 1, 2**63 - 1), numbers, texts, st.none())
    return st.sampled_from(kinds).flatmap(
        lambda kind: st.lists(st.none() | kind, min_size=size, max_size=size)
    )


@st.composite
def tables(draw, name):
    heads = draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    size = draw(st.integers(0, 3))
    cells = [draw(columns(size)) for _ in heads]
    return Table(
        name=name,
        caption=draw(texts),
        columns=tuple(heads),
        rows=tuple(zip(*cells, strict=True)),
        shown=draw(st.none() | st.integers(0, 5)),
        printed=tuple(draw(st.lists(st.sampled_from(heads), unique=True))),
    )


@st.composite
def measurements(draw, metrics=None):
    if metrics is None:
        metrics = st.dictionaries(metric_names, st.none() | numbers, max_size=3)
    values = draw(metrics)
    held = draw(st.lists(st.sampled_from(sorted(values)), unique=True)) if values else []
    files = draw(st.lists(names, max_size=3, unique=True))
    cut = draw(st.integers(0, len(files)))
    return Measurement(
        metrics=values,
        intervals={name: draw(intervals()) for name in held},
        figures=tuple(
            Figure(name=name, caption=draw(texts), image=draw(st.binary(max_size=8)))
            for name in files[:cut]
        ),
        tables=tuple(draw(tables(name)) for name in files[cut:]),
        notes=tuple(draw(st.lists(texts, max_size=2))),
        withdrawn=tuple(draw(st.lists(texts.filter(str.strip), max_size=1))),
    )


parameters = st.dictionaries(
    names,
    st.recursive(
        st.booleans() | st.integers() | numbers | texts,
        lambda inner: st.lists(inner, max_size=2).map(tuple),
        max_leaves=3,
    ),
    max_size=2,
)


@st.composite
def evidence(draw, analysis=names, metrics=None):
    failed = draw(st.booleans())
    return Evidence(
        analysis=draw(analysis),
        about=draw(texts),
        parameters=draw(parameters),
        seed=draw(st.integers(0, 2**63 - 1)),
        seconds=draw(st.floats(0, 1e6)),
        device=draw(texts),
        measurement=None if failed else draw(measurements(metrics)),
        failure=Failure(kind=draw(names), message=draw(texts)) if failed else None,
        covers=tuple(draw(st.lists(names, max_size=2))),
    )


# Few names, so that expectations and evidence often speak of the same metric.
few_analyses = st.sampled_from(("alpha", "beta"))
few_metrics = st.sampled_from(("x", "y"))


@st.composite
def expectations(draw):
    bound = draw(st.sampled_from(("at_least", "at_most")))
    return Expectation(
        metric=f"{draw(few_analyses)}.{draw(few_metrics)}",
        **{bound: draw(small)},
        severity=draw(st.sampled_from(("block", "review", "warn"))),
        rationale=draw(texts),
        on=draw(st.sampled_from(("estimate", "interval"))),
    )


sides = st.integers(1, 64) | st.tuples(st.integers(1, 64), st.integers(1, 64))
resizes = st.builds(
    Resize, to=sides, crop=st.just(1), interpolation=st.sampled_from(("bilinear", "bicubic"))
)


readings = st.builds(
    FileReading,
    orientation=st.sampled_from(("upright", "as stored")),
    background=st.sampled_from((None, "white", "#00ff00")),
    window=st.sampled_from((None, "file", (-1.5, 4.0))),
)


@st.composite
def policies(draw):
    return Policy(
        title=draw(texts),
        validation=draw(texts),
        model=ModelTerms(
            size=draw(st.none() | st.tuples(st.integers(1, 512), st.integers(1, 512))),
            channels=draw(st.sampled_from(("rgb", "bgr", "grey"))),
            mean=(draw(small),),
            std=(draw(st.floats(0.1, 1)),),
            resize=draw(st.sampled_from(("none", "squash", "crop")) | resizes),
            outputs=draw(st.sampled_from(("logits", "probabilities"))),
            allow_pickle=draw(st.booleans()),
        ),
        analyses=draw(
            st.dictionaries(names, st.dictionaries(names, numbers | texts, max_size=2), max_size=2)
        ),
        expectations=tuple(draw(st.lists(expectations(), max_size=4))),
        seed=draw(st.integers(0, 2**63 - 1)),
        baseline=draw(st.none() | texts),
        budget_minutes=draw(st.none() | st.floats(0.1, 100)),
        text=draw(texts),
        images=draw(st.none() | st.builds(ImageTerms, reading=readings)),
    )


# For judging, only what is judged varies.
judged_policies = st.lists(expectations(), max_size=4).map(
    lambda items: Policy(
        title="T", validation="v", model=ModelTerms(), analyses={}, expectations=tuple(items)
    )
)


FAILURE = Failure(kind="ValueError", message="no")
ends = st.none() | st.tuples(small, small)


def _outcome(values, both):
    intervals = {}
    if both is not None:
        intervals = {name: Interval(low=min(both), high=max(both), n=9) for name in values}
    return {"measurement": Measurement(metrics=values, intervals=intervals)}


@st.composite
def bodies(draw):
    """Evidence on the few metrics that `policies` speak of, at most one item per analysis."""
    values = st.dictionaries(few_metrics, st.none() | small | st.just(math.nan), max_size=2)
    return tuple(
        Evidence(
            analysis=analysis, about="", parameters={}, seed=0, seconds=0.0, device="cpu",
            **draw(st.just({"failure": FAILURE}) | st.builds(_outcome, values, ends)),
        )
        for analysis in draw(st.lists(few_analyses, unique=True))
    )  # fmt: skip


def version_refs():
    return st.builds(VersionRef, name=texts, version=texts, created=st.integers(0, 2**53))


#: Names and reasons that may be signed: letters that show, in normal form C.
shown = st.text(max_size=30).map(cleaned)


def statements():
    """Revocations: the kind whose every field may hold anything that may be signed."""
    return st.builds(
        Statement,
        kind=st.just("revocation"),
        ref=st.builds(
            VersionRef, name=shown, version=shown, created=st.integers(0, 2**53), registry=shown,
            workspace=shown,
        ),
        source=shown,
        issued=st.integers(2**34 - 10**6, 2**34),
        expires=st.integers(2**34 + 1, 2**34 + 100),
        detail=shown.map(lambda text: f"since {text}"),
    )  # fmt: skip


@st.composite
def identities(draw):
    return ModelIdentity(
        uri=draw(texts),
        digest=draw(digests),
        artifact_digest=draw(digests),
        format=draw(st.sampled_from(("pt2", "pickle"))),
        parameters=draw(st.integers(0, 10**9)),
        ref=draw(st.none() | version_refs()),
    )


@st.composite
def baselines(draw):
    return Baseline(
        identity=draw(identities()),
        assessment_digest=draw(digests),
        validation_digest=draw(digests),
        verdict=draw(st.sampled_from(("approved", "rejected"))),
        metrics=draw(st.dictionaries(texts, st.none() | numbers, max_size=2)),
        intervals=draw(st.dictionaries(texts, intervals(), max_size=1)),
    )


@st.composite
def assessments(draw):
    policy = draw(policies())
    items = draw(st.lists(evidence(), max_size=2, unique_by=lambda item: item.analysis))
    body = (*draw(bodies()), *(item for item in items if item.analysis not in {"alpha", "beta"}))
    classes = draw(st.lists(texts, min_size=2, max_size=3, unique=True))
    return Assessment(
        identity=draw(identities()),
        validation=ValidationIdentity(
            location=draw(texts),
            digest=draw(digests),
            images=len(classes),
            class_names=tuple(classes),
            class_counts=tuple(1 for _ in classes),
        ),
        policy=policy,
        evidence=body,
        decision=judge(policy, body),
        environment=draw(st.dictionaries(texts, texts, max_size=2)),
        created="2026-11-22T12:00:00+00:00",
        baseline=draw(st.none() | baselines()),
    )
