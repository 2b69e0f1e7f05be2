"""Mixtures of experts: a router scores the experts for each token, and the outputs of the best few
are added up by weight.

Experts change places together with their rows of the router; the units of each expert live within
it. Where a router chooses among groups of experts first, experts change places within their group,
and groups as a whole. In memory the experts of a layer are stacked: `experts.gate_up_proj`
`[experts, 2 units, width]`, rows of the gate first, and `experts.down_proj`
`[experts, width, units]`. Checkpoints on disk have one matrix for each expert.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import torch
from lmc_core.models.architectures import decoder_family, hf
from lmc_core.models.architectures.decoder import Readers, sizes
from lmc_core.models.config import Config, Json, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import gated_units, units_product
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import PERMUTATIONS

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Routing:
    """How a router chooses.

    Attributes:
        experts: how many there are.
        active: how many each token visits.
        relative: whether the weights of the chosen experts are divided by their sum.
        softmax: whether scores are a softmax, which does not see a number added to all; otherwise
            each has a sigmoid.
        groups: of experts, among which the router chooses first; 1 where it does not.
        correction: whether a buffer is added to the scores for the choice alone.
    """

    experts: int
    active: int
    relative: bool
    softmax: bool = True
    groups: int = 1
    correction: bool = False


COUNTS = ("num_local_experts", "num_experts", "n_routed_experts")


def counted(raw: Config, name: str) -> Config:
    """A configuration that gives the number of experts under one name; the classes of transformers
    know several.
    """
    given = next((raw[other] for other in (name, *COUNTS) if other in raw), None)
    return raw if given is None else raw | {name: given}


def check_sizes(
    found: Config, experts: str, *names: str, active: str = "num_experts_per_tok"
) -> None:
    """Raise `BadCheckpoint` unless the named settings are sizes, and no more experts are active
    than there are.
    """
    require_sizes(found, experts, active, *names)
    if found.size(active) > found.size(experts):
        raise BadCheckpoint(
            f"{active} = {found[active]} should be at most {experts} = {found[experts]}."
        )


def check_layers(found: Config) -> None:
    """Check which layers Qwen's mixtures leave dense, and their switches."""
    require_sizes(found, "decoder_sparse_step")
    dense = found["mlp_only_layers"] = found["mlp_only_layers"] or []
    if not isinstance(dense, list) or not all(
        isinstance(i, int) and not isinstance(i, bool) for i in dense
    ):
        raise BadCheckpoint(
            "The configuration should give 'mlp_only_layers' as a list of numbers; it gives "
            f"{dense!r}."
        )
    hf.switches(found, "norm_topk_prob", "qkv_bias")


def sparse_layers(config: Config) -> list[bool]:
    """Which blocks have a mixture, by Qwen's `decoder_sparse_step` and `mlp_only_layers`; the
    others are dense.
    """
    step, dense = config.size("decoder_sparse_step"), config.entries("mlp_only_layers", int)
    return [i not in dense and (i + 1) % step == 0 for i in range(config.size("num_hidden_layers"))]


def mixture(
    s: Structure,
    i: int,
    routing: Routing,
    units: int,
    activation: str,
    place: str = "mlp",
    router: str = "gate",
) -> Readers:
    """Write the router and the experts of block i down; returns what reads the norm before them.

    Args:
        s: what is being written down.
        i: number of the block.
        routing: how its router chooses.
        units: of each expert.
        activation: of their gates.
        place: name of the layer within its block, in the state dict.
        router: name of the router within it.
    """
    on, at, width = f"blocks.{i}", f"model.layers.{i}.{place}", s.spaces["residual"].size
    experts = f"experts.{i}"
    levels = _add_experts(s, i, routing)
    _write_router(s, f"{on}.router", f"{at}.{router}", routing, levels)
    u = gated_units(s, str(i), units, activation, experts)
    s.fused(
        f"{at}.experts.gate_up_proj",
        (routing.experts, 2 * units, width),
        [
            (f"{on}.gate.weight", f"{levels} 0/2 ={u} -residual"),
            (f"{on}.up.weight", f"{levels} 1/2 +{u} -residual"),
        ],
    )
    s.parameter(
        f"{on}.down.weight",
        f"{at}.experts.down_proj",
        f"{levels} +residual -{u}",
        (routing.experts, width, units),
    )
    units_product(s, u, on, gate=activation)
    return [(f"{on}.{part}.weight", None) for part in ("router", "gate", "up")]


def _add_experts(s: Structure, i: int, routing: Routing) -> str:
    """Add the order of the experts, and of their groups; returns the pattern of both."""
    experts, places, outer, levels = f"experts.{i}", routing.experts, None, ""
    if routing.groups > 1:
        outer = f"expert-groups.{i}"
        places //= routing.groups
        levels = f"+{outer} "
        reason = "the router scores a group by its best experts, so groups change places as a whole"
        s.space(outer, "expert-groups", routing.groups, PERMUTATIONS, reason)
    reason = "each expert moves with its row of the router"
    if outer:
        reason += ", within its group, since the router chooses groups first"
    s.space(experts, "experts", places, PERMUTATIONS, reason, outer)
    return f"{levels}+{experts}"


def _write_router(s: Structure, on: str, at: str, routing: Routing, levels: str) -> None:
    """Write the map from the stream to the scores of the experts down, and what corrects them."""
    width, axes = s.spaces["residual"].size, (0,) if routing.groups <= 1 else (0, 1)
    over = axes if routing.softmax else None
    shape = routing.experts, width
    s.parameter(f"{on}.weight", f"{at}.weight", f"{levels} -residual", shape, over)
    # the choice does not see a number added to all of them, and no output changes until the choice
    # does
    if routing.correction:
        name = f"{at}.e_score_correction_bias"
        s.parameter(f"{on}.correction", name, levels, (routing.experts,), axes)
        s.freedom("corrections of the choice of experts", routing.experts - 1)
    if routing.relative and routing.active == 1:  # one weight, always 1
        s.freedom("routers that only choose", (routing.experts - int(routing.softmax)) * width)


_EXPERT = re.compile(
    r"((?:model\.|transformer\.)?layers\.\d+\.mlp\.experts)\.(\d+)"
    r"\.(gate_proj|up_proj|down_proj|w[123])\.weight"
)
_PLACES = dict(gate_proj="gate", up_proj="up", down_proj="down", w1="gate", w3="up", w2="down")


def stacked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stack the matrices that a checkpoint has for each expert; those that are stacked already
    stay.
    """
    found: dict[str, Tensor] = {}
    apart: dict[str, dict[tuple[str, int], Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        name = name.replace(".block_sparse_moe.", ".mlp.")
        match = _EXPERT.fullmatch(name)
        if match is None:
            found[name] = tensor
        else:
            apart[match[1]][_PLACES[match[3]], int(match[2])] = tensor
    for layer, matrices in apart.items():
        count = 1 + max(number for _, number in matrices)
        for part in ("gate", "up", "down"):
            for number in range(count):
                if (part, number) not in matrices:
                    raise BadCheckpoint(
                        f"{layer}.{number} lacks its {part} matrix; fetch the checkpoint again."
                    )
        down = [matrices.pop(("down", number)) for number in range(count)]
        found[f"{layer}.down_proj"] = torch.stack(down)
        both = [
            torch.cat([matrices.pop((part, number)) for part in ("gate", "up")])
            for number in range(count)
        ]
        found[f"{layer}.gate_up_proj"] = torch.stack(both)
    return found


def family(
    name: str,
    classes: str,
    sentence: str,
    reference: str,
    config: Callable[[Config], Config],
    structure: Callable[[Config], Structure],
    examples: Mapping[str, Mapping[str, Json]],
    experts: str,
    units: str,
    stored: Callable[[dict[str, Tensor], Config], dict[str, Tensor]] | None = None,
    heads: Sequence[str] = decoder_family.ALL_HEADS,
    span: str = "model.",
) -> Family:
    """A family of decoders with mixtures; `experts` and `units` are the names of these sizes in the
    configuration.

    Experts run one after the other, not as one grouped product, which not every device has for
    every size. Further arguments are those of `decoder_family.family`.
    """
    found = decoder_family.family(
        name,
        classes,
        sentence,
        reference,
        config,
        structure,
        examples,
        heads,
        span,
        stored=stored or (lambda tensors, config: stacked(tensors)),
        experts_implementation="eager",
    )

    def all_sizes(config: Config) -> dict[str, int]:
        own = {"experts": config.size(experts), "units": config.size(units)}
        return sizes(config) | own

    return replace(found, sizes=all_sizes)
