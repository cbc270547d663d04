"""Pt2 archive: honest exports pass, and each way to run code from one is refused unopened."""

import io
import json
import pickle
import zipfile

import pytest
import torch
import torchvision
from torch import nn

from governance.errors import SubjectError
from governance.subject.model_files.archive import open_archive

GRAPH = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
SAMPLE = "data/sample_inputs/model.pt"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        y = self.features(x)
        with torch.no_grad():
            scale = y.abs().amax()
        return self.head((y / scale).mean((2, 3)).reshape(x.shape[0], -1))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.pt2"
    free = ({0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},)
    program = torch.export.export(Net().eval(), (torch.zeros(2, 3, 8, 9),), dynamic_shapes=free)
    torch.export.save(program, path)
    return path


def edited(source, target, changes):
    """A copy of an archive in which some records are made anew from what they were."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            content = old.read(name)
            change = changes.pop(name.partition("/")[2], lambda same: same)
            new.writestr(name, change(content))
        for name, change in changes.items():
            new.writestr(f"{root}/{name}", change(b""))
    return target


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
