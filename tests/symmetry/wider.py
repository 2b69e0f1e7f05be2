"""Wider relatives of the configurations in `tests.networks`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.fits import SIZES
from tests.networks import CONFIGURATIONS

WIDTHS = ("n_embd", "embed_dim", "hidden_size", "d_model")
UNITS = (
    "intermediate_size",
    "moe_intermediate_size",
    "shared_expert_intermediate_size",
    "d_ff",
    "ffn_dim",
    "n_inner",
)
HEADS = ("n_head", "num_heads", "num_attention_heads", "num_key_value_heads")
ALONE = (
    *HEADS,
    "mlp_ratio",
    "partial_rotary_factor",
    "qk_rope_head_dim",
    "num_local_experts",
    "num_experts",
    "n_routed_experts",
)  # sizes that "everything" leaves as they are

WAYS = {
    "stream": dict.fromkeys(WIDTHS, 2),
    "units": dict.fromkeys(UNITS, 1.5),
    "heads": dict.fromkeys((*WIDTHS, *HEADS), 2),
    "queries": dict.fromkeys(("hidden_size", "num_attention_heads"), 2),
    "everything": dict.fromkeys(sorted(SIZES - set(ALONE)), 2),
}


def wider_config(name: str, way: str) -> dict[str, Any] | None:
    """The configuration of one of the networks with some sizes multiplied; None where it has none
    of these sizes.
    """
    family, raw = CONFIGURATIONS[name]
    larger = _multiplied(raw, WAYS[way])
    return None if larger == raw else FAMILIES[family].config(larger)


def _multiplied(raw: Mapping[str, Any], factors: Mapping[str, float]) -> dict[str, Any]:
    def one(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return _multiplied(value, factors)
        if isinstance(value, list):
            return [one(key, each) for each in value]
        return int(factors[key] * value) if key in factors and value is not None else value

    return {key: one(key, value) for key, value in raw.items()}


def has_sizes(name: str, way: str) -> bool:
    """Whether a configuration has sizes of that kind, and may have them multiplied."""
    try:
        return wider_config(name, way) is not None
    except BadCheckpoint:  # no such configuration is admitted
        return False
