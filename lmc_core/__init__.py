"""LMC Explorer's library: the loss landscape between transformers, and what their symmetries do to
it.

    >>> import lmc_core
    >>> a, b = lmc_core.load("zoo:vit-fashion-s0"), lmc_core.load("zoo:vit-fashion-s1")    # doctest: +SKIP
    >>> examples = lmc_core.get_task("fashion-mnist").examples("test", 500)                # doctest: +SKIP
    >>> pair = lmc_core.align_pair(a, b, examples.inputs[:16])                             # doctest: +SKIP
    >>> lmc_core.curve(lmc_core.Line(pair.a, pair.b), examples).barrier                    # doctest: +SKIP

Model A stays, model B moves. Losses are in nats. A barrier above zero means that the path climbs
above the chord between the end losses. Names are imported when first used, so that
`import lmc_core` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    # models
    "Family": "lmc_core.models.family",
    "FAMILIES": "lmc_core.models.families",
    "Model": "lmc_core.models.model",
    "load": "lmc_core.models.load",
    "own_model": "lmc_core.models.custom",
    "Structure": "lmc_core.models.structure",
    "zoo": "lmc_core.models.load",
    # symmetry
    "Alignment": "lmc_core.symmetry.alignment",
    "Block": "lmc_core.symmetry.layout",
    "Invertible": "lmc_core.symmetry.elements",
    "Layout": "lmc_core.symmetry.layout",
    "Monomial": "lmc_core.symmetry.elements",
    "Orthogonal": "lmc_core.symmetry.elements",
    "Permutation": "lmc_core.symmetry.elements",
    "Space": "lmc_core.symmetry.spaces",
    "SymmetryClass": "lmc_core.symmetry.spaces",
    "choose_classes": "lmc_core.symmetry.spaces",
    "permutations_only": "lmc_core.symmetry.spaces",
    "function_error": "lmc_core.models.forward",
    "widen": "lmc_core.models.widen",
    # matching
    "ActivationSettings": "lmc_core.matching.activation_search",
    "AlignedGroup": "lmc_core.matching.many",
    "AlignedModels": "lmc_core.matching.many",
    "AlignedPair": "lmc_core.matching.pair",
    "MANY_METHODS": "lmc_core.matching.methods",
    "GROUP_METHODS": "lmc_core.matching.methods",
    "LearnedSettings": "lmc_core.matching.learned.method",
    "Learning": "lmc_core.tasks.learning",
    "METHODS": "lmc_core.matching.methods",
    "Settings": "lmc_core.matching.weight",
    "WeightSettings": "lmc_core.matching.weight",
    "SoftSettings": "lmc_core.matching.soft.method",
    "UniverseSettings": "lmc_core.matching.universe",
    "align_group": "lmc_core.matching.many",
    "align_many": "lmc_core.matching.many",
    "align_pair": "lmc_core.matching.pair",
    "Audit": "lmc_core.analysis.audit",
    "audit": "lmc_core.analysis.audit",
    "canonical": "lmc_core.matching.pair",
    "match_weights": "lmc_core.matching.weight_search",
    # paths
    "Barrier": "lmc_core.paths.barrier",
    "Bezier": "lmc_core.paths.bezier",
    "BendSettings": "lmc_core.paths.bezier",
    "Bending": "lmc_core.paths.bezier",
    "Curve": "lmc_core.paths.curve",
    "Grid": "lmc_core.paths.grid",
    "Line": "lmc_core.paths.line",
    "Plane": "lmc_core.paths.plane",
    "barrier": "lmc_core.paths.barrier",
    "centre": "lmc_core.models.mixing",
    "curve": "lmc_core.paths.curve",
    "every_order": "lmc_core.analysis.expert_orders",
    "measure_grid": "lmc_core.paths.grid",
    "measure_simplex": "lmc_core.paths.simplex",
    "part_costs": "lmc_core.analysis.parts",
    "random_plane": "lmc_core.paths.directions",
    "Repaired": "lmc_core.analysis.repair",
    "routing": "lmc_core.analysis.routing",
    "tempered": "lmc_core.analysis.temperature",
    # merging
    "Ingredients": "lmc_core.merging.ingredients",
    "MERGES": "lmc_core.merging.methods",
    # tasks
    "TASKS": "lmc_core.tasks",
    "Calibration": "lmc_core.tasks.calibration",
    "get_task": "lmc_core.tasks",
    "in_order_of": "lmc_core.tasks.class_order",
    "linear_cka": "lmc_core.analysis.cka",
    "Examples": "lmc_core.tasks",
    "task_for": "lmc_core.tasks",
    # equivariance
    "Action": "lmc_core.equivariance.actions",
    "EquivariantLayout": "lmc_core.equivariance.layout",
    "Group": "lmc_core.equivariance.groups",
    "Projection": "lmc_core.equivariance.projection",
    "Relaxed": "lmc_core.equivariance.relaxed",
    # runs
    "BarrierRequest": "lmc_core.runs.kinds.barrier",
    "GroupRequest": "lmc_core.runs.kinds.many",
    "make_equivariance_request": "lmc_core.equivariance.request",
    "make_group_request": "lmc_core.runs.kinds.many",
    "make_request": "lmc_core.runs.kinds.barrier",
    # errors
    "BadInput": "lmc_core.errors",
    "LmcError": "lmc_core.errors",
}

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]  (one list, not two)

if TYPE_CHECKING:
    from lmc_core.matching.pair import align_pair, canonical
    from lmc_core.models.load import load, zoo
    from lmc_core.paths.curve import curve
    from lmc_core.paths.line import Line
    from lmc_core.tasks import get_task, task_for


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lmc_core' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
