"""Decoders with rotary positions and a norm before each layer, behind it, or both: Llama and its
kin.

A family says what its configuration says: where norms stand, which layers have biases, norms on
queries and keys, and how the feed-forward part of a block is written down (`gated`, or the mixture
of its own).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from lmc_core.models.architectures.heads import Head, Readers, find_head, write_head
from lmc_core.models.config import Config
from lmc_core.models.parts import (
    Attention,
    attention,
    gated_units,
    layer_norm_stream,
    post_norm_stream,
    rms_norm_stream,
    separate_attention,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import SCALES, Pairs

# writes one of the two layers of block i down; returns what reads the norm before it
BlockPart = Callable[[Structure, Config, int], Readers]

HEAD, TABLE = "lm_head.weight", "model.embed_tokens.weight"


@dataclass(frozen=True)
class Norms:
    """Where the norms of a decoder's blocks stand, and what they have.

    Attributes:
        before: names of the norms through which the attention and the feed-forward layer read the
            stream; None where these read the stream itself.
        behind: names of the norms of what both layers write; None where there are none.
        unit: the stored gain that means 1.
        plain: LayerNorm without parameters, instead of RMSNorm with gains.
    """

    before: tuple[str, str] | None = ("input_layernorm", "post_attention_layernorm")
    behind: tuple[str, str] | None = None
    unit: float = 1.0
    plain: bool = False

    def write(self, s: Structure, block: str, name: str, readers: Readers | None) -> None:
        """Write one of them down, with what reads it; None where nothing does."""
        gain, unit = not self.plain, self.unit
        s.norm(block, name, readers, offset=False, gain=gain, centred=self.plain, unit=unit)


def head_dim(config: Config) -> int:
    """Size of one head."""
    width, heads = config.sizes("hidden_size", "num_attention_heads")
    return config.optional_size("head_dim") or width // heads


def rotated(config: Config) -> int:
    """How many coordinates of a head rotary positions turn, as transformers counts them."""
    rotary = config.part("rope_parameters")
    return int(head_dim(config) * rotary.optional_number("partial_rotary_factor", 1.0))


def gated(s: Structure, config: Config, i: int, size: int | None = None) -> Readers:
    """The gated feed-forward layer of a block."""
    units, bias = size or config.size("intermediate_size"), bool(config.get("mlp_bias"))
    return gated_layer(
        s, f"blocks.{i}", f"model.layers.{i}.mlp", str(i), units, config.text("hidden_act"), bias
    )


def fused_gated(s: Structure, config: Config, i: int) -> Readers:
    """The same with one matrix for the gate and `up`, and no biases."""
    size, act = config.size("intermediate_size"), config.text("hidden_act")
    on, at = f"blocks.{i}", f"model.layers.{i}.mlp"
    u = gated_units(s, str(i), size, act)
    parts = [
        (f"{on}.gate.weight", f"0/2 ={u} -residual"),
        (f"{on}.up.weight", f"1/2 +{u} -residual"),
    ]
    s.fused(f"{at}.gate_up_proj.weight", (2 * size, config.size("hidden_size")), parts)
    s.linear(f"{on}.down", f"{at}.down_proj", "+residual", f"-{u}", bias=False)
    units_product(s, u, on, gate=act)
    return [(block, None) for block, _ in parts]


def gated_layer(
    s: Structure, on: str, at: str, tag: str, size: int, activation: str, bias: bool = False
) -> Readers:
    """A gated feed-forward layer: down(act(gate x) * up x).

    Args:
        s: what is being written down.
        on: its blocks are called `on.gate.weight` and so on.
        at: its name in the state dict.
        tag: its units are called `units.tag`.
        size: number of units.
        activation: of the gate.
        bias: whether its three maps have one.
    """
    u = gated_units(s, tag, size, activation)
    readers = [
        s.linear(f"{on}.gate", f"{at}.gate_proj", f"={u}", "-residual", bias),
        s.linear(f"{on}.up", f"{at}.up_proj", f"+{u}", "-residual", bias),
    ]
    s.linear(f"{on}.down", f"{at}.down_proj", "+residual", f"-{u}", bias)
    units_product(s, u, on, bias, activation)
    return readers


def rms_decoder(
    family: str,
    config: Config,
    feed_forward: BlockPart = gated,
    biases: tuple[bool, bool, bool, bool] | bool = False,
    normed: bool | Literal["whole"] = False,
    clipped: bool = False,
    interleaved: bool = False,
    norms: Norms | None = None,
    capped: bool = False,
    scaled: bool = True,
    attend: BlockPart | None = None,
    head: Head | None = None,
    rotary: Callable[[int], Pairs | None] | None = None,
) -> Structure:
    """The structure of such a decoder.

    Args:
        family: its name.
        config: with transformers' names of sizes.
        feed_forward: writes the second half of a block down.
        biases: whether query, key, value and output have one, each or all.
        normed: an RMSNorm over each head's queries and keys, before the rotation; "whole" for one
            over all heads together.
        clipped: queries, keys and values are clipped, behind their norms if they have any.
        interleaved: rotary pairs are neighbours.
        norms: where norms stand; by default an RMSNorm before each layer.
        scaled: scores are divided by the root of a head's size; otherwise by a number of the
            configuration.
        attend: writes the attention of a block down instead, where it is of another kind.
        head: what its class has behind the body; by default what most classes of that name have.
        rotary: number of a layer -> its rotary pairs, None for a layer without; by default whole
            heads in each.
        capped: the head's outputs pass through a function one by one, so that a number common to
            all of them is seen.
    """
    norms, head = norms or Norms(), head or find_head(config)
    s = Structure(family)
    _write_stream(s, config, norms, head)
    for i in range(config.size("num_hidden_layers")):
        if attend is not None:
            readers = attend(s, config, i)
        else:
            pairs = rotary(i) if rotary else Pairs(head_dim(config), interleaved)
            parts = pairs, biases, normed, clipped, scaled, norms.unit
            readers = _write_attention(s, config, i, *parts)
        _write_block_norms(s, norms, i, (readers, feed_forward(s, config, i)))
    _write_end(s, config, norms, head, capped)
    return s


def _write_stream(s: Structure, config: Config, norms: Norms, head: Head) -> None:
    """The residual stream, as its norms let it move, and the table of tokens that begins it."""
    width, output = config.size("hidden_size"), head.predicts == "features"
    if norms.behind:
        post_norm_stream(s, width, True, output)
    elif norms.plain:
        layer_norm_stream(s, width, not config.get("tie_word_embeddings"), output)
    else:
        rms_norm_stream(s, width, output)
    s.parameter("token.table", TABLE, "* +residual", (config.size("vocab_size"), width))


def _write_attention(
    s: Structure,
    config: Config,
    i: int,
    pairs: Pairs | None,
    biases: tuple[bool, bool, bool, bool] | bool,
    normed: bool | Literal["whole"],
    clipped: bool,
    scaled: bool,
    unit: float,
) -> Readers:
    """The attention of block i, as most such decoders have it; returns what reads the norm before
    it. The arguments are those of `rms_decoder`.
    """
    heads, groups = config.sizes("num_attention_heads", "num_key_value_heads")
    size, kind = head_dim(config), "rms" if normed else None
    a = attention(s, str(i), heads, size, groups, pairs=pairs, normed=kind, clipped=clipped)
    names = tuple(f"model.layers.{i}.self_attn.{part}_proj" for part in "qkvo")
    biases = biases if isinstance(biases, tuple) else (biases, biases, biases, biases)
    readers = separate_attention(s, a, f"blocks.{i}", names, biases, scaled=scaled)
    if normed:
        counts = heads, groups, size
        _query_key_norms(s, i, a, counts, normed == "whole", clipped, pairs, unit)
    return readers


def _write_block_norms(
    s: Structure, norms: Norms, i: int, readers: tuple[Readers, Readers]
) -> None:
    """The norms of block i, of which those before its two layers have `readers`."""
    on, at = f"blocks.{i}", f"model.layers.{i}"
    for number in (0, 1):
        if norms.before:
            norms.write(
                s, f"{on}.norm{number + 1}", f"{at}.{norms.before[number]}", readers[number]
            )
        if norms.behind:
            block = f"{on}.{('attended', 'fed')[number]}"
            norms.write(s, block, f"{at}.{norms.behind[number]}", None)
            s.scale("what a layer writes")


def _write_end(s: Structure, config: Config, norms: Norms, head: Head, capped: bool) -> None:
    """The last norm, and what reads the stream behind it."""
    write = partial(norms.write, s, "norm", "model.norm")
    if head.predicts != "next":
        write_head(s, config, head, write)
    elif not config.get("tie_word_embeddings"):
        shape = config.size("vocab_size"), config.size("hidden_size")
        s.parameter("head.weight", HEAD, "* -residual", shape, None if capped else 0)
        write([("head.weight", None)])
    elif norms.plain:  # nothing to fold: whatever moves the table moves the head as it should
        s.tie(Tied(HEAD, TABLE, stays=True))
    else:
        s.tie(Tied(HEAD, TABLE))
        write(None if norms.behind else [("head.weight", None)])


def _query_key_norms(
    s: Structure,
    i: int,
    a: Attention,
    counts: tuple[int, int, int],
    whole: bool,
    clipped: bool,
    pairs: Pairs | None,
    unit: float,
) -> None:
    """RMSNorms on queries and keys; their gains scale against each other, rotary pair by pair,
    unless clipped behind.

    Gains that are not stored as they are (`unit`), and those of layers without rotary positions,
    which move with their coordinates, have that freedom too; it is counted, and nothing here uses
    it.
    """
    heads, groups, size = counts
    space, interleaved = None, pairs is not None and pairs.interleaved
    if pairs is None or (unit != 1 and not clipped):
        s.freedom("gains of queries against those of keys", size if pairs is None else size // 2)
    elif not clipped:
        reason = (
            "of the gains of queries and keys only the product is seen, one factor for each "
            "rotary pair"
        )
        space = s.space(
            f"gains.{i}", "gains", size // 2, SCALES, reason, f"heads.{i}" if whole else None
        )
    for part, letter, pattern, role, count in (
        ("query", "q", a.query, "+", heads),
        ("key", "k", a.key, "-", groups),
    ):
        outer = pattern.split()[:-1] if whole else []
        pair = (
            ["*"]
            if space is None
            else [f"{role}{space}", "*"]
            if interleaved
            else ["*", f"{role}{space}"]
        )
        if pairs is None:
            pair = [f"={a.product_name}"]
        shape = (count * size if whole else size,)
        name = f"model.layers.{i}.self_attn.{letter}_norm.weight"
        s.parameter(f"blocks.{i}.{part}.norm", name, " ".join([*outer, *pair]), shape)
        s.scale(*[f"{part} of a head"] * (1 if whole else count))
    if space is not None:
        s.product(space, (f"blocks.{i}.query.norm",), (f"blocks.{i}.key.norm",))


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    found = {
        "width": config.size("hidden_size"),
        "depth": config.size("num_hidden_layers"),
        "heads": config.size("num_attention_heads"),
        "key heads": config.size("num_key_value_heads"),
        "units": config.size("intermediate_size"),
        "tokens": config.size("vocab_size"),
        "context": config.size("max_position_embeddings"),
    }
    return found | ({"classes": config.size("num_labels")} if "num_labels" in config else {})
