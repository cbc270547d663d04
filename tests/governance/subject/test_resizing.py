"""Pixels beside those of the libraries that train models, which must be the same ones."""

import numpy as np
import pytest
import torch
from PIL import Image

from governance.errors import PolicyError, SubjectError
from governance.records.resizing import Resize
from governance.subject.preprocessing import Preprocessing

#: Wide, tall, square, smaller than the cut, of odd gaps on either side, and already of its size.
SIZES = ((61, 90), (90, 61), (50, 50), (20, 33), (35, 34), (28, 28), (300, 31))
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")


def picture(size, channels=3) -> np.ndarray:
    """Smooth shapes with noise, as photos have them."""
    rng = np.random.default_rng(sum(size))
    coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))
    noisy = smooth.astype(int) + rng.integers(-30, 30, smooth.shape)
    found = noisy.clip(0, 255).astype(np.uint8)
    return found if channels == 3 else found[..., 0]


def pixels(image, size, **terms) -> np.ndarray:
    channels = "grey" if image.ndim == 2 else "rgb"
    return Preprocessing(size=size, channels=channels, resize=Resize(**terms)).pixels(image)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_pixels_are_those_of_torchvision(size, interpolation):
    from torchvision import transforms  # noqa: PLC0415 - beside its only use

    image = picture(size)
    theirs = transforms.Compose(
        [
            transforms.Resize(32, transforms.InterpolationMode(interpolation)),
            transforms.CenterCrop(28),
            transforms.ToTensor(),
        ]
    )

    ours = pixels(image, (28, 28), to=32, crop=28, interpolation=interpolation)

    np.testing.assert_array_equal(ours, theirs(Image.fromarray(image)).numpy())


@pytest.mark.parametrize("size", SIZES)
def test_pixels_of_other_shapes_and_of_grey_are_those_of_torchvision(size):
    from torchvision import transforms  # noqa: PLC0415

    image = picture(size, channels=1)
    theirs = transforms.Compose(
        [transforms.Resize((40, 33)), transforms.CenterCrop((31, 20)), transforms.ToTensor()]
    )

    ours = pixels(image, (31, 20), to=(40, 33), crop=(31, 20))

    np.testing.assert_array_equal(ours, theirs(Image.fromarray(image)).numpy())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["nearest", "nearest-exact", "bilinear", "bicubic"])
def test_pixels_are_those_of_torchvision_on_tensors(size, interpolation):
    from torchvision.transforms import v2  # noqa: PLC0415

    image = picture(size)
    theirs = v2.Compose(
        [
            v2.Resize(32, v2.InterpolationMode(interpolation), antialias=True),
            v2.CenterCrop(28),
        ]
    )

    ours = pixels(
        image, (28, 28), to=32, crop=28, interpolation=interpolation, like="torchvision-tensor"
    )

    planes = torch.from_numpy(image).permute(2, 0, 1)
    np.testing.assert_array_equal(ours, theirs(planes).numpy().astype(np.float32) / 255)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("options", "terms"),
    [
        ({}, {"to": 36, "crop": 32, "interpolation": "bilinear"}),
        ({"interpolation": "bicubic", "crop_pct": 0.95},
         {"to": 33, "crop": 32, "interpolation": "bicubic"}),
        ({"interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "squash"},
         {"to": (35, 35), "crop": 32, "interpolation": "bicubic"}),
        ({"interpolation": "lanczos", "crop_pct": 1.0},
         {"to": 32, "crop": 32, "interpolation": "lanczos"}),
    ],
)  # fmt: skip
def test_pixels_are_those_of_timm(size, options, terms):
    data = pytest.importorskip("timm.data", reason="timm is in the extra dev")
    image = picture(size)
    theirs = data.create_transform(input_size=32, mean=(0.0,) * 3, std=(1.0,) * 3, **options)

    ours = pixels(image, (32, 32), **terms)

    np.testing.assert_array_equal(ours, theirs(Image.fromarray(image)).numpy())


def processors():
    """Image processors of transformers by name, each with what a policy says in its place."""
    half = {"do_normalize": False, "do_rescale": True}
    short = {"size": {"shortest_edge": 32}, "crop_size": {"height": 27, "width": 27}}
    cut = {"to": 32, "crop": 27}
    return {
        "CLIPImageProcessor": (short | {"resample": 3}, cut | {"interpolation": "bicubic"}),
        "ViTImageProcessor": (
            {"size": {"height": 27, "width": 27}, "resample": 2},
            {"to": (27, 27), "interpolation": "bilinear"},
        ),
        "ConvNextImageProcessor": (
            {"size": {"shortest_edge": 28}, "crop_pct": 0.875, "resample": 3},
            {"to": 32, "crop": 28, "interpolation": "bicubic"},
        ),
        "MobileNetV2ImageProcessor": (
            short | {"resample": 2, "do_center_crop": True},
            cut | {"interpolation": "bilinear"},
        ),
        "EfficientNetImageProcessor": (
            {"size": {"height": 27, "width": 27}, "resample": 0, "rescale_offset": False,
             "include_top": False, "rescale_factor": 1 / 255},
            {"to": (27, 27), "interpolation": "nearest-exact"},
        ),
    }, half  # fmt: skip


@pytest.mark.parametrize("like", ["transformers", "transformers-pil"])
@pytest.mark.parametrize("name", list(processors()[0]))
def test_pixels_are_those_of_transformers(name, like):
    transformers = pytest.importorskip("transformers", reason="it is in the extra transformers")
    known, half = processors()
    options, terms = known[name]
    made = getattr(transformers, name + ("Pil" if like == "transformers-pil" else ""))
    process = made(**half, **options)

    for size in SIZES:
        image = picture(size)
        theirs = np.asarray(process(Image.fromarray(image))["pixel_values"][0])
        ours = pixels(image, theirs.shape[1:], like=like, **terms)

        # Scaled by a factor or divided: the same number of 0 to 255.
        np.testing.assert_array_equal(np.round(ours * 255), np.round(theirs * 255))
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_words_give_the_pixels_that_they_always_gave():
    image, box = picture((61, 90)), Image.Resampling.BICUBIC
    squashed = Image.fromarray(image).resize((28, 28), box)
    cropped = Image.fromarray(image).resize((41, 28), box).crop((6, 0, 34, 28))

    for word, theirs in (("squash", squashed), ("crop", cropped)):
        found = Preprocessing(size=(28, 28), resize=word).pixels(image)
        expected = np.asarray(theirs, np.float32).transpose(2, 0, 1) / np.float32(255)
        np.testing.assert_array_equal(found, expected)


def test_a_transform_is_carried_out_on_images_of_the_models_size_too():
    image = picture((28, 28))

    found = pixels(image, (28, 28), to=32, crop=28)

    assert not np.array_equal(found, Preprocessing(size=(28, 28)).pixels(image))


@pytest.mark.parametrize(
    ("size", "terms", "said"),
    [
        ((61, 90), {"to": 32}, "becomes 32 x 47 .* crop in resize"),
        ((20, 90), {"crop": 28}, "has no centre of 28 x 28 to cut out; to = 28"),
        ((1, 40_000), {"to": 256, "crop": 28}, "becomes 256 x 10240000 before .* at most 50000000"),
    ],
)
def test_an_image_that_cannot_come_to_the_models_size_is_refused(size, terms, said):
    with pytest.raises(SubjectError, match=said):
        pixels(np.zeros((*size, 3), np.uint8), (28, 28), **terms)


def test_a_strip_is_refused_before_it_fills_the_memory_under_a_word_too():
    with pytest.raises(SubjectError, match="at most 50000000"):
        Preprocessing(size=(224, 224), resize="crop").pixels(np.zeros((1, 40_000), np.uint8))


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({}, "neither to nor crop"),
        ({"to": 0}, "lengths from 1 to 8192"),
        ({"to": 224, "crop": 256}, "is larger than to = 224"),
        ({"to": (40, 30), "crop": 35}, "is larger than to"),
        ({"to": 32, "interpolation": "box", "like": "transformers"}, "not computed on tensors"),
    ],
)
def test_what_no_transform_does_is_refused(terms, said):
    with pytest.raises(PolicyError, match=said):
        Resize(**terms)


def test_a_transform_that_leaves_another_size_than_the_models_is_refused():
    with pytest.raises(SubjectError, match="leaves images of another size than 32 x 32"):
        Preprocessing(size=(32, 32), resize=Resize(to=256, crop=224))
