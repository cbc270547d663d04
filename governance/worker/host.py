"""Host: whether this machine can run assessments at all, so that its faults are no verdicts.

Checked when a worker starts, and again whenever an attempt has failed: only an attempt on a machine
that passes counts against a model. What a confined process says of the machine is not believed by
itself, since a model that was made to may say anything.

The host's, after which a lease is handed back and no attempt counts:

```
confinement    `confinement = "required"` is asked for, and the machine cannot do all of it; or a
               policy allows pickles, and it cannot
process        no process can be started, or it ended before it was shut in
limits         memory, time or file size cannot be limited as asked
disk           less than 256 MiB free, full or failing
handles        the system has no file handle left
device         `device = "cuda"` is asked for, and torch finds no GPU
stopped        SIGTERM, SIGINT or SIGHUP reached the process while the worker was told to end
```

The model's, each of which counts as a failed attempt: more time than `minutes`, more memory than
`memory_gib`, a file over the limit, a crash, a kill, an exit code, a damaged or strange assessment.
Refused by our own code, which is final at once: a model, images or a policy that cannot be read or
do not go together. An analysis that fails or runs out of memory leaves failed evidence.
"""

import shutil
import tempfile

from governance.errors import HostError
from governance.worker import sandbox
from governance.worker.config import WorkerConfig

__all__ = ["check_host"]

FREE = 256 * 2**20  # bytes


def check_host(config: WorkerConfig) -> tuple[str, ...]:
    """Try what every assessment needs of this machine, in a confined process without a model.

    Returns:
        What assessments can reach here though they should not; one sentence each.

    Raises:
        HostError: If something cannot be had; all problems at once.
    """
    problems: list[str] = []
    gaps: tuple[str, ...] = ()
    try:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if free < FREE:
            problems.append(
                f"disk: {free // 2**20} MiB are free in {tempfile.gettempdir()}; "
                f"at least {FREE // 2**20} MiB are needed"
            )
        gaps = sandbox.try_out(config).gaps
    except HostError as error:
        problems += error.problems
    except OSError as error:
        problems.append(f"disk: no temporary folder can be made: {error}")
    if problems:
        raise HostError(problems)
    return gaps
