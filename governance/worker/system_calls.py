"""System calls: what a confined process may not ask of the kernel, as a filter of its own.

The filter needs no privilege and holds for good, in containers too. It leaves the process a process
of one: it starts no other, signals no other and looks into no other. It opens no socket, mounts
nothing, and gets no memory that its limits do not count. Two architectures are known; on another
one nothing is filtered, and the worker says so.

The table is short enough to be read, and the libraries that would hold it are no longer kept up
(pyseccomp: 2021) or come with Debian's Python alone. Numbers are those of the kernel's
`asm/unistd_64.h` and `asm-generic/unistd.h`; the format is that of `linux/filter.h`.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

__all__ = ["NUMBERS", "deny", "program"]

#: From <linux/audit.h>, by the machine's name: what the kernel calls the architecture, and the
#: place of its numbers in `NUMBERS`.
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

#: Refused for everybody: (x86_64, aarch64), None where there is no such call.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # other processes: starting them, and looking into them
    "fork": (57, None),
    "vfork": (58, None),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    # io_uring opens sockets past this filter
    "io_uring_setup": (425, 425),
    # namespaces and file systems
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "mknod": (133, None),
    "mknodat": (259, 33),
    # keys of the kernel
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # memory beside the address space that is limited
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    # the machine, where the process runs as root
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "iopl": (172, None),
    "ioperm": (173, None),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
}
#: Allowed for threads alone, and upon the process itself alone.
CLONE, CLONE3 = (56, 220), (435, 435)
KILL, TGKILL, PRLIMIT = (62, 129), (234, 131), (302, 261)
#: Refused, but for families of sockets that a GPU's driver needs.
SOCKET = (41, 198)
THREAD = 0x00010000  # CLONE_THREAD of <linux/sched.h>
FOREIGN = 0x40000000  # from here on x86_64 has the calls of its ABI x32

# From <linux/filter.h> and <linux/seccomp.h>.
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16
ALLOWED, ENDED, REFUSED = 0x7FFF0000, 0x80000000, 0x00050000
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def deny(families: Sequence[int] = ()) -> bool:
    """Take the calls away from this process and all that it becomes, for good.

    Args:
        families: Of sockets that it may still open.

    Returns:
        Whether that was done; not on an architecture without a table, nor under a kernel without
        filters.
    """
    if platform.machine() not in ARCHITECTURES:
        return False
    instructions = program(platform.machine(), os.getpid(), families)
    held = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in instructions))
    filtered = struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    # Without new privileges, or the kernel takes a filter from root alone.
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(SECCOMP, FILTER, filtered, 0, 0) == 0)


def program(machine: str, process: int, families: Sequence[int] = ()) -> tuple[Instruction, ...]:
    """The filter for an architecture, as instructions of classic BPF.

    Args:
        machine: `x86_64` or `aarch64`.
        process: Id of the process that loads it.
        families: Of sockets that it may open.
    """
    architecture, place = ARCHITECTURES[machine]
    refused = REFUSED | errno.EPERM
    return (
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, ENDED),
        (LOAD, 0, 0, NUMBER),
        *(((AT_LEAST, 0, 1, FOREIGN), (RETURN, 0, 0, refused)) if place == 0 else ()),
        # The C library takes `clone` where this one does not exist; its flags cannot be read here.
        *_when(CLONE3[place], (RETURN, 0, 0, REFUSED | errno.ENOSYS)),
        *_when(
            CLONE[place],
            *((LOAD, 0, 0, ARGUMENT), (ANY_BIT, 0, 1, THREAD)),
            *((RETURN, 0, 0, ALLOWED), (RETURN, 0, 0, refused)),
        ),
        *_only(KILL[place], process),
        *_only(TGKILL[place], process),
        *_only(PRLIMIT[place], process, 0),
        *_only(SOCKET[place], *families),
        *(
            instruction
            for numbers in NUMBERS.values()
            if (number := numbers[place]) is not None
            for instruction in _when(number, (RETURN, 0, 0, refused))
        ),
        (RETURN, 0, 0, ALLOWED),
    )


def _when(number: int, *then: Instruction) -> tuple[Instruction, ...]:
    """Instructions that a call of this number ends in; others go on behind them."""
    return ((EQUAL, 0, len(then), number), *then)


def _only(number: int, *arguments: int) -> tuple[Instruction, ...]:
    """A call whose first argument must be one of these."""
    allowed = (
        instruction
        for argument in arguments
        for instruction in ((EQUAL, 0, 1, argument), (RETURN, 0, 0, ALLOWED))
    )
    refused = (RETURN, 0, 0, REFUSED | errno.EPERM)
    return _when(number, (LOAD, 0, 0, ARGUMENT), *allowed, refused)
