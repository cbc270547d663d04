"""Pt2 archive: whether an exported model can be loaded without running code that came with it.

`torch.export.load` unpickles records with all of Python at hand, evaluates the size expressions it
reads, and compiles source text made from the names it finds. An honest export needs none of that,
so each is looked for before the file is given to torch, and a file that would use it is refused. So
is one that would need far more memory or time than its length: records that are packed or that
nothing refers to, tensors larger than what is stored of them, and towers of powers.
"""

import io
import itertools
import math
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from governance.errors import SubjectError
from governance.records.bounded import json_data, opened
from governance.records.zip_files import open_zip
from governance.subject.model_files.expressions import LONGEST_EXPRESSION, is_arithmetic

__all__ = ["LARGEST_MODEL", "open_archive"]

#: Bytes of an exported or pickled model.
LARGEST_MODEL = 4 * 2**30
#: Bytes of a record that is JSON: the graph, and what says where each tensor lies.
LARGEST_GRAPH = 32 * 2**20
#: Steps of a graph.
MOST_STEPS = 10_000
#: Characters of all size expressions of a graph.
LONGEST_EXPRESSIONS = 2 * 2**20
#: Elements of all tensors for each byte that is stored: two names may share a tensor of bytes.
MOST_SHARED = 2

SHOWN = 10
ACCEPTED = (
    "plain tensors and operators of torch and torchvision are accepted: log the model again with "
    "mlflow.pytorch.log_model and a current torch"
)
GRAPH = "models/model.json"
SAMPLE = "data/sample_inputs/model.pt"
#: By the record that says where each tensor lies, where that is.
PAYLOADS = {
    "data/weights/model_weights_config.json": "data/weights/weight_",
    "data/constants/model_constants_config.json": "data/constants/tensor_",
}
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
WANTED = {
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
        with opened(path, LARGEST_MODEL, SubjectError) as stream, open_zip(stream) as archive:
            size = stream.seek(0, io.SEEK_END)
            problems = list(itertools.islice(_problems(archive, size), SHOWN))
            if not problems:
                with zipfile.ZipFile(copy, "w") as kept:
                    for info in archive.infolist():
                        # The sample is a pickle, which nobody here asks for.
                        sample = info.filename.endswith(f"/{SAMPLE}")
                        kept.writestr(info.filename, b"" if sample else archive.read(info))
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise SubjectError(
            f"{path.name}: cannot be read as an exported model: {error}; a file that "
            "torch.export.save wrote is accepted"
        ) from error
    if problems:
        raise SubjectError(
            [f"{path.name}: {problem}" for problem in problems]
            + [f"{path.name}: not loaded, since that could run code from the file; {ACCEPTED}"]
        )
    copy.seek(0)
    return copy


def _problems(archive: zipfile.ZipFile, size: int) -> Iterator[str]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    # All records lie in one folder named after the file, which torch leaves out of their names.
    names = [info.filename.partition("/")[2] for info in infos]
    if len(set(names)) != len(names) or len({i.filename.partition("/")[0] for i in infos}) != 1:
        yield "records repeat a name"
        return
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        yield "records are packed; records as torch.export.save stores them are accepted"
        return
    if sum(info.file_size for info in infos) > size:
        yield "records lie over one another; records one after the other are accepted"
        return
    records = dict(zip(names, infos, strict=True))
    sizes = {name: info.file_size for name, info in records.items()}
    for name in sorted({GRAPH, "archive_version", *PAYLOADS} - set(names)):
        yield f"record {name} is missing"
    for name in sorted({GRAPH, *PAYLOADS} & set(names)):
        if sizes[name] > LARGEST_GRAPH:
            yield f"record {name} has {sizes[name]} bytes; at most {LARGEST_GRAPH} are accepted"
            return
    yield from _record_problems(archive, records, sizes)


def _record_problems(
    archive: zipfile.ZipFile, records: Mapping[str, zipfile.ZipInfo], sizes: Mapping[str, int]
) -> Iterator[str]:
    elements: Counter[str] = Counter()
    for name in sorted({GRAPH, *PAYLOADS} & set(records)):
        try:
            data = json_data(archive.read(records[name]), name, SubjectError)
        except SubjectError as error:
            yield f"record is damaged: {error}"
            continue
        if name in PAYLOADS:
            yield from _payload_problems(data, name, sizes, elements)
            continue
        if not isinstance(data, dict) or "graph_module" not in data:
            yield f"record {name} is damaged"
        yield from _graph_problems(data)
    if elements.total() > MOST_SHARED * sum(sizes[name] for name in elements):
        yield f"{elements.total()} elements share the bytes of fewer; each of its own is accepted"
    for name in set(records) - {GRAPH, SAMPLE, *PAYLOADS} - set(elements):
        if not RECORDS.fullmatch(name):
            yield f"record {name[:80]!r} is of no kind that an export needs"
        elif name.startswith(tuple(PAYLOADS.values())):
            yield f"record {name!r} belongs to no tensor"


def _payload_problems(
    data: Any, name: str, sizes: Mapping[str, int], elements: Counter[str]
) -> Iterator[str]:
    """What is wrong with where tensors lie; counts the elements that lie in each record."""
    entries = data.get("config") if isinstance(data, dict) else None
    if not isinstance(entries, dict):
        yield f"record {name} is damaged"
        return
    home, _, prefix = PAYLOADS[name].rpartition("/")
    for tensor, entry in entries.items():
        where = f"{name}: {tensor[:80]!r}"
        if not PLAIN.fullmatch(tensor):
            yield f"{where} is no name of a tensor"
        elif not isinstance(entry, dict) or entry.get("use_pickle") is not False:
            yield f"{where} is pickled"
        elif not re.fullmatch(rf"{prefix}\d+", path := str(entry.get("path_name"))):
            yield f"{where} is no plain tensor"
        elif (stored := sizes.get(f"{home}/{path}")) is None:
            yield f"{where} lies in a record that is missing"
        elif (count := _elements(entry)) is None:
            yield f"{where} has no sizes"
        elif count > stored:
            yield f"{where} has {count} elements in {stored} bytes; fewer are accepted"
        else:
            elements[f"{home}/{path}"] += count
            yield from _graph_problems(entry, name)


def _elements(entry: Mapping[str, Any]) -> int | None:
    """Number of elements of a tensor; None if it is not said."""
    try:
        sizes = [item["as_int"] for item in entry["tensor_meta"]["sizes"]]
    except (KeyError, TypeError):
        return None
    if any(type(size) is not int or size < 0 for size in sizes):
        return None
    return int(math.prod(sizes))


def _graph_problems(data: Any, place: str = "graph") -> Iterator[str]:
    """Strings that torch would evaluate or compile and that are not what they should be."""
    counted: Counter[str] = Counter()
    for where, key, value in _texts(data, place, ""):
        counted[key] += len(value) if key == "expr_str" else 1
        if key == "":
            if not PLAIN.fullmatch(value):
                yield f"{where}: the key {value[:80]!r} is no name"
        elif key == "expr_str":
            if not is_arithmetic(value):
                yield (
                    f"{where}: {value[:80]!r} is no arithmetic of sizes of at most "
                    f"{LONGEST_EXPRESSION} characters and with small powers"
                )
        else:
            pattern, what = WANTED.get(key, (PLAIN, "name"))
            if not pattern.fullmatch(value):
                yield f"{where}: {value[:80]!r} is no {what}"
        if counted["target"] > MOST_STEPS:
            yield f"{place}: more than {MOST_STEPS} steps"
            return
        if counted["expr_str"] > LONGEST_EXPRESSIONS:
            yield f"{place}: more than {LONGEST_EXPRESSIONS} characters of size expressions"
            return


def _texts(value: Any, place: str, key: str) -> Iterator[tuple[str, str, str]]:
    """Place, key and text of each string that is looked at; keys stand under no key."""
    if key in TEXTS:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            yield place, "", name
            yield from _texts(item, f"{place}.{name}", name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{place}[{index}]", key)
    elif isinstance(value, str):
        yield place, key or "value", value
