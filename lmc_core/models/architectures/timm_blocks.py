"""The blocks of timm's Vision Transformers, written down: attention, units, LayerScales, and both
of them in parallel.
"""

from __future__ import annotations

from lmc_core.models.architectures.timm_body import Attends, Body, Feeds
from lmc_core.models.parts import (
    Attention,
    attention,
    attention_products,
    gated_units,
    offsets_without_biases,
    units,
    units_product,
    write_fused,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import PERMUTATIONS, SCALES

MEANS = "means that LayerNorm removes"
UNSEEN = "constants that no output sees"
Written = tuple[str, str | None]  # a weight that writes to the stream, and its bias


def write_block(s: Structure, b: Body, i: int) -> None:
    """The attention and feed-forward layers of block i."""
    on, at = f"blocks.{i}", f"blocks.{i}"
    if b.parallel:
        _parallel(s, b, i)
        return
    if b.several > 1:
        _side_by_side(s, b, i)
        return
    output = attend(s, b, str(i), on, f"{at}.attn", f"{at}.norm1", f"{on}.norm1", i)
    down = feed(s, b, b.feeds, str(i), on, f"{at}.mlp", f"{at}.norm2")
    for number, writers in ((1, output), (2, down)):
        scale(s, b, f"{on}.scale{number}", at, b.scales[number - 1], writers)
    _means(s, b)


def _means(s: Structure, b: Body) -> None:
    """A stream behind a norm: the means of what layers write to it. The other streams count theirs
    by themselves.
    """
    if b.pre_norm and b.shown != "raw":
        inner = b.attends.heads * b.attends.size
        s.freedom(MEANS, b.several * (inner + b.feeds.units + b.attends.output_bias + b.feeds.bias))


def scale(
    s: Structure, b: Body, block: str, at: str, name: str | None, writers: tuple[str | None, ...]
) -> None:
    """The LayerScale of what some layers write, if there is one."""
    if name is not None:
        s.parameter(block, f"{at}.{name}", "=residual", (b.width,))
        s.layer_scale(block, writers)


def _side_by_side(s: Structure, b: Body, i: int) -> None:
    """Attention layers that read one stream, then feed-forward layers: only the sums of their
    biases are seen.
    """
    for part, name in (("attends", "attns"), ("feeds", "ffns")):
        constants = []
        for j in range(b.several):
            on, at, tag = f"blocks.{i}.{j}", f"blocks.{i}.{name}.{j}", f"{i}.{j}"
            if part == "attends":
                written = attend(s, b, tag, on, f"{at}.attn", f"{at}.norm", f"{on}.norm1", i)
            else:
                written = feed(s, b, b.feeds, tag, on, f"{at}.mlp", f"{at}.norm")
            number = 1 + (part == "feeds")
            scale(s, b, f"{on}.scale{number}", at, b.scales[number - 1], written)
            constants.append(written[1])
        if all(constants):
            s.sum(*constants)
    _means(s, b)


def attend(
    s: Structure, b: Body, tag: str, on: str, at: str, norm: str, norm_block: str, i: int
) -> Written:
    """An attention layer with the norm before it; returns the weight and the bias that write to the
    stream.

    Args:
        s: what is being written down.
        b: the body.
        tag: distinguishes the layer's spaces.
        on: its blocks are called `on.query.weight` and so on.
        at: its name in the state dict.
        norm: name of the norm.
        norm_block: its blocks are called so.
        i: number of the block.
    """
    f = b.attends
    shared = "heads" if b.relative and b.relative.shared else None
    groups = f.groups if f.groups < f.heads else None
    a = attention(
        s, tag, f.heads, f.size, groups, pairs=b.pairs, normed=f.normed, shared_heads=shared
    )
    _queries_keys_values(s, b.width, f, a, on, at, b.rms, norm, norm_block)
    output = s.linear(f"{on}.output", f"{at}.proj", "+residual", a.output, f.output_bias)
    attention_products(s, a, on, f.query_bias, f.key_bias, f.value_bias, f.output_bias)
    if f.normed == "layer":
        _layer_norms(s, b, a, on, at)
    elif f.normed == "rms":
        _rms_norms(s, f, on, at, tag, b.pairs is not None and b.pairs.interleaved)
    if b.relative and not b.relative.shared:
        relative(s, b, f"heads.{tag}", on, at, tag, i == b.depth - 1)
    if b.mixed:
        s.fused(
            "rope.freqs",
            (2, b.depth, f.heads, f.size // 2),
            [
                (f"{on}.frequencies.{'xy'[j]}", f"{j}/2 {i}/{b.depth} +heads.{tag} *")
                for j in (0, 1)
            ],
        )
    _constants(s, b, a)
    return output


def _queries_keys_values(
    s: Structure,
    width: int,
    f: Attends,
    a: Attention,
    on: str,
    at: str,
    rms: bool,
    norm: str,
    norm_block: str,
) -> None:
    """Three maps, fused or not, and the norm that they read."""
    biases = (f.query_bias, f.key_bias, f.value_bias)
    parts = list(zip(("query", "key", "value"), (a.query, a.key, a.value), biases, strict=True))
    inner = f.heads * f.size
    if f.fused:
        rows = [
            (f"{on}.{part}.weight", f"{j}/3 {pattern} -residual")
            for j, (part, pattern, _) in enumerate(parts)
        ]
        s.fused(f"{at}.qkv.weight", (3 * inner, width), rows)
        if f.bias_apart:
            for part, pattern, bias in parts:
                if bias:
                    s.parameter(f"{on}.{part}.bias", f"{at}.{part[0]}_bias", pattern, (inner,))
        elif f.query_bias:
            rows = [
                (f"{on}.{part}.bias", f"{j}/3 {pattern}")
                for j, (part, pattern, _) in enumerate(parts)
            ]
            s.fused(f"{at}.qkv.bias", (3 * inner,), rows)
    else:
        for part, pattern, bias in parts:
            s.linear(f"{on}.{part}", f"{at}.{part[0]}_proj", pattern, "-residual", bias)
    readers = [
        (f"{on}.{part}.weight", f"{on}.{part}.bias" if bias else None) for part, _, bias in parts
    ]
    s.norm(norm_block, norm, readers, offset=not rms, centred=not rms)


def _layer_norms(s: Structure, b: Body, a: Attention, on: str, at: str) -> None:
    """LayerNorms on queries and keys, whose gains and offsets all heads share."""
    heads, size = b.attends.heads, b.attends.size
    for part in ("query", "key"):
        norm = f"{at}.{part[0]}_norm"
        s.parameter(f"{on}.{part}.norm.gain", f"{norm}.weight", f"={a.product_name}", (size,))
        s.parameter(f"{on}.{part}.norm.offset", f"{norm}.bias", f"+{a.product_name}", (size,))
        s.scale(*[f"{part} of a head"] * heads)
    # gains of queries against those of keys; the keys' offset adds one number to all scores of a
    # query; the queries' offset is seen by normalised keys alone, which have no mean
    s.freedom(MEANS, 2 * b.width * heads)
    s.freedom("gains and offsets of queries and keys", size + size + 1)
    s.freedom("gains against a rotation", 1)


def _rms_norms(s: Structure, f: Attends, on: str, at: str, tag: str, interleaved: bool) -> None:
    """RMSNorms on queries and keys that are turned behind them; their gains scale against each
    other, pair by pair.
    """
    reason = (
        "of the gains of queries and keys only the product is seen, one factor for each rotary pair"
    )
    space = s.space(f"gains.{tag}", "gains", f.size // 2, SCALES, reason)
    for part, role, count in (("query", "+", f.heads), ("key", "-", f.groups)):
        pattern = f"{role}{space} *" if interleaved else f"* {role}{space}"
        s.parameter(f"{on}.{part}.norm", f"{at}.{part[0]}_norm.weight", pattern, (f.size,))
        s.scale(*[f"{part} of a head"] * count)
    s.product(space, (f"{on}.query.norm",), (f"{on}.key.norm",))


def _constants(s: Structure, b: Body, a: Attention) -> None:
    """What stays open where keys or values have no biases, see `offsets_without_biases`."""
    f = b.attends
    if b.rms:
        return
    if not f.query_bias and not f.value_bias:
        offsets_without_biases(s, a, f.output_bias)
    elif not f.key_bias:
        plane = s.spaces[a.product_name]
        rotated = plane.pairs.rotated if plane.pairs else 0
        s.freedom(UNSEEN, plane.copies * (plane.size - rotated) if plane.largest.mixes else 0)
    if f.value_bias and not f.output_bias and b.shown != "raw":
        s.freedom(UNSEEN, 1)


def relative(s: Structure, b: Body, space: str, on: str, at: str, tag: str, last: bool) -> None:
    """Numbers added to scores by relative position: from a table, or from a small network with
    ReLU.

    A softmax does not see a number common to a row of scores. With a class token a row has an entry
    for it: of a table both kinds of rows lose one number for each head, the network's constant is
    seen. In the last layer only the rows of tokens that are pooled are seen.

    Args:
        s: what is being written down.
        b: the body.
        space: of the heads.
        on: the blocks are called `on.relative.table` and so on.
        at: name of the attention layer; "" where all share it.
        tag: distinguishes its units.
        last: whether it is of the last layer alone.
    """
    r, heads, prefix = b.relative, b.attends.heads, bool(b.tokens)
    assert r is not None
    at = f"{at}.{r.name}" if at else r.name
    token, mean = (last and prefix and b.pool == pool for pool in ("token", "avg"))
    if r.rows:
        s.parameter(f"{on}.relative.table", at, f"* +{space}", (r.rows, heads))
        s.freedom(UNSEEN, heads * (r.rows - 1 if token else 1 + prefix + mean))
        return
    u = units(s, f"relative.{tag}", r.units, "relu")
    s.parameter(f"{on}.relative.up.weight", f"{at}.mlp.fc1.weight", f"+{u} *", (r.units, 2))
    s.parameter(f"{on}.relative.up.bias", f"{at}.mlp.fc1.bias", f"+{u}", (r.units,))
    s.linear(f"{on}.relative.down", f"{at}.mlp.fc2", f"+{space}", f"-{u}", r.bias)
    units_product(s, u, f"{on}.relative", True)
    if token:
        s.freedom(UNSEEN, r.units * (2 + heads) + heads * r.bias)
    elif not prefix and r.bias and not r.capped:
        s.freedom(UNSEEN, heads)


def feed(
    s: Structure,
    b: Body,
    f: Feeds,
    tag: str,
    on: str,
    at: str,
    norm: str | None,
    space: str = "residual",
    norm_block: str | None = None,
) -> Written:
    """A feed-forward layer with the norm before it; returns the weight and the bias that write to
    the stream.

    Args:
        s: what is being written down.
        b: the body.
        f: the layer.
        tag: distinguishes its units.
        on: its blocks are called `on.up.weight` and so on.
        at: its name in the state dict.
        norm: name of the norm; None where it has been written down.
        space: the stream.
        norm_block: the norm's blocks are called so.
    """
    u = _units(s, f, tag)
    if f.gate == "apart":
        gate = s.linear(f"{on}.gate", f"{at}.fc1_g", f"={u}", f"-{space}", f.bias)
        readers = [gate, s.linear(f"{on}.up", f"{at}.fc1_x", f"+{u}", f"-{space}", f.bias)]
    elif f.gate:
        roles = {"gate": f"={u}", "up": f"+{u}"}
        order = ("gate", "up") if f.gate == "first" else ("up", "gate")
        halves = {part: f"{j}/2 {roles[part]}" for j, part in enumerate(order)}
        found = write_fused(s, on, f"{at}.fc1", 2 * f.units, halves, f"-{space}", f.bias)
        readers = sorted(found)  # the gate first
    else:
        readers = [s.linear(f"{on}.up", f"{at}.fc1", f"+{u}", f"-{space}", f.bias)]
    down = s.linear(f"{on}.down", f"{at}.fc2", f"+{space}", f"-{u}", f.bias)
    units_product(s, u, on, f.bias, f.act if f.gate else None)
    if f.normed:
        s.norm(f"{on}.units.norm", f"{at}.norm", [down], space=u)
        if f.gate or f.act == "relu":
            s.scale("units before a norm")
        if b.shown != "raw" and not b.rms:  # 1 (1/g)^T is a mean of its rows and of its columns
            s.freedom(MEANS, -1)
    if norm is not None:
        s.norm(
            norm_block or f"{on}.norm2", norm, readers, space, offset=not b.rms, centred=not b.rms
        )
    return down


def _units(s: Structure, f: Feeds, tag: str) -> str:
    if f.normed:
        reason = "a norm over all units sees their mean and their lengths"
        return s.space(f"units.{tag}", "units", f.units, PERMUTATIONS, reason)
    return gated_units(s, tag, f.units, f.act) if f.gate else units(s, tag, f.units, f.act)


def _parallel(s: Structure, b: Body, i: int) -> None:
    """Attention and units side by side (Dehghani et al. 2023, arXiv 2302.05442): one norm, one
    matrix that reads it.
    """
    f, on, at, units_ = b.attends, f"blocks.{i}", f"blocks.{i}", b.feeds.units
    inner, size, heads = f.heads * f.size, f.size, f.heads
    a = attention(s, str(i), heads, size)
    u = units(s, str(i), units_, b.feeds.act)
    whole = units_ + 3 * inner
    parts = [("up", f"0:{units_}/{whole}+{u}")]
    for j, (part, pattern) in enumerate((("query", a.query), ("key", a.key), ("value", a.value))):
        start = units_ // size + j * heads
        first, *others = pattern.split()
        parts.append((part, " ".join([f"{start}:{start + heads}/{whole // size}{first}", *others])))
    s.fused(
        f"{at}.in_proj.weight",
        (whole, b.width),
        [(f"{on}.{part}.weight", f"{words} -residual") for part, words in parts],
    )
    if f.query_bias:
        s.fused(
            f"{at}.in_proj.bias", (whole,), [(f"{on}.{part}.bias", words) for part, words in parts]
        )
    else:
        s.parameter(f"{on}.up.bias", f"{at}.mlp_bias", f"+{u}", (units_,))
    biased = {"up": True, "query": f.query_bias, "key": f.query_bias, "value": f.query_bias}
    readers = [
        (f"{on}.{part}.weight", f"{on}.{part}.bias" if biased[part] else None) for part, _ in parts
    ]
    s.norm(f"{on}.norm1", f"{at}.in_norm", readers, offset=not b.rms, centred=not b.rms)
    written: tuple[str | None, ...]
    if b.parallel == "fused":
        first, *others = a.output.split()
        words = " ".join([f"0:{heads}/{(inner + units_) // size}{first}", *others])
        columns = [
            (f"{on}.output.weight", f"+residual {words}"),
            (f"{on}.down.weight", f"+residual {inner}:{inner + units_}/{inner + units_}-{u}"),
        ]
        s.fused(f"{at}.out_proj.weight", (b.width, inner + units_), columns)
        s.parameter(f"{on}.output.bias", f"{at}.out_proj.bias", "+residual", (b.width,))
        written = (f"{on}.output.weight", f"{on}.down.weight", f"{on}.output.bias")
    else:
        output = s.linear(f"{on}.output", f"{at}.attn_out_proj", "+residual", a.output)
        down = s.linear(f"{on}.down", f"{at}.mlp_out_proj", "+residual", f"-{u}")
        written = (*output, *down)
        s.sum(f"{on}.output.bias", f"{on}.down.bias")
    attention_products(s, a, on, f.query_bias, f.key_bias, f.value_bias, True)
    units_product(s, u, on, True)
    _constants(s, b, a)
    scale(s, b, f"{on}.scale1", at, b.scales[0], written)
    _means(s, b)
