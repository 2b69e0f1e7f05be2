"""Decoders with a LayerNorm before each layer: rotary, learned or linear positions, layers in turn
or in parallel.

A family says in data what its parameters are called and what its configuration chooses. Beside the
classes of its spaces a LayerNorm whose offset is read by layers without biases leaves constants
open; they are counted here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lmc_core.models.architectures.heads import Head, Readers, write_head
from lmc_core.models.architectures.query_key_norms import QueryKeyNorms, write_query_key_norms
from lmc_core.models.config import Config
from lmc_core.models.parts import (
    Attention,
    attention,
    attention_products,
    fused_by_group,
    fused_in_thirds,
    gated_units,
    layer_norm_stream,
    offsets_without_biases,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import PERMUTATIONS, Pairs

HEAD = "lm_head"
SUMS, MEANS = "sums of constants", "means that LayerNorm removes"


@dataclass(frozen=True)
class Body:
    """What the parameters of a family's body are called, and which it has.

    Attributes:
        prefix: what their names begin with in every class but that of the body alone.
        table: the token table.
        layers: the list of blocks.
        norms: of a block; one alone where attention and feed-forward layer read the same.
        last: the norm behind all blocks.
        positions: the table of learned positions; "" without one.
        embedded: a norm behind the token table; "" without one.
        parallel: both layers of a block read the stream as it comes into the block.
        offset: whether norms have one.
        unit: the stored gain that means 1.
        head_bias: whether the head has a bias.
    """

    prefix: str
    table: str
    layers: str
    norms: tuple[str, ...]
    last: str
    positions: str = ""
    embedded: str = ""
    parallel: bool = False
    offset: bool = True
    unit: float = 1.0
    head_bias: bool = False

    @property
    def token_table(self) -> str:
        """Name of the token table in the language model."""
        return f"{self.prefix}{self.table}.weight"


@dataclass(frozen=True)
class SelfAttention:
    """The attention of one block.

    Attributes:
        heads: number of query heads.
        size: of one head.
        names: of query, key, value and output in the state dict; or of the layer that holds three
            of them, and of the output.
        bias: whether queries, keys and values have one.
        output_bias: whether the output has one.
        groups: number of key and value heads; None for one each.
        pairs: of a rotary position encoding.
        fused: how a layer that holds queries, keys and values stores them.
        fixed: why heads cannot change places, as a clause; None where they can.
        clipped: queries, keys and values are clipped, coordinate by coordinate.
        scaled: scores are divided by the root of a head's size.
        norms: on queries and keys.
    """

    heads: int
    size: int
    names: tuple[str, ...]
    bias: bool = True
    output_bias: bool = True
    groups: int | None = None
    pairs: Pairs | None = None
    fused: Literal["", "groups", "thirds"] = ""
    fixed: str | None = None
    clipped: bool = False
    scaled: bool = True
    norms: QueryKeyNorms | None = None


@dataclass(frozen=True)
class FeedForward:
    """The feed-forward layer of every block.

    Attributes:
        size: number of units.
        activation: of the units, or of their gate.
        names: of `up` and `down` in the state dict, or of the gate and these two.
        bias: whether they have one.
    """

    size: int
    activation: str
    names: tuple[str, ...]
    bias: bool = True


@dataclass(frozen=True)
class Sizes:
    """Width of the stream, number of blocks, of tokens, and of learned positions if there are
    any.
    """

    width: int
    depth: int
    tokens: int
    positions: int = 0


def layer_norm_decoder(
    family: str,
    config: Config,
    sizes: Sizes,
    body: Body,
    attend: Callable[[int], SelfAttention],
    feed: FeedForward,
    head: Head,
) -> Structure:
    """The structure of such a decoder.

    Args:
        family: its name.
        config: with "tie_word_embeddings" for language models and "num_labels" for classifiers.
        sizes: of the network.
        body: names of parameters.
        attend: number of a block -> its attention.
        feed: the feed-forward layer of every block.
        head: what its class has behind the body.
    """
    s = Structure(family)
    _embeddings(s, sizes, body, head.predicts == "features")

    def norm(block: str, name: str, readers: Readers | None) -> None:
        s.norm(block, name, readers, offset=body.offset, unit=body.unit)

    for i in range(sizes.depth):
        on, at = f"blocks.{i}", f"{body.prefix}{body.layers}.{i}"
        attended = _attention(s, i, attend(i), at, body, feed.bias)
        fed = _feed_forward(s, i, feed, at)
        if len(body.norms) == 1:
            norm(f"{on}.norm1", f"{at}.{body.norms[0]}", [*attended, *fed])
        else:
            norm(f"{on}.norm1", f"{at}.{body.norms[0]}", attended)
            norm(f"{on}.norm2", f"{at}.{body.norms[1]}", fed)
        if body.parallel and attend(i).output_bias and feed.bias:
            s.sum(f"{on}.output.bias", f"{on}.down.bias")
    _behind(
        s,
        config,
        sizes,
        body,
        head,
        lambda readers: norm("norm", f"{body.prefix}{body.last}", readers),
    )
    s.rename(body.prefix, head.body)
    return s


def _embeddings(s: Structure, sizes: Sizes, body: Body, output: bool) -> None:
    """The stream, and what is written to it before the first block."""
    if body.embedded and not output:
        s.centre("residual")
        s.scale("residual stream")
        reason = (
            "the gains and offsets of the norm behind the token table act on its coordinates "
            "one by one"
        )
        s.space("residual", "residual", sizes.width, PERMUTATIONS, reason)
        # of a single norm that writes to the stream
        s.freedom("gains against a rotation", 1)
    else:
        layer_norm_stream(s, sizes.width, output=output)
    s.parameter("token.table", body.token_table, "* +residual", (sizes.tokens, sizes.width))
    if body.positions:
        name = f"{body.prefix}{body.positions}.weight"
        s.parameter("position.table", name, "* +residual", (sizes.positions, sizes.width))
        s.sum("token.table", "position.table")
    if body.embedded:
        name = f"{body.prefix}{body.embedded}"
        s.parameter("token.norm.gain", f"{name}.weight", "=residual", (sizes.width,))
        s.parameter("token.norm.offset", f"{name}.bias", "+residual", (sizes.width,))
        s.freedom("scales of embeddings", sizes.tokens)


def _attention(
    s: Structure, i: int, part: SelfAttention, at: str, body: Body, fed_bias: bool
) -> Readers:
    """One attention layer; returns what reads the norm before it."""
    on, names = f"blocks.{i}", [f"{at}.{name}" for name in part.names]
    normed = part.norms.kind if part.norms else None
    a = attention(
        s,
        str(i),
        part.heads,
        part.size,
        part.groups,
        pairs=part.pairs,
        normed=normed,
        clipped=part.clipped,
        fixed=part.fixed,
    )
    if part.fused:
        write = fused_by_group if part.fused == "groups" else fused_in_thirds
        readers = write(s, a, on, names[0], bias=part.bias)
    else:
        layers = zip(("query", "key", "value"), names, (a.query, a.key, a.value), strict=False)
        readers = [
            s.linear(f"{on}.{which}", name, writes, "-residual", part.bias)
            for which, name, writes in layers
        ]
    s.linear(f"{on}.output", names[-1], "+residual", a.output, part.output_bias)
    attention_products(s, a, on, part.bias, part.bias, part.bias, part.output_bias, part.scaled)
    if part.norms:
        write_query_key_norms(
            s,
            i,
            at,
            a,
            part.heads,
            part.groups or part.heads,
            part.norms,
            part.pairs,
            part.bias,
            body.offset,
        )
    _constants(s, a, part, body, fed_bias)
    return readers


def _constants(s: Structure, a: Attention, part: SelfAttention, body: Body, fed_bias: bool) -> None:
    """Count the constants that values may take on where no bias shows it."""
    absorbed = part.output_bias or (body.parallel and fed_bias)
    if body.offset and not part.bias:
        offsets_without_biases(s, a, absorbed)
    elif part.bias and not part.output_bias:
        values = s.spaces[a.value_name]
        constants = values.copies * values.size
        s.freedom(
            MEANS, constants if absorbed else max(0, constants - s.spaces["residual"].size + 1)
        )


def _feed_forward(s: Structure, i: int, part: FeedForward, at: str) -> Readers:
    """One feed-forward layer, gated or not; returns what reads the norm before it."""
    on, names = f"blocks.{i}", [f"{at}.{name}" for name in part.names]
    gated = len(names) == 3
    u = (gated_units if gated else units)(s, str(i), part.size, part.activation)
    readers = [s.linear(f"{on}.gate", names[0], f"={u}", "-residual", part.bias)] if gated else []
    readers.append(s.linear(f"{on}.up", names[-2], f"+{u}", "-residual", part.bias))
    s.linear(f"{on}.down", names[-1], "+residual", f"-{u}", part.bias)
    units_product(s, u, on, part.bias, part.activation if gated else None)
    return readers


def _behind(
    s: Structure,
    config: Config,
    sizes: Sizes,
    body: Body,
    head: Head,
    norm: Callable[[Readers | None], None],
) -> None:
    """The last norm and the head."""
    if head.predicts != "next":
        write_head(s, config, head, norm)
        return
    tied, rows = config.flag("tie_word_embeddings"), sizes.tokens
    bias = "head.bias" if body.head_bias else None
    if not tied:
        s.parameter(
            "head.weight", f"{HEAD}.weight", "* -residual", (rows, sizes.width), ignores_mean_over=0
        )
    if bias:
        s.parameter(bias, f"{HEAD}.bias", "*", (rows,), ignores_mean_over=0)
    if tied:
        s.tie(Tied(f"{HEAD}.weight", body.token_table))
    # where the stream does not mix, the head goes on sharing the table
    stays = tied and bool(body.embedded)
    norm(None if stays else [("head.weight", bias)])
