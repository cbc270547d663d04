"""The doctor at servers that are not in order: a plain MLflow, another server, none."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow import MlflowClient

from governance.registry.doctor import examine, healthy
from governance.registry.doctor.webhooks import webhooks


def states(observations):
    return {item.about: item.state for item in observations}


@contextmanager
def answering(answers):
    """A server that answers paths with a code and a text."""

    class Exchange(BaseHTTPRequestHandler):
        def do_GET(self):
            code, text = answers.get(self.path.partition("?")[0], (404, ""))
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments):
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_plain_server_lets_everything_through_and_the_doctor_says_so(mlflow_server):
    # act
    observations = examine(mlflow_server)
    # assert
    assert not healthy(observations)
    found = states(observations)
    for about in ("stamp", "forged verdict", "forged approval", "alias", "stage"):
        assert found[about] == "problem", about
    assert all(item.cure for item in observations if item.state != "ok")
    names = [item.name for item in MlflowClient().search_registered_models(max_results=1000)]
    assert not [name for name in names if name.startswith("governance-doctor-")]


def test_the_command_exits_with_10_and_names_cures(governance, mlflow_server):
    answer = governance("doctor", "--tracking-uri", mlflow_server, "--json")
    data = json.loads(answer.out)
    assert answer.code == data["exit_code"] == 10
    assert any("governed+" in item["cure"] for item in data["findings"])
    shown = governance("doctor", "--tracking-uri", mlflow_server)
    assert shown.code == 10
    assert "problem stamp: " in shown.out
    assert "cure: start the server with --registry-store-uri governed+" in shown.out


def test_no_server_is_one_problem():
    (found,) = examine("http://127.0.0.1:9")
    assert found.state == "problem"
    assert "does not answer" in found.found


@pytest.mark.parametrize("version", [(200, "<html>"), (404, "nothing")])
def test_another_server_is_no_mlflow(version):
    with answering({"/version": version}) as address:
        (found,) = examine(address)
    assert found.state == "problem"
    assert "no MLflow server" in found.found


def test_a_lost_key_of_webhooks_is_a_problem_and_a_forbidden_list_is_not():
    # As MLflow 3.17 answers after a restart without the key its secrets were kept with.
    path = "/api/2.0/mlflow/webhooks"
    with answering({path: (500, '{"error_code": "INTERNAL_ERROR"}')}) as address:
        (lost,) = webhooks(address, None)
    with answering({path: (403, "{}")}) as address:
        (forbidden,) = webhooks(address, None)
    with answering({path: (200, "{}")}) as address:
        (none,) = webhooks(address, None)
    assert lost.state == "problem"
    assert "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY" in lost.cure
    assert (forbidden.state, none.state) == ("warning", "warning")
