"""Encoders with a LayerNorm after each layer: BERT, RoBERTa and their kin, of which transformers
has one class per head.

The outputs of every norm go into the stream, so its gains and offsets act there coordinate by
coordinate and the stream admits permutations. What is free beside the spaces, with n norms in all,
width d, F units, L layers:

- the offset of a norm moves into the biases behind it (d each), and its scale, with what is added
  to it, is undone by the next norm; the last norm's gain as a whole moves into what reads it;
- a reader W of g * normalised(x) + o may change by c (1/g)^T: the normalised x has mean zero, so
  the bias takes a constant. One direction for each of a reader's outputs: 3 d + F in a layer;
- the mean of what is written before a norm: one for each column and bias, d + F + 2 in a layer, one
  for each row of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lmc_core.models.architectures.encoders import TOKENS, Kind, TokenHead
from lmc_core.models.config import Config
from lmc_core.models.parts import (
    HOMOGENEOUS,
    Attention,
    attention,
    post_norm_stream,
    separate_attention,
    tanh_pooled,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import NONE, PERMUTATIONS, ROTATIONS, SCALED

MEANS, OFFSETS, SUMS = "means that LayerNorm removes", "offsets of norms", "sums of constants"
# of tables
ROWS = {"token": "vocab_size", "position": "max_position_embeddings", "type": "type_vocab_size"}


@dataclass(frozen=True)
class Names:
    """Names of an encoder's parameters, without what they begin with.

    Attributes:
        tables: block of a table -> its name: "token", "position", and "type" where there are types
            of tokens.
        norm: of the embeddings.
        layer: what a layer's names begin with, with its number in braces.
        attention: of query, key, value and output, in a layer.
        norm1: behind the attention.
        up: the first layer of the units.
        down: the second.
        norm2: behind that.
    """

    tables: Mapping[str, str]
    norm: str
    layer: str
    attention: tuple[str, str, str, str]
    norm1: str
    up: str
    down: str
    norm2: str


TABLES = {
    part: f"embeddings.{name}_embeddings"
    for part, name in (("token", "word"), ("position", "position"), ("type", "token_type"))
}
BERT = Names(
    TABLES,
    "embeddings.LayerNorm",
    "encoder.layer.{}",
    (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
    ),
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)


def encoder(
    s: Structure,
    config: Config,
    base: str,
    readers: Sequence[str],
    padding: int | None = None,
    names: Names = BERT,
    tied: bool = False,
    shared_heads: str | None = None,
) -> None:
    """Write the encoder down.

    Args:
        s: what is being written down.
        config: with the usual names of sizes.
        base: what its names begin with, "bert." or "".
        readers: blocks of the layers that read the stream in the end; without any it is the output
            itself.
        padding: the position that padding tokens have, after which the others come; None where
            positions start at 0.
        names: of its parameters.
        tied: whether a head reads the token table.
        shared_heads: a space of heads that all layers share.
    """
    stream(s, config.size("hidden_size"), readers)
    embeddings(s, config, base, padding, names, tied)
    layers(s, config, base, readers, names, shared_heads)


def embeddings(
    s: Structure,
    config: Config,
    base: str,
    padding: int | None = None,
    names: Names = BERT,
    tied: bool = False,
) -> None:
    """Write down the tables that are added up to the stream, and the norm behind them; arguments as
    of `encoder`.
    """
    width = config.size("hidden_size")
    rows = {block: config.size(ROWS[block]) for block in names.tables}
    for block, name in names.tables.items():
        s.parameter(f"{block}.table", f"{base}{name}.weight", "* +residual", (rows[block], width))
    # A tied table is seen by the head too: of what the input does not see, each row may move along
    # 1/g of the head's norm, all rows alike, since the logits of a token then change by a constant.
    s.freedom(MEANS, sum(rows.values()) - (rows["token"] if tied else 0))
    if len(rows) > 1:
        s.freedom(SUMS, (len(rows) - 2) * (width - 1) + (1 if tied else width - 1))
    # a token has one vector, wherever it stands
    if "position" not in rows and rows.get("type", 1) == 1 and not tied:
        s.freedom("scales that norms undo", rows["token"] - 1)
    if padding is not None:
        if rows.get("type", 1) == 1:
            # one vector, which the norm behind it brings to one length
            s.scale("the padding token")
        # the padding token alone has that position, so only their sum is seen; positions before it
        # are not seen at all
        s.freedom("positions that are never used", padding * (width - 1))
        s.freedom(SUMS, 1 if tied else width - 1)
    s.scale("embeddings")
    norm_into(s, "norm", base + names.norm)


def stream(s: Structure, width: int, readers: Sequence[str]) -> None:
    """The stream, which without readers in the end is the output itself."""
    if readers:
        post_norm_stream(s, width, rms=False)
    else:
        s.space(
            "residual",
            "residual",
            width,
            NONE,
            "the outputs are the coordinates of the stream themselves",
        )


def narrow_embeddings(s: Structure, config: Config, base: str, names: Names, project: str) -> None:
    """Embeddings of another width, whose norm one layer reads that writes to the stream.

    Args:
        s: what is being written down.
        config: with the usual names of sizes.
        base: what its names begin with.
        names: of its parameters.
        project: name of the layer between embeddings and stream.
    """
    size = config.size("embedding_size")
    reason = (
        "one layer reads the embeddings, behind a LayerNorm, which rotations that keep the "
        "all-ones vector leave alone"
    )
    s.space("embedding", "latent", size, ROTATIONS, reason, fixes_ones=True)
    s.centre("embedding")
    s.scale("embeddings")
    for block, name in names.tables.items():
        s.parameter(
            f"{block}.table",
            f"{base}{name}.weight",
            "* +embedding",
            (config.size(ROWS[block]), size),
        )
    s.sum(*(f"{block}.table" for block in names.tables))
    reader = s.linear("project", base + project, "+residual", "-embedding")
    s.norm("norm", base + names.norm, [reader], space="embedding")


def behind_narrow_embeddings(s: Structure, config: Config) -> None:
    """Count what the first attention leaves open, which reads `embedding_size` - 1 dimensions
    without a norm between.

    With k of them, up to the width d: of each row of its three maps d - k numbers are not seen, and
    the stream may take x -> x + 1 (a^T x), which the norm behind the attention removes and the
    three maps undo. A constant in x goes into biases.
    """
    width = config.size("hidden_size")
    k = min(config.size("embedding_size") - 1, width)
    s.freedom(MEANS, k + 3 * width * (width - k))
    s.freedom(OFFSETS, width)
    s.scale("what the embeddings write")


# writes an attention down: its patterns, its blocks, its names
Attend = Callable[[Structure, Attention, str, str], None]


def layer(
    s: Structure,
    config: Config,
    at: str,
    i: int,
    names: Names,
    shared_heads: str | None = None,
    attend: Attend | None = None,
) -> None:
    """Write one layer down, without the norm behind it.

    Args:
        s: what is being written down.
        config: with the usual names of sizes.
        at: what its names begin with.
        i: its number.
        names: of its parameters.
        shared_heads: a space of heads that all layers share.
        attend: writes the four maps of an attention down where they are not the usual ones alone.
    """
    width, heads = config.sizes("hidden_size", "num_attention_heads")
    act = config.text("hidden_act")
    on, size = f"blocks.{i}", config.size("intermediate_size")
    a = attention(s, str(i), heads, width // heads, shared_heads=shared_heads)
    if attend is not None:
        attend(s, a, on, at)
    else:
        parts = tuple(f"{at}.{part}" for part in names.attention)
        separate_attention(s, a, on, parts, (True,) * 4)  # type: ignore[arg-type]  (four names)
    norm_into(s, f"{on}.norm1", f"{at}.{names.norm1}")
    u = units(s, str(i), size, act)
    s.linear(f"{on}.up", f"{at}.{names.up}", f"+{u}", "-residual")
    s.linear(f"{on}.down", f"{at}.{names.down}", "+residual", f"-{u}")
    units_product(s, u, on, bias=True)


def layers(
    s: Structure,
    config: Config,
    base: str,
    readers: Sequence[str],
    names: Names,
    shared_heads: str | None = None,
) -> None:
    """Write all layers down, each with a norm behind it; the last one's is read by `readers`, or
    the output without any.
    """
    width, size, depth = config.sizes("hidden_size", "intermediate_size", "num_hidden_layers")
    narrow = "embedding" in s.spaces
    for i in range(depth):
        at = base + names.layer.format(i)
        layer(s, config, at, i, names, shared_heads)
        if i < depth - 1:
            norm_into(s, f"blocks.{i}.norm2", f"{at}.{names.norm2}")
        else:
            last = [(f"{reader}.weight", f"{reader}.bias") for reader in readers]
            s.norm(f"blocks.{i}.norm2", f"{at}.{names.norm2}", last or None)
        behind = 3 * width if i or not narrow else 0
        s.freedom(MEANS, (width + 1) + (size + 1) + behind + size)
    if narrow:
        behind_narrow_embeddings(s, config)
        if depth == 1 and readers:  # gains of a single norm into the stream, as in `vit`
            s.freedom("gains against a rotation", 1)


def norm_into(s: Structure, block: str, name: str) -> None:
    """A norm into the stream, which a layer reads and adds to."""
    s.norm(block, name, None)
    s.freedom(OFFSETS, s.spaces["residual"].size)
    s.scale("norms into the stream")


def token_head(s: Structure, config: Config, head: TokenHead, act: str) -> None:
    """The head of a masked language model: a layer of its own, a norm, and a score for every token.

    Args:
        s: what is being written down.
        config: with the usual names of sizes.
        head: its names in the state dict.
        act: the activation.
    """
    narrow = "embedding" in s.spaces
    if act in HOMOGENEOUS:
        s.scale("the head's layer")
    # the head reads the coordinates that the table writes, so they move together
    if config["tie_word_embeddings"]:
        space = "embedding" if narrow else "residual"
        s.linear("head.dense", head.dense, f"+{space}", "-residual")
        s.norm("head.norm", head.norm, None, space=space)
        s.freedom(OFFSETS, s.spaces[space].size)
        s.tie(Tied(f"{head.decoder}.weight", head.table))
    else:
        own_token_head(
            s, config, head, act, config.size("embedding_size" if narrow else "hidden_size")
        )
    s.parameter("head.bias", head.bias, "*", (config.size("vocab_size"),), ignores_mean_over=0)


def own_token_head(s: Structure, config: Config, head: TokenHead, act: str, width: int) -> None:
    """Such a head with a matrix of its own, without its bias; `width` is that of its layer."""
    reason = (
        f"the activation ({act}) acts on each unit by itself, and so do the gains of the "
        "norm behind it"
    )
    u = s.space("units.head", "units", width, PERMUTATIONS, reason)
    s.linear("head.dense", head.dense, f"+{u}", "-residual")
    s.parameter(
        "head.weight",
        f"{head.decoder}.weight",
        f"* -{u}",
        (config.size("vocab_size"), width),
        ignores_mean_over=0,
    )
    s.norm("head.norm", head.norm, [("head.weight", "head.bias")], space=u)


def pooled(
    s: Structure,
    config: Config,
    dense: str,
    heads: Mapping[str, tuple[str, int]],
    act: str = "tanh",
) -> None:
    """The pooled state, an activation of a layer on the first token, and what reads it.

    Args:
        s: what is being written down.
        config: with the usual names of sizes.
        dense: name of the layer in the state dict.
        heads: name of a block -> name of a layer in the state dict, number of its outputs; without
            any the state is an output.
        act: the activation.
    """
    width = config.size("hidden_size")
    if not heads:
        s.space("pooled", "pooled", width, NONE, "the pooled state is an output itself")
        s.freedom(MEANS, width)
    elif act == "tanh":
        tanh_pooled(s, width)
    elif act in HOMOGENEOUS:
        reason = "ReLU acts on each coordinate by itself and commutes with positive scales"
        s.space("pooled", "pooled", width, SCALED, reason, positive=True)
        s.product(
            "pooled", ("pooler.weight", "pooler.bias"), tuple(f"{block}.weight" for block in heads)
        )
    else:
        s.space(
            "pooled",
            "pooled",
            width,
            PERMUTATIONS,
            f"the activation ({act}) acts on each coordinate by itself",
        )
    s.linear("pooler", dense, "+pooled", "-residual")
    for block, (name, rows) in heads.items():
        s.linear(block, name, "*", "-pooled", rows=rows, ignores_mean_over=over(block, rows))


def over(block: str, rows: int) -> int | None:
    """Over which axis the loss ignores the mean; a single score that others are compared with has
    none to lose.
    """
    return None if block == "score" and rows == 1 else 0


def stream_head(s: Structure, config: Config, kind: Kind) -> None:
    """A linear layer on the stream itself: labels of every token, or where an answer begins and
    ends.
    """
    if kind.predicts == "span":
        s.linear("head", "qa_outputs", "*", "-residual", rows=2)
    else:
        rows = config.size("num_labels")
        s.linear("head", "classifier", "*", "-residual", rows=rows, ignores_mean_over=0)


def hidden_head(s: Structure, config: Config, dense: str, name: str, rows: int, act: str) -> None:
    """A layer with an activation on the stream, and what reads it, at every place.

    Args:
        s: what is being written down.
        config: with the usual names of sizes.
        dense: name of the layer in the state dict.
        name: of the one that reads it.
        rows: number of its outputs.
        act: the activation.
    """
    u = units(s, "head", config.size("hidden_size"), act)
    s.linear("head.dense", dense, f"+{u}", "-residual")
    s.linear("head", name, "*", f"-{u}", rows=rows)
    if s.spaces[u].largest.stretches:
        s.product(u, ("head.dense.weight", "head.dense.bias"), ("head.weight",))


def last_readers(kind: Kind, pooler: bool) -> list[str]:
    """Blocks that read the stream in the end.

    Args:
        kind: what the class has.
        pooler: whether it reads a pooled state.
    """
    found = (
        ["head.dense"]
        if kind.predicts in (*TOKENS, "replaced")
        else ["head"]
        if kind.predicts in ("token-label", "span")
        else []
    )
    return [*found, *(["pooler"] if pooler else [])]
