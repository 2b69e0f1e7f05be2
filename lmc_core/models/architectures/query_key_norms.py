"""LayerNorms over each head's queries and keys, before the rotation: what of their gains and
offsets is seen.

A norm removes a head's mean and length, and its gains tell coordinates apart, so that nothing is
left of the plane. Of the gains (and offsets) of queries and keys only the product is seen: one
factor for each rotary pair, one for each coordinate that is not rotated. A number added to a key's
coordinate that is not rotated adds the same to all scores of a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lmc_core.models.parts import Attention
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import SCALES, Pairs

REASON = "of the gains of queries and keys only the product is seen, one factor for each "


@dataclass(frozen=True)
class QueryKeyNorms:
    """LayerNorms over one head.

    Attributes:
        query: name of the queries' norm in a block; with "{}" where each head has a parameter of
            its own.
        key: the same of the keys'.
        gains: "common" to all heads, "heads" together in one parameter, or "apart" in one for each.
        offset: whether they have one.
        kind: as `attention` calls them.
    """

    query: str
    key: str
    gains: Literal["common", "heads", "apart"]
    offset: bool = False
    kind: str = "layer"


def write_query_key_norms(
    s: Structure,
    i: int,
    at: str,
    a: Attention,
    heads: int,
    groups: int,
    norms: QueryKeyNorms,
    pairs: Pairs | None,
    bias: bool,
    offset: bool,
) -> None:
    """Write the norms of block i down.

    Args:
        s: what is being written down.
        i: number of the block.
        at: its name in the state dict.
        a: patterns of the heads' side.
        heads: number of query heads.
        groups: number of key heads.
        norms: what they are.
        pairs: of rotary positions.
        bias: whether queries and keys have one.
        offset: whether the norm before them has one.
    """
    size = s.spaces[a.product_name].size
    rotated = pairs.rotated if pairs else 0
    apart, each = norms.gains == "apart", heads // groups
    outer = f"heads.{i}" if norms.gains == "heads" else None
    for group in range(groups if apart else 1):
        words = _gains(s, f"{i}.{group}" if apart else str(i), size, pairs, outer)
        queries = [group * each + j for j in range(each)] if apart else [0]
        left = _write_side(s, i, at, a, "query", queries, heads, norms, words)
        right = _write_side(s, i, at, a, "key", [group], groups, norms, words)
        for space in words:
            s.product(space, tuple(left[space]), tuple(right[space]))
        if norms.offset:
            s.freedom("biases that no output sees", size - rotated)
    width = s.spaces["residual"].size
    means = width + int(bias) - int(bias or not offset)
    s.freedom("means of queries and keys", (heads + groups) * means)
    s.scale(*["queries of a head"] * heads, *["keys of a head"] * groups)


def _gains(
    s: Structure, tag: str, size: int, pairs: Pairs | None, outer: str | None
) -> dict[str, list[str]]:
    """Add the spaces of gains; returns, by space, the words that cut its parts out of a norm,
    without their roles.
    """
    rotated = pairs.rotated if pairs else 0
    half, words = rotated // 2, {}
    if pairs and rotated:
        name = s.space(f"gains.{tag}", "gains", half, SCALES, f"{REASON}rotary pair", outer)
        if rotated == size:
            words[name] = ["{role}" + name + " *" if pairs.interleaved else "* {role}" + name]
        else:
            assert not pairs.interleaved
            words[name] = [f"{start}:{start + half}/{size}{{role}}{name}" for start in (0, half)]
    if rotated < size:
        name = s.space(
            f"gains.rest.{tag}",
            "gains",
            size - rotated,
            SCALES,
            f"{REASON}coordinate not rotated",
            outer,
        )
        words[name] = [f"{rotated}:{size}/{size}{{role}}{name}"]
    return words


def _write_side(
    s: Structure,
    i: int,
    at: str,
    a: Attention,
    side: Literal["query", "key"],
    numbers: Sequence[int],
    heads: int,
    norms: QueryKeyNorms,
    words: dict[str, list[str]],
) -> dict[str, list[str]]:
    """Write the norms of some queries or keys down; returns the names of their blocks, by space."""
    name, pattern, role = (
        (norms.query, a.query, "+") if side == "query" else (norms.key, a.key, "-")
    )
    size, together = s.spaces[a.product_name].size, norms.gains == "heads"
    count, within = (heads, pattern.split()[:-1]) if together else (0, [])
    into: dict[str, list[str]] = {space: [] for space in words}
    for number in numbers:
        block = f"blocks.{i}.{side}.norm" + (f".{number}" if norms.gains == "apart" else "")
        place = f"{at}.{name.format(number)}"
        _norm(s, block, place, size, count, within, role, words, norms.offset, into)
    return into


def _norm(
    s: Structure,
    block: str,
    name: str,
    size: int,
    count: int,
    within: list[str],
    role: str,
    words: dict[str, list[str]],
    offset: bool,
    into: dict[str, list[str]],
) -> None:
    """Write one norm down; `count` is of the heads that its gains hold, 0 for one vector, `into`
    collects names of blocks.
    """
    shape = (count, size) if count else (size,)
    for end, part in (("gain", "weight"), ("offset", "bias"))[: 1 + offset]:
        found = []
        for space, patterns in words.items():
            for number, pattern in enumerate(patterns):
                own = f"{block}.{end}" + (
                    f".{space.split('.')[1] if 'rest' in space else 'pair'}.{number}"
                )
                found.append((own, " ".join([*within, pattern.format(role=role)])))
                into[space].append(own)
        s.fused(f"{name}.{part}", shape, found)
