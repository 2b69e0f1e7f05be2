"""BART (Lewis et al. 2019, arXiv 1910.13461): encoder and decoder with a LayerNorm after each
layer, and heads on both.

As in BERT norms write to the stream, which admits permutations; both stacks begin with the rows of
one table, so that one permutation moves both. The encoder's last norm goes into keys and values of
every decoder layer. Two rows of each table of positions are never read. The head is the token
table, with a bias that is stored as a buffer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import torch
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.heads import Head, Readers, continue_half, with_class
from lmc_core.models.architectures.postnorm import MEANS, OFFSETS, SUMS, norm_into
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import (
    POINTWISE,
    attention,
    post_norm_stream,
    separate_attention,
    tanh_pooled,
    units,
    units_product,
)
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    from torch import Tensor, nn

TABLE, HEAD, BIAS, UNREAD = "shared.weight", "lm_head.weight", "final_logits_bias", 2
COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
SIZES = ("layers", "attention_heads", "ffn_dim")
# What the function depends on, with transformers' defaults.
DEFAULTS = {
    "model_type": "bart",
    "vocab_size": 50265,
    "max_position_embeddings": 1024,
    "d_model": 1024,
    **{
        f"{stack}_{size}": usual
        for stack in ("encoder", "decoder")
        for size, usual in zip(SIZES, (12, 16, 4096), strict=True)
    },
    "activation_function": "gelu",
    "scale_embedding": False,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
USUAL = "BartForConditionalGeneration"
CLASSES = {
    USUAL: Head("continuation"),
    "BartModel": Head("features", body=""),
    "BartForSequenceClassification": Head("label", "classification_head.out_proj", True),
    "BartForQuestionAnswering": Head("span", "qa_outputs", True),
}


def _head(config: Config) -> Head:
    return CLASSES[config.class_name(USUAL)]


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = hf.chosen(raw, DEFAULTS)
    require_sizes(found, "vocab_size", "max_position_embeddings", "d_model")
    for stack in ("encoder", "decoder"):
        require_sizes(found, *(f"{stack}_{size}" for size in SIZES))
        require_divides(found, f"{stack}_attention_heads", "d_model")
    hf.activation(found, "activation_function", POINTWISE, "BART")
    hf.switches(found, "scale_embedding")
    hf.special_tokens(found)
    if raw.get("tie_word_embeddings", True) is not True:
        raise BadCheckpoint(
            "A BART whose head and stacks do not share one token table is not supported; "
            "published ones share it."
        )
    for old in (
        "normalize_before",
        "add_final_layer_norm",
        "static_position_embeddings",
        "extra_pos_embeddings",
    ):
        if raw.get(old) not in (None, False, UNREAD):
            raise BadCheckpoint(
                f"A BART with {old}={raw[old]!r} is not supported; published ones have norms "
                "after each layer."
            )
    hf.require_tokens(found, "pad_token_id", "eos_token_id", "decoder_start_token_id")
    found = with_class(found, raw, CLASSES, USUAL, "BART")
    if _head(found).predicts == "span" and hf.labels(raw) != 2:
        raise BadCheckpoint(
            "Where an answer begins and ends are 2 labels; the configuration gives "
            f"{hf.labels(raw)!r}."
        )
    return found


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory; copies of the token table and heads of other classes are dropped, a missing
    bias is zero.
    """
    head, found = _head(config), {}
    own = (HEAD, BIAS) if head.predicts == "continuation" else (head.name.split(".")[0] or "-",)
    for name, tensor in tensors.items():
        bare = name.removeprefix("model.")
        if bare.startswith(
            (HEAD, BIAS, "classification_head.", "qa_outputs.")
        ) and not bare.startswith(own):
            continue
        found[bare] = tensor
    for copy in (*COPIES, HEAD):
        hf.drop_copy(
            found,
            copy,
            TABLE,
            "both stacks and the head of a BART read one table, so fetch the checkpoint again",
        )
    if head.predicts == "continuation" and BIAS not in found and TABLE in found:
        found[BIAS] = torch.zeros(1, config.size("vocab_size"), dtype=found[TABLE].dtype)
    return {
        f"{head.body}{n}" if n.startswith(("shared.", "encoder.", "decoder.")) else n: t
        for n, t in found.items()
    }


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    none = dict.fromkeys(
        ("dropout", "attention_dropout", "activation_dropout", "classifier_dropout"), 0.0
    )
    none |= dict.fromkeys(("encoder_layerdrop", "decoder_layerdrop"), 0.0)
    return hf.build(config, "BartConfig", config.class_name(USUAL), **none)


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """What a class computes of tokens `[n, length]`.

    Logits of the second half given the first, as of a T5; of the whole model without a head the
    streams of both; logits of a text are read at the token that ends it, which is put behind it;
    scores of where an answer begins and ends.
    """
    config: Any = module.config
    name = type(module).__name__
    if name.endswith("ForSequenceClassification"):
        ended = torch.cat([inputs[:, 1:], torch.full_like(inputs[:, :1], config.eos_token_id)], 1)
        # one of its own number of ends
        return torch.cat([module(text, use_cache=False).logits for text in ended.split(1)])
    if name.endswith("ForQuestionAnswering"):
        found = module(inputs, use_cache=False)
        return torch.stack([found.start_logits, found.end_logits], -1)
    return continue_half(module, inputs, config.decoder_start_token_id)


BIASES = (True, True, True, True)


def _stack(s: Structure, config: Config, stack: str) -> Readers:
    """Write a stack down without its last norm; returns what in it reads the encoder's last
    norm.
    """
    width, depth, heads, size = (
        config.size("d_model"),
        *(config.size(f"{stack}_{each}") for each in SIZES),
    )
    rows = config.size("max_position_embeddings") + UNREAD
    s.parameter(
        f"{stack}.position.table", f"{stack}.embed_positions.weight", "* +residual", (rows, width)
    )
    s.freedom(MEANS, rows)
    s.freedom("positions that are never used", UNREAD * (width - 1))
    norm_into(s, f"{stack}.norm", f"{stack}.layernorm_embedding")
    across: Readers = []
    for i in range(depth):
        on, at = f"blocks.{stack}.{i}", f"{stack}.layers.{i}"
        a = attention(s, f"{stack}.{i}", heads, width // heads)
        names = tuple(f"{at}.self_attn.{part}_proj" for part in ("q", "k", "v", "out"))
        separate_attention(s, a, on, names, BIASES)
        norm_into(s, f"{on}.norm1", f"{at}.self_attn_layer_norm")
        means = (width + 1) + (size + 1) + 3 * width + size
        if stack == "decoder":
            a = attention(s, f"{stack}.{i}.across", heads, width // heads)
            names = tuple(f"{at}.encoder_attn.{part}_proj" for part in ("q", "k", "v", "out"))
            across += separate_attention(s, a, f"{on}.across", names, BIASES)[1:]
            norm_into(s, f"{on}.norm2", f"{at}.encoder_attn_layer_norm")
            means += (width + 1) + width
        u = units(s, f"{stack}.{i}", size, config.text("activation_function"))
        s.linear(f"{on}.up", f"{at}.fc1", f"+{u}", "-residual")
        s.linear(f"{on}.down", f"{at}.fc2", "+residual", f"-{u}")
        units_product(s, u, on, bias=True)
        s.freedom(MEANS, means)
        if i < depth - 1:
            norm_into(s, f"{on}.last", f"{at}.final_layer_norm")
    return across


def structure(config: Config) -> Structure:
    """The spaces and blocks of a BART of that configuration."""
    s, head = Structure("bart"), _head(config)
    width, vocabulary = config.sizes("d_model", "vocab_size")
    shown = head.predicts == "features"
    tied = head.predicts == "continuation"
    post_norm_stream(s, width, rms=False, output=shown)
    s.parameter("token.table", TABLE, "* +residual", (vocabulary, width))
    s.scale("embeddings")
    # one constant against both tables of positions; what the head sees of a row as well, see
    # `postnorm.encoder`
    s.freedom(MEANS, 0 if tied else vocabulary)
    s.freedom(SUMS, 1 if tied else width - 1)
    _stack(s, config, "encoder")
    across = _stack(s, config, "decoder")
    depths = {stack: config.size(f"{stack}_layers") for stack in ("encoder", "decoder")}
    ends = [(f"blocks.{n}.{d - 1}.last", f"{n}.layers.{d - 1}") for n, d in depths.items()]
    s.norm(ends[0][0], f"{ends[0][1]}.final_layer_norm", None if shown else across)
    if shown:  # rows of those readers along 1/g of that norm
        s.freedom(MEANS, 2 * width * config.size("decoder_layers"))
    readers: Readers | None = None
    if head.predicts == "label":
        tanh_pooled(s, width)
        readers = [s.linear("pooler", "classification_head.dense", "+pooled", "-residual")]
        s.linear(
            "head", head.name, "*", "-pooled", rows=config.size("num_labels"), ignores_mean_over=0
        )
    elif head.predicts == "span":
        readers = [s.linear("head", head.name, "*", "-residual", rows=2)]
    elif tied:
        s.fused(BIAS, (1, vocabulary), [("head.bias", "0/1 *")], 0)
        s.freedom(OFFSETS, width)
    s.norm(ends[1][0], f"{ends[1][1]}.final_layer_norm", readers)
    for part in ("shared.", "encoder.", "decoder."):
        s.rename(part, f"{head.body}{part}")
    return s


SMALL = {
    "model_type": "bart",
    "architectures": [USUAL],
    "vocab_size": 37,
    "max_position_embeddings": 12,
    "d_model": 24,
    **{
        f"{stack}_{size}": n
        for stack in ("encoder", "decoder")
        for size, n in zip(SIZES, (1, 3, 20), strict=True)
    },
}

BART = Family(
    name="bart",
    sentence="Encoder and decoder with learned positions, LayerNorm after each layer, GELU units.",
    reference="Lewis et al., BART: Denoising Sequence-to-Sequence Pre-training for Natural "
    "Language Generation, Translation, "
    "and Comprehension, 2019, arXiv 1910.13461",
    takes="text",
    recognises=lambda config: config.get("model_type") == "bart",
    build=build,
    outputs=outputs,
    sizes=lambda c: {
        "width": c.size("d_model"),
        "depth": c.size("encoder_layers"),
        "decoder depth": c.size("decoder_layers"),
        "heads": c.size("encoder_attention_heads"),
        "units": c.size("encoder_ffn_dim"),
        "tokens": c.size("vocab_size"),
        "context": c.size("max_position_embeddings"),
        **({"classes": c.size("num_labels")} if "num_labels" in c else {}),
    },
    structure=structure,
    predicts=lambda config: _head(config).predicts,
    save=hf.save,
    config=config,
    from_disk=from_disk,
    classes=tuple(CLASSES),
    examples={
        "bart": SMALL | {"encoder_layers": 2, "decoder_layers": 2, "activation_function": "relu"},
        "bart-scaled": SMALL | {"scale_embedding": True},
        "bart-features": SMALL | {"architectures": ["BartModel"]},
    },
)
