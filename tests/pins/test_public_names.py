"""The names that `lmc_core` exports: each of them can be imported for as long as anybody may use it."""

from __future__ import annotations

import pytest

import lmc_core

NAMES = (
    "Action",
    "ActivationSettings",
    "AlignedGroup",
    "AlignedPair",
    "Alignment",
    "Audit",
    "BadInput",
    "Barrier",
    "BarrierRequest",
    "BendSettings",
    "Bending",
    "Bezier",
    "Block",
    "Calibration",
    "Curve",
    "EquivariantLayout",
    "Examples",
    "FAMILIES",
    "Family",
    "GROUP_METHODS",
    "Grid",
    "Group",
    "GroupRequest",
    "Ingredients",
    "Invertible",
    "Layout",
    "LearnedSettings",
    "Learning",
    "Line",
    "LmcError",
    "MERGES",
    "METHODS",
    "Model",
    "Monomial",
    "MovedDifference",
    "Orthogonal",
    "Permutation",
    "Plane",
    "Projection",
    "Relaxed",
    "Repaired",
    "Settings",
    "SoftSettings",
    "Space",
    "Structure",
    "SymmetryClass",
    "TASKS",
    "UniverseSettings",
    "__version__",
    "align_group",
    "align_pair",
    "audit",
    "barrier",
    "canonical",
    "centre",
    "choose_classes",
    "curve",
    "every_order",
    "function_error",
    "get_task",
    "in_order_of",
    "linear_cka",
    "load",
    "make_equivariance_request",
    "make_group_request",
    "make_request",
    "match_weights",
    "measure_grid",
    "measure_simplex",
    "move_difference",
    "own_model",
    "part_costs",
    "permutations_only",
    "random_plane",
    "routing",
    "task_for",
    "tempered",
    "transport",
    "widen",
    "zoo",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(lmc_core, name) is not None
    assert name in lmc_core.__all__ and name in dir(lmc_core)


def test_an_unknown_name_is_none() -> None:
    assert not hasattr(lmc_core, "nothing_of_that_name")
