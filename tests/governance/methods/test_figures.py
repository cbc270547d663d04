import io

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from governance.methods import figures

AXES = {"row_axis": "rows", "column_axis": "columns"}


def picture(content):
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return np.asarray(image.convert("RGB"))


def every_kind():
    return (
        figures.bars(["a", "b"], [0.2, 0.8], low=[0.1, 0.7], high=[0.3, 0.9], axis="x"),
        figures.curves(
            ["one", "two"],
            {"lens": [0.1, 0.9], "probe": [0.2, 0.8]},
            x_axis="depth",
            y_axis="accuracy",
            bands={"lens": ([0.0, 0.8], [0.2, 1.0])},
            y_range=(0, 1),
            diagonal=True,
        ),
        figures.heatmap([[0, 0.5], [np.nan, 1]], "ab", "cd", scale="share", marks=True, **AXES),
        figures.gallery([("title", np.zeros((4, 4, 3), np.float32))]),
        figures.points([0.1, 0.5], [0.2, 0.4], x_axis="old", y_axis="new"),
    )


@pytest.mark.slow
def test_every_figure_is_a_png_as_wide_as_the_page_and_can_be_reproduced():
    first, second = every_kind(), every_kind()

    assert first == second
    for content in first:
        assert content.startswith(b"\x89PNG")
        assert picture(content).shape[1] == round(figures.WIDTH * figures.DPI)
        assert b"atplotlib" not in content


def ink(content, colour, near=40):
    """How many pixels are about the colour."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(picture(content).astype(int) - wanted).sum(2) < near).sum())


def test_a_longer_bar_has_more_ink():
    short = ink(figures.bars(["a", "b"], [0.1, 1.0], axis="x"), figures.COLOURS[0])
    long = ink(figures.bars(["a", "b"], [1.0, 1.0], axis="x"), figures.COLOURS[0])

    assert long > 1.5 * short


def test_the_reference_is_drawn_where_it_is_given():
    without = figures.bars(["a"], [0.5], axis="x")
    given = figures.bars(["a"], [0.5], axis="x", reference=("chance", 0.3))

    assert ink(without, figures.COLOURS[1]) == 0
    assert ink(given, figures.COLOURS[1]) > 0


def matrix(values, limits, **given):
    return figures.heatmap(values, "abc", "def", scale="s", limits=limits, **AXES, **given)


@pytest.mark.slow
@pytest.mark.parametrize("limits", [(0, 1), (-1, 1)])
def test_numbers_on_dark_cells_are_white_whichever_the_scale(limits):
    low, middle, high = limits[0], sum(limits) / 2, limits[1]
    white = {
        value: ink(
            matrix([[value] * 3] * 3, limits, marks=True),
            "#ffffff",
        )
        - ink(matrix([[value] * 3] * 3, limits), "#ffffff")
        for value in (low, middle, high)
    }

    # viridis is dark below, the diverging scale at both ends
    assert white[low] > 0
    assert (white[high] > 0) == (low < 0)


def test_untrusted_names_are_drawn_as_they_are():
    names = ["$\\frac{1}{0}$", "a$b", "two\nlines", "x" * 500, "<b>", "100%"]

    bars = figures.bars(names, range(6), axis="x")
    matrix = figures.heatmap([range(6)], ["$^$"], names, scale="s", limits=(0, 1), **AXES)

    assert {picture(item).shape[1] for item in (bars, matrix)} == {1005}


def test_a_scale_about_zero_is_diverging():
    # Blue for the lowest, red for the highest, white between.
    content = picture(
        figures.heatmap([[-1.0, 0.0, 1.0]], ["r"], list("abc"), scale="s", limits=(-1, 1), **AXES)
    )
    row = content[content.shape[0] // 2].astype(int)

    assert ((row[:, 2] - row[:, 0]) > 50).any()
    assert ((row[:, 0] - row[:, 2]) > 50).any()


def test_an_overlay_without_heat_or_outline_is_the_picture():
    image = np.random.default_rng(0).random((1, 4, 5)).astype(np.float32)

    found = figures.overlay(image)

    assert found.shape == (4, 5, 3)
    assert np.array_equal(found, np.repeat(image.transpose(1, 2, 0), 3, axis=2))


def test_an_outline_fades_what_is_outside_and_keeps_what_is_inside():
    image = np.zeros((3, 6, 6), np.float32)
    inside = np.zeros((6, 6), bool)
    inside[2:5, 2:5] = True

    found = figures.overlay(image, outline=inside)

    assert found[3, 3] == pytest.approx([0, 0, 0])
    assert found[0, 0] == pytest.approx([0.75, 0.75, 0.75])
    assert found[2, 3] == pytest.approx([0.84, 0.37, 0.0])


def test_heat_shines_through_where_it_is_hot():
    heat = np.zeros((4, 4), np.float32)
    heat[1, 1] = 1

    found = figures.overlay(np.full((1, 4, 4), 0.5, np.float32), heat)

    # Viridis ends in yellow and begins in violet.
    assert found[1, 1, 1] > found[0, 0, 1]
    assert 0 <= found.min() <= found.max() <= 1


def test_a_gallery_has_a_row_for_every_six_pictures():
    one = figures.gallery([("a", np.zeros((2, 2), np.float32))] * 6)
    two = figures.gallery([("a", np.zeros((2, 2), np.float32))] * 7)

    assert picture(two).shape[0] == pytest.approx(2 * picture(one).shape[0], abs=2)


def texts(monkeypatch, draw):
    """What is written in a figure, and in which size."""
    drawn = []

    def keep(canvas):
        canvas.draw_without_rendering()
        drawn.extend(canvas.findobj(Text))
        return b""

    monkeypatch.setattr(figures, "png", keep)
    draw()
    return [item for item in drawn if item.get_visible() and item.get_text()]


@pytest.mark.parametrize("kind", ["bars", "curves", "heatmap", "gallery", "points"])
def test_no_letter_of_a_figure_is_smaller_than_8_points(monkeypatch, kind):
    draw = {
        "bars": lambda: figures.bars(["a"], [0.5], axis="x", reference=("chance", 0.1)),
        "curves": lambda: figures.curves([1, 2], {"a": [0, 1]}, x_axis="x", y_axis="y"),
        "heatmap": lambda: figures.heatmap(
            [[0, 0.5]], "a", "bc", scale="share", marks=True, **AXES
        ),
        "gallery": lambda: figures.gallery([("title", np.zeros((4, 4), np.float32))]),
        "points": lambda: figures.points([0, 1], [1, 0], x_axis="x", y_axis="y"),
    }[kind]

    assert min(item.get_fontsize() for item in texts(monkeypatch, draw)) >= 8


def test_epochs_are_whole_numbers_on_their_axis(monkeypatch):
    found = texts(
        monkeypatch,
        lambda: figures.curves([0, 1, 2], {"a": [10, 20, 20]}, x_axis="epoch", y_axis="share"),
    )

    across = {item.get_text() for item in found if item.get_position()[1] == 0}
    assert {"0", "1", "2"} <= across
    assert not [text for text in across if "." in text]


def test_axes_of_a_heat_map_and_a_dashed_line_have_names(monkeypatch):
    matrix = texts(monkeypatch, lambda: figures.heatmap([[0, 1]], "a", "bc", scale="share", **AXES))
    line = texts(monkeypatch, lambda: figures.bars(["a"], [1], axis="x", reference=("chance", 0.5)))

    assert {"rows", "columns", "share"} <= {item.get_text() for item in matrix}
    assert "chance" in {item.get_text() for item in line}


def test_a_line_that_lies_on_another_leaves_it_to_be_seen():
    content = figures.curves(
        ["stem", "head"],
        {"all, old": [0.9, 0.9], "8, old": [0.9, 0.9]},
        x_axis="layer", y_axis="recall", y_range=(0, 1),
    )  # fmt: skip
    alone = figures.curves(
        ["stem", "head"], {"all, old": [0.9, 0.9]}, x_axis="layer", y_axis="recall",
        y_range=(0, 1),
    )  # fmt: skip

    # beyond the few pixels of its entry in the legend
    assert ink(content, figures.COLOURS[0]) > 0.5 * ink(alone, figures.COLOURS[0])
    assert ink(content, figures.COLOURS[1]) > 200


def test_extremes_are_named_with_their_values():
    assert figures.extremes(["8", "0", "1"], [0.7, 0.9, np.nan]) == "from 0.7000 (8) to 0.9000 (0)"
    assert figures.extremes(["a", "b"], [1, 1]) == "all 2 are 1"
    assert figures.extremes(["a"], [np.nan]) == "no value is known"
