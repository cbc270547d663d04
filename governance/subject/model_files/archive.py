"""Pt2 archive: whether an exported model can be loaded without running code that came with it.

`torch.export.load` unpickles records with all of Python at hand, evaluates the size expressions it
reads, and compiles source text made from the names it finds. An honest export needs none of that,
so each is looked for before the file is given to torch, and a file that would use it is refused.
"""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from governance.errors import SubjectError

__all__ = ["open_archive"]

SHOWN = 10
ACCEPTED = (
    "plain tensors and operators of torch and torchvision are accepted: log the model again with "
    "mlflow.pytorch.log_model and a current torch"
)
GRAPH = "models/model.json"
SAMPLE = "data/sample_inputs/model.pt"
PAYLOADS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
RECORDS = re.compile(
    r"data/weights/weight_\d+|data/constants/tensor_\d+|\.data/(version|serialization_id)"
    r"|archive_format|archive_version|byteorder|version"
)

# What a string in the graph may be, by the key it stands under; anything else must be PLAIN.
PLAIN = re.compile(r"[\w.@:+ -]*")
NAME = re.compile(r"([^\W\d]\w*)?")
TARGET = re.compile(
    r"torch\.ops\.(aten|torchvision)\.(?!from_file)\w+\.\w+"
    r"|torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|torch\.sym_(int|float|max|min|not|ite|sum)|math\.(ceil|floor|trunc|sqrt)"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|getitem|eq|ne|lt|le|gt|ge|and_|or_)"
)
# Sizes come as sympy writes them: Add(Symbol('s77', positive=True, integer=True), Integer(-1)).
FUNCTION = (
    "Add|Mul|Pow|Integer|Rational|Symbol|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv"
    "|ModularIndexing|Where|ToFloat|IntTrueDiv|FloatTrueDiv|TruncToInt|CeilToInt|FloorToInt"
    "|RoundToInt|PowByNatural|FloatPow|Equality|Unequality|Eq|Ne|True|False|oo|int_oo"
    "|(positive|negative|nonnegative|nonzero|zero|integer|real|finite)="
)
EXPRESSION = re.compile(
    rf"([suz]\d+(?!\w)|'[suz]\d+'|\d+(\.\d+)?(?!\w)|({FUNCTION})(?=\W|$|True|False)"
    r"|[-+*/%(), <>=&|~])*"
)
WANTED = {
    "expr_str": (EXPRESSION, "arithmetic of sizes"),
    "name": (NAME, "name"),
    "target": (TARGET, "operator of torch or torchvision"),
}
# Kept as text and never run, or (guards) not asked for: this package does not compile guards.
TEXTS = frozenset({"as_string", "guards_code", "in_spec", "metadata", "out_spec"})


def open_archive(path: Path) -> io.BytesIO:
    """An export for torch to load, once it is known to run no code when loaded.

    Returns:
        A copy in memory of the records that were looked at: torch reads zip files by other code
        than Python, and a file made to look different to the two must not get past the look.

    Raises:
        SubjectError: With everything in the archive that an honest export does not hold.
    """
    copy = io.BytesIO()
    try:
        with zipfile.ZipFile(path) as archive:
            problems = list(_problems(archive))
            if not problems:
                with zipfile.ZipFile(copy, "w") as kept:
                    for info in archive.infolist():
                        kept.writestr(info.filename, archive.read(info))
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise SubjectError(
            f"{path.name}: cannot be read as an exported model: {error}; a file that "
            "torch.export.save wrote is accepted"
        ) from error
    if problems:
        raise SubjectError(
            [f"{path.name}: {problem}" for problem in problems[:SHOWN]]
            + [f"{path.name}: not loaded, since that could run code from the file; {ACCEPTED}"]
        )
    copy.seek(0)
    return copy


def _problems(archive: zipfile.ZipFile) -> Iterator[str]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    # All records lie in one folder named after the file, which torch leaves out of their names.
    names = [info.filename.partition("/")[2] for info in infos]
    if len(set(names)) != len(names) or len({i.filename.partition("/")[0] for i in infos}) != 1:
        yield "records repeat a name"
        return
    records = dict(zip(names, infos, strict=True))
    for name in sorted({GRAPH, "archive_version", *PAYLOADS} - set(names)):
        yield f"record {name} is missing"
    for name, info in records.items():
        if name == GRAPH:
            graph = _json(archive.read(info))
            if not isinstance(graph, dict) or "graph_module" not in graph:
                yield f"record {name} is damaged"
            yield from _graph_problems(graph, "graph")
        elif name in PAYLOADS:
            yield from _payload_problems(_json(archive.read(info)), name)
        elif name == SAMPLE:
            yield from _sample_problems(archive.read(info))
        elif not RECORDS.fullmatch(name):
            yield f"record {name[:80]!r} is of no kind that an export needs"


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (UnicodeDecodeError, ValueError, RecursionError):
        return None


def _graph_problems(value: Any, place: str, key: str = "") -> Iterator[str]:
    """Strings that torch would evaluate or compile and that are not what they should be."""
    if key in TEXTS:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            if not PLAIN.fullmatch(name):
                yield f"{place}: the key {name[:80]!r} is no name"
            yield from _graph_problems(item, f"{place}.{name}", name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _graph_problems(item, f"{place}[{index}]", key)
    elif isinstance(value, str):
        pattern, what = WANTED.get(key, (PLAIN, "name"))
        if not pattern.fullmatch(value):
            yield f"{place}: {value[:80]!r} is no {what}"


def _payload_problems(data: Any, name: str) -> Iterator[str]:
    entries = data.get("config") if isinstance(data, dict) else None
    if not isinstance(entries, dict):
        yield f"record {name} is damaged"
        return
    for tensor, entry in entries.items():
        if not PLAIN.fullmatch(tensor):
            yield f"{name}: {tensor[:80]!r} is no name of a tensor"
        if not isinstance(entry, dict) or entry.get("use_pickle") is not False:
            yield f"{name}: {tensor[:80]!r} is pickled"
        elif not re.fullmatch(r"(weight|tensor)_\d+", str(entry.get("path_name"))):
            yield f"{name}: {tensor[:80]!r} is no plain tensor"
        else:
            yield from _graph_problems(entry, name)


def _sample_problems(content: bytes) -> Iterator[str]:
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, zipfile.BadZipFile):
        yield f"record {SAMPLE} holds more than tensors"
