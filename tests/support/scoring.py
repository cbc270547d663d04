"""Scoring servers that tests start: small, real, on a free port of this machine."""

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

__all__ = ["answering", "raw", "scored"]


@contextmanager
def answering(answer):
    """A server, its address, and what it was asked.

    Args:
        answer: Gives status, headers and content for the headers and the body of a request.
    """
    requests = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, dict(self.headers), body))
            status, headers, content = answer(dict(self.headers), body)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/invocations", requests
        finally:
            server.shutdown()


@contextmanager
def raw(parts, pause=0.0):
    """The address of a server that sends these bytes to whoever connects, and then hangs up.

    Args:
        parts: Makes the parts of an answer, without end if it likes.
        pause: Seconds between two of them.
    """
    over = threading.Event()

    def serve(listening):
        while True:
            try:
                held, _ = listening.accept()
            except OSError:
                return
            with held:
                try:
                    for part in parts():
                        held.sendall(part)
                        if over.wait(pause):
                            return
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/invocations"
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def scored(weights):
    """An answer of MLflow's protocol: the softmax of rows times weights, in their order."""

    def answer(_headers, body):
        rows = np.asarray(json.loads(body)["inputs"], dtype=np.float64)
        scores = rows.reshape(len(rows), -1) @ weights
        powers = np.exp(scores - scores.max(1, keepdims=True))
        predictions = (powers / powers.sum(1, keepdims=True)).tolist()
        return 200, {}, json.dumps({"predictions": predictions}).encode()

    return answer
