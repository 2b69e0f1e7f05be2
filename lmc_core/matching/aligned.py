"""Two models in one frame, and the canonical form that they are brought into first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lmc_core.display import draw_trace, show
from lmc_core.matching.trace import Trace
from lmc_core.matching.widened import Places
from lmc_core.models.canonical_state import CanonicalState
from lmc_core.models.common import in_float32, untied
from lmc_core.models.lazy import is_lazy
from lmc_core.models.model import Model
from lmc_core.models.rows import in_shared_rows
from lmc_core.numbers import describe_change, seconds
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.arithmetic import find_device, precise_type
from lmc_core.symmetry.canonical import rewrite_in_place
from lmc_core.symmetry.spaces import Classes, class_of


@dataclass(frozen=True)
class SoftEnd:
    """Model B with its rows averaged by soft matches: an ordinary checkpoint, and another function.

    Attributes:
        model: in A's coordinates.
        function_error: largest relative difference of its outputs from B's, in float32.
    """

    model: Model
    function_error: float


@dataclass(frozen=True)
class AlignedPair:
    """Two models in one frame.

    Attributes:
        a: the first model in canonical form.
        b: the second, moved onto the first.
        alignment: what moved it, after its own canonical rewrite.
        trace: of the matcher's objective.
        function_error: largest relative difference of the outputs of either model before and after,
            in float32.
        seconds: what the alignment took, without the check.
        places: for models of unequal widths, by name of space, which unit of the narrow one each
            place belongs to.
        soft: of soft matching above temperature 0, the second model with its rows averaged: another
            function.
        bend: of a curve that was learned with the alignment, how far its control point lies from
            the midpoint of the line, by parameter; None for a straight line.
        whole: both models with all rows of their own tables, where they do not have as many; None
            where they do.
    """

    a: Model
    b: Model
    alignment: Alignment
    trace: Trace
    function_error: float
    seconds: float
    places: Mapping[str, Places] = field(default_factory=dict)
    soft: SoftEnd | None = None
    bend: Mapping[str, Tensor] | None = None
    whole: tuple[Model, Model] | None = None

    def _repr_html_(self) -> str:
        """The function check and the objective, in a notebook."""
        facts = [
            ("model A", self.a.name),
            ("model B", self.b.name),
            ("function", describe_change(self.function_error)),
            ("spaces", f"{len(self.alignment.elements):,}"),
            ("time", seconds(self.seconds)),
        ]
        return show("Aligned pair", facts, draw_trace(self.trace.objective, "objective"))

    @property
    def written(self) -> tuple[Model, Model]:
        """Both models as they are written, each with its own rows."""
        return self.whole or (self.a, self.b)

    @property
    def end(self) -> Model:
        """Where the line from `a` leads: the soft end, or else `b`."""
        return self.b if self.soft is None else self.soft.model


def pair_of_wholes(
    a: Model,
    b: Model,
    alignment: Alignment,
    trace: Trace,
    function_error: float,
    seconds: float,
    places: Mapping[str, Places] | None = None,
    soft: SoftEnd | None = None,
    bend: Mapping[str, Tensor] | None = None,
) -> AlignedPair:
    """The pair of two aligned models, of whose tables the rows that both have are compared.

    Args:
        a: with all its rows.
        b: with all its rows.
        alignment: as of an `AlignedPair`, like the others.
        trace: of the matcher's objective.
        function_error: of either model.
        seconds: what the alignment took.
        places: for models of unequal widths.
        soft: where the line leads in place of B.
        bend: of a curve that was learned with the alignment.
    """
    left, right = in_shared_rows((a, b))
    whole = None if left is a and right is b else (a, b)
    return AlignedPair(
        left, right, alignment, trace, function_error, seconds, places or {}, soft, bend, whole
    )


def canonical(
    model: Model, classes: Classes, in_place: bool = False, device: torch.device | str | None = None
) -> Model:
    """Rewrite a model into canonical form for the chosen classes.

    With nothing but permutations asked for, the parameters stay as they are.

    Args:
        model: to rewrite.
        classes: chosen class of each kind of space.
        in_place: write into the model's own tensors, in their own precision, so that it is not held
            twice. Parameters in half precision are taken out of the model as they are brought into
            float32.
        device: to bring it to first; by default it stays on its own. One that is brought elsewhere
            in place is written there, in the precision that it would be written in here.

    Returns:
        The rewritten model, in float64 (`symmetry.arithmetic`) unless `in_place`; a lazily read one
        is rewritten when it is read, in float32, and takes no memory.
    """
    given = model.state
    model = untied_for(model, classes)
    if is_lazy(model.state):
        rewrite = model.family.rewrite(model.config)
        return model.with_state(CanonicalState(model.layout, rewrite, model.state, classes))
    state = {}
    for name in list(model.state):
        tensor = model.state[name]
        there = tensor.device if device is None else torch.device(device)
        state[name] = _working(tensor, in_place, there)
        if in_place and state[name] is not tensor:
            # one that had to be made anew does not stay beside the new one
            for each in (given, model.state):
                if isinstance(each, dict):
                    each.pop(name, None)
    rewrite_in_place(model.layout, model.family.rewrite(model.config), state, classes)
    return model.with_state(state)


def find_exact_device(device: torch.device | str, in_place: bool = False) -> torch.device:
    """Where models are rewritten and moved that are searched on a device: there if it has a useful
    float64, or if they are written `in_place`; else on the CPU.
    """
    exact = in_place or precise_type(device) is torch.float64
    return torch.device(device if exact else "cpu")


def brought_to_search(model: Model, device: torch.device | str) -> Model:
    """A model in canonical form on the device where it is searched, in the type worked in there; in
    place and lazily read ones stay as they are.
    """
    if is_lazy(model.state) or find_device(model.state).type == torch.device(device).type:
        return model
    return in_float32(model, device)


def untied_for(model: Model, classes: Classes) -> Model:
    """The model with a head of its own where the chosen classes turn the stream between the token
    table and the head; otherwise the model itself.
    """
    rewrite = model.family.rewrite(model.config)
    if rewrite.tied and not rewrite.tied.stays:
        blocks = (block for block in model.layout.blocks if block.parameter == rewrite.tied.table)
        written = {axis.space for block in blocks for axis in block.axes if axis.space}
        if any(class_of(model.layout.spaces[name], classes).mixes for name in written):
            return untied(model)
    return model


def _working(tensor: Tensor, in_place: bool, device: torch.device) -> Tensor:
    if not in_place:
        dtype = precise_type(device)
        return tensor.to(device, dtype, copy=True, memory_format=torch.contiguous_format)
    wide = tensor.dtype in (torch.float32, precise_type(device))
    return tensor.to(device, tensor.dtype if wide else torch.float32).contiguous()
