"""Misread: pictures of images that the model takes for another class, for the card of a finding."""

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from governance.records.evidence import Figure, Measurement, Table

__all__ = ["CLASSES", "PICTURES", "misread", "pictured"]

#: Classes of lowest recall that are shown, and pictures of each.
CLASSES, PICTURES = 3, 6
#: Pixels of the longer side of a picture, at most.
SIDE = 96


def misread(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    ids: Sequence[str],
    pixels: Callable[[int], NDArray[np.float32]],
) -> tuple[tuple[Figure, ...], Table]:
    """The misread images of the classes with the lowest recall, the surest wrong answers first.

    Args:
        probabilities: (N, K), each row summing to one.
        labels: (N,) index into `class_names`.
        class_names: K names in the order of the columns.
        ids: N names of the images.
        pixels: Gives an image by its place, (C, H, W) in [0, 1].

    Returns:
        A picture of each image, and a table that says what it is.
    """
    answers = probabilities.argmax(1)
    wrong = answers != labels
    images = np.bincount(labels, minlength=len(class_names))
    errors = np.bincount(labels[wrong], minlength=len(class_names))
    shares = np.divide(errors, images, out=np.zeros(len(images)), where=images > 0)
    chosen = [
        place
        for kind in np.argsort(-shares, kind="stable")[:CLASSES]
        for place in _surest(probabilities, np.flatnonzero(wrong & (labels == kind)))
    ]
    figures = tuple(
        Figure(
            name=f"misread_{number}",
            caption=f"Image {ids[place]} of class {class_names[labels[place]]}, taken for class "
            f"{class_names[answers[place]]}.",
            image=_png(pixels(place)),
            seen=f"Image {ids[place]} of class {class_names[labels[place]]}, answered with "
            f"{class_names[answers[place]]} at probability {probabilities[place].max():.2f}.",
        )
        for number, place in enumerate(chosen, start=1)
    )
    table = Table(
        name="misread",
        caption=(
            f"Each row is a misread image with a picture: at most {PICTURES} of each of the "
            f"{CLASSES} classes with the lowest recall, the surest wrong answers first."
        ),
        columns=("image", "class", "answer", "confidence", "figure"),
        rows=tuple(
            (
                ids[place],
                class_names[labels[place]],
                class_names[answers[place]],
                float(probabilities[place].max()),
                figure.name,
            )
            for place, figure in zip(chosen, figures, strict=True)
        ),
        shown=0,
    )
    return figures, table


def pictured(measurement: Measurement) -> dict[str, NDArray[np.float32]]:
    """The pictures that `misread` left in a record, (C, H, W) in [0, 1], by the name of the image.

    A record is untrusted: a picture that is no small PNG is left out.
    """
    table = next((item for item in measurement.tables if item.name == "misread"), None)
    if table is None or not {"image", "figure"} <= set(table.columns):
        return {}
    images = {figure.name: figure.image for figure in measurement.figures}
    image, figure = (table.columns.index(name) for name in ("image", "figure"))
    read = {str(row[image]): _read(images.get(str(row[figure]), b"")) for row in table.rows}
    return {name: pixels for name, pixels in read.items() if pixels is not None}


def _read(content: bytes) -> NDArray[np.float32] | None:
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if max(picture.size) > SIDE or picture.mode not in {"L", "RGB"}:
                return None
            values = np.asarray(picture).astype(np.float32) / np.float32(255)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)  # noqa: PLR2004 - grey


def _surest(probabilities: NDArray[np.float64], places: NDArray[np.int64]) -> list[int]:
    """Of some images those with the most confident answers, one of each answer before a second."""
    ranked = sorted(places, key=lambda place: (-probabilities[place].max(), place))
    times: dict[int, int] = {}
    turns: list[tuple[int, int, int]] = []
    for order, place in enumerate(ranked):
        answer = int(probabilities[place].argmax())
        times[answer] = times.get(answer, 0) + 1
        turns.append((times[answer], order, int(place)))
    return [place for _, _, place in sorted(turns)[:PICTURES]]


def _png(pixels: NDArray[np.float32]) -> bytes:
    """A small PNG without dates or versions."""
    values = np.clip(np.rint(255 * pixels), 0, 255).astype(np.uint8)
    picture = Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="png")
    return buffer.getvalue()
