"""Five thousand altered inputs: each is refused, or read as what it is, in no time.

`make fuzz` prints the figures; FUZZ_TIMES multiplies the cases, FUZZ_SEED draws others.
"""

import base64
import dataclasses
import hashlib
import io
import json
import os
import random
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import versions
import yaml
from fuzzing import PassedError, bent, hammered, lines, mutated
from hostile import GRAPH, WEIGHTS, edited, export, png
from PIL import Image

from governance import drift
from governance.approval import SKEW, Keyring, PrivateKey, Statement, read, sign
from governance.approval.envelopes import sealed, text_of
from governance.approval.lifecycle import SIGNERS
from governance.approval.signed_statements import IN_TOTO, payload_of
from governance.errors import EvidenceError
from governance.records import table_files
from governance.records.assessment import MANIFEST, RECORD, Assessment, Baseline
from governance.records.consistency import contradictions
from governance.records.decision import judge
from governance.records.evidence import Evidence, Failure, Figure, Interval, Measurement, Table
from governance.records.identity import ModelIdentity, ValidationIdentity
from governance.records.policy import ModelTerms, Policy
from governance.records.reading import FileReading
from governance.records.serialisation import canonical
from governance.records.version_ref import VersionRef
from governance.records.waiver import Waiver
from governance.subject import model_files
from governance.subject.flavours import pytorch
from governance.subject.flavours.choosing import chosen
from governance.subject.images import open_validation
from governance.subject.images.decoding import decoded
from governance.subject.network import tensor_digest
from reports import github, gitlab, junit, markdown, sarif
from reports.gate_view import gate_view
from reports.html import to_html

SEED = os.environ.get("FUZZ_SEED", "1")
TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
NOW = 1_795_000_000

POLICY = """\
title = "Stripes"
seed = 3
budget_minutes = 10.5
baseline = "champion"

[model]
size = [16, 16]
channels = "grey"
mean = [0.5]
std = [0.5]
resize = "squash"

[validation]
data = "stripes.npz"

[analyses.performance]
n = 3

[drift]
tolerance = 0.1
statistics = ["rank"]
[drift.regions]
corner = [0.0, 0.0, 0.25, 0.25]
[drift.envelope]
allowed_layers = ["head"]

[[expectations]]
metric = "performance.accuracy"
at_least = 0.5
on = "interval"
rationale = "Half of them, at least."
[[expectations]]
metric = "performance.calibration"
at_most = 0.1
severity = "review"
"""


def assessment():
    """A record with one of everything, that follows from itself."""
    policy = Policy.loads(POLICY, where="policy.toml")
    rows = (("a", 3, 0.5, True), ("b", 4, None, False))
    measurement = Measurement(
        metrics={"accuracy": 0.9, "calibration": 0.2, "recall.a": None},
        intervals={"accuracy": Interval(low=0.8, high=1.0, n=120)},
        figures=(Figure(name="bars", caption="Bars.", image=png(8, 8)),),
        tables=(Table(name="rows", caption="Rows.", columns=("c", "n", "s", "ok"), rows=rows),),
        notes=("A note.",),
        unanswered=("Whether.",),
    )
    common = {"about": "About.\n\nPurpose\n    To test.", "seed": 3, "device": "cpu"}
    evidence = (
        Evidence(analysis="performance", parameters={"n": 3, "of": ("a",)}, seconds=0.5,
                 measurement=measurement, covers=("accuracy",), **common),
        Evidence(analysis="other", parameters={}, seconds=0.0,
                 failure=Failure(kind="ValueError", message="no"), **common),
    )  # fmt: skip
    identity = ModelIdentity(
        uri="models:/m/2", digest="sha256:1", artifact_digest="sha256:2", format="pt2",
        parameters=3, ref=VersionRef(name="m", version="2", created=NOW * 1000),
        layers={"head": "sha256:3"},
    )  # fmt: skip
    waiver = Waiver(
        metric="performance.calibration", bound=0.3, reason="known", approver="A. Person",
        issued=NOW - 100, expires=NOW + 1000, token="0" * 64,
    )  # fmt: skip
    return Assessment(
        identity=identity,
        validation=ValidationIdentity(
            location="stripes.npz", digest="sha256:4", images=9, class_names=("a", "b"),
            class_counts=(4, 5),
        ),
        policy=policy,
        evidence=evidence,
        decision=judge(policy, evidence, (waiver,)),
        environment={"torch": "2", "device": "cpu"},
        created=datetime.fromtimestamp(NOW, UTC).isoformat(),
        waivers=(waiver,),
        baseline=Baseline(
            identity=identity, assessment_digest="sha256:5", validation_digest="sha256:4",
            verdict="approved", metrics={"performance.accuracy": 0.8},
            intervals={"performance.accuracy": Interval(low=0.7, high=0.9, n=9)},
        ),
    )  # fmt: skip


class Records:
    """Fields of a record, with a manifest that fits."""

    count = 1300

    def __init__(self, scratch):
        self.folder = scratch / "record"
        self.whole = assessment()
        self.whole.save(self.folder)
        self.data = json.loads((self.folder / RECORD).read_bytes())
        self.listed = json.loads((self.folder / MANIFEST).read_bytes())
        self.read = 0

    def cases(self, rng):
        while True:
            yield mutated(self.data, rng)

    def outcome(self, data):
        content = json.dumps(data, sort_keys=True, ensure_ascii=False, indent=2) + "\n"
        self.put(RECORD, content.encode(errors="backslashreplace"))
        text = data.get("policy", {}) if isinstance(data, dict) else {}
        text = text.get("text") if isinstance(text, dict) else None
        self.put(
            "policy.toml",
            (text if isinstance(text, str) else POLICY).encode(errors="backslashreplace"),
        )
        (self.folder / MANIFEST).write_bytes(canonical(self.listed))
        return self.loaded()

    def put(self, name, content):
        (self.folder / name).write_bytes(content)
        self.listed["files"][name] = hashlib.sha256(content).hexdigest()

    def loaded(self):
        found = Assessment.load(self.folder)
        if found.digest == self.whole.digest and found != self.whole:
            raise PassedError("another record of the same digest")
        self.read += 1
        doubts = tuple(contradictions(found))
        if self.read % 16 == 0:
            view = gate_view(found.identity.uri, found)
            forms = (gitlab, junit, markdown, sarif)
            printed = (to_html(found, doubts), *(form.render(view) for form in forms))
            assert all(page.encode() for page in printed)
            github.render(view).encode()  # no annotations where nothing is open
        if doubts:
            return "contradicts itself"
        again = judge(found.policy, found.evidence, found.waivers)
        if found.decision.verdict != again.verdict:
            raise PassedError(f"{found.decision.verdict} of evidence that gives {again.verdict}")
        assert found.policy.digest
        return "the same" if found == self.whole else "another record"


class Folders(Records):
    """Files of a record, their bytes and kinds, under a manifest that fits or does not."""

    count = 400

    def cases(self, rng):
        names = sorted(self.listed["files"])
        while True:
            name = rng.choice((*names, MANIFEST, RECORD))
            content = (self.folder / name).read_bytes()
            kind = rng.choice(("bent",) * 8 + ("gone", "link", "pipe", "sparse", "folder", "extra"))
            yield name, kind, bent(content, rng), rng.random() < 0.6

    def outcome(self, case):
        name, kind, content, fits = case
        path, before = self.folder / name, (self.folder / name).read_bytes()
        old = canonical(self.listed)
        try:
            self.disturb(path, kind, content)
            if fits and kind == "bent" and name != MANIFEST:
                listed = {**self.listed["files"], name: hashlib.sha256(content).hexdigest()}
                (self.folder / MANIFEST).write_bytes(canonical({**self.listed, "files": listed}))
            word = self.loaded()
            if kind != "bent" or (not fits and content != before):
                raise PassedError(f"{name} is {kind} and nobody noticed")
            return word
        finally:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            path.unlink(missing_ok=True)
            (self.folder / "extra").unlink(missing_ok=True)
            path.write_bytes(before)
            (self.folder / MANIFEST).write_bytes(old)

    def disturb(self, path, kind, content):
        if kind == "bent":
            path.write_bytes(content)
            return
        if kind == "extra":
            (self.folder / "extra").write_bytes(content)
            return
        path.unlink()
        if kind == "link":
            path.symlink_to("/etc/hostname")
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "sparse":
            with path.open("wb") as stream:
                stream.truncate(2**42)


class Tables:
    """Parquet files."""

    count = 600

    def __init__(self, _scratch):
        rows = tuple(("text", 3, 0.5, True) if row % 3 else (None,) * 4 for row in range(40))
        table = Table(name="t", caption="", columns=("c", "n", "s", "ok"), rows=rows)
        self.content = table_files.parquet(table)

    def cases(self, rng):
        while True:
            yield bent(self.content, rng)

    def outcome(self, content):
        try:
            canonical(table_files.rows_of(content))
        except (ValueError, TypeError):  # what a record's reader turns into damage
            return "refused"
        return "read"


class Policies:
    """Policy files."""

    count = 700

    def __init__(self, scratch):
        self.path = scratch / "policy.toml"

    def cases(self, rng):
        while True:
            text = lines(POLICY, rng).encode(errors="surrogatepass")
            yield text if rng.random() < 0.8 else bent(text, rng)

    def outcome(self, content):
        self.path.write_bytes(content)
        found = Policy.load(self.path)
        if not any(item.decides for item in found.expectations):
            raise PassedError("a policy that expects nothing")
        return "read"


class Rings:
    """Keyrings."""

    count = 400

    def __init__(self, scratch):
        self.path = scratch / "ring.toml"
        start = datetime(2026, 1, 1, tzinfo=UTC)
        keys = {role: PrivateKey.new(scratch / role) for role in ("assessor", "approver")}
        self.text = "\n".join(
            key.public(owner=role, role=role, not_before=start).toml() for role, key in keys.items()
        )

    def cases(self, rng):
        while True:
            text = lines(self.text, rng).encode(errors="surrogatepass")
            yield text if rng.random() < 0.7 else bent(text, rng)

    def outcome(self, content):
        self.path.write_bytes(content)
        Keyring.load(self.path)
        return "read"


class Statements:
    """Signed statements, altered by somebody who has no key: texts, envelopes and payloads."""

    count = 500

    def __init__(self, scratch):
        start = datetime(2026, 1, 1, tzinfo=UTC)
        self.keys = {role: PrivateKey.new(scratch / role) for role in ("assessor", "approver")}
        self.ring = Keyring(
            tuple(
                key.public(owner=role, role=role, not_before=start)
                for role, key in self.keys.items()
            )
        )
        common = {
            "ref": VersionRef(name="m", version="2", created=NOW * 1000), "source": "s",
            "issued": NOW - 10, "expires": NOW + 1000,
        }  # fmt: skip
        digests = dict.fromkeys(
            ("artifact_digest", "model_digest", "policy_digest", "assessment_digest"),
            f"sha256:{'0' * 64}",
        )
        said = {
            "assessor": [
                Statement(
                    kind="verdict", verdict="approved", policy_title="Stripes",
                    policy_fixed=NOW - 20, run_id="0" * 32, waivers=("1" * 64,), **digests,
                    **common,
                )
            ],
            "approver": [
                Statement(kind="waiver", metric="performance.loss", bound=0.5, detail="known",
                          **common),
                Statement(kind="revocation", detail="wrong labels", replaces="2" * 64, **common),
            ],
        }  # fmt: skip
        self.signed = [
            (payload_of(item), role, sign(item, self.keys[role]))
            for role, items in said.items()
            for item in items
        ]
        self.first = [read(text, self.ring, NOW) for _, _, text in self.signed]

    def cases(self, rng):
        while True:
            index = rng.randrange(len(self.signed))
            payload, _, text = self.signed[index]
            envelope = json.loads(text)
            match rng.randrange(4):
                case 0:
                    yield index, bent(text.encode(), rng).decode(errors="surrogateescape")
                    continue
                case 1:
                    envelope = mutated(envelope, rng)
                case 2:
                    other = json.loads(rng.choice(self.signed)[2])
                    envelope["signatures"] += mutated(other["signatures"], rng)
                    rng.shuffle(envelope["signatures"])
                case _:
                    envelope["payload"] = base64.b64encode(altered(payload, rng)).decode()
            yield index, json.dumps(envelope)

    def outcome(self, case):
        index, text = case
        found = read(text, self.ring, NOW)
        if found.statement != self.first[index].statement:
            raise PassedError("a statement that nobody signed")
        if found.signers != self.first[index].signers:
            raise PassedError("a signature that nobody made")
        return "the same"


class Payloads(Statements):
    """Hostile payloads that a key of the ring did sign, of the role that may, or of another."""

    count = 500

    def cases(self, rng):
        while True:
            payload, role, _ = rng.choice(self.signed)
            if rng.random() < 0.2:
                role = rng.choice(tuple(self.keys))
            payload = payload if rng.random() < 0.1 else altered(payload, rng)
            yield payload, role

    def outcome(self, case):
        payload, role = case
        found = read(text_of(sealed(payload, IN_TOTO, self.keys[role])), self.ring, NOW)
        statement, data = found.statement, json.loads(payload)
        if payload_of(statement) != payload:
            raise PassedError("another statement than the one that was signed")
        if statement.kind not in data["predicateType"] or role != SIGNERS[statement.kind]:
            raise PassedError(f"a {statement.kind} that the {role} may not sign")
        if not statement.issued <= NOW + SKEW or not statement.expires > NOW:
            raise PassedError("a statement that does not hold now")
        return "read"


def altered(payload, rng):
    """The payload of an envelope, changed as data, or its bytes."""
    if rng.random() < 0.2:
        return bent(payload, rng)
    data = json.loads(payload)
    # What a key signs is mostly in order outside, so that what is inside is looked at.
    if rng.random() < 0.7:
        data["predicate"] = mutated(data["predicate"], rng)
    elif rng.random() < 0.3:
        for name in ("issued", "expires"):
            data["predicate"][name] += rng.choice((-5000, 5000))
    else:
        data = mutated(data, rng)
    try:
        return canonical(data)
    except (ValueError, EvidenceError):
        return json.dumps(data, sort_keys=True).encode()


class Descriptions:
    """MLmodel files."""

    count = 400

    def __init__(self, scratch):
        self.folder = scratch / "model"
        (self.folder / "data").mkdir(parents=True)
        (self.folder / "data" / "model.pt2").write_bytes(b"x")
        tensor = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 8, 8]}}]'
        self.data = {
            "artifact_path": "model", "model_id": "m-1", "mlflow_version": "3.17.0",
            "flavors": {
                "python_function": {"loader_module": "mlflow.pytorch"},
                "pytorch": {"model_data": "data", "pytorch_version": "2.9", "code": None},
            },
            "signature": {"inputs": tensor, "outputs": tensor, "params": None},
            "utc_time_created": "2026-11-22 12:00:00.000000",
        }  # fmt: skip

    def cases(self, rng):
        while True:
            data = mutated(self.data, rng) if rng.random() < 0.5 else self.data
            try:
                text = yaml.safe_dump(data)
            except UnicodeEncodeError:
                continue
            yield lines(text, rng).encode(errors="surrogatepass")

    def outcome(self, content):
        (self.folder / "MLmodel").write_bytes(content)
        found = model_files.read(self.folder)
        chosen(found, ModelTerms())
        model_files.signature_shape(found)
        weights, _ = pytorch._weights(found)
        if not weights.resolve().is_relative_to(self.folder.resolve()):
            raise PassedError("weights outside of the folder")
        return "read"


class Exports:
    """Exported models, their graphs, and where their tensors lie."""

    count = 260

    def __init__(self, scratch):
        self.folder = scratch / "export"
        (self.folder / "data").mkdir(parents=True)
        flavors = {"pytorch": {"model_data": "data"}}
        (self.folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}))
        self.honest = export(scratch / "honest.pt2")
        self.path = self.folder / "data" / "model.pt2"
        shutil.copy(self.honest, self.path)
        self.digest = model_files.artifact_digest(self.folder)
        with zipfile.ZipFile(self.honest) as archive:
            self.names = [name.partition("/")[2] for name in archive.namelist()]

    def cases(self, rng):
        while True:
            kind = rng.choice((GRAPH, GRAPH, GRAPH, WEIGHTS, "record", "bytes", "packed"))
            yield kind, rng.randrange(2**32)

    def outcome(self, case):
        kind, seed = case
        rng = random.Random(seed)  # noqa: S311 - no secret
        if kind == "bytes":
            self.path.write_bytes(bent(self.honest.read_bytes(), rng))
        elif kind == "packed":
            edited(self.honest, self.path, {}, compression=zipfile.ZIP_DEFLATED)
        elif kind == "record":
            name = rng.choice(self.names)
            edited(self.honest, self.path, {name: lambda content: bent(content, rng)})
        else:
            edited(
                self.honest, self.path,
                {kind: lambda content: json.dumps(mutated(json.loads(content), rng)).encode()},
            )  # fmt: skip
        if model_files.artifact_digest(self.folder) == self.digest:
            return "the same"
        if pytorch._weights(model_files.read(self.folder))[1] == "pickle":
            return "a pickle"
        return "loaded" if tensor_digest(pytorch._program(self.path).state_dict) else "empty"


class Arrays:
    """Validation images in an .npz."""

    count = 350

    def __init__(self, scratch):
        self.path = scratch / "images.npz"
        images = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3)).astype(np.uint8)
        arrays = {"images": images, "labels": np.arange(6) % 2, "class_names": np.array(["a", "b"])}
        np.savez(self.path, **arrays)
        self.content = self.path.read_bytes()
        self.whole = open_validation(self.path, "v")
        with zipfile.ZipFile(self.path) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}

    def cases(self, rng):
        while True:
            if rng.random() < 0.3:
                yield bent(self.content, rng)
                continue
            name = rng.choice(sorted(self.members))
            content = self.members[name]
            # The header is text, and what makes an array long.
            head = content.index(b"\n") + 1
            new = bent(content[:head], rng) + content[head:] if rng.random() < 0.7 else None
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", rng.choice((0, 8))) as archive:
                for other, stored in self.members.items():
                    changed = new or bent(content, rng)
                    archive.writestr(other, changed if other == name else stored)
            yield buffer.getvalue()

    def outcome(self, content):
        self.path.write_bytes(content)
        found = open_validation(self.path, "v")
        if found.digest != self.whole.digest:
            return "other images"
        same = all(map(np.array_equal, found.images, self.whole.images))
        if not same or list(found.labels) != list(self.whole.labels):
            raise PassedError("other images of the same digest")
        return "the same"


class Images:
    """Image files of every kind that is accepted."""

    count = 600

    def __init__(self, _scratch):
        picture = Image.fromarray(
            np.random.default_rng(0).integers(0, 256, (9, 8, 3)).astype(np.uint8)
        )
        exif = Image.Exif()
        exif[0x0112] = 6
        self.seeds = []
        for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"):
            buffer = io.BytesIO()
            options = {"exif": exif} if kind in {"PNG", "JPEG", "TIFF", "WEBP"} else {}
            picture.save(buffer, kind, **options)
            self.seeds.append(buffer.getvalue())

    def cases(self, rng):
        while True:
            yield bent(rng.choice(self.seeds), rng)

    def outcome(self, content):
        found = decoded(content, "image", FileReading()).pixels
        return "read" if found.dtype == np.uint8 and found.ndim in {2, 3} else "odd"


class Comparisons:
    """Tables of a record that a comparison reads."""

    count = 120

    def __init__(self, _scratch):
        self.old, self.new = versions.record("old"), versions.record("new", seed=5)

    def cases(self, rng):
        while True:
            kept = self.new.evidence[-1].measurement
            place = rng.randrange(len(kept.tables))
            table = kept.tables[place]
            rows = mutated([list(row) for row in table.rows[:60]], rng)
            columns = list(table.columns)
            if rng.random() < 0.2:
                columns[rng.randrange(len(columns))] += "x"
            yield place, columns, rows

    def outcome(self, case):
        place, columns, rows = case
        evidence = self.new.evidence[-1]
        tables = list(evidence.measurement.tables)
        try:
            tables[place] = Table(
                name=tables[place].name, caption="", columns=tuple(columns),
                rows=tuple(map(tuple, rows)),
            )  # fmt: skip
        except TypeError:
            return "no table"
        measurement = dataclasses.replace(evidence.measurement, tables=tuple(tables))
        evidence = (*self.new.evidence[:-1], dataclasses.replace(evidence, measurement=measurement))
        drift.compare(self.old, dataclasses.replace(self.new, evidence=evidence), seed=0)
        return "compared"


KINDS = (
    Records, Folders, Tables, Policies, Rings, Statements, Payloads, Descriptions, Exports, Arrays,
    Images, Comparisons,
)  # fmt: skip


def test_five_thousand_inputs_are_altered():
    assert sum(kind.count for kind in KINDS) >= 5000


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.lower())
def test_an_altered_input_is_refused_or_read_as_what_it_is(kind, tmp_path):
    found = hammered(kind, kind.count * TIMES, SEED, Path(tmp_path))

    print(found.line(kind.__name__.lower()))  # noqa: T201 - the figures, with -s
    assert not found.wrong, "\n".join(found.wrong[:5])
    assert found.cases == kind.count * TIMES
    assert found.outcomes["refused"] > found.cases // 20
    assert found.outcomes["refused"] < found.cases, "nothing came as far as to be read"
