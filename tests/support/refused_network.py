"""A Python that the kernel does not let leave its network, as containers have it by default."""

SITE = """
import ctypes, platform, struct

# A seccomp filter: unshare is refused with EPERM, all else is allowed.
number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
instructions = b"".join(
    struct.pack("HBBI", *item)
    for item in (
        (0x20, 0, 0, 0),
        (0x15, 0, 1, number),
        (0x06, 0, 0, 0x00050001),
        (0x06, 0, 0, 0x7FFF0000),
    )
)
held = ctypes.create_string_buffer(instructions)
program = struct.pack("HxxxxxxP", 4, ctypes.addressof(held))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0
"""


def install(folder):
    """Put it into a folder; Pythons that find the folder in PYTHONPATH are held so."""
    (folder / "sitecustomize.py").write_text(SITE)
