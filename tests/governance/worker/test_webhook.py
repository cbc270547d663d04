"""The receiver: what MLflow really signs is accepted once, everything else is not."""

import http.client
import json
import time
import urllib.error
import urllib.request
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.webhooks.delivery import _generate_hmac_signature

from governance.worker.counts import Counts
from governance.worker.listener import LARGEST_BODY, Listener
from governance.worker.webhook import REMEMBERED, Deliveries, receiver, signature

SECRET = b"sixteen bytes or more"


def headers(body, *, delivery=None, timestamp=None, secret=SECRET):
    delivery = delivery or uuid4().hex
    timestamp = str(int(time.time())) if timestamp is None else str(timestamp)
    return {
        "x-mlflow-delivery-id": delivery,
        "x-mlflow-timestamp": timestamp,
        "x-mlflow-signature": signature(secret, delivery, timestamp, body),
    }


@given(st.text(), st.text(max_size=40), st.integers(0, 10**11), st.text(max_size=200))
def test_the_signature_is_mlflows(secret, delivery, timestamp, body):
    theirs = _generate_hmac_signature(secret, delivery, str(timestamp), body)

    assert signature(secret.encode(), delivery, str(timestamp), body.encode()) == theirs


def test_a_delivery_counts_once():
    deliveries = Deliveries(SECRET)
    sent = headers(b"{}", timestamp=1000)

    assert deliveries.judge(sent, b"{}", 1000) == "accepted"
    assert deliveries.judge(sent, b"{}", 1001) == "duplicate"


@pytest.mark.parametrize(("off", "outcome"), [(299, "accepted"), (300, "stale"), (-300, "stale")])
def test_a_delivery_counts_for_five_minutes(off, outcome):
    sent = headers(b"{}", timestamp=10_000)

    assert Deliveries(SECRET).judge(sent, b"{}", 10_000 + off) == outcome


@pytest.mark.parametrize("timestamp", ["", "-5", "1e9", "٣", "9" * 40, "1000.0"])
def test_a_time_that_is_none_is_never_in_time(timestamp):
    sent = headers(b"{}", timestamp=timestamp)

    assert Deliveries(SECRET).judge(sent, b"{}", 1000) == "stale"


@given(st.sampled_from(["id", "time", "signature", "body", "secret"]))
def test_whatever_is_changed_makes_it_forged(part):
    sent, body = headers(b"{}", timestamp=1000), b"{}"
    if part == "id":
        sent["x-mlflow-delivery-id"] += "x"
    elif part == "time":
        sent["x-mlflow-timestamp"] = "1001"
    elif part == "signature":
        sent["x-mlflow-signature"] = sent["x-mlflow-signature"][:-2] + "é="
    elif part == "body":
        body = b"{} "
    else:
        sent = headers(b"{}", timestamp=1000, secret=b"another secret of them")

    assert Deliveries(SECRET).judge(sent, body, 1000) == "forged"


def test_a_delivery_without_headers_is_forged():
    assert Deliveries(SECRET).judge({}, b"", 0) == "forged"


def test_only_so_many_deliveries_are_remembered():
    deliveries = Deliveries(SECRET)
    for number in range(REMEMBERED + 10):
        deliveries.judge(headers(b"", delivery=str(number), timestamp=1), b"", 1)

    assert len(deliveries._seen) == REMEMBERED


class Bell:
    """Counts how often the loop was woken."""

    def __init__(self):
        self.rung, self.counts = 0, Counts()

    def ring(self):
        self.rung += 1


@pytest.fixture
def bell():
    return Bell()


@pytest.fixture
def listening(bell):
    app = receiver(SECRET, wake=bell.ring, counts=bell.counts)
    found = Listener(app, "127.0.0.1", 0, option="--listen", counts=bell.counts)
    found.start()
    yield found
    found.close()


def ask(listening, path, body=None, sent=None):
    """Code and text of the answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{listening.port}{path}", data=body, headers=sent or {}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_signed_delivery_wakes_the_loop_once(listening, bell):
    body = json.dumps({"entity": "model_version"}).encode()
    sent = headers(body)

    answers = [ask(listening, "/webhook", body, sent) for _ in range(2)]

    assert answers == [(200, "accepted\n"), (200, "duplicate\n")]
    assert bell.rung == 1


def test_a_forged_or_stale_one_is_refused_and_wakes_nobody(listening, bell):
    forged = headers(b"{}", secret=b"what somebody guessed")
    stale = headers(b"{}", timestamp=int(time.time()) - 600)

    assert ask(listening, "/webhook", b"{}", forged) == (401, "forged\n")
    assert ask(listening, "/webhook", b"{}", stale) == (401, "stale\n")
    assert bell.rung == 0
    assert 'deliveries_total{outcome="forged"} 1' in bell.counts.text()


def test_a_body_that_is_announced_as_too_long_is_not_read(listening, bell):
    connection = http.client.HTTPConnection("127.0.0.1", listening.port, timeout=10)
    for length, code in ((LARGEST_BODY + 1, 413), ("9" * 18, 413), ("9" * 400, 400), ("-1", 400)):
        connection.putrequest("POST", "/webhook")
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        assert connection.getresponse().status == code
        connection.close()

    assert bell.rung == 0


def test_a_body_in_chunks_ends_at_the_same_bound(listening, bell):
    chunk = b"10000\r\n" + bytes(2**16) + b"\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", listening.port, timeout=10)
    connection.putrequest("POST", "/webhook")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(chunk * 16 + b"1\r\n!\r\n")

    assert connection.getresponse().status == 413
    assert bell.counts.value("governance_deliveries_total", outcome="too long") == 1


def test_other_places_are_not_found(listening):
    assert ask(listening, "/")[0] == 404
    assert ask(listening, "/other", b"{}")[0] == 404
    assert ask(listening, "/webhook")[0] == 404
    assert ask(listening, "/healthz")[0] == 404
