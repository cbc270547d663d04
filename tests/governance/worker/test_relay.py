"""A confined process reaches one server, through one socket, in whole requests and answers."""

import socket
import struct
import threading

import pytest

from governance.errors import HostError, SubjectError
from governance.records.identity import ServedBy
from governance.subject.flavours.invocations import LARGEST_REQUEST
from governance.worker.relay import Relayed, relayed


class Server:
    """Answers with what it was asked, but for two words."""

    def __call__(self, body):
        if body == b"refuse":
            raise SubjectError("answers 400: ü")
        if body == b"fail":
            raise HostError("is away")
        return body[::-1]

    def account(self):
        return ServedBy(address="https://scores.example/invocations", repeated=2)


def test_answers_refusals_and_failures_arrive_as_they_are():
    with relayed(Server()) as end:
        asked = Relayed(end)
        assert asked(b"abc") == b"cba"
        large = bytes(range(256)) * 4096
        assert asked(large) == large[::-1]
        with pytest.raises(SubjectError, match="answers 400: ü"):
            asked(b"refuse")
        with pytest.raises(HostError, match="is away"):
            asked(b"fail")
        assert asked.account() == Server().account()


def test_whoever_relays_no_more_leaves_no_answer():
    with relayed(Server()) as end:
        held = end.dup()
    with held, pytest.raises(HostError, match="cannot be reached any more"):
        Relayed(held)(b"abc")


def test_a_request_beyond_the_limit_ends_the_relay_before_it_is_read():
    with relayed(Server()) as end:
        end.sendall(struct.pack("!I", LARGEST_REQUEST + 1))
        assert end.recv(1) == b""


def test_an_answer_beyond_the_limit_is_not_waited_for():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        answers = threading.Thread(
            target=lambda: ours.sendall(struct.pack("!cI", b"A", 2**32 - 1)), daemon=True
        )
        answers.start()
        with pytest.raises(HostError, match="bytes were announced"):
            Relayed(theirs)(b"abc")
        answers.join(5)
