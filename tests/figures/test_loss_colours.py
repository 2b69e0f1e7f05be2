"""Low loss has the same end of the scale of colours in every picture, and its legend says so."""

import json
from pathlib import Path

import plotly.graph_objects as go
import pytest

from lmc_core.figures.experts import costs_figure
from lmc_core.figures.landscape import contour_figure
from lmc_core.figures.landscape_surface import surface_figure
from lmc_core.figures.matrix import PairMatrix, draw_matrix, matrix_figure
from lmc_core.figures.merge_triangle import find_limits, triangle_figure
from lmc_core.figures.style import GROUNDS, contrast, ink_on_loss, loss_scale, low_words
from tests.figures.experts_result import experts_result
from tests.figures.landscape_scene import scene

MERGED = json.loads((Path(__file__).parents[1] / "fixtures" / "merge.json").read_text())
PICTURES = {
    "map": lambda theme: contour_figure(scene(), theme),
    "surface": lambda theme: surface_figure(scene(), theme),
    "triangle": lambda theme: triangle_figure(
        MERGED[0], find_limits(MERGED), [0.3, 0.3, 0.4], theme
    ),
    "matrix": lambda theme: matrix_figure(MERGED[0], None, theme),
    "experts": lambda theme: costs_figure(experts_result(), None, theme),
}
COLOURED = ("contour", "surface", "heatmap")


def words(figure) -> str:
    """Everything that its legends and notes say."""
    bars = [trace.colorbar.title.text for trace in figure.data if trace.type in COLOURED]
    return " ".join([*filter(None, bars), *(note.text for note in figure.layout.annotations)])


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_low_has_the_same_end_everywhere_and_is_named(name, theme):
    figure = PICTURES[name](theme)
    scales = [trace.colorscale for trace in figure.data if trace.type in COLOURED]
    assert scales
    for scale in scales:
        assert [colour for _, colour in scale] == [colour for _, colour in loss_scale(theme)]
    assert low_words(theme) in words(figure)


def test_the_named_end_is_the_low_one():
    for theme in ("light", "dark"):
        low, high = (colour for _, colour in (loss_scale(theme)[0], loss_scale(theme)[-1]))
        ground = GROUNDS[theme].paper
        assert contrast(low, ground) > 3 * contrast(high, ground)
        bright = contrast(low, "#000000") > contrast(high, "#000000")
        assert low_words(theme) == ("bright is low" if bright else "dark is low")


def test_frames_and_words_are_read_on_every_colour():
    for theme in ("light", "dark"):
        for share, colour in loss_scale(theme):
            assert contrast(ink_on_loss(float(share), theme), str(colour)) >= 4.4


def test_several_matrices_share_one_scale_and_one_legend():
    figure = go.Figure()
    matrix = PairMatrix(("a", "b"), [[None, 0.25], [0.25, None]], [[None, 0.01], [0.01, None]])
    draw_matrix(figure, matrix, 2.0, "light")
    draw_matrix(figure, matrix, 2.0, "light", 1, ((0.5, 1.0), (0.0, 1.0)), named=False)
    one, other = figure.data
    assert (one.zmax, other.zmax) == (2.0, 2.0) and (one.showscale, other.showscale) == (
        True,
        False,
    )
    assert one.customdata[0][1] == "a and b: 0.25 \u00b1 0.01 nats"
    assert figure.layout.yaxis.ticktext == ("a  1", "b  2")
    assert figure.layout.yaxis2.ticktext == ("1", "2")
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first row is on top
