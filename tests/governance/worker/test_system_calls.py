"""The filter of system calls, by its instructions and in a process of its own."""

import errno
import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from governance.worker import system_calls
from governance.worker.system_calls import ARCHITECTURES, NUMBERS, program

SELF = 4711
THREAD = 0x10000
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def asked(machine, number, *arguments, architecture=None, families=()):
    """What the filter answers, as the kernel would work it out."""
    known, _ = ARCHITECTURES[machine]
    fields = {0: number, 4: known if architecture is None else architecture, 16: (*arguments, 0)[0]}
    instructions, place, held = program(machine, SELF, families), 0, 0
    while True:
        code, if_true, if_false, operand = instructions[place]
        place += 1
        if code == 0x20:  # load a word
            held = fields[operand] & 0xFFFFFFFF
        elif code == 0x06:  # return
            return operand
        else:
            compared = {0x15: held == operand, 0x35: held >= operand, 0x45: bool(held & operand)}
            place += if_true if compared[code] else if_false


ALLOWED, REFUSED, ABSENT, ENDED = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 2**31


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_every_call_of_the_table_is_refused_and_the_usual_ones_are_not(machine):
    place = ARCHITECTURES[machine][1]
    taken = {numbers[place] for numbers in NUMBERS.values()} - {None}
    special = {numbers[place] for numbers in (
        system_calls.CLONE, system_calls.CLONE3, system_calls.KILL, system_calls.TGKILL,
        system_calls.PRLIMIT, system_calls.SOCKET,
    )}  # fmt: skip

    answers = {number: asked(machine, number) for number in range(600) if number not in special}

    assert {number for number, answer in answers.items() if answer == REFUSED} == taken
    assert set(answers.values()) == {REFUSED, ALLOWED}


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_threads_are_started_and_processes_are_not(machine):
    place = ARCHITECTURES[machine][1]

    assert asked(machine, system_calls.CLONE[place], THREAD | 0x3D0F00) == ALLOWED
    assert asked(machine, system_calls.CLONE[place], 0x1200011) == REFUSED
    assert asked(machine, system_calls.CLONE[place], 0x10000000) == REFUSED
    assert asked(machine, system_calls.CLONE3[place]) == ABSENT


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_a_process_signals_and_limits_itself_alone(machine):
    place = ARCHITECTURES[machine][1]

    for name in ("KILL", "TGKILL", "PRLIMIT"):
        number = getattr(system_calls, name)[place]
        assert asked(machine, number, SELF) == ALLOWED
        for other in (1, SELF + 1, -1, -SELF):
            assert asked(machine, number, other) == REFUSED
    assert asked(machine, system_calls.PRLIMIT[place], 0) == ALLOWED
    assert asked(machine, system_calls.KILL[place], 0) == REFUSED


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_sockets_are_opened_in_no_family_but_those_that_are_named(machine):
    number = system_calls.SOCKET[ARCHITECTURES[machine][1]]

    for family in range(46):
        assert asked(machine, number, family) == REFUSED
        local = asked(machine, number, family, families=(1,))
        assert local == (ALLOWED if family == 1 else REFUSED)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_calls_of_another_architecture_end_the_process(machine):
    assert asked(machine, 1, architecture=0x40000003) == ENDED  # i386
    assert asked("x86_64", 0x40000000 + 41) == REFUSED  # x32


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_numbers_are_those_of_the_kernel(machine):
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    pattern = r"#define __NR(?:3264)?_(\w+)\s+(\d+)"
    known = {name: int(number) for name, number in
             re.findall(pattern, HEADERS[machine].read_text())}  # fmt: skip
    place = ARCHITECTURES[machine][1]
    ours = {
        "clone": system_calls.CLONE, "clone3": system_calls.CLONE3, "kill": system_calls.KILL,
        "tgkill": system_calls.TGKILL, "prlimit64": system_calls.PRLIMIT,
        "socket": system_calls.SOCKET, **NUMBERS,
    }  # fmt: skip

    # Headers older than a call do not have it.
    missing = {name for name, numbers in ours.items() if numbers[place] != known.get(name)}
    assert {name for name in missing if name in known} == set()
    assert len(missing) < 20


TRIED = """
import ctypes, json, threading
from governance.worker import system_calls
assert system_calls.deny()
libc = ctypes.CDLL(None, use_errno=True)
found = {}
for name, number in NUMBERS.items():
    found[name] = ctypes.get_errno() if libc.syscall(number, -1, -1, -1, -1, -1) == -1 else 0
    ctypes.set_errno(0)
ran = []
thread = threading.Thread(target=ran.append, args=[1])
thread.start()
thread.join()
print(json.dumps([found, ran]))
"""


def test_the_kernel_refuses_what_the_table_says():
    if platform.machine() not in ARCHITECTURES:
        pytest.skip("an architecture without a table")
    place = ARCHITECTURES[platform.machine()][1]
    numbers = {name: pair[place] for name, pair in NUMBERS.items() if pair[place] is not None}
    source = TRIED.replace("NUMBERS", repr(numbers))

    ended = subprocess.run(
        [sys.executable, "-c", source], check=True, capture_output=True, text=True
    )

    found, ran = json.loads(ended.stdout)
    assert set(found.values()) == {errno.EPERM}
    assert ran == [1]
