"""Pt2 archive: honest exports pass, and each way to run code from one is refused unopened."""

import io
import json
import pickle
import zipfile

import pytest
import torch
import torchvision
from hostile import GRAPH, SAMPLE, WEIGHTS, edited, export, in_json, powers, sparse, stretched

from governance.errors import SubjectError
from governance.subject.model_files.archive import open_archive


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return export(tmp_path_factory.mktemp("export") / "model.pt2")


def refusal(path):
    with pytest.raises(SubjectError) as caught:
        open_archive(path)
    return str(caught.value)


def replaced(old, new):
    def change(content):
        assert old.encode() in content
        return content.replace(old.encode(), new.encode())

    return change


def test_an_honest_export_passes_with_every_size_free_and_answers_the_same(honest):
    images = torch.rand(3, 3, 7, 6, generator=torch.Generator().manual_seed(0))
    found = torch.export.load(open_archive(honest)).module(check_guards=False)(images)
    torch.testing.assert_close(found, torch.export.load(honest).module()(images))


def test_a_model_of_torchvision_passes(tmp_path):
    model = torchvision.models.squeezenet1_1().eval()
    program = torch.export.export(model, (torch.zeros(1, 3, 64, 64),))
    torch.export.save(program, tmp_path / "model.pt2")
    open_archive(tmp_path / "model.pt2")


def test_a_copy_of_an_honest_export_passes(honest, tmp_path):
    open_archive(edited(honest, tmp_path / "model.pt2", {}))


def test_pickled_weights_are_refused(honest, tmp_path):
    def pickled(content):
        data = json.loads(content)
        data["config"]["head.weight"]["use_pickle"] = True
        return json.dumps(data).encode()

    def bomb(_content):
        buffer = io.BytesIO()
        torch.save(Bomb(tmp_path / "exploded"), buffer)
        return buffer.getvalue()

    path = edited(honest, tmp_path / "model.pt2", {WEIGHTS: pickled, "data/weights/weight_0": bomb})
    assert "'head.weight' is pickled" in refusal(path)
    assert not (tmp_path / "exploded").exists()


def test_opaque_constants_are_refused(honest, tmp_path):
    def opaque(content):
        data = json.loads(content)
        data["config"]["x"] = {"path_name": "opaque_obj_0", "use_pickle": False}
        return json.dumps(data).encode()

    constants = "data/constants/model_constants_config.json"
    bomb = {"data/constants/opaque_obj_0": lambda _: pickle.dumps(Bomb(tmp_path / "exploded"))}
    message = refusal(edited(honest, tmp_path / "model.pt2", {constants: opaque, **bomb}))
    assert "'x' is no plain tensor" in message
    assert "opaque_obj_0' is of no kind" in message
    assert not (tmp_path / "exploded").exists()


def test_example_inputs_are_not_looked_at(honest, tmp_path):
    def bomb(_content):
        buffer = io.BytesIO()
        torch.save(Bomb(tmp_path / "exploded"), buffer)
        return buffer.getvalue()

    path = edited(honest, tmp_path / "model.pt2", {SAMPLE: bomb})

    assert torch.export.load(open_archive(path)).example_inputs is None
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("torch.ops.aten.relu.default", "torch.os.system", "no operator"),
        ("torch.ops.aten.relu.default", "torch.ops.load_library", "no operator"),
        ("torch.ops.aten.relu.default", "torch.ops.aten.from_file.default", "no operator"),
        ("torch.ops.aten.relu.default", "_operator.attrgetter", "no operator"),
        ("torch.ops.aten.relu.default", "torch.ops.quantized.relu6.default", "no operator"),
        ("Symbol('s77', positive=True, integer=True)", "__import__('os').getpid()", "arithmetic"),
        ("Symbol('s77', positive=True, integer=True)", "Symbol.mro()", "arithmetic"),
        ('"name": "x"', '"name": "x=print()"', "is no name"),
        ('"head.weight"', '"head\\\\\\"); print("', "is no name"),
    ],
)
def test_what_torch_would_evaluate_or_compile_is_refused(honest, tmp_path, old, new, wanted):
    path = edited(honest, tmp_path / "model.pt2", {GRAPH: replaced(old, new)})
    message = refusal(path)
    assert wanted in message
    assert "log the model again" in message


def test_compiled_code_beside_the_graph_is_refused(honest, tmp_path):
    path = edited(honest, tmp_path / "m.pt2", {"data/aotinductor/model/m.so": lambda _: b"ELF"})
    assert "'data/aotinductor/model/m.so' is of no kind" in refusal(path)


def test_a_record_that_comes_twice_is_refused(honest, tmp_path):
    path = edited(honest, tmp_path / "model.pt2", {})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"")
    assert "repeat a name" in refusal(path)


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS])
@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}"])
def test_damaged_records_are_refused(honest, tmp_path, name, content):
    path = edited(honest, tmp_path / "model.pt2", {name: lambda _: content})
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("length", [0, 100, -100])
def test_a_truncated_file_is_refused(honest, tmp_path, length):
    (tmp_path / "model.pt2").write_bytes(honest.read_bytes()[:length])
    message = refusal(tmp_path / "model.pt2")
    # Without its end a zip file may still look like the one that lies inside it.
    assert "cannot be read as an exported model" in message or "is missing" in message


def test_records_that_are_missing_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as archive:
        archive.writestr("model/version", "3")
    assert "record models/model.json is missing" in refusal(tmp_path / "model.pt2")


# Small files that would cost much -----------------------------------------------------------------


def test_records_that_are_packed_are_refused_before_they_are_unpacked(honest, tmp_path):
    # 1.3 MB that took 1.5 GB and 9 seconds
    bombs = {f"data/weights/weight_{900 + n}": lambda _: bytes(2**24) for n in range(2)}
    path = edited(honest, tmp_path / "model.pt2", bombs, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**17
    assert "records are packed" in refusal(path)


def test_records_that_lie_over_one_another_are_refused(honest, tmp_path):
    path = edited(honest, tmp_path / "model.pt2", {"data/weights/weight_900": lambda _: b"x" * 99})
    size = path.stat().st_size
    content = path.read_bytes()
    end = content.rindex(b"PK\x01\x02")
    # The last record of the list is said to be as long as the whole file.
    lied = content[: end + 20] + size.to_bytes(4, "little") * 2 + content[end + 28 :]
    path.write_bytes(lied)
    assert "records lie over one another" in refusal(path)


def test_a_record_that_belongs_to_no_tensor_is_refused(honest, tmp_path):
    path = edited(honest, tmp_path / "model.pt2", {"data/weights/weight_900": lambda _: b"x" * 99})
    assert "record 'data/weights/weight_900' belongs to no tensor" in refusal(path)


def test_a_tensor_larger_than_what_is_stored_of_it_is_refused(honest, tmp_path):
    path = edited(honest, tmp_path / "model.pt2", {WEIGHTS: in_json(stretched)})
    assert f"'head.weight' has {2**33} elements in 32 bytes" in refusal(path)


def test_many_names_for_one_tensor_are_refused(honest, tmp_path):
    def shared(data):
        entry = data["config"]["features.0.weight"]
        data["config"] |= {f"more.{number}": entry for number in range(500)}

    path = edited(honest, tmp_path / "model.pt2", {WEIGHTS: in_json(shared)})
    assert "elements share the bytes of fewer" in refusal(path)


@pytest.mark.parametrize("text", ["s0**9**9**9", "s0" + "+s0" * 2000, "1" * 50])
def test_sizes_that_would_keep_torch_busy_are_refused(honest, tmp_path, text):
    path = edited(honest, tmp_path / "model.pt2", {GRAPH: powers(text)})
    assert "is no arithmetic of sizes" in refusal(path)


def test_a_graph_of_too_many_steps_is_refused(honest, tmp_path):
    def longer(data):
        nodes = data["graph_module"]["graph"]["nodes"]
        nodes += [{"target": "torch.ops.aten.relu.default"}] * 10_001

    path = edited(honest, tmp_path / "model.pt2", {GRAPH: in_json(longer)})
    assert "more than 10000 steps" in refusal(path)


def test_a_number_of_a_hundred_thousand_digits_is_refused(honest, tmp_path):
    path = edited(
        honest, tmp_path / "model.pt2", {GRAPH: replaced('"as_int": 2', f'"as_int": {"9" * 10**5}')}
    )
    assert "a number of more than 64 characters" in refusal(path)


def test_a_file_of_holes_is_refused(tmp_path):
    assert "bytes; at most" in refusal(sparse(tmp_path / "model.pt2", 2**42))
