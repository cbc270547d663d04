"""Small files that would cost much: each made to be refused before anything is made of it."""

import hashlib
import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from governance.records.serialisation import canonical

GRAPH = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
SAMPLE = "data/sample_inputs/model.pt"


class Net(nn.Module):
    """Small, with every kind of layer that an export treats in its own way."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        y = self.features(x)
        return self.head(y.mean((2, 3)).reshape(x.shape[0], -1))


def export(path):
    """An honest export whose sizes are all free."""
    free = ({0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        program = torch.export.export(Net().eval(), (torch.zeros(2, 3, 8, 9),), dynamic_shapes=free)
    torch.export.save(program, path)
    return path


def edited(source, target, changes, *, compression=zipfile.ZIP_STORED):
    """A copy of an archive in which some records are made anew from what they were."""
    changes = dict(changes)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            change = changes.pop(name.partition("/")[2], lambda same: same)
            new.writestr(name, change(old.read(name)))
        for name, change in changes.items():
            new.writestr(f"{root}/{name}", change(b""))
    return target


def in_json(change):
    """A record of JSON, changed as data."""

    def changed(content):
        data = json.loads(content)
        change(data)
        return json.dumps(data).encode()

    return changed


def stretched(data):
    """A weight of which four billion elements lie on the few bytes that are stored."""
    meta = data["config"]["head.weight"]["tensor_meta"]
    meta["sizes"], meta["strides"] = [{"as_int": 2**33}], [{"as_int": 0}]


def powers(text):
    """The graph with another expression for its first free size."""

    def change(content):
        first = content.decode().index('"expr_str": "') + len('"expr_str": "')
        last = content.decode().index('"', first)
        return (content.decode()[:first] + text + content.decode()[last:]).encode()

    return change


def repeated_text(rows, length):
    """A table whose one text is stored once and read as often as there are rows."""
    return parquet({"text": pa.array(["x" * length] * rows).dictionary_encode().cast(pa.string())})


def parquet(columns, **options):
    """A table as Parquet."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, **options)
    return buffer.getvalue()


def listed(folder):
    """The manifest of a folder made anew, as someone would who tampers with care."""
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    (folder / "manifest.json").write_bytes(canonical({"schema": 2, "files": files}))
    return folder


def sparse(path, size):
    """A file that is long and takes no space."""
    with path.open("wb") as stream:
        stream.truncate(size)
    return path


def laughs(depth=9):
    """An MLmodel whose lists name the one before ten times each."""
    lines = ["a0: &a0 [x]"]
    lines += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, depth)
    ]
    return "\n".join([*lines, f"flavors: {{pytorch: {{model_data: *a{depth - 1}}}}}", ""])


def png(width, height):
    """A white picture of any size, in a few bytes a million pixels."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    parts = [packer.compress(row) for _ in range(height)]
    parts.append(packer.flush())
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", b"".join(parts)),
         chunk(b"IEND", b"")]
    )  # fmt: skip


def arrays(path, *, images=(3, 4, 4), promised=None):
    """An .npz of black images; its header may promise another shape than is stored."""

    def array(shape, content, kind="|u1"):
        header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
        header = header.ljust(117) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content

    labels = np.arange(images[0], dtype=np.int64) % 2
    names = np.array(["a", "b"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        size = int(np.prod(images, dtype=object))
        with archive.open("images.npy", "w", force_zip64=True) as stream:
            stream.write(array(promised or images, b""))
            for start in range(0, size, 2**24):
                stream.write(bytes(min(2**24, size - start)))
        for name, stored in (("labels", labels), ("class_names", names)):
            buffer = io.BytesIO()
            np.save(buffer, stored)
            archive.writestr(f"{name}.npy", buffer.getvalue())
    return path
