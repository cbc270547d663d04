"""Signers in the process of a test, behind a socket as ever."""

import os
import time
from contextlib import contextmanager
from threading import Event, Thread

from governance.approval.remote_keys import RemoteKey
from governance.approval.signable import SigningTerms
from governance.approval.signer_process import SignerProcess


@contextmanager
def serving(key, path, *, users=None, registry="production", **terms):
    """A signer in this process; the key as those who ask see it."""
    ended = Event()
    process = SignerProcess(
        key=key, terms=SigningTerms(registry=registry, **terms),
        users=frozenset(users or {os.geteuid()}),
    )  # fmt: skip
    thread = Thread(target=process.serve, args=(path, ended))
    thread.start()
    try:
        until = time.monotonic() + 10
        while not path.is_socket() and time.monotonic() < until:
            time.sleep(0.01)
        yield RemoteKey.at(path)
    finally:
        ended.set()
        thread.join()
