"""Environment: what the numbers of an assessment may depend on besides model, images and seed."""

import functools
import hashlib
import platform
import re
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import torch

__all__ = ["environment"]

VERSIONED = (
    "mlflow-governance", "torch", "torchvision", "numpy", "scipy", "scikit-image", "pillow",
    "matplotlib", "mlflow", "great-expectations",
)  # fmt: skip


def environment(device: torch.device) -> dict[str, str]:
    """What numbers may depend on: versions of libraries, device, processor and threads."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "device": f"{device} ({where})",
        "processor": f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}",
        "torch threads": str(torch.get_num_threads()),
        **{name: _version(name) for name in VERSIONED},
        "packages": _packages(),
    }


@functools.cache
def _packages() -> str:
    """sha256 of the lines `name==version` of all installed packages, in order of their names.

    It is that of a lock file without hashes, if nothing else is installed.
    """
    names = {(item.metadata["Name"] or "", item.version) for item in distributions()}
    lines = {f"{re.sub('[-_.]+', '-', name).lower()}=={number}\n" for name, number in names if name}
    return f"sha256:{hashlib.sha256(''.join(sorted(lines)).encode()).hexdigest()}"


def _processor() -> str:
    """Model of the processor, whose instruction set decides how sums are rounded."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # run from a checkout
        return "not installed"
