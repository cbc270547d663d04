"""Nothing that a stranger hands back is believed, opened by name, or published as it is."""

import io
import json

import pytest

from governance.worker import handover
from governance.worker.handover import as_said, read

READY = b"ready filtered\n"


def header(**about):
    return json.dumps({"kind": "assessed", "problems": [], "files": [], **about}).encode() + b"\n"


def test_files_come_as_they_were(tmp_path):
    folder = tmp_path / "assessment"
    (folder / "evidence" / "odd").mkdir(parents=True)
    (folder / "assessment.json").write_bytes(b"{}")
    (folder / "evidence" / "odd" / "grid_2.png").write_bytes(bytes(range(256)))
    stream = io.BytesIO()
    handover.ready(stream, filtered=True)
    handover.write(stream, "assessed", folder=folder)
    stream.seek(0)

    found = read(stream, tmp_path / "copy")

    assert (found.ready, found.filtered, found.kind, found.problems) == (True, True, "assessed", ())
    for path in ("assessment.json", "evidence/odd/grid_2.png"):
        assert (tmp_path / "copy" / path).read_bytes() == (folder / path).read_bytes()


@pytest.mark.parametrize(
    "sent", [b"", b"ready", b"anything else\n", b"\n" + READY, header()], ids=repr
)
def test_whoever_does_not_say_first_that_it_is_shut_in_is_not_listened_to(tmp_path, sent):
    assert read(io.BytesIO(sent), tmp_path / "copy") == handover.Handover()


PATHS = [
    "../key.json", "/etc/key.json", "evidence/../../key.json", "evidence/a/b/c.png", "a", ".a.json",
    "evidence/a/../b.png", "a.json\n", "a\0.json", "A.json", "manifest.json/x.json", "a.sh", "",
    f"{'a' * 200}.json", 7, None, ["a.json"],
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_only_files_of_an_assessment_are_taken(tmp_path, path):
    found = read(io.BytesIO(READY + header(files=[[path, 1]]) + b"x"), tmp_path / "copy")

    assert found.kind is None
    assert "something else than files of an assessment" in found.problems[0]
    assert not list(tmp_path.rglob("*"))


REFUSED = [
    (b"no JSON\n", "cannot be read"),
    (b"[" * 200_000 + b"\n", "cannot be read"),
    (b"9" * 10_000 + b"\n", "cannot be read"),
    (header(kind="approved"), "cannot be read"),
    (header(kind=7), "cannot be read"),
    (header(problems="none"), "cannot be read"),
    (b'{"kind": "assessed", "problems": [], "files": [NaN]}\n', "cannot be read"),
    (header(files=[["a.json", -1]]), "something else"),
    (header(files=[["a.json", True]]), "something else"),
    (header(files=[["a.json", 1.5]]), "something else"),
    (header(files=[["a.json", 2**31]]), "more than 10000 files or 1073741824 bytes"),
    (header(files=[[f"a{i}.json", 0] for i in range(10_001)]), "more than 10000 files"),
    (header(files=[["a.json", 1], ["a.json", 1]]) + b"xy", "one file twice"),
    (header(files=[["a.json", 9]]) + b"x", "ends too early"),
    (header(files=[["a.json", 1]]) + b"xy", "more than it announced"),
    (header()[:-1] + b" " * 5_000_000 + b"\n", "cannot be read"),
]


@pytest.mark.parametrize(("sent", "told"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_written_as_ours_is_no_answer(tmp_path, sent, told):
    found = read(io.BytesIO(READY + sent), tmp_path / "copy")

    assert found.kind is None
    assert told in found.problems[0]
    assert len(found.problems[0]) < 200


@pytest.mark.parametrize("there", ["folder", "link"])
def test_a_folder_that_the_process_made_itself_is_its_failure_and_no_fault_of_the_disk(
    tmp_path, there
):
    into, outside = tmp_path / "assessment", tmp_path / "outside"
    outside.mkdir()
    if there == "folder":
        into.mkdir()
    else:
        into.symlink_to(outside)

    found = read(io.BytesIO(READY + header(files=[["a.json", 1]]) + b"x"), into)

    assert found.kind is None
    assert "made something where what it hands back is written" in found.problems[0]
    assert not list(outside.iterdir())


def test_problems_of_a_stranger_are_short_plain_and_marked(tmp_path):
    evil = (
        "\u202egnp.exe\n# <a href='http://x.org'>**[approved](http://x)**</a>\ud800" + "x" * 9_000
    )
    sent = READY + header(kind="refused", problems=[evil] * 50 + [7])

    found = read(io.BytesIO(sent), tmp_path / "copy")

    assert found.kind == "refused"
    assert len(found.problems) == 11
    assert found.problems[-1] == "and 40 more problems"
    for problem in found.problems[:-1]:
        assert problem.startswith("the confined process says: gnp.exe (a href='http x.org')")
        assert len(problem) <= len("the confined process says: ") + 300
        assert problem.isprintable()
        assert not set("<>[]`*#~|") & set(problem)
        assert "://" not in problem


def test_a_plain_sentence_stays_as_it_is():
    said = "model.pth: a pickled model; set allow_pickle = true, or log it again (naïve, 文)."

    assert as_said([said]) == (f"the confined process says: {said}",)
