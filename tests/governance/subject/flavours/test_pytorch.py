"""PyTorch models: what is loaded, what is refused, and that digests follow the weights alone."""

import copy
import io

import pytest
import torch
import yaml
from torch import nn

from governance.errors import SubjectError
from governance.records.model_terms import ModelTerms
from governance.subject import flavours, model_files
from governance.subject.network import tensor_digest

CPU = torch.device("cpu")


class Everything(nn.Module):
    """What makes exports differ from modules: shared, unused and unsaved tensors, and views."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.third = nn.Conv2d(4, 4, 3, padding=1)
        self.third.weight = self.second.weight
        self.unused = nn.Linear(2, 2)
        self.token = nn.Parameter(torch.randn(1, 1, 64))
        self.register_buffer("kept", torch.rand(4, 1, 1))
        self.register_buffer("unkept", torch.rand(4, 1, 1), persistent=False)
        self.plain = torch.rand(4, 1, 1)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(4 * 64, 5)

    def forward(self, x):
        batch = x.shape[0]
        y = torch.relu_(self.norm(self.first(x))) * self.unkept + self.kept
        y = self.third(self.second(y)) + self.plain
        rows = torch.cat([self.token.expand(batch, -1, -1), y.flatten(2)], 1)[:, 1:]
        shuffled = rows.reshape(batch, 2, 2, 8, 8).transpose(1, 2).reshape(batch, 4, 8, 8)
        return self.head(self.dropout(shuffled).view(batch, -1)) + torch.zeros(batch, 1)


def seeded(kind, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = kind()
    return model.eval()


def exported(model, folder, *, batch=1, size=8, channels=3, dtype=torch.float32):
    """A folder as `mlflow.pytorch.log_model` writes it, without the parts nobody reads."""
    (folder / "data").mkdir(parents=True)
    images = torch.zeros(batch, channels, size, size, dtype=dtype)
    free = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(model, (images,), dynamic_shapes=free)
    torch.export.save(program, folder / "data" / "model.pt2")
    return described(folder, signature=(-1, channels, size, size))


def pickled(model, folder):
    (folder / "data").mkdir(parents=True)
    torch.save(model, folder / "data" / "model.pth")
    return described(folder)


def described(folder, *, flavor="pytorch", signature=None, dtype="float32"):
    text = {"flavors": {flavor: {"model_data": "data"}, "python_function": {}}}
    if signature:
        tensor = f'{{"dtype": "{dtype}", "shape": {list(signature)}}}'
        text["signature"] = {"inputs": f'[{{"type": "tensor", "tensor-spec": {tensor}}}]'}
    (folder / "MLmodel").write_text(yaml.safe_dump(text))
    return folder


def load(folder, **terms):
    return flavours.load(model_files.read(folder), ModelTerms(**terms), CPU)


def refusal(folder, **options):
    with pytest.raises(SubjectError) as caught:
        load(folder, **options)
    return str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2, 4])
def test_an_export_answers_like_its_module_for_any_batch(tmp_path, batch):
    # arrange
    model = seeded(Everything)
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    # act
    loaded = load(exported(model, tmp_path / "m", batch=batch))
    # assert
    with torch.no_grad():
        for part in (images, images[:1], images[:3]):
            torch.testing.assert_close(loaded.module(part), model(part))
    assert loaded.shape == (3, 8, 8)
    assert loaded.parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("batch", [1, 2])
def test_modules_of_an_export_have_their_names_and_hooks_fire(tmp_path, batch):
    # arrange
    loaded = load(exported(seeded(Everything), tmp_path / "m", batch=batch)).module
    seen = {}
    hook = loaded.second.register_forward_hook(lambda _m, _i, out: seen.update(out=out.shape))
    # act
    loaded(torch.rand(3, 3, 8, 8))
    hook.remove()
    # assert
    assert seen == {"out": (3, 4, 8, 8)}
    assert not any(module.training for module in loaded.modules())
    assert {"first", "norm", "second", "third", "head"} <= dict(loaded.named_modules()).keys()


def test_a_freed_graph_says_of_every_step_that_its_batch_is_free(tmp_path):
    loaded = load(exported(seeded(Everything), tmp_path / "m")).module
    values = [node.meta.get("val") for node in loaded.graph.nodes if node.op == "call_module"]
    assert all(not isinstance(value.shape[0], int) for value in values if value is not None)


@pytest.mark.slow
def test_an_export_still_refuses_images_of_another_size(tmp_path):
    loaded = load(exported(seeded(Everything), tmp_path / "m")).module
    with pytest.raises(RuntimeError, match=r"shape\[2\]"):
        loaded(torch.rand(2, 3, 9, 8))


def test_module_export_and_pickle_have_the_same_tensor_digest(tmp_path):
    # arrange
    model = seeded(Everything)
    one = exported(model, tmp_path / "one")
    several = exported(model, tmp_path / "several", batch=2)
    pickle = pickled(model, tmp_path / "pickle")
    # act
    digests = {
        tensor_digest(model),
        load(one).digest,
        load(several).digest,
        load(pickle, allow_pickle=True).digest,
    }
    # assert
    assert len(digests) == 1


@pytest.mark.slow
def test_saving_again_keeps_the_tensor_digest_and_one_weight_changes_it(tmp_path):
    # arrange
    model = seeded(Everything)
    again = load(exported(model, tmp_path / "one", batch=2)).module
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.second.weight[0, 0, 0, 0] += 1e-6
    # act / assert
    torch.export.save(
        torch.export.export(again, (torch.zeros(2, 3, 8, 8),)), tmp_path / "again.pt2"
    )
    assert tensor_digest(torch.export.load(tmp_path / "again.pt2").state_dict) == tensor_digest(
        model
    )
    assert load(exported(other, tmp_path / "other")).digest != tensor_digest(model)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_is_not_opened_unless_the_policy_allows_it(tmp_path):
    # arrange
    folder = pickled(Bomb(tmp_path / "exploded"), tmp_path / "m")
    # act
    message = refusal(folder)
    # assert
    assert "allow_pickle = true" in message
    assert "input_example" in message
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_that_is_allowed_is_loaded_in_evaluation_mode(tmp_path):
    model = seeded(Everything).train()
    loaded = load(pickled(model, tmp_path / "m"), allow_pickle=True)
    assert not any(module.training for module in loaded.module.modules())
    assert loaded.shape == (None, None, None)


def test_a_pickled_state_dict_is_refused(tmp_path):
    folder = pickled(seeded(Everything).state_dict(), tmp_path / "m")
    assert "holds OrderedDict" in refusal(folder, allow_pickle=True)


def test_a_pickle_whose_code_is_not_installed_is_refused_with_its_cure(tmp_path):
    # arrange
    buffer = io.BytesIO()
    torch.save(Everything, buffer)
    content = buffer.getvalue().replace(b"Everything", b"Everythong")
    folder = pickled(nn.ReLU(), tmp_path / "m")
    (folder / "data" / "model.pth").write_bytes(content)
    # act / assert
    assert "log it again as pt2" in refusal(folder, allow_pickle=True)


def test_an_export_in_training_mode_is_refused_with_its_cure(tmp_path):
    message = refusal(exported(seeded(Everything).train(), tmp_path / "m", batch=2))
    assert "norm, dropout" in message
    assert "model.eval() before" in message


class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        return self.head(x.mean((2, 3)).view(3)).view(1, 4)


def test_an_export_that_cannot_be_freed_from_its_batch_is_refused_with_its_cure(tmp_path):
    message = refusal(exported(seeded(Mixing), tmp_path / "m"))
    assert "batch of 1" in message
    assert "input_example of at least 2 images" in message


class Summed(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        return self.head(x.mean((2, 3))) + x.mean((0, 2, 3)).sum()


def test_an_export_whose_answers_would_change_is_refused(tmp_path):
    # frozen at one image the mean over the batch is that of the image
    assert "answers would change" in refusal(exported(seeded(Summed), tmp_path / "m"))


class Two(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)), x.amax((2, 3))


def test_several_outputs_that_could_be_the_class_scores_are_refused_by_name(tmp_path):
    folder = exported(Two(), tmp_path / "m", batch=2)
    assert "output_name = '0' in [model] of the policy, or another of them" in refusal(folder)
    images = torch.rand(3, 3, 8, 8)
    loaded = load(folder, output_name="1")
    torch.testing.assert_close(loaded.module(images), images.amax((2, 3)))


class Lazy(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.LazyLinear(5))


def quantised_statically():
    model = nn.Sequential(
        torch.ao.quantization.QuantStub(), nn.Conv2d(3, 4, 3), torch.ao.quantization.DeQuantStub()
    ).eval()
    model.qconfig = torch.ao.quantization.get_default_qconfig(torch.backends.quantized.engine)
    prepared = torch.ao.quantization.prepare(model)
    prepared(torch.rand(2, 3, 8, 8))
    return torch.ao.quantization.convert(prepared)


@pytest.mark.filterwarnings("ignore:.*(deprecated|TypedStorage|reduce_range|Lazy)")
@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (quantised_statically, "its tensors cannot be listed: 'Conv2d' object has no attribute"),
        (Lazy, "have no numbers yet: 1.weight, 1.bias"),
        (lambda: seeded(Everything).to("meta"), "have no numbers yet: "),
    ],
)
def test_a_pickle_without_its_numbers_is_refused(tmp_path, model, problem):
    message = refusal(pickled(model(), tmp_path / "m"), allow_pickle=True)

    assert message.startswith("model.pth: ")
    assert problem in message


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor([1 + 2j]),
        torch.tensor([1 + 2j]).conj(),
        torch.tensor([1 + 2j]).conj().imag,
        torch.empty(0, 3),
        torch.ones(4)[::2][:1],
        torch.ones(3).to(torch.float8_e4m3fn),
        torch.ones(3, dtype=torch.uint16),
    ],
)
def test_plain_tensors_of_other_numbers_may_be_buffers(tmp_path, tensor):
    model = seeded(Everything)
    model.register_buffer("odd", tensor)

    loaded = load(pickled(model, tmp_path / "m"), allow_pickle=True)

    model.odd = tensor.detach().resolve_conj().resolve_neg().clone()
    assert loaded.digest == tensor_digest(model)


def test_complex_buffers_are_looked_through_for_nan_too(tmp_path):
    model = seeded(Everything)
    model.register_buffer("odd", torch.tensor([1 + 2j, complex("nan")]))

    assert "odd holds 1 of 2" in refusal(pickled(model, tmp_path / "m"), allow_pickle=True)


@pytest.mark.parametrize("name", ["model.pt2", "model.pth"])
@pytest.mark.parametrize("content", [b"", b"hello", "half"])
def test_weights_that_are_cut_off_are_refused_with_their_file(tmp_path, name, content):
    make = exported if name == "model.pt2" else pickled
    folder = make(seeded(Everything), tmp_path / "m")
    file = folder / "data" / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content == "half" else content)

    message = refusal(folder, allow_pickle=True)

    assert name in message
    assert ("empty file" in message) == (content == b"")
    assert "object at 0x" not in message


def test_a_folder_in_the_place_of_the_weights_is_refused(tmp_path):
    folder = described(tmp_path)
    (folder / "data" / "model.pt2").mkdir(parents=True)

    assert "0 of data/model.pt2 and data/model.pth; exactly one is accepted" in refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, value):
    # arrange
    model = seeded(Everything)
    with torch.no_grad():
        model.head.weight[0, :2] = value
        model.norm.running_var[1] = value
    # act
    message = refusal(exported(model, tmp_path / "m", batch=2))
    # assert
    assert "NaN or infinite numbers in 2 of " in message
    assert "head.weight holds 2 of 1280" in message
    assert "norm.running_var holds 1 of 4" in message
    assert "first" not in message


def test_weights_outside_the_folder_are_refused(tmp_path):
    (tmp_path / "MLmodel").write_text("flavors: {pytorch: {model_data: ../elsewhere}}")
    with pytest.raises(SubjectError, match="outside the folder"):
        load(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(SubjectError, match=r"0 of data/model\.pt2"):
        load(described(tmp_path))


@pytest.mark.parametrize(
    ("signature", "dtype"), [((-1, 3, 8), "float32"), ((-1, 3, 8, 8), "uint8")]
)
def test_a_signature_that_is_not_of_images_is_refused(tmp_path, signature, dtype):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.pth").touch()
    with pytest.raises(SubjectError, match=r"floats and shape \(-1, C, H, W\)"):
        load(described(tmp_path, signature=signature, dtype=dtype))


def test_loading_leaves_the_random_state_alone(tmp_path):
    folder = exported(seeded(Everything), tmp_path / "m")
    before = torch.get_rng_state()
    load(folder)
    assert torch.equal(before, torch.get_rng_state())
