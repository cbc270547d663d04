"""A scoring server may be anything: what is asked of it is bounded, and what it says is checked."""

import itertools
import json
import socket
import time

import pytest
from scoring import answering, raw

from governance.errors import HostError, SubjectError
from governance.records.identity import ServedBy
from governance.subject.flavours.scoring_server import (
    LARGEST_ANSWER,
    TOKENS,
    ScoringServer,
    token_for,
)

GOOD = (200, {}, b'{"predictions": [[1.0]]}')


def server(address, **kind):
    return ScoringServer(address=address, seconds=kind.pop("seconds", 5), waits=(0, 0), **kind)


def test_a_request_reaches_the_address_and_its_answer_comes_back():
    with answering(lambda _headers, _body: GOOD) as (address, requests):
        asked = server(address)
        assert asked(b'{"inputs": [[0.5]]}') == GOOD[2]
    ((path, headers, body),) = requests
    assert (path, body) == ("/invocations", b'{"inputs": [[0.5]]}')
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers
    assert asked.account() == ServedBy(address=address, repeated=0)


def test_a_busy_server_is_asked_again_and_the_record_says_so():
    statuses = iter([503, 429, 200])
    with answering(lambda _headers, _body: (next(statuses), {}, GOOD[2])) as (address, _):
        asked = server(address)
        assert asked(b"{}") == GOOD[2]
    assert asked.account().repeated == 2


def test_a_server_that_stays_away_is_a_fault_of_the_machine_and_of_no_model():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    asked = server(f"http://127.0.0.1:{port}/invocations")
    with pytest.raises(HostError, match=r"does not answer: ConnectionRefused.*tried 3 times"):
        asked(b"{}")


def test_an_error_of_the_model_is_told_once_with_the_end_of_its_trace():
    said = {"error_code": "BAD_REQUEST", "message": "failed", "stack_trace": "a\nKeyError: 'p7'\n"}
    with (
        answering(lambda _headers, _body: (400, {}, json.dumps(said).encode())) as (address, seen),
        pytest.raises(SubjectError, match=r"answers 400: KeyError: 'p7' failed$"),
    ):
        server(address)(b"{}")
    assert len(seen) == 1


def test_a_redirect_is_not_followed():
    with answering(lambda _headers, _body: GOOD) as (elsewhere, seen):
        away = (307, {"Location": elsewhere}, b"")
        with (
            answering(lambda _headers, _body: away) as (address, _),
            pytest.raises(SubjectError, match="answers 307"),
        ):
            server(address, token="Bearer abc")(b"{}")  # noqa: S106 - of this test
    assert seen == []


HEAD = b"HTTP/1.1 200 OK\r\n"
TRICKLES = {
    "an answer that never begins": lambda: itertools.repeat(b""),
    "a header without an end": lambda: itertools.chain([HEAD], itertools.repeat(b"X: y\r\n")),
    "a line without an end": lambda: itertools.chain([HEAD + b"X: "], itertools.repeat(b"y")),
    "content without an end": lambda: itertools.chain([HEAD + b"\r\n"], itertools.repeat(b" ")),
    "go on, and on": lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("kind", TRICKLES)
def test_a_request_ends_at_its_deadline_however_slowly_an_answer_comes(kind):
    with raw(TRICKLES[kind], pause=0.02) as address:
        asked = ScoringServer(address=address, seconds=0.3, waits=())
        begun = time.monotonic()
        with pytest.raises(HostError, match="tried 1 times"):
            asked(b"{}")
        assert time.monotonic() - begun < 5


def test_an_answer_of_any_length_is_read_no_further_than_the_limit():
    block = b" " * 2**20

    def endless():
        yield HEAD + b"\r\n"
        yield from itertools.repeat(block, LARGEST_ANSWER // len(block) + 64)

    with raw(endless) as address, pytest.raises(SubjectError, match=f"more than {LARGEST_ANSWER}"):
        server(address)(b"{}")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        HEAD + b"Content-Length: 100\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"",
    ],
)
def test_what_is_no_whole_answer_of_http_is_none(answer):
    with raw(lambda: [answer]) as address, pytest.raises(HostError, match="does not answer"):
        server(address)(b"{}")


def test_an_answer_that_is_packed_is_refused_and_not_unpacked():
    packed = (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")
    with (
        answering(lambda _headers, _body: packed) as (address, _),
        pytest.raises(SubjectError, match="packs its answer"),
    ):
        server(address)(b"{}")


def test_a_server_that_repeats_the_token_gets_it_into_no_message():
    def echo(headers, _body):
        return 403, {}, f"no: {headers['Authorization']}\x1b[31m, abc".encode()

    with answering(echo) as (address, _):
        token = token_for(address, {TOKENS: f"{address.removesuffix('/invocations')}=abc"})
        asked = server(address, token=token)
        with pytest.raises(SubjectError) as refused:
            asked(b"{}")
    assert str(refused.value).endswith("answers 403: no: (token) [31m, (token)")
    assert "abc" not in repr(asked)


@pytest.mark.parametrize(
    ("address", "token"),
    [
        ("https://scores.example/a/invocations", "Bearer abc"),
        ("https://scores.example:443/invocations", "Bearer abc"),
        ("https://scores.example:8443/invocations", None),
        ("https://evil.example/invocations", None),
        ("http://127.0.0.1:5001/invocations", "Bearer xyz=="),
    ],
)
def test_a_token_goes_to_its_own_server_alone(address, token):
    stated = "https://scores.example=abc; http://127.0.0.1:5001=xyz=="
    assert token_for(address, {TOKENS: stated}) == token
    assert token_for(address, {}) is None


def test_a_token_never_goes_over_plain_http_to_another_machine():
    with pytest.raises(HostError, match="an address of https"):
        token_for("http://scores.example/invocations", {TOKENS: "http://scores.example=abc"})


@pytest.mark.parametrize("stated", ["abc", "https://x=a b", "https://x=a\nb", "https://x=ä"])
def test_a_variable_that_cannot_be_read_is_not_printed(stated):
    with pytest.raises(HostError) as refused:
        token_for("https://x/invocations", {TOKENS: stated})
    assert stated not in str(refused.value)
