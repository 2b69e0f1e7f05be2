"""Latent attention (DeepSeek-AI 2024, arXiv 2405.04434, section 2.1): keys and values are made from
one small stream.

That stream, and another for queries if the configuration wants one, pass through an RMSNorm, so any
rotation passes through them. Each head has a plane without positions; the rotary part of the key is
one for all heads, and so is its plane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import Readers
from lmc_core.models.config import Config, Json, require_divides, require_sizes
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import LINEAR, PERMUTATIONS, ROTARY, ROTATIONS, Pairs

SIZES = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")


def configuration(raw: Config, defaults: Mapping[str, Json], even: bool) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get the defaults.

    Args:
        raw: the content of the file.
        defaults: of the family.
        even: whether the number of heads has to divide the width.
    """
    given = {**defaults, **raw}
    require_sizes(given, *SIZES)
    # rotary positions turn a part of each head, whose size is the "head_dim" of transformers'
    # configuration
    found = decoder_family.configuration(
        raw | {"head_dim": given["qk_rope_head_dim"]}, defaults, even
    )
    if found["q_lora_rank"] is not None:
        require_sizes(found, "q_lora_rank")
    if even:
        require_divides(found, "num_attention_heads", "hidden_size")
    if found["num_key_value_heads"] != found["num_attention_heads"]:
        raise BadCheckpoint(
            "Latent attention makes keys for every head; num_key_value_heads should equal "
            "num_attention_heads = "
            f"{found['num_attention_heads']}, it is {found['num_key_value_heads']}."
        )
    return found


def latent_attention(s: Structure, config: Config, i: int, interleaved: bool) -> Readers:
    """Write the attention of block i down; returns what reads the norm before it.

    Args:
        s: what is being written down.
        config: with transformers' names of sizes.
        i: number of the block.
        interleaved: rotary pairs are neighbours.
    """
    on, at = f"blocks.{i}", f"model.layers.{i}.self_attn"
    bias = config.flag("attention_bias")
    spaces = _add_spaces(s, config, i, interleaved)
    readers = _write_queries(s, config, i, spaces)
    readers += _write_keys_and_values(s, config, i, spaces)
    writes = f"-{spaces.head} -{spaces.value}"
    s.linear(f"{on}.output", f"{at}.o_proj", "+residual", writes, bias)
    rotary = (f"{on}.rotary-key.weight", *([f"{on}.rotary-key.bias"] if bias else []))
    flat, turned = config.sizes("qk_nope_head_dim", "qk_rope_head_dim")
    scale = (flat + turned) ** -0.5
    s.product(spaces.plane, (f"{on}.query.weight",), (f"{on}.key.weight",), scale=scale)
    s.product(spaces.pair, (f"{on}.rotary-query.weight",), rotary, scale=scale)
    s.product(spaces.value, (f"{on}.value.weight",), (f"{on}.output.weight",))
    return readers


@dataclass(frozen=True)
class _Spaces:
    """The spaces of one block's attention, by name."""

    head: str
    plane: str  # of queries and keys, in each head
    pair: str  # of the rotary parts, common to all heads
    value: str


def _add_spaces(s: Structure, config: Config, i: int, interleaved: bool) -> _Spaces:
    heads = config.size("num_attention_heads")
    flat, turned, values = config.sizes("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    head = s.space(f"heads.{i}", "heads", heads, PERMUTATIONS, "each head has a softmax of its own")
    reason = "only the product of query and key is seen"
    plane = s.space(f"query-key.{i}", "query-key", flat, LINEAR, reason, head)
    reason = (
        "rotary positions leave one scaled rotation per frequency pair, the same for the "
        "queries of all heads"
    )
    pairs = Pairs(turned, interleaved)
    pair = s.space(f"rotary-key.{i}", "rotary-key", turned, ROTARY, reason, pairs=pairs)
    reason = "only the product of value and output is seen"
    value = s.space(f"value-output.{i}", "value-output", values, LINEAR, reason, head)
    return _Spaces(head, plane, pair, value)


def _add_latent(s: Structure, name: str, i: int, size: int) -> str:
    """A small stream inside the attention, which is read through an RMSNorm."""
    s.scale(f"{name.replace('-', ' ')} stream")
    reason = "RMSNorm divides by the length of the stream, which rotations keep"
    return s.space(f"{name}.{i}", "latent", size, ROTATIONS, reason)


def _write_norm(s: Structure, i: int, name: str, readers: Readers, space: str) -> None:
    at = f"model.layers.{i}.self_attn"
    s.norm(f"blocks.{i}.{name}", f"{at}.{name}", readers, space, offset=False, centred=False)


def _write_queries(s: Structure, config: Config, i: int, spaces: _Spaces) -> Readers:
    """Write the maps to queries down, through a latent of their own where there is one; returns
    what reads the norm before the block.
    """
    on, at = f"blocks.{i}", f"model.layers.{i}.self_attn"
    heads, flat, turned = config.sizes(
        "num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim"
    )
    queries: Readers = [(f"{on}.query.weight", None), (f"{on}.rotary-query.weight", None)]
    readers, reads, query = queries, "-residual", "q_proj"
    if config["q_lora_rank"] is not None:
        made = _add_latent(s, "query-latent", i, config.size("q_lora_rank"))
        bias = config.flag("attention_bias")
        readers = [s.linear(f"{on}.query-latent", f"{at}.q_a_proj", f"+{made}", "-residual", bias)]
        _write_norm(s, i, "q_a_layernorm", queries, made)
        reads, query = f"-{made}", "q_b_proj"
    size, head = flat + turned, f"+{spaces.head}"
    places = f"{head} 0:{flat}/{size}+{spaces.plane}", f"{head} {flat}:{size}/{size}+{spaces.pair}"
    s.fused(
        f"{at}.{query}.weight",
        (heads * size, s.size(reads)),
        [(name, f"{place} {reads}") for (name, _), place in zip(queries, places, strict=True)],
    )
    return [*readers]


def _write_keys_and_values(s: Structure, config: Config, i: int, spaces: _Spaces) -> Readers:
    """Write the maps to the latent, and from it to keys and values, down; returns what reads the
    norm before the block.
    """
    on, at = f"blocks.{i}", f"model.layers.{i}.self_attn"
    width, heads, rank = config.sizes("hidden_size", "num_attention_heads", "kv_lora_rank")
    flat, turned, values = config.sizes("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    bias, head = config.flag("attention_bias"), spaces.head
    small = _add_latent(s, "latent", i, rank)
    size = rank + turned
    parts = {
        "latent": f"0:{rank}/{size}+{small}",
        "rotary-key": f"{rank}:{size}/{size}-{spaces.pair}",
    }
    down = f"{at}.kv_a_proj_with_mqa"
    weights = [(f"{on}.{name}.weight", f"{place} -residual") for name, place in parts.items()]
    s.fused(f"{down}.weight", (size, width), weights)
    if bias:
        biases = [(f"{on}.{name}.bias", place) for name, place in parts.items()]
        s.fused(f"{down}.bias", (size,), biases)
    both: Readers = [(f"{on}.key.weight", None), (f"{on}.value.weight", None)]
    _write_norm(s, i, "kv_a_layernorm", both, small)
    size = flat + values
    s.fused(
        f"{at}.kv_b_proj.weight",
        (heads * size, rank),
        [
            (f"{on}.key.weight", f"+{head} 0:{flat}/{size}-{spaces.plane} -{small}"),
            (f"{on}.value.weight", f"+{head} {flat}:{size}/{size}+{spaces.value} -{small}"),
        ],
    )
    return [(f"{on}.{name}.weight", f"{on}.{name}.bias" if bias else None) for name in parts]
