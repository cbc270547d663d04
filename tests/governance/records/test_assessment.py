import csv
import hashlib
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import listed, parquet, repeated_text, sparse
from hypothesis import given, settings
from strategies import assessments

from governance.errors import AnalysisError, EvidenceError
from governance.records.assessment import MANIFEST, RECORD, Assessment, Baseline, Difference, attach
from governance.records.decision import judge
from governance.records.evidence import Evidence, Failure, Figure, Interval, Measurement, Table
from governance.records.identity import ModelIdentity, ValidationIdentity
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.records.serialisation import canonical
from governance.records.version_ref import VersionRef

IDENTITY = ModelIdentity(
    uri="models:/m/1", digest="sha256:1", artifact_digest="sha256:2", format="pt2", parameters=3,
    ref=VersionRef(name="m", version="1", created=1_700_000_000_000),
)  # fmt: skip


def evidence_of(name, measurement):
    failure = None if measurement else Failure(kind="ValueError", message="no")
    return Evidence(
        analysis=name, about="About.\n\nPurpose\n    To test.", parameters={"n": 3, "of": ("a",)},
        seed=7, seconds=0.5, device="cpu", measurement=measurement, failure=failure,
    )  # fmt: skip


def example(rows=(("=1+1", 3, 0.5, True), ("ü,\n", None, None, None)), image=b"\x89PNG pixels"):
    measurement = Measurement(
        metrics={"x": 0.75, "gone": None},
        intervals={"x": Interval(low=0.5, high=0.9, n=40)},
        figures=(Figure(name="picture", caption="A picture.", image=image),),
        tables=(
            Table(name="rows", caption="Rows.", columns=("class", "n", "share", "ok"), rows=rows),
        ),
        notes=("A note.",),
    )
    policy = Policy(
        title="T", validation="v", model=ModelTerms(size=(28, 28)), analyses={"alpha": {"n": 3}},
        expectations=(Expectation(metric="alpha.x", at_least=0.5),), text='title = "T"\n',
    )  # fmt: skip
    body = (evidence_of("alpha", measurement), evidence_of("beta", None))
    return Assessment(
        identity=IDENTITY,
        validation=ValidationIdentity(
            location="v", digest="sha256:3", images=2, class_names=("a", "b"), class_counts=(1, 1)
        ),
        policy=policy,
        evidence=body,
        decision=judge(policy, body),
        environment={"torch": "2"},
        created="2026-11-22T12:00:00+00:00",
        baseline=Baseline(
            identity=IDENTITY, assessment_digest="sha256:4", validation_digest="sha256:3",
            verdict="approved", metrics={"alpha.x": 0.5, "alpha.gone": None},
            intervals={"alpha.x": Interval(low=0.4, high=0.6, n=9)},
        ),
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "assessment"
    example().save(folder)
    return folder


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def remade(folder):
    """The manifest made anew, as someone would who tampers with care."""
    listed = {
        path: hashlib.sha256(content).hexdigest()
        for path, content in files_of(folder).items()
        if path != MANIFEST
    }
    (folder / MANIFEST).write_bytes(canonical({"schema": 2, "files": listed}))


def rewritten(folder, change):
    """`assessment.json` changed and the manifest made anew."""
    data = json.loads((folder / RECORD).read_bytes())
    change(data)
    (folder / RECORD).write_bytes(canonical(data))
    remade(folder)


# Keeping -----------------------------------------------------------------------------------------


@given(assessment=assessments())
@settings(max_examples=25, deadline=None)
def test_any_assessment_is_read_as_it_was_written(assessment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any") / "assessment"

    assessment.save(folder)
    found = Assessment.load(folder)

    assert found == assessment
    assert found.digest == assessment.digest
    assert Assessment.verify(folder) == ()


def test_an_assessment_becomes_the_documented_files(saved):
    assert sorted(files_of(saved)) == [
        "assessment.json",
        "evidence/alpha/picture.png",
        "evidence/alpha/rows.csv",
        "evidence/alpha/rows.parquet",
        "manifest.json",
        "policy.toml",
    ]
    assert (saved / "policy.toml").read_text() == 'title = "T"\n'
    assert (saved / "evidence/alpha/picture.png").read_bytes() == b"\x89PNG pixels"


def test_the_manifest_holds_the_sha256_of_every_other_file(saved):
    listed = json.loads((saved / MANIFEST).read_bytes())

    assert listed["schema"] == 2
    assert listed["files"] == {
        path: hashlib.sha256(content).hexdigest()
        for path, content in files_of(saved).items()
        if path != MANIFEST
    }


def test_the_digest_is_the_sha256_of_the_record_file(saved):
    expected = f"sha256:{hashlib.sha256((saved / RECORD).read_bytes()).hexdigest()}"

    assert example().digest == expected
    assert Assessment.load(saved).digest == expected


def test_the_same_assessment_has_the_same_files(saved, tmp_path):
    example().save(tmp_path / "again")

    assert files_of(tmp_path / "again") == files_of(saved)


@pytest.mark.parametrize(
    "changed",
    [
        example(image=b"\x89PNG pixelt"),
        example(rows=(("=1+1", 3, 0.5, True), ("ü,\n", None, None, False))),
        replace(example(), environment={"torch": "3"}),
        replace(example(), policy=replace(example().policy, text="")),
        replace(example(), baseline=None),
    ],
    ids=["a pixel", "a cell", "environment", "policy", "baseline"],
)
def test_the_digest_covers_everything(changed):
    assert changed.digest != example().digest


def test_a_whole_number_where_a_fraction_is_meant_changes_nothing(tmp_path):
    # Written in code, `at_least=1` is no other expectation than `at_least=1.0`.
    whole, fraction = (
        replace(
            example(),
            policy=replace(
                example().policy, expectations=(Expectation(metric="alpha.x", at_least=bound),)
            ),
        )
        for bound in (1, 1.0)
    )

    whole.save(tmp_path / "whole")

    assert whole.digest == fraction.digest
    assert Assessment.load(tmp_path / "whole") == fraction


def test_a_record_that_could_not_be_read_is_not_written(tmp_path):
    odd = replace(example(), environment={"threads": 2})

    with pytest.raises(EvidenceError, match=r"environment\.threads: is 2; a text"):
        odd.save(tmp_path / "odd")

    assert list(tmp_path.iterdir()) == []


def test_the_digest_does_not_depend_on_how_parquet_is_written(saved):
    table = saved / "evidence/alpha/rows.parquet"
    before = table.read_bytes()
    pq.write_table(pq.read_table(table), table, compression="none")
    remade(saved)

    assert table.read_bytes() != before
    assert Assessment.load(saved).digest == example().digest


def test_a_table_is_kept_for_people_too_and_no_spreadsheet_runs_its_texts(saved):
    content = (saved / "evidence/alpha/rows.csv").read_text(encoding="utf-8")

    assert list(csv.reader(io.StringIO(content))) == [
        ["class", "n", "share", "ok"],
        ["'=1+1", "3", "0.5", "True"],
        ["ü,\n", "", "", ""],
    ]
    assert Assessment.load(saved).evidence[0].measurement.tables[0].rows[0][0] == "=1+1"


def with_table(table):
    found = example()
    measurement = replace(found.evidence[0].measurement, tables=(table,))
    evidence = (replace(found.evidence[0], measurement=measurement), found.evidence[1])
    return replace(found, evidence=evidence)


def test_the_columns_that_a_table_prints_are_kept(tmp_path):
    table = Table(name="t", caption="c", columns=("a", "b"), rows=((1, 2),), printed=("b", "a"))

    with_table(table).save(tmp_path / "kept")

    (kept,) = json.loads((tmp_path / "kept" / RECORD).read_bytes())["evidence"][0]["measurement"][
        "tables"
    ]
    assert kept["printed"] == ["b", "a"]
    assert Assessment.load(tmp_path / "kept") == with_table(table)


def test_a_record_of_before_tables_named_printed_columns_is_read_and_prints_the_first_twelve(
    tmp_path,
):
    # arrange: as it was written then, the first twelve of thirteen columns printed
    columns = tuple(f"column_{place}" for place in range(13))
    table = Table(
        name="t", caption="c", columns=columns, rows=(tuple(range(13)),), printed=columns[:12]
    )
    with_table(table).save(tmp_path / "kept")
    assert b'"printed"' not in (tmp_path / "kept" / RECORD).read_bytes()

    (read,) = Assessment.load(tmp_path / "kept").evidence[0].measurement.tables

    assert read.columns == columns
    assert read.printed == columns[:12]


def test_metrics_and_intervals_are_known_by_their_full_names():
    assert example().metrics == {"alpha.x": 0.75, "alpha.gone": None}
    assert set(example().intervals) == {"alpha.x"}


def test_metrics_of_withdrawn_evidence_stay_in_the_record_and_are_none_of_the_assessment():
    whole = example()
    items = tuple(
        replace(item, measurement=replace(item.measurement, withdrawn=("r",)))
        for item in whole.evidence
        if item.measurement is not None
    )
    withdrawn = replace(whole, evidence=items)

    assert withdrawn.metrics == {}
    assert withdrawn.intervals == {}
    assert items[0].measurement.metrics["x"] == 0.75
    assert withdrawn.digest != replace(whole, evidence=whole.evidence[: len(items)]).digest


# Whole or not at all -----------------------------------------------------------------------------


def test_an_empty_folder_is_taken_and_its_parents_are_made(tmp_path):
    (tmp_path / "empty").mkdir()

    example().save(tmp_path / "empty")
    example().save(tmp_path / "a/b/c")

    assert Assessment.load(tmp_path / "empty") == Assessment.load(tmp_path / "a/b/c")


def test_the_working_directory_itself_may_be_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    example().save(Path())
    monkeypatch.chdir(tmp_path)

    assert Assessment.verify(tmp_path) == ()


def test_what_is_there_is_never_overwritten(saved, tmp_path):
    before = files_of(saved)
    (tmp_path / "file").write_text("mine")

    for taken in (saved, tmp_path / "file"):
        with pytest.raises(EvidenceError, match="a new or empty folder is accepted"):
            example().save(taken)

    assert files_of(saved) == before
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    # A file name longer than any file system takes, after others were written.
    tables = tuple(
        Table(name=name, caption="", columns=("a",), rows=((1,),)) for name in ("short", "x" * 300)
    )
    body = (evidence_of("alpha", Measurement(metrics={}, tables=tables)),)

    with pytest.raises(OSError, match="File name too long"):
        replace(example(), evidence=body).save(tmp_path / "assessment")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_leaves_nothing_behind(tmp_path):
    (tmp_path / "file").write_text("mine")

    with pytest.raises(OSError, match="file"):
        example().save(tmp_path / "file" / "assessment")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_taken_meanwhile_is_kept_and_nothing_is_left_beside_it(tmp_path):
    # Something that is no folder, and that looks free until the last moment.
    (tmp_path / "assessment").symlink_to(tmp_path / "nowhere")

    with pytest.raises(OSError, match="assessment"):
        example().save(tmp_path / "assessment")

    assert [path.name for path in tmp_path.iterdir()] == ["assessment"]


# Tampering ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [RECORD, "policy.toml", "evidence/alpha/picture.png", "evidence/alpha/rows.csv",
     "evidence/alpha/rows.parquet"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["changed", "missing"])
def test_every_file_that_differs_is_named(saved, path, kind):
    if kind == "missing":
        (saved / path).unlink()
    else:
        with (saved / path).open("ab") as stream:
            stream.write(b" ")

    assert Assessment.verify(saved) == (Difference(path=path, kind=kind),)
    with pytest.raises(EvidenceError, match=f"{kind}: {path}"):
        Assessment.load(saved)


def test_a_file_nobody_wrote_is_named(saved):
    (saved / "evidence/alpha/manifest.json").write_text("{}")
    (saved / "report.html").write_text("")

    assert Assessment.verify(saved) == (
        Difference(path="evidence/alpha/manifest.json", kind="extra"),
        Difference(path="report.html", kind="extra"),
    )


def test_all_differences_are_told_at_once(saved):
    (saved / "policy.toml").unlink()
    (saved / "extra").write_text("")
    (saved / RECORD).write_text("{}")

    with pytest.raises(EvidenceError) as caught:
        Assessment.load(saved)

    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == [
        "changed: assessment.json",
        "extra: extra",
        "missing: policy.toml",
    ]


@pytest.mark.parametrize("target", ["inside", "outside", "folder", "manifest"])
def test_links_are_refused(saved, tmp_path, target):
    picture = saved / "evidence/alpha/picture.png"
    if target == "folder":
        shutil.move(saved / "evidence", tmp_path / "elsewhere")
        (saved / "evidence").symlink_to(tmp_path / "elsewhere")
    elif target == "manifest":
        shutil.move(saved / MANIFEST, tmp_path / MANIFEST)
        (saved / MANIFEST).symlink_to(tmp_path / MANIFEST)
    else:
        place = (saved if target == "inside" else tmp_path) / "moved.png"
        picture.rename(place)
        picture.symlink_to(place)

    with pytest.raises(EvidenceError, match=r"is a link|lies outside"):
        Assessment.verify(saved)


@pytest.mark.parametrize("what", ["none", "file", "no manifest", "manifest is a folder"])
def test_a_folder_without_its_manifest_is_no_assessment(saved, tmp_path, what):
    place = {"none": tmp_path / "none", "file": saved / RECORD}.get(what, saved)
    if place == saved:
        (saved / MANIFEST).unlink()
    if what == "manifest is a folder":
        (saved / MANIFEST).mkdir()

    for read in (Assessment.verify, Assessment.load):
        with pytest.raises(EvidenceError, match=r"no manifest\.json, so this is not an assessment"):
            read(place)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", "null", '{"files": []}', '{"files": "x"}', '{"files": NaN}']
)
def test_a_damaged_manifest_is_evidence_of_nothing(saved, content):
    (saved / MANIFEST).write_text(content)

    with pytest.raises(EvidenceError, match=r"manifest\.json"):
        Assessment.load(saved)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"schema": 2}', '{"schema": 1e999}']
)
def test_a_damaged_record_is_refused_though_its_manifest_was_made_anew(saved, content):
    (saved / RECORD).write_text(content)
    remade(saved)

    with pytest.raises(EvidenceError, match=r"assessment\.json"):
        Assessment.load(saved)


@pytest.mark.parametrize("schema", [0, 1, "1", None, True])
def test_another_schema_is_refused(saved, schema):
    rewritten(saved, lambda data: data.update(schema=schema))

    with pytest.raises(EvidenceError, match="schema"):
        Assessment.load(saved)


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hostname", "evidence/../../secret.png"])
def test_a_path_that_leaves_the_folder_is_refused(saved, tmp_path, path):
    (tmp_path / "secret.png").write_bytes(b"secret")

    def escape(data):
        figure = data["evidence"][0]["measurement"]["figures"][0]
        figure.update(path=path, sha256=hashlib.sha256(b"secret").hexdigest())

    rewritten(saved, escape)

    with pytest.raises(EvidenceError, match="is no file of the folder"):
        Assessment.load(saved)


@pytest.mark.parametrize("kind", ["figures", "tables"])
@pytest.mark.parametrize("path", [None, "", "evidence", "evidence/alpha/none", 3, ["x"]])
def test_a_path_to_no_file_is_refused(saved, kind, path):
    rewritten(saved, lambda data: data["evidence"][0]["measurement"][kind][0].update(path=path))

    with pytest.raises(EvidenceError, match=r"assessment\.json|no file of the folder"):
        Assessment.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["evidence"][0].pop("measurement"),
        lambda data: data["evidence"][0].update(measurement=[]),
        lambda data: data["evidence"][0]["measurement"].pop("tables"),
        lambda data: data["evidence"][0]["measurement"]["figures"][0].pop("sha256"),
        lambda data: data["evidence"][0]["measurement"]["metrics"].update(x="high"),
        lambda data: data["evidence"][0]["measurement"]["metrics"].pop("x"),
        lambda data: data["evidence"][0]["measurement"]["intervals"]["x"].update(low=2.0),
        lambda data: data["evidence"][0]["measurement"]["tables"][0].update(columns=["a"]),
        lambda data: data["evidence"][0]["measurement"]["tables"][0].update(rows=[]),
        lambda data: data["evidence"][0]["measurement"]["tables"][0].update(row_count=7),
        lambda data: data["evidence"][0].pop("failure"),
        lambda data: data["evidence"][1].update(failure=None),
        lambda data: data["policy"]["expectations"][0].update(at_most=1.0),
        lambda data: data["decision"].update(verdict="fine"),
        lambda data: data.pop("decision"),
        lambda data: data.update(extra=1),
        lambda data: data.update(evidence={}),
        lambda data: data.update(evidence=None),
        lambda data: data["identity"].update(parameters=1.5),
    ],
)
def test_a_record_that_cannot_be_meant_is_refused_as_evidence(saved, change):
    rewritten(saved, change)

    with pytest.raises(EvidenceError, match=r"assessment\.json|evidence"):
        Assessment.load(saved)


def test_a_figure_exchanged_with_a_manifest_made_anew_is_noticed(saved):
    (saved / "evidence/alpha/picture.png").write_bytes(b"another")
    remade(saved)

    with pytest.raises(EvidenceError, match=r"picture\.png is not the file it was written with"):
        Assessment.load(saved)


@pytest.mark.parametrize("rows", [[0.5, 0.6], [0.5, float("nan")], ["a", "b"], [0.5]])
def test_a_table_exchanged_with_a_manifest_made_anew_is_noticed(saved, rows):
    columns = [pa.array(["=1+1", "ü,\n"][: len(rows)]), pa.array([3, None][: len(rows)])]
    ok = pa.array([True, None][: len(rows)])
    table = pa.table([*columns, pa.array(rows), ok], names=["class", "n", "share", "ok"])
    pq.write_table(table, saved / "evidence/alpha/rows.parquet")
    remade(saved)

    with pytest.raises(EvidenceError, match=r"rows\.parquet"):
        Assessment.load(saved)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 60 + b"PAR1"])
def test_a_table_that_is_no_parquet_is_refused(saved, content):
    (saved / "evidence/alpha/rows.parquet").write_bytes(content)
    remade(saved)

    with pytest.raises(EvidenceError, match=r"rows\.parquet cannot be read as a table"):
        Assessment.load(saved)


@pytest.mark.parametrize(
    ("path", "problem"),
    [("evidence/alpha/rows.csv", r"rows\.csv is not the file"), ("policy.toml", r"policy\.toml")],
)
def test_a_copy_for_people_that_says_something_else_is_noticed(saved, path, problem):
    (saved / path).write_text("something else")
    remade(saved)

    with pytest.raises(EvidenceError, match=problem):
        Assessment.load(saved)


@pytest.mark.parametrize(
    "path", ["policy.toml", RECORD, "evidence/alpha/rows.csv", "evidence/alpha/picture.png"]
)
def test_a_file_left_out_of_folder_and_manifest_is_missed(saved, path):
    (saved / path).unlink()
    remade(saved)

    with pytest.raises(EvidenceError, match=path.replace(".", r"\.")):
        Assessment.load(saved)


# Attaching reports -------------------------------------------------------------------------------


def test_reports_are_added_under_the_manifest_and_leave_the_digest_alone(saved):
    attach(saved, {"report.html": b"<html>", "report.pdf": b"%PDF"})

    assert Assessment.verify(saved) == ()
    assert Assessment.load(saved).digest == example().digest
    assert "report.pdf" in json.loads((saved / MANIFEST).read_bytes())["files"]

    (saved / "report.pdf").write_bytes(b"%PDF another")
    assert Assessment.verify(saved) == (Difference(path="report.pdf", kind="changed"),)


def test_reports_can_be_printed_again(saved):
    attach(saved, {"report.html": b"one"})
    attach(saved, {"report.html": b"two"})

    assert (saved / "report.html").read_bytes() == b"two"
    assert Assessment.verify(saved) == ()


@pytest.mark.parametrize("name", [RECORD, MANIFEST, "policy.toml", "../x", "evidence/alpha/x"])
def test_a_report_takes_no_name_of_the_record(saved, name):
    before = files_of(saved)

    with pytest.raises(EvidenceError, match="cannot be attached"):
        attach(saved, {"report.html": b"", name: b""})

    assert files_of(saved) == before


def test_nothing_is_attached_to_what_was_tampered_with(saved):
    (saved / "policy.toml").write_text("")

    with pytest.raises(EvidenceError, match=r"changed: policy\.toml"):
        attach(saved, {"report.html": b""})

    assert not (saved / "report.html").exists()


def test_a_report_that_cannot_be_written_leaves_the_assessment_as_it_was(saved):
    before = files_of(saved)

    with pytest.raises(OSError, match="File name too long"):
        attach(saved, {"report.html": b"whole", "x" * 300: b""})

    assert files_of(saved) == before
    assert list(saved.parent.iterdir()) == [saved]


# Small files that would cost much, and values that nothing follows from ---------------------------


@pytest.mark.parametrize(
    "created",
    ["AAAA", "", "2026-13-01T00:00:00+00:00", "2026-11-22", "2026-11-22T12:00:00",
     "2026-11-22T12:00:00+02:00", "99999-11-22T12:00:00Z", "2026-11-22T12:00:00Z\n"],
)  # fmt: skip
def test_a_time_that_is_none_is_refused(saved, created):
    rewritten(saved, lambda data: data.update(created=created))

    with pytest.raises(EvidenceError, match="created: is"):
        Assessment.load(saved)


@pytest.mark.parametrize("expires", [-1, 2**62, 10**40, 253_402_300_800])
def test_a_waiver_until_no_time_is_refused(saved, expires):
    waiver = {
        "metric": "alpha.x", "bound": 0.1, "reason": "r", "approver": "a", "issued": 0,
        "expires": expires, "token": "0",
    }  # fmt: skip
    rewritten(saved, lambda data: data.update(waivers=[waiver]))

    with pytest.raises(EvidenceError, match=r"waiver of alpha\.x: issued 0, expires"):
        Assessment.load(saved)


def test_a_number_that_json_has_and_no_record_is_refused(saved):
    text = (saved / RECORD).read_text().replace('"n": 3', '"n": 1e999', 1)
    (saved / RECORD).write_text(text)
    remade(saved)

    with pytest.raises(EvidenceError, match="holds 1e999; finite numbers"):
        Assessment.load(saved)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        # 43 KB that took 4.4 GB: one text, read two thousand times
        (lambda: repeated_text(2_000, 100_000), "texts of 200000000 bytes; at most"),
        # 0.1 MB that took 3.5 GB and 35 seconds
        (
            lambda: parquet(dict.fromkeys("abc", pa.array([1.0] * 700_000))),
            "at most 2000000",
        ),
        (lambda: parquet({"n": pa.nulls(2_000_001)}), "2000001 rows of 1 columns"),
        (lambda: parquet({"n": pa.array([1])}, compression="zstd"), "ZSTD compression"),
        (lambda: parquet({"n": pa.array([[1]])}), "holds lists or tables"),
        (lambda: parquet({"n": pa.array([{"a": 1}])}), "holds lists or tables"),
        (lambda: parquet({"n": pa.array([1], pa.timestamp("s"))}), "a column of timestamp"),
        (lambda: parquet({"n": pa.array([b"x"])}), "a column of binary"),
        (lambda: b"PAR1" + bytes(99) + b"PAR1", "cannot be read as a table"),
    ],
    ids=range(9),
)
def test_a_table_that_would_cost_much_is_refused(saved, content, wanted):
    (saved / "evidence/alpha/rows.parquet").write_bytes(content())
    listed(saved)

    with pytest.raises(EvidenceError, match=wanted):
        Assessment.load(saved)


def test_a_table_that_could_not_be_read_again_is_not_made():
    rows = tuple((None,) * 5 for _ in range(400_001))
    with pytest.raises(AnalysisError, match="at most 2000000 cells"):
        Table(name="t", caption="", columns=("a", "b", "c", "d", "e"), rows=rows)


def test_a_manifest_of_many_names_is_refused(saved):
    files = {f"evidence/{number}": "0" * 64 for number in range(10_001)}
    (saved / MANIFEST).write_bytes(canonical({"schema": 2, "files": files}))

    with pytest.raises(EvidenceError, match="names 10001 files; at most 10000"):
        Assessment.verify(saved)


def test_a_manifest_of_no_end_is_refused(saved):
    sparse(saved / MANIFEST, 2**29)

    with pytest.raises(EvidenceError, match="536870912 bytes; at most"):
        Assessment.verify(saved)


def test_a_report_of_holes_is_refused(saved):
    sparse(saved / "report.pdf", 2**42)

    with pytest.raises(EvidenceError, match=r"its files have \d+ bytes; at most"):
        Assessment.verify(saved)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "", ".", "evidence", "\ud800", MANIFEST])
def test_a_path_that_names_no_file_is_refused(saved, path):
    def named(data):
        data["evidence"][0]["measurement"]["figures"][0].update(path=path)

    rewritten(saved, named)

    with pytest.raises(EvidenceError, match="is no file of the folder"):
        Assessment.load(saved)


def test_what_is_seen_in_a_figure_is_kept_and_left_out_where_nothing_is_said(tmp_path):
    whole = example()
    told = replace(whole.evidence[0].measurement.figures[0], seen="One dot at 3.")
    measurement = replace(whole.evidence[0].measurement, figures=(told,))
    spoken = replace(whole, evidence=(replace(whole.evidence[0], measurement=measurement),))

    spoken.save(tmp_path / "spoken")
    whole.save(tmp_path / "silent")

    found = Assessment.load(tmp_path / "spoken").evidence[0].measurement.figures[0]
    assert (found.seen, found.alternative) == ("One dot at 3.", "One dot at 3.")
    assert '"seen"' not in (tmp_path / "silent" / RECORD).read_text()
    silent = Assessment.load(tmp_path / "silent").evidence[0].measurement.figures[0]
    assert silent.alternative == silent.caption
