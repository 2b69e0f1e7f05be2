"""Which settings of two models must be equal: those that decide what is computed of the inputs that
both take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from lmc_core.models.config import Json
from lmc_core.models.model import Model

# how long windows may be
POSITIONS = ("n_positions", "max_position_embeddings", "max_seq_len", "n_ctx", "seq_length")
NAMED = ("pad_token_id", "bos_token_id", "eos_token_id")  # numbers of special tokens
# what a class has behind its body
HEADS = {"architectures", "num_labels", "num_classes", "add_pooling_layer"}
ROUNDING = 1e-6  # relative; 1e-5 in float32 is 9.99999974e-06
# rotary positions that windows within the context turn alike
FIXED_SPEEDS = ("default", "linear", "dynamic", "llama3")


def without_effect(a: Model, b: Model, heads: bool = True) -> set[str]:
    """Entries of the configurations of two models of one family that may differ and decide nothing
    that is compared.

    Args:
        a: the first model.
        b: the second.
        heads: whether their heads are compared, or their bodies alone.
    """
    found = {"tie_word_embeddings", *NAMED} | (set() if heads else HEADS)
    for model in (a, b):
        found -= _decisive_tokens(model, heads)
    if all(kind in FIXED_SPEEDS for model in (a, b) for kind in _rotary_kinds(model.config)):
        found |= set(POSITIONS)
    return found


def _decisive_tokens(model: Model, heads: bool) -> set[str]:
    """Numbers of special tokens that decide what a model computes."""
    config, pad = model.config, model.config.get("pad_token_id")
    if not isinstance(pad, int):
        pad = 0
    found = set()
    before, after = (
        model.family.sizes(config | {"pad_token_id": token}).get("context")
        for token in (pad, pad + 1)
    )
    if before != after:  # positions are counted from that of padding on
        found.add("pad_token_id")
    sorts = heads and model.family.takes == "text" and model.family.predicts(config) == "label"
    # the last token that is no padding, or the end of the text
    if sorts and "pooler.weight" not in model.layout.by_name:
        found |= {"pad_token_id", *(["eos_token_id"] if "decoder_start_token_id" in config else [])}
    return found


def _rotary_kinds(config: Mapping[str, Json]) -> Iterator[str]:
    """The types of rotary positions that a configuration names, of all its kinds of layers."""
    for key, value in config.items():
        if key == "rope_type" and isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _rotary_kinds(value)


def unequal_settings(
    a: Mapping[str, Json], b: Mapping[str, Json], ignored: set[str]
) -> Iterator[tuple[str, Json, Json]]:
    """Entries that both configurations have and that differ by more than rounding, with both
    values.
    """
    for key in sorted(a.keys() & b.keys() - ignored):
        one, two = a[key], b[key]
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            yield from unequal_settings(one, two, ignored)
        elif one != two and not _nearly(one, two):
            yield key, one, two


def _nearly(one: Json, two: Json) -> bool:
    if isinstance(one, bool) or isinstance(two, bool):
        return False
    if not isinstance(one, int | float) or not isinstance(two, int | float):
        return False
    return math.isclose(one, two, rel_tol=ROUNDING)
