"""The layout of a Vision Transformer of timm, from what it is made of: stream, embeddings, blocks,
pooling, head.

A diagonal map between two LayerNorms (a norm before the first block, or the gains of queries times
those of keys) acts on vectors without mean. Of its n numbers rotations on both sides keep only n -
1, so that a curve of other gains, with rotations that belong to them, computes the same. It is
counted and not used.

A stem of convolutions before the patches stays as it is, and its own symmetries are not counted.
"""

from __future__ import annotations

from lmc_core.models.architectures.timm_blocks import MEANS, UNSEEN, feed, relative, write_block
from lmc_core.models.architectures.timm_body import Body, Pools
from lmc_core.models.parts import attention, attention_products, layer_norm_stream, rms_norm_stream
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import NONE, PERMUTATIONS, ROTATIONS

SUMS = "sums of constants"
SHOWN = "the outputs are the stream itself"


def write(family: str, b: Body) -> Structure:
    """The spaces and blocks of a Vision Transformer.

    Args:
        family: its name.
        b: what it is made of.
    """
    s = Structure(family)
    _stream(s, b)
    _embeddings(s, b)
    if b.relative and b.relative.shared:
        reason = (
            "each head has a softmax of its own, and all layers share what relative "
            "positions add to its scores"
        )
        s.space("heads", "heads", b.attends.heads, PERMUTATIONS, reason)
        relative(s, b, "heads", "all", "", "all", False)
    for i in range(b.depth):
        write_block(s, b, i)
    _outputs(s, b)
    return s


def _stream(s: Structure, b: Body) -> None:
    if b.shown:
        s.space("residual", "residual", b.width, NONE, SHOWN)
        if b.shown == "normed":
            s.scale("residual stream")
            if not b.rms and not b.pre_norm:
                s.centre("residual")
    elif b.pre_norm:
        reason = (
            "gains and offsets of the norm before the first block act on its coordinates one by one"
        )
        s.space("residual", "residual", b.width, PERMUTATIONS, reason)
        s.scale("residual stream")
        s.freedom("gains against a rotation", 1)  # see the docstring
    elif b.rms:
        rms_norm_stream(s, b.width)
    else:
        layer_norm_stream(s, b.width)


def _embeddings(s: Structure, b: Body) -> None:
    """Tokens, positions, patches, and a norm on them."""
    width = b.width
    for block, name, count in b.tokens:
        s.parameter(block, name, "* +residual", (1, count, width))
    prefix = sum(count for *_, count in b.tokens)
    rows = (b.patches + (0 if b.apart else prefix)) if b.positions else 0
    if b.positions:
        s.parameter("position.table", "pos_embed", "* +residual", (1, rows, width))
    for name, shape in b.stem:
        s.parameter(f"stem.{name.removeprefix('patch_embed.backbone.')}", name, "*", shape)
    channels = b.features or b.channels
    s.parameter(
        "patch.weight", f"{b.patch_name}.weight", "+residual *", (width, channels, *b.patch)
    )
    if not b.pre_norm:
        s.parameter("patch.bias", f"{b.patch_name}.bias", "+residual", (width,))
    if b.shown == "raw":
        _unseen_means(s, b, prefix)
    constants = (
        [block for block, _, count in b.tokens for _ in range(count)]
        if b.positions and not b.apart
        else []
    )
    if not b.pre_norm:
        for name in (*constants, *(["patch.bias"] if b.positions else [])):
            s.sum(name, "position.table")
        return
    # before the norm: means, one scale for each token that is the same in every image and one for
    # the patches
    columns = rows + prefix + channels * b.patch[0] * b.patch[1]
    s.freedom(MEANS, columns + (b.shown != "raw"))
    s.freedom(SUMS, (width - 1) * len(constants))
    s.scale(*["embeddings of a token"] * prefix, "embeddings of patches")
    s.norm("norm.pre", "norm_pre", None)


def _unseen_means(s: Structure, b: Body, prefix: int) -> None:
    """Means of what is written to a stream that is an output itself, where they reach no output or
    only as a sum.
    """
    if b.rms:
        return
    pixels = (b.features or b.channels) * b.patch[0] * b.patch[1]
    places = b.patches if b.positions else 1
    apart = {"token": pixels + places + prefix - 1, "avg": prefix + places - 1}.get(b.pool, 0)
    layers = b.attends.output_bias if b.parallel else b.attends.output_bias + b.feeds.bias
    s.freedom(MEANS, 0 if b.pre_norm else apart)
    s.freedom(SUMS, b.depth * layers)


def _outputs(s: Structure, b: Body) -> None:
    """The head and the last norm, or attention for pooling in between."""
    heads: list[tuple[str, str | None]] = []
    reads = "residual"
    if b.pooling:
        heads, reads = _pooling(s, b, b.pooling), "pooled"
    if b.classes:
        readers = [s.linear("head", "head", "*", f"-{reads}", rows=b.classes, ignores_mean_over=0)]
        if b.distilled:
            readers.append(
                s.linear(
                    "distillation.head",
                    "head_dist",
                    "*",
                    f"-{reads}",
                    rows=b.classes,
                    ignores_mean_over=0,
                )
            )
            s.freedom(SUMS, b.classes)  # the outputs are the mean of both heads
        heads = heads or readers
    if b.last and b.shown:  # what it writes are the outputs
        for part, name in (("gain", "weight"), ("offset", "bias"))[: 1 if b.rms else 2]:
            s.parameter(f"norm.{part}", f"{b.last}.{name}", "*", (b.width,))
    elif b.last:
        s.norm("norm", b.last, heads, offset=not b.rms, centred=not b.rms)


def _pooling(s: Structure, b: Body, p: Pools) -> list[tuple[str, str | None]]:
    """Attention with one learned query (Lee et al. 2019, arXiv 1810.00825), then a feed-forward
    layer; returns its readers.

    Of the latent and its query map one vector q for each head is seen, and of q and the keys only
    their product. That is more than what planes give: it is counted, and the latent stays. What is
    written is a stream of its own, which a head reads without a norm.
    """
    width, heads = b.width, p.heads
    size, at = width // heads, "attn_pool"
    if b.classes:
        reason = (
            "LayerNorm divides by the length of what was pooled, which rotations that keep "
            "the all-ones vector leave alone"
        )
        s.space("pooled", "residual", width, ROTATIONS, reason, fixes_ones=True)
        # the head sees means, the norm does not: x -> s C x + 1 (u^T x), and constants that biases
        # behind take
        s.scale("pooled stream")
        s.freedom(MEANS, width)
        s.freedom(SUMS, width + 1)
    else:
        s.space(
            "pooled",
            "residual",
            width,
            NONE,
            "it is the output itself, with what the last layer adds",
        )
        s.freedom(SUMS, 1)
    a = attention(s, "pool", heads, size)
    s.parameter("pool.latent", f"{at}.latent", "*", (1, 1, width))
    s.parameter("pool.query.weight", f"{at}.q.weight", f"{a.query} *", (width, width))
    s.parameter("pool.query.bias", f"{at}.q.bias", a.query, (width,))
    rows = [("pool.key", a.key), ("pool.value", a.value)]
    s.fused(
        f"{at}.kv.weight",
        (2 * width, width),
        [(f"{on}.weight", f"{j}/2 {w} -residual") for j, (on, w) in enumerate(rows)],
    )
    s.fused(
        f"{at}.kv.bias",
        (2 * width,),
        [(f"{on}.bias", f"{j}/2 {w}") for j, (on, w) in enumerate(rows)],
    )
    s.linear("pool.output", f"{at}.proj", "+pooled", a.output)
    attention_products(s, a, "pool", True, True, True, True)
    s.freedom(
        UNSEEN, 2 * width * width + 2 * width - heads * width - width * size - (width - heads)
    )
    feed(s, b, p.feeds, "pool", "pool", f"{at}.mlp", f"{at}.norm", "pooled", "pool.norm")
    return [("pool.key.weight", "pool.key.bias"), ("pool.value.weight", "pool.value.bias")]
