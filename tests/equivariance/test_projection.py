"""The average over the group: a projection, of the dimension that the characters give, against the
sum that defines it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmc_core.equivariance import groups
from lmc_core.equivariance.actions import Action, grid, natural, regular, trivial
from lmc_core.equivariance.projection import Projection
from tests.equivariance.cases import PAIRS, built


@cache
def small_actions(name: str) -> tuple[Action, ...]:
    group = groups.group(name)
    basic = (
        (grid(group, 2), grid(group, 3))
        if group.acts == "image"
        else (natural(group), natural(group) * natural(group))
    )
    return (
        *basic,
        regular(group),
        trivial(group, 2),
        trivial(group, 2) * regular(group),
        basic[0] * trivial(group, 2),
    )


def by_definition(actions: tuple[Action, ...], tensor: torch.Tensor) -> torch.Tensor:
    """1/|G| sum_g of the tensor multiplied by the matrix of every action along its axis."""
    total = torch.zeros_like(tensor)
    order = actions[0].group.order
    for g in range(order):
        moved = tensor
        for axis, action in enumerate(actions):
            front = moved.movedim(axis, 0)
            turned = torch.from_numpy(action.matrices()[g]) @ front.reshape(action.size, -1)
            moved = turned.view(front.shape).movedim(0, axis)
        total += moved
    return total / order


@st.composite
def tensors(draw: st.DrawFn) -> tuple[tuple[Action, ...], torch.Tensor]:
    name = draw(st.sampled_from(sorted(groups.GROUPS)))
    chosen = draw(
        st.lists(
            st.sampled_from(small_actions(name)[: 6 if name != "S4" else 2]), min_size=1, max_size=2
        )
    )
    seed = draw(st.integers(0, 2**31))
    shape = [action.size for action in chosen]
    return tuple(chosen), torch.randn(
        shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


@settings(deadline=None, derandomize=True)
@given(tensors())
def test_projection(drawn: tuple[tuple[Action, ...], torch.Tensor]) -> None:
    actions, tensor = drawn
    project = Projection(actions)
    kept = project(tensor)
    assert torch.allclose(kept, by_definition(actions, tensor), atol=1e-12)
    assert torch.allclose(project(kept), kept, atol=1e-12)  # P P = P
    other = torch.randn(
        tensor.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64
    )
    # P^T = P
    assert torch.isclose(
        (project(tensor) * other).sum(), (tensor * project(other)).sum(), atol=1e-10
    )
    for g in range(actions[0].group.order):
        assert torch.allclose(project.moved(kept, g), kept, atol=1e-12)  # T(g) P = P
        assert torch.allclose(project(project.moved(tensor, g)), kept, atol=1e-12)  # P T(g) = P
    assert project.dimension == pytest.approx(project.expected_dimension())  # Burnside
    spread = project.spread(tensor)
    assert torch.allclose(project(spread), spread, atol=1e-12) and set(
        spread.flatten().tolist()
    ) <= set(tensor.flatten().tolist())


@pytest.mark.parametrize("name", groups.GROUPS)
def test_dimension_is_the_rank(name: str) -> None:
    """The rank of the projection's matrix, found by singular values."""
    actions = (
        small_actions(name)[:2]
        if name != "S4"
        else (natural(groups.group(name)), natural(groups.group(name)))
    )
    project = Projection(actions)
    size = int(np.prod(project.shape))
    matrix = torch.stack([project(row) for row in torch.eye(size, dtype=torch.float64)])
    assert (
        torch.linalg.matrix_rank(matrix) == project.dimension == round(project.expected_dimension())
    )


def test_deep_sets_layer_has_two_dimensions() -> None:
    """Linear maps on set elements that commute with all orders are a I + b 11^T (Zaheer et al.
    2017, arXiv 1703.06114).
    """
    for name in ("S3", "S4"):
        action = natural(groups.group(name))
        project = Projection((action, action))
        assert project.dimension == 2
        kept = project(torch.randn(action.size, action.size, dtype=torch.float64))
        b = kept[0, 1]
        assert torch.allclose(
            kept, b + (kept[0, 0] - b) * torch.eye(action.size, dtype=torch.float64)
        )


def test_moved_is_a_matrix_product() -> None:
    group = groups.group("D4")
    out, into = trivial(group, 2) * regular(group), grid(group, 3)
    weight = torch.randn(out.size, into.size, dtype=torch.float64)
    for g in range(group.order):
        a, b = torch.from_numpy(out.matrices()[g]), torch.from_numpy(into.matrices()[g])
        assert torch.equal(Projection((out, into)).moved(weight, g), a @ weight @ b.T)


@pytest.mark.parametrize(("group", "network"), PAIRS)
def test_every_parameter_has_the_dimension_of_its_characters(group: str, network: str) -> None:
    _, layout = built(group, network)
    for name, actions in layout.parameters.items():
        project = Projection(actions)
        assert project.dimension == pytest.approx(project.expected_dimension()), name
