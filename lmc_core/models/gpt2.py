"""GPT-2 (Radford et al. 2019), as transformers' `GPT2LMHeadModel`.

Its linear layers are `Conv1D`: weights are stored `[in, out]`. Queries, keys and values are fused in `c_attn`. The head shares
the token table unless the configuration says otherwise; it has no bias.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models.family import Config, Family, divides, positive_sizes
from lmc_core.models.prenorm import block_attention, block_norms, block_spaces, residual_space
from lmc_core.symmetry.canonical import Norm, Rewrite
from lmc_core.symmetry.layout import Block, Layout

HEAD, TABLE = "lm_head.weight", "transformer.wte.weight"
POINTWISE = {"gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python", "quick_gelu", "silu", "swish", "tanh"}


def _hidden(config: Config) -> int:
    return int(config.get("n_inner") or 4 * config["n_embd"])


def _tied(config: Config) -> bool:
    return bool(config.get("tie_word_embeddings", True))


# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": None,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": None,
}


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults."""
    chosen = {key: raw.get(key, default) for key, default in DEFAULTS.items()}
    positive_sizes(chosen, "vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
    if chosen["n_inner"] is not None:
        positive_sizes(chosen, "n_inner")
    divides(chosen, "n_head", "n_embd")
    if not chosen["scale_attn_weights"]:
        raise BadCheckpoint("GPT-2 models with scale_attn_weights=false are not supported.")
    return chosen


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Add the prefix that old checkpoints lack; drop constant masks and the copy of a tied table."""
    renamed = {}
    for name, tensor in tensors.items():
        if name.endswith((".attn.bias", ".attn.masked_bias")) or (name == HEAD and _tied(config)):
            continue
        renamed[name if name.startswith(("transformer.", "lm_head.")) else f"transformer.{name}"] = tensor
    return renamed


def build(config: Config) -> nn.Module:
    """A `GPT2LMHeadModel`, randomly initialised, in float32."""
    from transformers import GPT2Config, GPT2LMHeadModel

    dropless = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return GPT2LMHeadModel(GPT2Config(**dropless, **{**DEFAULTS, **config}, dtype="float32"))


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """Logits `[n, length, vocabulary]` of tokens `[n, length]`."""
    return module(inputs, use_cache=False).logits


def save(module: nn.Module, config: Config, folder: Path) -> None:
    """Write `config.json` and `model.safetensors` as transformers does."""
    module.save_pretrained(folder)  # type: ignore[operator]


def layout(config: Config) -> Layout:
    """The spaces and blocks of a GPT-2 of that configuration."""
    config = {**DEFAULTS, **config}
    for key in ("scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "add_cross_attention"):
        if config.get(key):
            raise BadCheckpoint(f"GPT-2 models with {key}=true are not supported; set it to false or use another model.")
    act = config.get("activation_function", "gelu_new")
    if act not in POINTWISE:
        raise BadCheckpoint(f"GPT-2 with activation {act!r} is not supported; known: {', '.join(sorted(POINTWISE))}.")
    width, depth, heads, hidden = config["n_embd"], config["n_layer"], config["n_head"], _hidden(config)
    head_dim, vocabulary, positions = width // heads, config["vocab_size"], config["n_positions"]
    spaces = [residual_space(width)]
    blocks = [
        Block("token.table", TABLE, "* +residual"),
        Block("position.table", "transformer.wpe.weight", "* +residual"),
    ]
    shapes = {TABLE: (vocabulary, width), "transformer.wpe.weight": (positions, width)}
    for i in range(depth):
        u, h, qk, vo = f"units.{i}", f"heads.{i}", f"query-key.{i}", f"value-output.{i}"
        spaces += block_spaces(i, heads, head_dim, hidden, act)
        on, at = f"blocks.{i}", f"transformer.h.{i}"
        parameters = {
            f"{at}.ln_1.weight": ((width,), [(f"{on}.norm1.gain", "=residual")]),
            f"{at}.ln_1.bias": ((width,), [(f"{on}.norm1.offset", "+residual")]),
            f"{at}.attn.c_attn.weight": (
                (width, 3 * width),
                [
                    (f"{on}.query.weight", f"-residual 0/3 +{h} +{qk}"),
                    (f"{on}.key.weight", f"-residual 1/3 +{h} -{qk}"),
                    (f"{on}.value.weight", f"-residual 2/3 +{h} +{vo}"),
                ],
            ),
            f"{at}.attn.c_attn.bias": (
                (3 * width,),
                [
                    (f"{on}.query.bias", f"0/3 +{h} +{qk}"),
                    (f"{on}.key.bias", f"1/3 +{h} -{qk}"),
                    (f"{on}.value.bias", f"2/3 +{h} +{vo}"),
                ],
            ),
            f"{at}.attn.c_proj.weight": ((width, width), [(f"{on}.output.weight", f"-{h} -{vo} +residual")]),
            f"{at}.attn.c_proj.bias": ((width,), [(f"{on}.output.bias", "+residual")]),
            f"{at}.ln_2.weight": ((width,), [(f"{on}.norm2.gain", "=residual")]),
            f"{at}.ln_2.bias": ((width,), [(f"{on}.norm2.offset", "+residual")]),
            f"{at}.mlp.c_fc.weight": ((width, hidden), [(f"{on}.up.weight", f"-residual +{u}")]),
            f"{at}.mlp.c_fc.bias": ((hidden,), [(f"{on}.up.bias", f"+{u}")]),
            f"{at}.mlp.c_proj.weight": ((hidden, width), [(f"{on}.down.weight", f"-{u} +residual")]),
            f"{at}.mlp.c_proj.bias": ((width,), [(f"{on}.down.bias", "+residual")]),
        }
        for name, (shape, parts) in parameters.items():
            shapes[name] = shape
            blocks += [Block(part, name, pattern) for part, pattern in parts]
    shapes |= {"transformer.ln_f.weight": (width,), "transformer.ln_f.bias": (width,)}
    blocks += [
        Block("norm.gain", "transformer.ln_f.weight", "=residual"),
        Block("norm.offset", "transformer.ln_f.bias", "+residual"),
    ]
    if not _tied(config):
        shapes[HEAD] = (vocabulary, width)
        blocks.append(Block("head.weight", HEAD, "* -residual", ignores_mean_over=0))
    return Layout("gpt2", {space.name: space for space in spaces}, tuple(blocks), shapes)


def rewrite(config: Config) -> Rewrite:
    """What the canonical rewrite works on; it needs the head untied."""
    norms = [norm for i in range(config["n_layer"]) for norm in block_norms(i)]
    norms.append(Norm("norm.gain", "norm.offset", (("head.weight", None),)))
    return Rewrite(
        residual="residual",
        norms=tuple(norms),
        attentions=tuple(block_attention(i) for i in range(config["n_layer"])),
        tied=(HEAD, TABLE) if _tied(config) else None,
        untied_config=(("tie_word_embeddings", False),),
    )


GPT2 = Family(
    name="gpt2",
    sentence="Decoder with learned positions, LayerNorm before each layer, GELU units.",
    reference="Radford et al., Language Models are Unsupervised Multitask Learners, 2019",
    takes="text",
    recognises=lambda config: config.get("model_type") == "gpt2",
    build=build,
    outputs=outputs,
    sizes=lambda c: {
        "width": c["n_embd"],
        "depth": c["n_layer"],
        "heads": c["n_head"],
        "units": _hidden(c),
        "tokens": c["vocab_size"],
        "context": c["n_positions"],
    },
    layout=layout,
    rewrite=rewrite,
    save=save,
    config=config,
    from_disk=from_disk,
)
