"""DeepSeek-V3 (DeepSeek-AI 2024, arXiv 2412.19437), as transformers' `DeepseekV3ForCausalLM`.

A DeepSeek-V2 whose router gives each expert a sigmoid of its own, so that a number added to all
scores is seen. A buffer of corrections is added to the scores for the choice alone: it moves with
the experts, and only its differences matter. Checkpoints hold further layers that predict more than
one token; they take no part in the outputs and are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import decoder_family, hf, mixture
from lmc_core.models.architectures.decoder import rms_decoder
from lmc_core.models.architectures.decoder_family import ALL_HEADS
from lmc_core.models.architectures.latent_attention import configuration, latent_attention
from lmc_core.models.config import Config
from lmc_core.models.families.deepseek_v2 import SMALL, check_groups, checked, feed_forward
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    from torch import Tensor

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="deepseek_v3", vocab_size=129280, hidden_size=7168)
    | dict(intermediate_size=18432, num_hidden_layers=61, num_attention_heads=128)
    | dict(num_key_value_heads=128, max_position_embeddings=4096, attention_bias=False)
    | dict(rope_interleave=True, first_k_dense_replace=3, kv_lora_rank=512)
    | dict(q_lora_rank=1536, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128)
    | dict(n_routed_experts=256, n_shared_experts=1, num_experts_per_tok=8)
    | dict(moe_intermediate_size=2048, routed_scaling_factor=2.5, n_group=8, topk_group=4)
    | dict(norm_topk_prob=True, num_nextn_predict_layers=1, bos_token_id=0, eos_token_id=1)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = checked(
        raw,
        configuration(mixture.counted(raw, "n_routed_experts"), DEFAULTS, even=False),
        "sigmoid",
    )
    if raw.get("topk_method", "noaux_tc") != "noaux_tc":
        raise BadCheckpoint(
            f"deepseek_v3 with topk_method={raw['topk_method']!r} is not supported; 'noaux_tc' is "
            "expected."
        )
    hf.switches(found, "rope_interleave")
    check_groups(found)
    if found.size("n_routed_experts") < 2 * found.size("n_group"):
        raise BadCheckpoint(
            f"Groups are scored by their best two experts; n_group = {found['n_group']} leaves "
            "fewer in each."
        )
    further = found["num_nextn_predict_layers"]
    if not isinstance(further, int) or isinstance(further, bool) or further < 0:
        raise BadCheckpoint(
            "The configuration should give 'num_nextn_predict_layers' as a number; it gives "
            f"{further!r}."
        )
    return found


def structure(config: Config) -> Structure:
    """The spaces and blocks of a DeepSeek-V3 of that configuration."""
    limited = config.size("topk_group") < config.size("n_group")
    routing = mixture.Routing(
        config.size("n_routed_experts"),
        config.size("num_experts_per_tok"),
        relative=config.flag("norm_topk_prob"),
        softmax=False,
        groups=config.size("n_group") if limited else 1,
        correction=True,
    )
    return rms_decoder(
        "deepseek_v3",
        config,
        lambda s, config, i: feed_forward(s, config, i, routing),
        attend=lambda s, config, i: latent_attention(s, config, i, config.flag("rope_interleave")),
    )


_LAYER = re.compile(r"(?:model\.)?layers\.(\d+)\.")


def stored(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The tensors of a file, experts stacked, without the layers that predict further tokens."""
    depth = config.size("num_hidden_layers")
    further = range(depth, depth + config.size("num_nextn_predict_layers"))
    numbers = {name: _LAYER.match(name) for name in tensors}
    kept = {
        name: tensors[name]
        for name, match in numbers.items()
        if match is None or int(match[1]) not in further
    }
    return mixture.stacked(kept)


SMALL = SMALL | {"num_key_value_heads": 4, "n_group": 3, "topk_group": 2}

DEEPSEEK_V3 = mixture.family(
    "deepseek_v3",
    "DeepseekV3",
    "DeepSeek-V2 whose router scores each expert by itself.",
    "DeepSeek-AI, DeepSeek-V3 Technical Report, 2024, arXiv 2412.19437",
    config,
    structure,
    {
        "deepseek_v3": SMALL,
        "deepseek_v3-no-groups": SMALL
        | dict(n_group=1, topk_group=1, norm_topk_prob=False, rope_interleave=False)
        | dict(first_k_dense_replace=0),
        "deepseek_v3-biases": SMALL
        | dict(q_lora_rank=None, attention_bias=True, tie_word_embeddings=True)
        | dict(qk_nope_head_dim=5),
    },
    experts="n_routed_experts",
    units="moe_intermediate_size",
    stored=stored,
    heads=ALL_HEADS[:2],
)
