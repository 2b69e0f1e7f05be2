"""LMC Explorer's library: the loss landscape between transformers, and what their symmetries do to
it.

    >>> import lmc_core
    >>> a, b = lmc_core.load("zoo:vit-fashion-s0"), lmc_core.load("zoo:vit-fashion-s1")
    >>> examples = lmc_core.get_task("fashion-mnist").examples("test", 100)
    >>> pair = lmc_core.align_pair(a, b, examples.inputs[:16])
    >>> pair.function_error < 1e-4
    True
    >>> plain = lmc_core.curve(lmc_core.Line(a, b), examples, 5, 0).barrier
    >>> aligned = lmc_core.curve(lmc_core.Line(pair.a, pair.b), examples, 5, 0).barrier
    >>> aligned.value < plain.value / 3
    True

Model A stays, model B moves. Losses are in nats. A barrier above zero means that the path climbs
above the chord between the end losses.

The imports below are the table of contents. They are read by type checkers, and at run time each
name is imported when it is first used, so that `import lmc_core` is quick.
"""

from __future__ import annotations

import ast
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.2.0"

# torch reads it when it is imported: operators that MPS lacks run on the CPU; a person may choose
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

if TYPE_CHECKING:
    # isort: off

    # models and their descriptions
    from lmc_core.models.custom import own_model as own_model
    from lmc_core.models.families import FAMILIES as FAMILIES
    from lmc_core.models.config import Config as Config
    from lmc_core.models.family import Family as Family
    from lmc_core.models.load import load as load
    from lmc_core.models.model import Model as Model
    from lmc_core.models.structure import Structure as Structure
    from lmc_core.models.zoo import zoo as zoo

    # spaces, group elements, layouts
    from lmc_core.models.forward import function_error as function_error
    from lmc_core.models.widen import widen as widen
    from lmc_core.symmetry.alignment import Alignment as Alignment
    from lmc_core.symmetry.elements import (
        Invertible as Invertible,
        Monomial as Monomial,
        Orthogonal as Orthogonal,
        Permutation as Permutation,
    )
    from lmc_core.symmetry.layout import Block as Block, Layout as Layout
    from lmc_core.symmetry.spaces import (
        Space as Space,
        SymmetryClass as SymmetryClass,
        choose_classes as choose_classes,
        permutations_only as permutations_only,
    )

    # aligning models
    from lmc_core.analysis.audit import Audit as Audit, audit as audit
    from lmc_core.look import Look as Look
    from lmc_core.matching.activation import ActivationSettings as ActivationSettings
    from lmc_core.matching.align import align as align, align_many as align_many
    from lmc_core.matching.learned.method import LearnedSettings as LearnedSettings
    from lmc_core.matching.many import (
        AlignedGroup as AlignedGroup,
        AlignedModels as AlignedModels,
        align_group as align_group,
    )
    from lmc_core.matching.method import ManyMethod as ManyMethod, Method as Method
    from lmc_core.matching.methods import (
        GROUP_METHODS as GROUP_METHODS,
        MANY_METHODS as MANY_METHODS,
        METHODS as METHODS,
    )
    from lmc_core.matching.aligned import AlignedPair as AlignedPair, canonical as canonical
    from lmc_core.matching.pair import align_pair as align_pair
    from lmc_core.matching.soft.method import SoftSettings as SoftSettings
    from lmc_core.matching.universe import UniverseSettings as UniverseSettings
    from lmc_core.matching.weight import Settings as Settings, WeightSettings as WeightSettings
    from lmc_core.matching.weight_search import match_weights as match_weights
    from lmc_core.tasks.learning import Learning as Learning

    # lines, curves, planes, and what is measured along them
    from lmc_core.analysis.difference import (
        Difference as Difference,
        compare_weights as compare_weights,
    )
    from lmc_core.analysis.expert_orders import every_order as every_order
    from lmc_core.analysis.parts import part_costs as part_costs
    from lmc_core.analysis.repair import Repaired as Repaired
    from lmc_core.analysis.reroute import Rerouted as Rerouted
    from lmc_core.analysis.routing import routing as routing
    from lmc_core.analysis.temperature import tempered as tempered
    from lmc_core.models.mixing import centre as centre
    from lmc_core.paths.barrier import Barrier as Barrier, barrier as barrier
    from lmc_core.paths.bezier import (
        BendSettings as BendSettings,
        Bending as Bending,
        Bezier as Bezier,
    )
    from lmc_core.paths.curve import Curve as Curve, curve as curve
    from lmc_core.paths.directions import random_plane as random_plane
    from lmc_core.paths.grid import Grid as Grid, measure_grid as measure_grid
    from lmc_core.paths.line import Line as Line
    from lmc_core.paths.plane import Plane as Plane
    from lmc_core.paths.simplex import measure_simplex as measure_simplex

    # merging
    from lmc_core.merging.ingredients import Ingredients as Ingredients, Merged as Merged
    from lmc_core.merging.merge import merge as merge
    from lmc_core.merging.method import MergeMethod as MergeMethod
    from lmc_core.merging.methods import MERGES as MERGES
    from lmc_core.merging.transport import (
        MovedDifference as MovedDifference,
        move_difference as move_difference,
        transport as transport,
    )

    # data and losses
    from lmc_core.analysis.cka import linear_cka as linear_cka
    from lmc_core.tasks import (
        Examples as Examples,
        TASKS as TASKS,
        Task as Task,
        get_task as get_task,
        task_for as task_for,
    )
    from lmc_core.tasks.calibration import Calibration as Calibration
    from lmc_core.tasks.class_order import in_order_of as in_order_of

    # groups that act on data
    from lmc_core.equivariance.actions import Action as Action
    from lmc_core.equivariance.groups import Group as Group
    from lmc_core.equivariance.layout import EquivariantLayout as EquivariantLayout
    from lmc_core.equivariance.projection import Projection as Projection
    from lmc_core.equivariance.relaxed import Relaxed as Relaxed

    # requests, and who computes them
    from lmc_core.api import Outcome as Outcome, run as run
    from lmc_core.equivariance.request import make_equivariance_request as make_equivariance_request
    from lmc_core.figures.panel import Panel as Panel, Picture as Picture, Stored as Stored
    from lmc_core.figures.tables import Table as Table
    from lmc_core.progress import Progress as Progress
    from lmc_core.runs.computation import COMPUTATIONS as COMPUTATIONS, Computation as Computation
    from lmc_core.runs.executors import Executor as Executor, Inline as Inline, Local as Local
    from lmc_core.runs.kinds.barrier import make_request as make_request
    from lmc_core.runs.requests.barrier import BarrierRequest as BarrierRequest
    from lmc_core.runs.kinds.many import make_group_request as make_group_request
    from lmc_core.runs.requests.many import GroupRequest as GroupRequest
    from lmc_core.runs.request import (
        ModelsRequest as ModelsRequest,
        PairRequest as PairRequest,
        Request as Request,
    )
    from lmc_core.runs.result import Result as Result
    from lmc_core.sweeps.result import SweepResult as SweepResult
    from lmc_core.sweeps.run import read_sweep as read_sweep, sweep as sweep

    # errors
    from lmc_core.errors import (
        BadInput as BadInput,
        FunctionChanged as FunctionChanged,
        Inadmissible as Inadmissible,
        Incompatible as Incompatible,
        LmcError as LmcError,
    )
else:

    def _read_contents() -> dict[str, str]:
        """Name -> the module it is imported from, as this file says above."""
        tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
        block = next(node for node in tree.body if isinstance(node, ast.If))
        imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
        return {alias.name: node.module for node in imports for alias in node.names}

    _CONTENTS = _read_contents()
    __all__ = ["__version__", *_CONTENTS]

    def __getattr__(name: str) -> object:
        if name not in _CONTENTS:
            raise AttributeError(f"module 'lmc_core' has no attribute {name!r}")
        value = getattr(import_module(_CONTENTS[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)
