"""A plane on which no loss is finite: the picture says so, whole or in part, and nothing stops at
it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from lmc_core.figures.export import standalone_html
from lmc_core.figures.landscape import (
    UNREADABLE,
    contour_figure,
    grid_table,
    landscape_alt,
    landscape_caption,
    landscape_headline,
    points_table,
)
from lmc_core.figures.landscape_data import Landscape, routes
from lmc_core.figures.landscape_surface import surface_figure
from tests.figures.landscape_scene import arrays, facts

ODD = (math.nan, math.inf)


def unreadable(kind: str, loss: float, own: float | None, measured: int | None = None) -> Landscape:
    """A plane whose losses, and those of its models, are all the same odd value."""
    grid = arrays(9, measured)
    seen = ~np.isnan(grid["loss"])
    grid |= {"loss": np.where(seen, loss, np.nan), "stderr": np.where(seen, np.nan, np.nan)}
    said = facts(kind)
    for point in said["points"]:
        point |= {"loss": own, "stderr": None, "score": math.nan}
    said["lowest"] = {"u": 0.0, "v": 0.0, "loss": own, "stderr": None, "score": None}
    return Landscape.of(said, grid)


@pytest.mark.parametrize("kind", ["pair", "random", "three", "bend"])
@pytest.mark.parametrize("loss", ODD)
@pytest.mark.parametrize("own", [*ODD, None, 0.3])
@pytest.mark.parametrize("measured", [None, 3])
def test_it_is_drawn_and_said(kind, loss, own, measured):
    scene = unreadable(kind, loss, own, measured)
    assert not scene.readable
    low, high = scene.limits
    assert 0 < low < high < math.inf and np.isfinite(scene.height).all()
    paths = routes(scene.facts)
    for make in (contour_figure, surface_figure):
        make(scene, paths=paths)
    assert UNREADABLE in landscape_caption(scene, paths) and UNREADABLE in landscape_alt(scene)
    assert len(grid_table(scene).csv().splitlines()) == 1 + int(scene.measured.sum())
    assert points_table(scene).html()


def test_it_is_taken_away():
    scene = unreadable("pair", math.nan, None)
    page = standalone_html(
        contour_figure(scene), landscape_caption(scene), [dict(scene.facts)], title="Loss landscape"
    )
    assert "overflows" in page
    assert landscape_headline({"lowest": {"loss": math.nan}}) == ("–", None)


def test_one_finite_loss_is_a_map_and_nothing_measured_is_not_yet_one():
    grid = arrays(9)
    grid["loss"] = np.full_like(grid["loss"], np.inf)
    grid["loss"][4, 4] = 0.5
    scene = Landscape.of(facts(), grid)
    assert scene.readable and UNREADABLE not in landscape_caption(scene)
    nothing = Landscape.of(
        facts(),
        {
            name: np.full_like(each, np.nan) if each.ndim == 2 else each
            for name, each in grid.items()
        },
    )
    assert nothing.readable and UNREADABLE not in landscape_caption(nothing)
