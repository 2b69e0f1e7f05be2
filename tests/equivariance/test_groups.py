"""Groups and their actions: what is no group or no representation is refused, and actions follow
products.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lmc_core.equivariance import groups
from lmc_core.equivariance.actions import Action, grid, natural, regular, trivial
from lmc_core.errors import BadInput, UnknownName
from tests.equivariance.cases import domain

ORDERS = {"C4": 4, "D4": 8, "mirror": 2, "S3": 6, "S4": 24}


@pytest.mark.parametrize("name", groups.GROUPS)
def test_group_axioms(name: str) -> None:
    group = groups.group(name)
    assert group.order == ORDERS[name] == len(set(group.labels))
    assert (group.table[0] == np.arange(group.order)).all() and (
        group.table[:, 0] == np.arange(group.order)
    ).all()
    assert (group.table[np.arange(group.order), group.inverse] == 0).all()
    for g, h in itertools.product(range(group.order), repeat=2):
        assert (group.matrices[g] @ group.matrices[h] == group.matrices[group.table[g, h]]).all()


def test_what_is_no_group_is_refused() -> None:
    one, turn = np.eye(2, dtype=int), groups.TURN
    with pytest.raises(BadInput, match="not a group: 'quarter' after 'quarter'"):
        groups.Group.of("half", "", "image", [("one", one), ("quarter", turn)])
    with pytest.raises(BadInput, match="identity"):
        groups.Group.of("no one", "", "image", [("quarter", turn), ("one", one)])
    with pytest.raises(BadInput, match="twice"):
        groups.Group.of("double", "", "image", [("one", one), ("again", one)])
    with pytest.raises(BadInput, match="elements is expected"):
        groups.Group.of("none", "", "image", [])
    with pytest.raises(BadInput, match="Sets of 2 to 5"):
        groups.permutations(6)
    with pytest.raises(UnknownName, match="no group 'C5'; expected one of: C4"):
        groups.group("C5")


def test_a_group_of_ones_own_takes_a_few_lines() -> None:
    half = groups.Group.of("C2", "half turns", "image", [("0°", np.eye(2)), ("180°", -np.eye(2))])
    image = np.arange(9)
    assert (image[grid(half, 3).places[1]] == image[::-1]).all()
    assert regular(half).character.tolist() == [2, 0]


def test_grid_turns_like_numpy() -> None:
    image = np.random.default_rng(0).normal(size=(6, 6))
    group = groups.group("D4")
    places = dict(zip(group.labels, grid(group, 6).places, strict=True))
    assert np.array_equal(image.ravel()[places["mirror"]].reshape(6, 6), np.fliplr(image))
    for k in range(4):
        turned = np.rot90(image, k)
        assert np.array_equal(image.ravel()[places[f"{90 * k}°"]].reshape(6, 6), turned)
        if k:
            assert np.array_equal(
                image.ravel()[places[f"mirror {90 * k}°"]].reshape(6, 6),
                np.rot90(np.fliplr(image), k),
            )


def test_natural_moves_elements() -> None:
    group = groups.group("S3")
    for matrix, places in zip(group.matrices, natural(group).places, strict=True):
        x = np.array([3.0, 5.0, 7.0])
        assert (x[places] == matrix @ x).all()


@pytest.mark.parametrize("name", groups.GROUPS)
def test_actions_are_representations(name: str) -> None:
    """The check of the constructor itself is checked: matrices multiply as the table says, for
    every kind of action.
    """
    space = domain(name)
    group = space.group
    actions = [
        space.input,
        space.positions,
        regular(group),
        trivial(group, 3) * regular(group),
        space.hidden(24),
        space.output,
    ]
    if space.images:
        actions.append(grid(group, 3) * trivial(group, 2))
    for action in actions:
        matrices = action.matrices()
        for g, h in itertools.product(range(min(group.order, 8)), repeat=2):
            assert (matrices[g] @ matrices[h] == matrices[group.table[g, h]]).all()
        assert (np.trace(matrices, axis1=1, axis2=2) == action.character).all()


def test_what_is_no_representation_is_refused() -> None:
    group = groups.group("C4")
    wrong = regular(group).places[[0, 1, 2, 1]]
    with pytest.raises(BadInput, match="no representation"):
        Action(group, "wrong", wrong)
    with pytest.raises(BadInput, match="one permutation for each of 4"):
        Action(group, "short", regular(group).places[:3])
    with pytest.raises(BadInput, match="acts on images"):
        natural(group)
    with pytest.raises(BadInput, match="permutes the elements"):
        grid(groups.group("S3"), 4)


def test_inverse_action_where_the_group_does_not_commute_is_refused() -> None:
    """The map g -> rho(g^-1) is a representation of commuting groups alone: the order of products
    matters.
    """
    group = groups.group("S3")
    backwards = natural(group).places[group.inverse]
    with pytest.raises(BadInput, match="no representation"):
        Action(group, "backwards", backwards)
    assert Action(
        groups.group("C4"),
        "backwards",
        regular(groups.group("C4")).places[groups.group("C4").inverse],
    )


def test_hidden_units_come_in_blocks() -> None:
    assert domain("D4").hidden(64).size == 64
    assert domain("S3").hidden(64).size == 63
    assert domain("S4").hidden(1).size == 4
    assert math.isclose(domain("C4").hidden(64).character.mean(), 16)  # the number of orbits
