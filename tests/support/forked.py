"""Commands of ours in processes that are forked where torch and MLflow are imported already.

Importing both takes a new interpreter five seconds. A fork of a process that has imported them, and
done nothing else, has the same code, and its own session, folder, environment and output; what it
starts in turn are interpreters as ever.
"""

import multiprocessing
import os
import sys
from functools import cache
from pathlib import Path

#: Imported once in the process that is forked.
IMPORTED = ["governance.cli", "governance.worker.setup", "governance.worker.loop", "mlflow.pytorch"]


@cache
def _forking():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


class Forked:
    """`governance` with arguments, as `subprocess.Popen` would show it."""

    def __init__(self, arguments, *, cwd, log, env):
        Path(log).touch()
        self._process = _forking().Process(
            target=run, args=([*map(str, arguments)], str(cwd), str(log), dict(env)), daemon=True
        )
        self._process.start()
        self.pid = self._process.pid

    def poll(self):
        """Its exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds=None):
        """Its exit code, once it ended; negative after a signal."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutError(f"process {self.pid} still runs")
        return self._process.exitcode

    def send_signal(self, number):
        """To the process alone."""
        os.kill(self.pid, number)


def run(arguments, cwd, log, env):
    """What the forked process does."""
    os.setsid()
    os.chdir(cwd)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["governance", *arguments]
    from governance.cli import main  # noqa: PLC0415 - imported already

    main()
