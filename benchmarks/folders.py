"""Time and memory of opening and reading folders of photos, and of assessing many small classes.

Usage: `python benchmarks/folders.py [--photos 50000] [--work FOLDER]`. The photos are drawn, with
a seed: smooth colours with noise, as JPEG of quality 90. Files beyond the first twenty of a size
repeat one of them with other bytes behind its end, so that each has a digest of its own. Each row
is a process of its own: CPU seconds (user and system) and peak resident memory, without that of
the process that prints the PDF.

| row | what is done |
|---|---|
| open | walk, header and digest of every file: all that is done before the model is loaded |
| read | every photo decoded and brought to 224 x 224, one at a time |
| assess | `governance assess` with the analysis performance, its HTML and PDF |
"""

import argparse
import io
import json
import multiprocessing
import os
import re
import resource
import runpy
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from PIL import Image

DISTINCT = 20
POLICY = """\
title = "Benchmark"
baseline = "none"
[model]
size = [32, 32]
resize = "squash"
allow_pickle = true
[validation]
data = "images"
[[expectations]]
metric = "performance.accuracy"
at_least = 0.0
"""


def drawn(width: int, height: int, seed: int) -> bytes:
    """A photo as JPEG."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = (smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "jpeg", quality=90)
    return buffer.getvalue()


def filled(folder: Path, photos: int, classes: int, size: tuple[int, int]) -> Path:
    """A folder of class folders with so many photos in all."""
    distinct = [drawn(*size, seed) for seed in range(min(photos, DISTINCT))]
    for number in range(photos):
        home = folder / f"class {number % classes:04}"
        home.mkdir(parents=True, exist_ok=True)
        content = distinct[number % len(distinct)] + number.to_bytes(8, "big")
        (home / f"{number // classes:05}.jpg").write_bytes(content)
    return folder


def opened(folder: Path, read: int) -> int:
    """Open a folder and read its first photos; the number of photos in it."""
    from governance.subject.images import open_validation  # noqa: PLC0415 - in its own process
    from governance.subject.preprocessing import Preprocessing  # noqa: PLC0415

    found = open_validation(folder, folder.name)
    preprocessing = Preprocessing(size=(224, 224), resize="crop")
    for index in range(read):
        preprocessing.pixels(found.images[index])
    return len(found)


def cost(work: Callable[..., object], *arguments: object) -> dict[str, float]:
    """CPU seconds of a function, children included, and peak memory of this process."""
    work(*arguments)
    own, inner = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    seconds = sum(item.ru_utime + item.ru_stime for item in (own, inner))
    # Not ru_maxrss, which a process takes over from the one that started it.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return {"seconds": seconds, "mb": int(peak) / 1024}


def measured(work: Callable[..., object], *arguments: object) -> dict[str, float]:
    """`cost` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.apply(cost, (work, *arguments))


def assessed(folder: Path, classes: int) -> None:
    """Assess a small network of so many classes on the images of a folder."""
    import mlflow  # noqa: PLC0415 - in its own process
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(32, classes),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pytorch.save_model(
            network.eval(), folder / "model", serialization_format="pickle",
            pip_requirements=["torch"],
        )  # fmt: skip
    (folder / "policy.toml").write_text(POLICY, encoding="utf-8")
    command = ["assess", str(folder / "model"), "--policy", str(folder / "policy.toml")]
    sys.argv = ["governance", *command, "--out", str(folder / "out"), "--no-record"]
    try:
        with redirect_stdout(io.StringIO()):
            runpy.run_module("governance", run_name="__main__")
    except SystemExit as ended:
        if ended.code not in {0, None, 10, 20, 30}:
            raise RuntimeError(f"governance assess ended with exit code {ended.code}") from ended


def main() -> None:
    """Print one line of JSON a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=50_000)
    parser.add_argument("--work", type=Path, default=None)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        nothing = measured(opened, filled(Path(scratch) / "two", 2, 2, (32, 32)), 0)
        print(json.dumps({"set": "two photos: what importing costs"} | nothing), flush=True)
        for name, photos, classes, size, read in (
            ("photos of 500 x 375", 1_000, 100, (500, 375), 1_000),
            ("photos of 500 x 375", options.photos, 100, (500, 375), 0),
            ("photos of 4000 x 3000", 40, 10, (4000, 3000), 0),
            ("photos of 4000 x 3000", 40, 10, (4000, 3000), 40),
        ):
            begun = time.monotonic()
            folder = filled(Path(scratch) / f"{photos} {size[0]} {read}", photos, classes, size)
            megabytes = sum(file.stat().st_size for file in folder.rglob("*.jpg")) / 1e6
            found = measured(opened, folder, read)
            row = {"set": name, "photos": photos, "read": read, "on disk MB": round(megabytes)}
            row |= {key: round(value, 1) for key, value in found.items()}
            print(json.dumps(row | {"clock": round(time.monotonic() - begun)}), flush=True)
        for classes, photos in ((1_000, 2_000), (10, 2_000)):
            home = Path(scratch) / f"assess {classes}"
            filled(home / "images", photos, classes, (64, 64))
            found = measured(assessed, home, classes)
            size = sum(file.stat().st_size for file in (home / "out").rglob("*") if file.is_file())
            row = {"set": f"{classes} classes", "photos": photos, "record MB": round(size / 1e6, 1)}
            print(
                json.dumps(row | {key: round(value, 1) for key, value in found.items()}), flush=True
            )


if __name__ == "__main__":
    main()
