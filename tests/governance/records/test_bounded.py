"""Bounded: what is too long, too deep or too many is refused before anything is made of it."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import EvidenceError, PolicyError
from governance.records.bounded import (
    LARGEST_TOML,
    MOST_DEPTH,
    MOST_VALUES,
    content_of,
    files_of,
    json_data,
    toml_data,
)

DEEP = MOST_DEPTH + 1


def read_json(text):
    return json_data(text.encode(), "record", EvidenceError)


def read_toml(text):
    return toml_data(text, "policy.toml", PolicyError)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[" * 900 + "]" * 900, "more than 32 lists or tables"),
        ('{"a":' * DEEP + "1" + "}" * DEEP, "more than 32 lists or tables"),
        ("9" * 10**5, "a number of more than 64 characters"),
        (f'{{"a": [1, -{"9" * 65}]}}', "a number of more than 64 characters"),
        ("1e999", "holds 1e999; finite numbers"),
        ("[NaN]", "holds NaN; finite numbers"),
        ("[" + "0," * MOST_VALUES + "0]", "more than 1000000 values"),
        ("[" + "[]" * 3 + "]", "cannot be read"),
        ('"\\', "cannot be read"),
    ],
    ids=range(9),
)
def test_json_that_would_cost_much_is_refused(text, wanted):
    with pytest.raises(EvidenceError, match=f"record: .*{wanted}"):
        read_json(text)


@pytest.mark.parametrize(
    "text", ['"[[[["', f'"{"[" * 99}\\"{"9" * 99}"', '"\\\\"', "[[], {}, -1e-5]"]
)
def test_json_within_the_limits_is_read_whatever_its_texts_look_like(text):
    import json  # noqa: PLC0415 - the oracle alone

    assert read_json(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"a{'.a' * 60_000} = 1", "a key of more than 32 parts"),
        (f"[a{'.a' * DEEP}]", "a key of more than 32 parts"),
        ("a" + ' . "a"' * DEEP + " = 1", "a key of more than 32 parts"),
        ("a = " + "[" * DEEP + "]" * DEEP, "more than 32 lists or tables"),
        ("a.b.c.d.e = " + "{a.b.c.d.e = " * 8 + "1" + "}" * 8, "more than 32 lists or tables"),
        (f"a = {'9' * 10**5}", "a number of more than 64 characters"),
        (f"a = 1.{'0' * 80}", "a number of more than 64 characters"),
        ("#" * (LARGEST_TOML + 1), "characters; at most"),
        ("a = 2026-99-99", "not valid TOML"),
        ("a = 1\na = 2", "not valid TOML"),
    ],
    ids=range(10),
)
def test_toml_that_would_cost_much_is_refused(text, wanted):
    with pytest.raises(PolicyError, match=f"policy.toml: .*{wanted}"):
        read_toml(text)


# What a scanner that is less than a reader takes for something else.
DISGUISES = ['"""a"""" #', "'''a''''' #", '"a\\"" #', "'a' #", '"""\\"""" #', '""#', '""""""#']


@pytest.mark.parametrize("before", DISGUISES)
@pytest.mark.parametrize("after", ['"""', "'''", '"', "'", ""])
def test_no_text_or_comment_hides_what_follows_it(before, after):
    hidden = f"a = {before} {after}\nb{'.b' * DEEP} = 1\nc = '{after or 'x'}'"
    with pytest.raises(PolicyError):
        read_toml(hidden)


@given(st.text(alphabet="\"'#\\\n=[]a. ", max_size=40))
def test_what_toml_reads_within_the_limits_is_read_alike(text):
    import tomllib  # noqa: PLC0415 - the oracle alone

    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(PolicyError):
            read_toml(text)
    else:
        assert read_toml(text) == wanted


def test_a_caller_may_ask_for_less_depth_and_fewer_digits():
    def small(text):
        return json_data(text.encode(), "statement", EvidenceError, depth=2, digits=3)

    assert small('[[999, "9999"]]') == [[999, "9999"]]
    with pytest.raises(EvidenceError, match="more than 2 lists or tables"):
        small("[[[]]]")
    with pytest.raises(EvidenceError, match="a number of more than 3 digits"):
        small("[0.1234]")


def test_long_texts_are_no_long_keys():
    text = f'a = "{"b." * 99}" # {"c." * 99}\nd = """\n{"e." * 99}\n"""\nf = \'{"9" * 99}\''
    assert set(read_toml(text)) == {"a", "d", "f"}


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_json, '"' + '\\"' * 10**6),
        (read_json, '{"a' + '\\"' * 10**6 + "\\"),
        (read_toml, 'a = "' + '\\"' * 400_000),
        (read_toml, 'a = """' + '\\"' * 400_000),
        (read_toml, 'a = """\n' + '\\"""\n' * 200_000),
        (read_toml, "a" * 10**6),
        (read_toml, "1_" * 20 + "-" * 10**6),
    ],
    ids=range(7),
)
def test_a_text_without_an_end_costs_no_more_than_reading_it(read, text):
    begun = time.process_time()
    with pytest.raises((EvidenceError, PolicyError)):
        read(text)
    assert time.process_time() - begun < 5  # hours, if each place were looked at from every other


def test_a_file_of_holes_has_its_whole_length(tmp_path):
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(2**42)
    with pytest.raises(EvidenceError, match=f"{2**42} bytes; at most 10 are accepted"):
        content_of(tmp_path / "sparse", 10, EvidenceError)
    with pytest.raises(EvidenceError, match=f"its files have {2**42} bytes"):
        files_of(tmp_path, most=10, largest=10, error=EvidenceError)


def test_a_pipe_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EvidenceError, match="is no plain file"):
        content_of(tmp_path / "pipe", 10, EvidenceError)
    with pytest.raises(EvidenceError, match="pipe is no plain file"):
        files_of(tmp_path, most=10, largest=10, error=EvidenceError)


def test_files_are_counted_while_they_are_found(tmp_path):
    for number in range(12):
        (tmp_path / f"{number}").mkdir()
    with pytest.raises(EvidenceError, match="more than 11 files and folders"):
        files_of(tmp_path, most=11, largest=10, error=EvidenceError)
    assert files_of(tmp_path, most=12, largest=10, error=EvidenceError) == {}


def test_files_are_listed_in_the_order_of_their_paths(tmp_path):
    for name in ("b/a", "a.x", "a/b", "a/a/c", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = files_of(tmp_path, most=99, largest=99, error=EvidenceError)
    assert list(found) == sorted(["b/a", "a.x", "a/b", "a/a/c", "c"])
    assert found["a/a/c"] == 5
