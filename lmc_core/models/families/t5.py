"""T5 (Raffel et al. 2019, arXiv 1910.10683), as transformers' `T5ForConditionalGeneration`, versions 1.0 and 1.1.

RMSNorm before each layer, no biases, scores without a scale, positions as a table of one number per distance and head that all
self-attentions of a stack share. Both stacks share the token table. Version 1.0 (ReLU) shares it with the head as well and
scales what the head reads by d^-1/2; version 1.1 (gated GELU) has a head of its own and no scale.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models import hf
from lmc_core.models.family import SHARD, Config, Family, positive_sizes
from lmc_core.models.parts import (
    POINTWISE,
    attention,
    gated_units,
    rms_norm_stream,
    separate_attention,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import Tied
from lmc_core.symmetry.spaces import PERMUTATIONS

HEAD, TABLE = "lm_head.weight", "shared.weight"
COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
# a table that old checkpoints hold and no attention across the stacks reads
UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
CLASSES = ("T5ForConditionalGeneration", "T5WithLMHeadModel")  # one class; the second is its name until 2020

# What the function depends on, with transformers' defaults; `n_positions` is the longest window it was trained on.
DEFAULTS: dict[str, Any] = {
    "model_type": "t5",
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_decoder_layers": None,
    "num_heads": 8,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "relu",
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": None,
    "n_positions": 512,
}


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults."""
    found = hf.chosen(raw, DEFAULTS)
    hf.named_class(raw, CLASSES, "T5", CLASSES[0])
    if found["num_decoder_layers"] is None:
        found["num_decoder_layers"] = found["num_layers"]
    sizes = ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "n_positions")
    positive_sizes(found, *sizes, "relative_attention_num_buckets", "relative_attention_max_distance")
    hf.positive_numbers(found, "layer_norm_epsilon")
    buckets, farthest = (found[f"relative_attention_{key}"] for key in ("num_buckets", "max_distance"))
    if not 4 <= buckets < 2**16 or farthest <= buckets // 2:
        raise BadCheckpoint(
            "Positions need at least 4 buckets and a largest distance beyond half their number; the configuration gives "
            f"{buckets} and {farthest}."
        )
    hf.switches(raw, "tie_word_embeddings", "scale_decoder_outputs")
    # transformers 5 writes tie_word_embeddings as true whatever the head is, and says by the scale which version it is
    tied = raw.get("scale_decoder_outputs", found["tie_word_embeddings"]) is not False
    if tied and found["tie_word_embeddings"] is False:
        raise BadCheckpoint("A T5 whose head has a matrix of its own and reads scaled outputs is not supported.")
    found["tie_word_embeddings"] = tied
    hf.special_tokens(found)
    if found["decoder_start_token_id"] is None:
        found["decoder_start_token_id"] = found["pad_token_id"]
    for key in ("pad_token_id", "decoder_start_token_id"):
        token = found[key]
        if not isinstance(token, int) or isinstance(token, bool) or not 0 <= token < found["vocab_size"]:
            raise BadCheckpoint(f"The configuration should give {key!r} as one of the tokens; it gives {token!r}.")
    _activation(found)
    return found


def _activation(config: Config) -> tuple[bool, str]:
    """Whether the units are gated, and their activation."""
    words = str(config["feed_forward_proj"]).split("-")
    gated, act = words[0] == "gated" and len(words) == 2, words[-1]
    if act not in POINTWISE or len(words) != 1 + gated:
        raise BadCheckpoint(
            f"T5 with feed_forward_proj {config['feed_forward_proj']!r} is not supported; 'relu' and 'gated-gelu' are examples."
        )
    return gated, "gelu_new" if gated and act == "gelu" else act


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Copies of the token table and what no layer reads are dropped; a head of its own that is missing is the table."""
    found = {name: tensor for name, tensor in tensors.items() if name != UNUSED}
    for copy in COPIES:
        hf.drop_copy(found, copy, TABLE, "both stacks of a T5 read one table, so fetch the checkpoint again")
    if config["tie_word_embeddings"]:
        hf.drop_copy(found, HEAD, TABLE)
    elif HEAD not in found and TABLE in found:
        found[HEAD] = found[TABLE].clone()
    return found


def build(config: Config) -> nn.Module:
    """A `T5ForConditionalGeneration`, randomly initialised, in float32."""
    module = hf.build(config, "T5Config", CLASSES[0], dropout_rate=0.0)
    if not config["tie_word_embeddings"]:  # the class ties it whatever its configuration says
        module.lm_head.weight = nn.Parameter(torch.empty_like(module.shared.weight).normal_())  # type: ignore  (a linear layer)
    return module


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """Logits `[n, length - half, vocabulary]` of the second half of tokens `[n, length]`, given the first, half = length // 2.

    The encoder reads the first half; the decoder reads the second one moved right by one place, behind its start token.
    """
    half = inputs.shape[1] // 2
    start = torch.full_like(inputs[:, :1], module.config.decoder_start_token_id)  # type: ignore[union-attr]  (a config)
    shifted = torch.cat([start, inputs[:, half:-1]], 1)
    return module(input_ids=inputs[:, :half], decoder_input_ids=shifted, use_cache=False).logits


def reached(buckets: int, farthest: int, both_ways: bool) -> int:
    """How many buckets of distances any distance falls into.

    The first half of the buckets of a direction have one distance each, the others grow by a constant factor up to `farthest`;
    what is further shares the last one.

    Args:
        buckets: how many there are.
        farthest: distance at which the last one ends.
        both_ways: half of them are for places ahead, as in an encoder.
    """
    n = buckets // 2 if both_ways else buckets
    exact = n // 2
    factor = (farthest / exact) ** (1 / (n - exact))
    edges = [exact * factor**j for j in range(n - exact)]
    wide = sum(math.ceil(edge - 1e-9) < edge * factor - 1e-9 for edge in edges[:-1]) + 1
    return (exact + wide) * (2 if both_ways else 1) - int(both_ways)  # ahead there is no distance 0


def _feed_forward(s: Structure, config: Config, on: str, at: str, number: int) -> None:
    gated, act = _activation(config)
    tag, size = on.removeprefix("blocks."), config["d_ff"]
    u = (gated_units if gated else units)(s, tag, size, act)
    at = f"{at}.layer.{number}"
    readers = [s.linear(f"{on}.up", f"{at}.DenseReluDense.{'wi_1' if gated else 'wi'}", f"+{u}", "-residual", False)]
    if gated:
        readers.append(s.linear(f"{on}.gate", f"{at}.DenseReluDense.wi_0", f"={u}", "-residual", False))
    s.linear(f"{on}.down", f"{at}.DenseReluDense.wo", "+residual", f"-{u}", False)
    units_product(s, u, on, gate=act if gated else None)
    s.norm(f"{on}.norm{number + 1}", f"{at}.layer_norm", readers, offset=False, centred=False)


def _stack(s: Structure, config: Config, stack: str, depth: int) -> list[tuple[str, str | None]]:
    """Write a stack down; returns what in it reads the encoder's last norm."""
    heads, plane, buckets = config["num_heads"], config["d_kv"], config["relative_attention_num_buckets"]
    shared = s.space(
        f"heads.{stack}", "heads", heads, PERMUTATIONS,
        f"each head has a softmax of its own; all self-attentions of the {stack} share one table of positions by head",
    )  # fmt: skip
    table = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    s.parameter(f"{stack}.position.table", table, f"* ={shared}", (buckets, heads))
    seen = reached(buckets, config["relative_attention_max_distance"], stack == "encoder")
    s.add(
        "further",
        ("position numbers that a softmax does not see", heads),
        ("distances that do not occur", (buckets - seen) * heads),
    )
    across: list[tuple[str, str | None]] = []
    for i in range(depth):
        on, at = f"blocks.{stack}.{i}", f"{stack}.block.{i}"
        a = attention(s, f"{stack}.{i}", heads, plane, shared_heads=shared)
        names = tuple(f"{at}.layer.0.SelfAttention.{part}" for part in "qkvo")
        readers = separate_attention(s, a, on, names, (False,) * 4, scaled=False)  # type: ignore[arg-type]  (four names)
        s.norm(f"{on}.norm1", f"{at}.layer.0.layer_norm", readers, offset=False, centred=False)
        if stack == "decoder":
            a = attention(s, f"{stack}.{i}.across", heads, plane)
            names = tuple(f"{at}.layer.1.EncDecAttention.{part}" for part in "qkvo")
            query, *others = separate_attention(s, a, f"{on}.across", names, (False,) * 4, scaled=False)  # type: ignore[arg-type]
            s.norm(f"{on}.norm2", f"{at}.layer.1.layer_norm", [query], offset=False, centred=False)
            across += others
        _feed_forward(s, config, on, at, 2 if stack == "decoder" else 1)
    return across


def structure(config: Config) -> Structure:
    """The spaces and blocks of a T5 of that configuration."""
    width, vocabulary = config["d_model"], config["vocab_size"]
    s = Structure("t5")
    rms_norm_stream(s, width)  # one stream: both stacks begin with the rows of one table
    s.parameter("token.table", TABLE, "* +residual", (vocabulary, width))
    _stack(s, config, "encoder", config["num_layers"])
    across = _stack(s, config, "decoder", config["num_decoder_layers"])
    s.norm("encoder.norm", "encoder.final_layer_norm", across, offset=False, centred=False)
    s.norm("norm", "decoder.final_layer_norm", [("head.weight", None)], offset=False, centred=False)
    if config["tie_word_embeddings"]:
        s.tie(Tied(HEAD, TABLE, scale=width**-0.5))
    else:
        s.parameter("head.weight", HEAD, "* -residual", (vocabulary, width), ignores_mean_over=0)
    return s


def save(module: nn.Module, config: Config, folder: Path, shard: int = SHARD) -> None:
    """Write `config.json` and `model.safetensors` as transformers does, and whether the head is tied for any version of it."""
    hf.save(module, config, folder, shard)
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content.pop("scale_decoder_outputs", None)  # follows from the next
    content["tie_word_embeddings"] = config["tie_word_embeddings"]
    path.write_text(json.dumps(content, indent=2) + "\n")


SMALL: dict[str, Any] = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "vocab_size": 37,
    "d_model": 12,  # scores have no scale: a wider random model has attention so sharp that rounding is large
    "d_kv": 3,
    "d_ff": 10,
    "num_layers": 1,
    "num_heads": 3,
    "relative_attention_num_buckets": 6,
    "relative_attention_max_distance": 5,
    "n_positions": 12,
}

T5 = Family(
    name="t5",
    sentence="Encoder and decoder with tables of distances, RMSNorm before each layer, ReLU or gated GELU units.",
    reference="Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, 2019, "
    "arXiv 1910.10683",
    takes="text",
    recognises=lambda config: config.get("model_type") == "t5",
    build=build,
    outputs=outputs,
    sizes=lambda c: {
        "width": c["d_model"],
        "depth": c["num_layers"],
        "decoder depth": c["num_decoder_layers"],
        "heads": c["num_heads"],
        "units": c["d_ff"],
        "tokens": c["vocab_size"],
        "context": c["n_positions"],
    },
    structure=structure,
    predicts=lambda config: "continuation",
    save=save,
    config=config,
    from_disk=from_disk,
    classes=CLASSES,
    examples={
        "t5": SMALL | {"num_layers": 2, "num_decoder_layers": 1},
        "t5-1.1": SMALL | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        "t5-gated-tied": SMALL | {"feed_forward_proj": "gated-silu"},
    },
)
