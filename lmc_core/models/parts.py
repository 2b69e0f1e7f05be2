"""Parts that transformers share: the residual stream, attention with its planes, feed-forward
units. Reasons in words.

Everything follows from what a configuration says (rotary fraction, grouped queries, norms on
queries and keys, activation, norms before or after a layer), never from a family's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import (
    LINEAR,
    NONE,
    PAIR_SIGNS,
    PERMUTATIONS,
    ROTARY,
    ROTATIONS,
    SCALED,
    SIGNED,
    SIGNED_AND_SCALED,
    TURNS,
    Pairs,
)

# act on each unit by itself; of these only the homogeneous commute with positive scales
POINTWISE = set(
    (
        "gelu gelu_new gelu_pytorch_tanh gelu_fast gelu_python gelu_10 quick_gelu gelu_accurate "
        "silu swish tanh mish relu relu2 relu6 leaky_relu sigmoid laplace"
    ).split()
)
HOMOGENEOUS = {"relu", "leaky_relu"}
SQUARED = {"relu2"}  # a factor in front comes out squared, which no class of maps here says
ALIBI = "ALiBi adds to the scores of each head a slope of its own"


OUTPUT = "the outputs are the coordinates of the stream themselves"


def layer_norm_stream(s: Structure, width: int, scaled: bool = True, output: bool = False) -> str:
    """A residual stream that is read through LayerNorms alone.

    Args:
        s: what is being written down.
        width: of the stream.
        scaled: whether its length is seen nowhere else.
        output: whether what the last norm gives is an output itself.
    """
    s.centre("residual")
    if scaled:
        s.scale("residual stream")
    if output:
        return s.space("residual", "residual", width, NONE, OUTPUT)
    reason = (
        "LayerNorm divides by the length of the stream, which rotations that keep the "
        "all-ones vector leave alone"
    )
    return s.space("residual", "residual", width, ROTATIONS, reason, fixes_ones=True)


def rms_norm_stream(s: Structure, width: int, output: bool = False) -> str:
    """A residual stream that is read through RMSNorms alone; `output` as in `layer_norm_stream`."""
    s.scale("residual stream")
    if output:
        return s.space("residual", "residual", width, NONE, OUTPUT)
    reason = "RMSNorm divides by the length of the stream, which rotations keep"
    return s.space("residual", "residual", width, ROTATIONS, reason)


def post_norm_stream(s: Structure, width: int, rms: bool, output: bool = False) -> str:
    """A residual stream that norms write to: their gains act inside it, coordinate by coordinate;
    `output` as above.
    """
    if rms:
        s.scale("residual stream")
    if output:
        return s.space("residual", "residual", width, NONE, OUTPUT)
    if rms:
        return s.space(
            "residual",
            "residual",
            width,
            SIGNED,
            "gains of the norms after each layer act on its coordinates one by one",
        )
    reason = (
        "gains and offsets of the norms after each layer act on its coordinates one by one, "
        "and LayerNorm sees their signs"
    )
    return s.space("residual", "residual", width, PERMUTATIONS, reason)


@dataclass(frozen=True)
class Attention:
    """The patterns of one attention layer's four maps, on the side of its heads."""

    query: str
    key: str
    value: str
    output: str
    product_name: str  # of the query/key plane
    value_name: str  # of the value/output plane


def attention(
    s: Structure,
    tag: str,
    heads: int,
    head_dim: int,
    groups: int | None = None,
    value_dim: int | None = None,
    pairs: Pairs | None = None,
    normed: str | None = None,
    clipped: bool = False,
    shared_heads: str | None = None,
    fixed: str | None = None,
) -> Attention:
    """Add the spaces of one attention layer.

    Args:
        s: what is being written down.
        tag: distinguishes the layer, e.g. "3" or "decoder.3".
        heads: number of query heads.
        head_dim: size of the query/key plane.
        groups: number of key and value heads where queries share them; None for one each.
        value_dim: size of the value/output plane, if another.
        pairs: of a rotary position encoding.
        normed: norms on queries and keys: "rms" (RMSNorm over one head or all), "layer" (LayerNorm
            over one head), or None.
        clipped: queries, keys and values are clipped to [-c, c], coordinate by coordinate.
        shared_heads: a space of heads that exists already and orders these too (relative position
            tables).
        fixed: why heads, and queries that share a key, cannot change places, as a clause; None
            where they can.
    """
    groups = groups or heads
    outer = shared_heads or _head_space(s, tag, heads, groups, fixed)
    plus, minus = f"+{outer}", f"-{outer}"
    plus_q, minus_q = plus, minus
    if groups < heads:
        reason = "queries that share one key head can change places, never across key heads"
        kind = NONE if fixed else PERMUTATIONS
        inner = f"queries.{tag}"
        s.space(inner, "queries", heads // groups, kind, fixed or reason, outer)
        plus_q, minus_q = f"{plus} +{inner}", f"{minus} -{inner}"
    plane = _query_key_plane(s, tag, head_dim, outer, pairs, normed, clipped)
    values = _value_plane(s, tag, value_dim or head_dim, outer, clipped)
    return Attention(
        f"{plus_q} +{plane}",
        f"{plus} -{plane}",
        f"{plus} +{values}",
        f"{minus_q} -{values}",
        plane,
        values,
    )


def _head_space(s: Structure, tag: str, heads: int, groups: int, fixed: str | None) -> str:
    """The order of the heads, or of the key and value heads where queries share them."""
    what = "each head has a softmax of its own"
    if groups < heads:
        what = (
            f"each of the {groups} key and value heads serves {heads // groups} queries, "
            "which move with it"
        )
    kind = NONE if fixed else PERMUTATIONS
    return s.space(f"heads.{tag}", "heads", groups, kind, fixed or what)


def _query_key_plane(
    s: Structure,
    tag: str,
    size: int,
    outer: str,
    pairs: Pairs | None,
    normed: str | None,
    clipped: bool,
) -> str:
    """What queries and keys are compared in; for the arguments see `attention`."""
    name = f"query-key.{tag}"
    if clipped and not normed:
        keeps = "quarter turns of rotary pairs keep" if pairs else "signs and exchanges keep"
        reason = (
            "queries and keys are clipped to a symmetric range coordinate by coordinate: "
            f"only {keeps} it"
        )
        kind = TURNS if pairs else SIGNED
        return s.space(name, "query-key", size, kind, reason, outer, pairs=pairs)
    if normed == "rms" and pairs:
        reason = (
            "rotary positions turn pairs, and norms on queries and keys scale coordinates "
            "one by one: one sign per pair"
        )
        return s.space(name, "query-key", size, PAIR_SIGNS, reason, outer, pairs=pairs)
    if normed and pairs:
        reason = (
            "norms on queries and keys see the mean of a head's coordinates and scale them "
            "one by one, and rotary positions tell them apart"
        )
        return s.space(name, "query-key", size, NONE, reason, outer)
    if normed:
        reason = "norms on queries and keys have one gain per coordinate, common to all heads"
        return s.space(
            name, "query-key", size, PERMUTATIONS if normed == "layer" else SIGNED, reason
        )
    if pairs and pairs.rotated:
        reason = "rotary positions leave one scaled rotation per frequency pair"
        if pairs.rotated < size:
            reason += (
                f", and any invertible map of the {size - pairs.rotated} coordinates "
                "that are not rotated"
            )
        return s.space(name, "query-key", size, ROTARY, reason, outer, pairs=pairs)
    reason = "only the product of query and key is seen"
    return s.space(name, "query-key", size, LINEAR, reason, outer)


def _value_plane(s: Structure, tag: str, size: int, outer: str, clipped: bool) -> str:
    """What a head's values are written in and its output map reads."""
    name, kind = f"value-output.{tag}", LINEAR
    reason = "only the product of value and output is seen"
    if clipped:
        kind = SIGNED
        reason = (
            "values are clipped to a symmetric range coordinate by coordinate: only signs "
            "and exchanges keep it"
        )
    return s.space(name, "value-output", size, kind, reason, outer)


def attention_products(
    s: Structure,
    at: Attention,
    on: str,
    query_bias: bool,
    key_bias: bool,
    value_bias: bool,
    output_bias: bool,
    scaled: bool = True,
    sums: bool = True,
    divisor: float = 1.0,
) -> None:
    """Add the two products of an attention layer whose blocks are called `on.query.weight` and so
    on.

    Scores are divided by the root of a head's size, if `scaled`, and by `divisor`; attention rows
    add up to 1, if `sums`.
    """
    left = (f"{on}.query.weight", *([f"{on}.query.bias"] if query_bias else []))
    plane = s.spaces[at.product_name]
    whole = plane.pairs is not None and plane.pairs.rotated == plane.size
    seen = key_bias and plane.pairs is not None
    s.product(
        at.product_name,
        left,
        (f"{on}.key.weight", *([f"{on}.key.bias"] if seen else [])),
        f"{on}.key.bias" if key_bias and not whole and plane.largest.mixes else None,
        scale=(plane.size**-0.5 if scaled else 1.0) / divisor,
    )
    constant = None
    if value_bias and output_bias and sums and s.spaces[at.value_name].largest.mixes:
        constant = (f"{on}.value.bias", f"{on}.output.weight", f"{on}.output.bias")
    kept = value_bias and constant is None
    value = (f"{on}.value.weight", *([f"{on}.value.bias"] if kept else []))
    s.product(at.value_name, value, (f"{on}.output.weight",), None, constant)


def offsets_without_biases(s: Structure, at: Attention, output_bias: bool) -> None:
    """Count what stays open where keys and values without biases read a norm that has an offset o.

    W o is a constant then, like a bias. The key's is not seen on coordinates that are not rotated;
    the value's reaches the output as a constant, which a bias behind it takes. Without such a bias
    the constants remain that become a mean, or nothing.

    Args:
        s: what is being written down.
        at: patterns of the heads' side.
        output_bias: whether a bias is added to the stream where the heads' outputs are.
    """
    plane, values = s.spaces[at.product_name], s.spaces[at.value_name]
    keys = (
        plane.copies * (plane.size - (plane.pairs.rotated if plane.pairs else 0))
        if plane.largest.mixes
        else 0
    )
    constants = values.copies * values.size
    unseen = constants if output_bias else max(0, constants - s.spaces["residual"].size + 1)
    s.freedom("constants that no output sees", keys + unseen)


def separate_attention(
    s: Structure,
    at: Attention,
    on: str,
    names: Sequence[str],
    biases: tuple[bool, bool, bool, bool],
    reads: str = "-residual",
    key_reads: str | None = None,
    writes: str = "+residual",
    scaled: bool = True,
    sums: bool = True,
) -> list[tuple[str, str | None]]:
    """Add four linear layers for query, key, value and output, and their products; returns the
    readers of the norm before.

    Args:
        s: what is being written down.
        at: patterns of the heads' side.
        on: the blocks are called `on.query.weight` and so on.
        names: of the layers in the state dict.
        biases: whether each has one.
        reads: what queries read.
        key_reads: what keys and values read, if another (cross-attention).
        writes: what the output writes to.
        scaled: scores are divided by the root of a head's size.
        sums: attention rows add up to 1.
    """
    others = key_reads or reads
    readers = [
        s.linear(f"{on}.query", names[0], at.query, reads, biases[0]),
        s.linear(f"{on}.key", names[1], at.key, others, biases[1]),
        s.linear(f"{on}.value", names[2], at.value, others, biases[2]),
    ]
    s.linear(f"{on}.output", names[3], writes, at.output, biases[3])
    attention_products(s, at, on, *biases, scaled, sums)
    return readers


def fused_by_group(
    s: Structure, at: Attention, on: str, name: str, reads: str = "-residual", bias: bool = True
) -> list[tuple[str, str | None]]:
    """Add one linear layer for queries, keys and values, stored group by group: its queries, its
    key, its value.

    With as many groups as heads that is head by head; with one group it is multi-query attention.

    Args:
        s: what is being written down.
        at: patterns of the heads' side.
        on: the blocks are called `on.query.weight` and so on.
        name: of the layer in the state dict.
        reads: what it reads.
        bias: whether it has one.

    Returns:
        The readers of the norm before.
    """
    *outer, plane = at.query.split()
    each = s.spaces[outer[1][1:]].size if len(outer) > 1 else 1
    query = [f"0:{each}/{each + 2}{outer[1]}"] if len(outer) > 1 else [f"0/{each + 2}"]
    patterns = {"query": " ".join([outer[0], *query, plane])}
    for j, (part, pattern) in enumerate((("key", at.key), ("value", at.value))):
        group, inner = pattern.split()
        patterns[part] = f"{group} {each + j}/{each + 2} {inner}"
    rows = s.size(at.key) * (each + 2)
    return write_fused(s, on, name, rows, patterns, reads, bias)


def fused_in_thirds(
    s: Structure, at: Attention, on: str, name: str, reads: str = "-residual", bias: bool = True
) -> list[tuple[str, str | None]]:
    """The same, stored as all queries, then all keys, then all values."""
    patterns = {"query": f"0/3 {at.query}", "key": f"1/3 {at.key}", "value": f"2/3 {at.value}"}
    rows = 3 * s.size(at.key)
    return write_fused(s, on, name, rows, patterns, reads, bias)


def write_fused(
    s: Structure,
    on: str,
    name: str,
    rows: int,
    patterns: Mapping[str, str],
    reads: str = "-residual",
    bias: bool = True,
) -> list[tuple[str, str | None]]:
    """Add several linear layers that are stored as one.

    Args:
        s: what is being written down.
        on: the blocks are called `on.PART.weight` and so on.
        name: of the layer in the state dict.
        rows: of its matrix.
        patterns: part -> which rows are its own, and what they write to, in their order.
        reads: what it reads.
        bias: whether it has one.

    Returns:
        The readers of the norm before.
    """
    weights = [(f"{on}.{part}.weight", f"{pattern} {reads}") for part, pattern in patterns.items()]
    s.fused(f"{name}.weight", (rows, s.size(reads)), weights)
    if bias:
        biases = [(f"{on}.{part}.bias", pattern) for part, pattern in patterns.items()]
        s.fused(f"{name}.bias", (rows,), biases)
    return [(f"{on}.{part}.weight", f"{on}.{part}.bias" if bias else None) for part in patterns]


def tanh_pooled(s: Structure, width: int) -> str:
    """Add the space of a pooled state behind tanh."""
    reason = "tanh acts on each coordinate by itself and keeps signs"
    return s.space("pooled", "pooled", width, SIGNED, reason)


def units(s: Structure, tag: str, size: int, activation: str, within: str | None = None) -> str:
    """Add the hidden units of a feed-forward layer without a gate."""
    if activation in HOMOGENEOUS:
        reason = "ReLU acts on each unit by itself and commutes with positive scales"
        return s.space(f"units.{tag}", "units", size, SCALED, reason, within, positive=True)
    reason = f"the activation ({activation}) acts on each unit by itself and is not homogeneous"
    if activation in SQUARED:
        reason = (
            "the square of ReLU acts on each unit by itself and answers a factor with its square"
        )
    name = s.space(f"units.{tag}", "units", size, PERMUTATIONS, reason, within)
    if activation in SQUARED:
        s.freedom("scales of units against their squares", size * s.spaces[name].copies)
    return name


def gated_units(
    s: Structure, tag: str, size: int, activation: str, within: str | None = None
) -> str:
    """Add the hidden units of a gated feed-forward layer: act(gate) * up."""
    reason = (
        f"the gate ({activation}) acts on each unit by itself; `up` is linear, so it may be "
        "scaled against `down`"
    )
    name = s.space(f"units.{tag}", "units", size, SIGNED_AND_SCALED, reason, within)
    if activation in SQUARED:
        s.freedom("scales of gates against the squares of units", size * s.spaces[name].copies)
    return name


def units_product(
    s: Structure, space: str, on: str, bias: bool = False, gate: str | None = None
) -> None:
    """Add the product of `on.up` and `on.down` where units can be scaled, and `on.gate` where
    scales pass through it.
    """
    if not s.spaces[space].largest.stretches:
        return
    parts = ("weight", "bias") if bias else ("weight",)
    left, gates = (tuple(f"{on}.{side}.{part}" for part in parts) for side in ("up", "gate"))
    s.product(space, left, (f"{on}.down.weight",), gate=gates if gate in HOMOGENEOUS else ())
