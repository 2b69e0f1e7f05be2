"""The metric of a stream on a case small enough to do by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lmc_core.matching.metric import stream_metrics
from lmc_core.symmetry.layout import Block, Layout
from lmc_core.symmetry.spaces import ROTATIONS, Space

STREAM = Space("residual", "residual", 2, ROTATIONS, "")
PATTERNS = {
    "early": ("* -residual", (4, 2)),
    "table": ("* +residual", (2, 2)),
    "bias": ("+residual", (2,)),
    "first": ("* -residual", (3, 2)),
    "writer": ("+residual *", (2, 3)),
    "second": ("* -residual", (5, 2)),
    "head": ("* -residual", (5, 2)),
}
LAYOUT = Layout(
    "by hand",
    {"residual": STREAM},
    tuple(Block(name, name, pattern) for name, (pattern, _) in PATTERNS.items()),
    {name: shape for name, (_, shape) in PATTERNS.items()},
)


def state_of(table: list[list[float]], writer: list[list[float]]) -> dict[str, Tensor]:
    state = {name: torch.ones(shape, dtype=torch.float64) for name, (_, shape) in PATTERNS.items()}
    state["bias"] *= 100  # where the stream is, not how it varies
    return state | {
        "table": torch.tensor(table, dtype=torch.float64),
        "writer": torch.tensor(writer, dtype=torch.float64),
    }


def metrics_of(
    state: dict[str, Tensor], power: float, masks: dict[str, Tensor] | None = None
) -> dict[str, Tensor]:
    return stream_metrics(LAYOUT, state, STREAM, power, masks or {})


def diagonal(*values: float) -> Tensor:
    return torch.diag(torch.tensor(values, dtype=torch.float64))


def test_readers_see_the_moments_of_what_was_written_before_them() -> None:
    """T^T T = diag(9, 1) over its trace is diag(0.9, 0.1); V V^T = diag(0, 9) over its trace
    diag(0, 1); means are made 1.
    """
    found = metrics_of(state_of([[3, 0], [0, 1]], [[0, 0, 0], [1, 2, 2]]), 1.0)
    # nothing was written before the early reader
    assert found.keys() == {"first", "second", "head"}
    torch.testing.assert_close(found["first"], diagonal(1.8**0.5, 0.2**0.5))
    torch.testing.assert_close(found["second"], diagonal(0.9**0.5, 1.1**0.5))
    assert torch.equal(found["second"], found["head"])
    half = metrics_of(state_of([[3, 0], [0, 1]], [[0, 0, 0], [1, 2, 2]]), 0.5)
    torch.testing.assert_close(half["first"], diagonal(1.8**0.25, 0.2**0.25))


def test_the_metric_has_the_directions_of_the_moment() -> None:
    """Rows 2 (1, 1) and (1, -1): the moment is ((5, 3), (3, 5)) / 10, with 0.8 along (1, 1) and 0.2
    along (1, -1).
    """
    found = metrics_of(state_of([[2, 2], [1, -1]], [[0, 0, 0], [0, 0, 0]]), 1.0)["first"]
    along, across = math.sqrt(1.6), math.sqrt(0.4)
    expected = [
        [(along + across) / 2, (along - across) / 2],
        [(along - across) / 2, (along + across) / 2],
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    ("weight", "expected"), [(1.0, (1.8, 0.2)), (0.5, (9 / 5.5, 2 / 5.5)), (0.0, (0.0, 2.0))]
)
def test_rows_of_tables_write_as_much_as_they_count(
    weight: float, expected: tuple[float, float]
) -> None:
    masks = {"table": torch.tensor([weight, 1.0])}
    found = metrics_of(state_of([[3, 0], [0, 1]], [[0, 0, 0], [0, 0, 0]]), 1.0, masks)["first"]
    torch.testing.assert_close(found, diagonal(*(value**0.5 for value in expected)))


def test_directions_at_the_level_of_rounding_are_silent() -> None:
    # squared: 1e-12 and 1e-8 of the largest eigenvalue
    for faint, seen in ((1e-6, False), (1e-4, True)):
        found = metrics_of(state_of([[1, 0], [0, faint]], [[0, 0, 0], [0, 0, 0]]), 0.5)["first"]
        expected = (2 * faint**2) ** 0.25 if seen else 0.0
        assert float(found[1, 1]) == pytest.approx(expected, rel=1e-6) and float(
            found[0, 0]
        ) == pytest.approx(2**0.25)
