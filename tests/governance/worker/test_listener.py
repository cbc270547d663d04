"""Listeners: whoever drips, floods or never reads keeps nobody else out."""

import http.client
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from governance.errors import SubjectError
from governance.worker import listener as listeners
from governance.worker.counts import Counts
from governance.worker.listener import AT_ONCE, Listener, answer, body_of
from governance.worker.monitoring import monitoring

#: Seconds within which an answer counts as prompt, on a machine with two busy cores.
PROMPT = 5


async def echo(scope, receive, send):
    """Answers how many bytes a request had."""
    body = await body_of(receive)
    await answer(send, 200, f"{len(body or b'')}")


@pytest.fixture
def counts():
    return Counts()


@contextmanager
def listening(app, counts, option="--listen"):
    found = Listener(app, "127.0.0.1", 0, option=option, counts=counts)
    found.start()
    try:
        yield found
    finally:
        found.close()


@contextmanager
def dripping(port, number, first):
    """So many connections that send a byte now and then and never a whole request."""
    with ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(number)
        ]
        ended = threading.Event()

        def drip():
            while not ended.wait(0.2):
                for connection in held:
                    try:
                        connection.send(b"x")
                    except OSError:
                        continue  # it was cut

        for connection in held:
            connection.sendall(first)
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield held
        finally:
            ended.set()
            thread.join()


def ask(port, body=None, path="/"):
    """Code, text and seconds of an answer."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROMPT)
    connection.request("GET" if body is None else "POST", path, body)
    found = connection.getresponse()
    text = found.read().decode()
    connection.close()
    return found.status, text, time.monotonic() - began


def ends(connection, seconds):
    """Whether the other side ends a connection in time."""
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


HEAD = b"GET /healthz HTTP/1.1\r\nHost: "
BODY = b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"


@pytest.mark.parametrize("first", [b"", HEAD, BODY], ids=["silent", "head", "body"])
@pytest.mark.parametrize("number", [50, 2 * AT_ONCE])
def test_connections_that_drip_keep_no_delivery_out(counts, number, first):
    with listening(echo, counts) as found, dripping(found.port, number, first):
        answers = [ask(found.port, b"abc") for _ in range(20)]

    assert {(code, text) for code, text, _ in answers} == {(200, "3")}
    assert max(seconds for _, _, seconds in answers) < PROMPT


def test_connections_that_drip_on_either_port_leave_health_alone(counts):
    app = monitoring(alive=lambda: True, healthy=lambda: True, counts=counts)
    with (
        listening(echo, counts) as webhooks,
        listening(app, counts, "--monitoring") as probes,
        dripping(webhooks.port, 50, BODY),
        dripping(probes.port, 50, HEAD),
    ):
        answers = [ask(probes.port, path="/healthz") for _ in range(20)]

    assert {(code, text) for code, text, _ in answers} == {(200, "ok\n")}
    assert max(seconds for _, _, seconds in answers) < PROMPT


@pytest.mark.parametrize("first", [b"", HEAD, BODY], ids=["silent", "head", "body"])
def test_a_connection_is_cut_at_its_deadline_however_it_drips(counts, monkeypatch, first):
    monkeypatch.setattr(listeners, "SECONDS", 1.0)
    with listening(echo, counts) as found, dripping(found.port, 3, first) as held:
        began = time.monotonic()
        assert all(ends(connection, 1 + PROMPT) for connection in held)
        seconds = time.monotonic() - began

    assert seconds < 1 + PROMPT
    name = "governance_connections_dropped_total"
    assert counts.value(name, listener="listen", why="late") == 3


def test_beyond_the_bound_the_longest_open_connection_makes_room(counts):
    with listening(echo, counts) as found, dripping(found.port, AT_ONCE + 10, HEAD) as held:
        assert ask(found.port)[:2] == (200, "0")
        assert ends(held[0], PROMPT)
        assert not ends(held[-1], 0.1)

    name = "governance_connections_dropped_total"
    assert counts.value(name, listener="listen", why="crowded") >= 11


def test_an_answer_that_nobody_reads_ends_with_its_connection(counts, monkeypatch):
    monkeypatch.setattr(listeners, "SECONDS", 1.0)
    long = "x" * 2**24  # more than the system's buffers take

    async def talk(scope, receive, send):
        await answer(send, 200, long)

    with listening(talk, counts) as found:
        with socket.create_connection(("127.0.0.1", found.port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            until = time.monotonic() + PROMPT
            name = "governance_connections_dropped_total"
            while not counts.value(name, listener="listen", why="late"):
                assert time.monotonic() < until
                time.sleep(0.05)
        assert ask(found.port)[0] == 200


def test_nonsense_and_a_long_head_are_refused(counts):
    for nonsense in (b"\x16\x03\x01\x00\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 2**15):
        with listening(echo, counts) as found:
            connection = socket.create_connection(("127.0.0.1", found.port))
            connection.sendall(nonsense)
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
            connection.close()


def test_closing_takes_no_longer_for_those_who_drip(counts):
    found = Listener(echo, "127.0.0.1", 0, option="--listen", counts=counts)
    found.start()
    with dripping(found.port, 10, BODY):
        began = time.monotonic()
        found.close()

    assert time.monotonic() - began < PROMPT


def test_a_port_in_use_is_refused(counts):
    with (
        listening(echo, counts) as found,
        pytest.raises(SubjectError, match=r"--monitoring .* a free port"),
    ):
        Listener(echo, "127.0.0.1", found.port, option="--monitoring", counts=counts)


def test_monitoring_tells_alive_healthy_and_counts_apart(counts):
    state = {"alive": True, "healthy": True}
    app = monitoring(alive=lambda: state["alive"], healthy=lambda: state["healthy"], counts=counts)
    with listening(app, counts, "--monitoring") as found:
        assert ask(found.port, path="/livez")[:2] == (200, "ok\n")
        assert ask(found.port, path="/healthz")[:2] == (200, "ok\n")
        state["healthy"] = False
        assert ask(found.port, path="/livez")[0] == 200
        assert ask(found.port, path="/healthz")[:2] == (503, "the registry is not read\n")
        state["alive"] = False
        assert ask(found.port, path="/livez")[:2] == (503, "the worker hangs\n")
        code, text, _ = ask(found.port, path="/metrics")
        assert code == 200
        assert "# TYPE governance_polls_total counter" in text
        assert ask(found.port, path="/other")[0] == 404
        assert ask(found.port, b"{}", path="/metrics")[0] == 404
