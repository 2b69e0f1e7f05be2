"""Whether a model can be embedded in a wider one of its family, said before anything is
computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from lmc_core.errors import Incompatible
from lmc_core.models.lazy import with_parameter
from lmc_core.models.model import Model
from lmc_core.models.settings import unequal_settings, without_effect
from lmc_core.symmetry.embedding import paired
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.spaces import Space, SymmetryClass

# entries of a configuration that are sizes of spaces, whatever a family calls them
SIZES = set(
    (
        "n_embd n_head n_inner embed_dim num_heads mlp_ratio hidden_size num_attention_heads "
        "num_key_value_heads intermediate_size moe_intermediate_size "
        "shared_expert_intermediate_size head_dim rotary_dim n_heads ffn_hidden_size num_kv_heads "
        "d_model d_kv d_ff ffn_dim word_embed_proj_dim q_lora_rank kv_lora_rank v_head_dim "
        "qk_nope_head_dim qk_rope_head_dim partial_rotary_factor num_local_experts num_experts "
        "n_routed_experts state_size time_step_rank"
    ).split()
)
# kinds whose coordinates can be repeated
REPEATED = {"units", "heads", "queries", "pooled", "channels", "states"}
# rotary positions whose speeds do not depend on how many pairs there are
SAME_SPEEDS = ("default", "linear", "llama3")
MIXING = (SymmetryClass.ORTHOGONAL, SymmetryClass.INVERTIBLE)


def separate_head(model: Model) -> Model:
    """The same model with a head of its own where it shared the token table; its parameters too, if
    it has any.
    """
    tied = model.family.rewrite(model.config).tied
    if tied is None:
        return model
    state = model.state
    if tied.table in state:
        state = with_parameter(state, tied.head, tied.table, lambda table: table * tied.scale)
    return replace(model, config=model.config | dict(tied.config), state=state)


def unequal_spaces(a: Layout, b: Layout) -> list[str]:
    """Names of the spaces that both layouts have, of different sizes."""
    return [
        name
        for name, space in a.spaces.items()
        if name in b.spaces and b.spaces[name].size != space.size
    ]


def same_parts(a: Model, b: Model) -> bool:
    """Whether two models have the same spaces and blocks, whatever their sizes."""
    one, two = separate_head(a).layout, separate_head(b).layout
    return one.spaces.keys() == two.spaces.keys() and one.by_name.keys() == two.by_name.keys()


def wider(a: Model, b: Model) -> bool | None:
    """Which of two models of one family is the wider: True for `b`, False for `a`, None where their
    spaces are equal.

    Raises:
        Incompatible: if neither is at least as wide as the other everywhere.
    """
    left, right = a.layout.spaces, b.layout.spaces
    names = unequal_spaces(a.layout, b.layout)
    more = [name for name in names if right[name].size > left[name].size]
    less = [name for name in names if right[name].size < left[name].size]
    if more and less:
        one, two = left[more[0]], left[less[0]]
        raise Incompatible(
            f"Of {a.name} and {b.name} neither holds the other: {b.name} has more {one.kind} "
            f"({one.size} and "
            f"{right[more[0]].size}) and fewer {two.kind} ({two.size} and {right[less[0]].size})."
        )
    return bool(more) if names else None


def require_fits(narrow: Model, wide: Model) -> None:
    """Raise `Incompatible`, saying why, unless `narrow` can be embedded in a model with the sizes
    of `wide`.
    """
    narrow, wide = separate_head(narrow), separate_head(wide)
    small, large = narrow.layout, wide.layout
    if not same_parts(narrow, wide):
        odd = sorted(
            (small.spaces.keys() ^ large.spaces.keys())
            | (small.by_name.keys() ^ large.by_name.keys())
        )[0]
        raise Incompatible(
            f"Only one of {narrow.name} and {wide.name} has {odd!r}; choose two of one "
            "architecture."
        )
    wider(narrow, wide)  # where some are larger and some smaller neither holds the other
    for key, value, other in unequal_settings(
        narrow.config, wide.config, SIZES | without_effect(narrow, wide)
    ):
        raise Incompatible(
            f"{narrow.name} has {key}={value} and {wide.name} has {key}={other}; choose two that "
            "compute alike."
        )
    for name, block in small.by_name.items():
        fixed = [
            [
                size
                for size, axis in zip(_extent(layout, name), block.axes, strict=True)
                if axis.space is None
            ]
            for layout in (small, large)
        ]
        if fixed[0] != fixed[1]:
            raise Incompatible(
                f"{block.parameter!r} has {fixed[0]} rows or columns in {narrow.name} and "
                f"{fixed[1]} in {wide.name} where no "
                "map can go between; choose two of the same inputs and outputs."
            )
    for name in unequal_spaces(small, large):
        reason = _obstacle(narrow, small.spaces[name], large.spaces[name])
        if reason is not None:
            sizes = f"{small.spaces[name].size} and {large.spaces[name].size}"
            raise Incompatible(
                f"{narrow.name} and {wide.name} differ in {small.spaces[name].kind} ({sizes}), "
                "and the narrower cannot be "
                f"embedded: {reason}. Choose two that are equal there."
            )


def _extent(layout: Layout, name: str) -> list[int]:
    """The shape of a block."""
    block = layout.by_name[name]
    sizes = block.view_shape(layout.spaces, math.prod(layout.shapes[block.parameter]))
    return [
        cut.indices(size)[1] - cut.indices(size)[0]
        for cut, size in zip(block.slices, sizes, strict=True)
        if isinstance(cut, slice)
    ]


def _obstacle(narrow: Model, small: Space, large: Space) -> str | None:
    """Why one space cannot be embedded in the other, as a clause, or None."""
    if small.kind in ("experts", "expert-groups"):
        return (
            "a router chooses the best few, so that copies of an expert would take the place "
            "of others"
        )
    if small.kind in REPEATED and small.largest is SymmetryClass.NONE:
        return small.reason
    if small.kind in REPEATED:
        for block in narrow.layout.blocks:
            if block.name.endswith(".norm") and any(
                axis.space == small.name for axis in block.axes
            ):
                return "a norm over the queries or keys of all heads divides by how many there are"
        if any(norm.space == small.name for norm in narrow.family.rewrite(narrow.config).norms):
            return small.reason
        return None
    if small.kind == "query-key" and narrow.config.get("alibi"):
        return "slopes of positions are divided by the root of a head's size, which would change"
    if small.largest in MIXING:
        return None
    if (
        small.pairs is not None
        and large.pairs is not None
        and small.largest is SymmetryClass.ROTARY
    ):
        if paired(small.pairs, large.pairs, small.size, large.size) is None:
            return "rotary positions turn its pairs at speeds that the other one lacks"
        if "rope_parameters" not in narrow.config and "rotary_dim" not in narrow.config:
            return (
                "the speeds of rotary positions in two dimensions depend on how many pairs "
                "there are"
            )
        rotary = narrow.config.get("rope_parameters")
        kind = rotary.get("rope_type", "default") if isinstance(rotary, Mapping) else "default"
        if kind not in SAME_SPEEDS and small.pairs.rotated != large.pairs.rotated:
            return (
                f"the speeds of rotary positions of the type {kind!r} depend on how many pairs "
                "there are"
            )
        return None
    return small.reason
