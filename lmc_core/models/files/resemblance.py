"""What a file of weights looks like where no configuration says it: characteristic names, and sizes
as far as shapes tell them.

The number of heads cannot be read from shapes; a person has to say it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from lmc_core.models.config import Json
from lmc_core.models.files.prefixes import forms

Shapes = Mapping[str, tuple[int, ...]]
HEADS = "HEADS"


@dataclass(frozen=True)
class Look:
    """One kind of network by its names.

    Attributes:
        what: the kind, with its article.
        names: regular expressions, each of which some name begins with.
        without: regular expressions that no name may begin with.
        kind: its `model_type` where transformers' configuration can be written, or "timm".
        classes: of the configuration and of the model, in transformers.
        sizes: shapes -> entries of the configuration, as far as they can be read; `HEADS` where
            they cannot.
    """

    what: str
    names: tuple[str, ...]
    without: tuple[str, ...] = ()
    kind: str = ""
    classes: tuple[str, str] = ("", "")
    sizes: Callable[[Shapes], dict[str, Json]] = field(default=lambda shapes: {})


def _size(shapes: Shapes, ending: str, axis: int) -> int:
    """Length of an axis of the first tensor whose name ends like that."""
    return next(shape[axis] for name, shape in shapes.items() if name.endswith(ending))


def _count(shapes: Shapes, before: str) -> int:
    """How many numbered parts there are, e.g. behind "layers."."""
    numbers = {
        int(found[1])
        for name in shapes
        if (found := re.search(rf"(?:^|\.){re.escape(before)}(\d+)\.", name))
    }
    return 1 + max(numbers, default=-1)


def _has(shapes: Shapes, ending: str) -> bool:
    return any(name.endswith(ending) for name in shapes)


def _decoder(shapes: Shapes) -> dict[str, Json]:
    return {
        "vocab_size": _size(shapes, "embed_tokens.weight", 0),
        "hidden_size": _size(shapes, "embed_tokens.weight", 1),
        "intermediate_size": _size(shapes, "gate_proj.weight", 0),
        "num_hidden_layers": _count(shapes, "layers."),
        "num_attention_heads": HEADS,
        "num_key_value_heads": "GROUPS",
        "tie_word_embeddings": not _has(shapes, "lm_head.weight"),
    }


def _qwen3(shapes: Shapes) -> dict[str, Json]:
    size = _size(shapes, "q_norm.weight", 0)
    heads = {
        "num_attention_heads": _size(shapes, "q_proj.weight", 0) // size,
        "num_key_value_heads": _size(shapes, "k_proj.weight", 0) // size,
    }
    return {**_decoder(shapes), **heads, "head_dim": size}


def _gpt2(shapes: Shapes) -> dict[str, Json]:
    return {
        "vocab_size": _size(shapes, "wte.weight", 0),
        "n_positions": _size(shapes, "wpe.weight", 0),
        "n_embd": _size(shapes, "wte.weight", 1),
        "n_layer": _count(shapes, "h."),
        "n_head": HEADS,
    }


def _gpt_neox(shapes: Shapes) -> dict[str, Json]:
    return {
        "vocab_size": _size(shapes, "embed_in.weight", 0),
        "hidden_size": _size(shapes, "embed_in.weight", 1),
        "intermediate_size": _size(shapes, "dense_h_to_4h.weight", 0),
        "num_hidden_layers": _count(shapes, "layers."),
        "num_attention_heads": HEADS,
    }


def _bert(shapes: Shapes) -> dict[str, Json]:
    return {
        "vocab_size": _size(shapes, "word_embeddings.weight", 0),
        "hidden_size": _size(shapes, "word_embeddings.weight", 1),
        "max_position_embeddings": _size(shapes, "position_embeddings.weight", 0),
        "type_vocab_size": _size(shapes, "token_type_embeddings.weight", 0),
        "intermediate_size": _size(shapes, "intermediate.dense.weight", 0),
        "num_hidden_layers": _count(shapes, "layer."),
        "num_attention_heads": HEADS,
    }


def _vit(shapes: Shapes) -> dict[str, Json]:
    width, channels, patch = (
        _size(shapes, "patch_embeddings.projection.weight", axis) for axis in (0, 1, 3)
    )
    edge = math.isqrt(_size(shapes, "position_embeddings", 1) - 1) * patch
    sizes: dict[str, Json] = {
        "hidden_size": width,
        "num_channels": channels,
        "patch_size": patch,
        "image_size": edge,
    }
    sizes |= {
        "intermediate_size": next(
            shape[0]
            for name, shape in shapes.items()
            if name.endswith(("intermediate.dense.weight", "mlp.fc1.weight"))
        ),
        "num_hidden_layers": max(_count(shapes, "layer."), _count(shapes, "layers.")),
        "num_attention_heads": HEADS,
    }
    return sizes | (
        {"num_labels": _size(shapes, "classifier.weight", 0)}
        if _has(shapes, "classifier.weight")
        else {}
    )


def _timm(shapes: Shapes) -> dict[str, Json]:
    width, channels, patch = (_size(shapes, "patch_embed.proj.weight", axis) for axis in (0, 1, 3))
    extra = sum(_size(shapes, name, 1) for name in ("cls_token", "reg_token") if _has(shapes, name))
    places = _size(shapes, "pos_embed", 1)
    grid, before = next(
        ((math.isqrt(n), places - n) for n in (places - extra, places) if math.isqrt(n) ** 2 == n),
        (0, extra),
    )
    further: dict[str, Json] = {
        "class_token": None if _has(shapes, "cls_token") else False,
        "reg_tokens": _size(shapes, "reg_token", 1) if _has(shapes, "reg_token") else None,
        "no_embed_class": True if extra and not before else None,
        "global_pool": "avg"
        if _has(shapes, "fc_norm.weight") or not _has(shapes, "cls_token")
        else None,
        "init_values": 1e-5 if _has(shapes, "ls1.gamma") else None,
        "pre_norm": True if _has(shapes, "norm_pre.weight") else None,
        "qkv_bias": None if _has(shapes, "qkv.bias") else False,
        "qk_norm": True if _has(shapes, "q_norm.weight") else None,
    }
    sizes = {
        "img_size": grid * patch,
        "patch_size": patch,
        "in_chans": channels,
        "embed_dim": width,
        "depth": _count(shapes, "blocks."),
        "num_heads": HEADS,
        "mlp_ratio": _size(shapes, "blocks.0.mlp.fc1.weight", 0) / width,
    }
    return sizes | {name: value for name, value in further.items() if value is not None}


LLAMA = (
    r"(model\.)?layers\.0\.self_attn\.q_proj\.weight",
    r"(model\.)?layers\.0\.mlp\.gate_proj\.weight",
)
NORMED = r"(model\.)?layers\.0\.self_attn\.q_norm\."
BIASED = r"(model\.)?layers\.0\.self_attn\.q_proj\.bias"
SANDWICH = r"(model\.)?layers\.0\.(pre|post)_feedforward_layernorm\."
ENCODER = r"encoder\.layer\.0\.attention\.self\.query\.weight"
IMAGES = r"((vit|deit)\.)?embeddings\.patch_embeddings\.projection\.weight"
LOOKS = (
    Look(
        "a Vision Transformer of timm",
        (r"patch_embed\.proj\.weight", r"blocks\.0\.attn\.qkv\.weight"),
        (),
        "timm",
        sizes=_timm,
    ),
    Look(
        "a Vision Transformer of transformers",
        (rf"{IMAGES}",),
        (r"deit\.",),
        "vit",
        ("ViTConfig", "ViTForImageClassification"),
        _vit,
    ),
    Look(
        "a GPT-2",
        (r"(transformer\.)?h\.0\.attn\.c_attn\.weight",),
        (),
        "gpt2",
        ("GPT2Config", "GPT2LMHeadModel"),
        _gpt2,
    ),
    Look(
        "a GPT-NeoX (Pythia)",
        (r"gpt_neox\.layers\.0\.attention\.query_key_value\.weight",),
        (),
        "gpt_neox",
        ("GPTNeoXConfig", "GPTNeoXForCausalLM"),
        _gpt_neox,
    ),
    Look("a decoder like Gemma, with norms around its layers", (*LLAMA, SANDWICH)),
    Look(
        "a decoder like Qwen3",
        (*LLAMA, NORMED),
        (BIASED,),
        "qwen3",
        ("Qwen3Config", "Qwen3ForCausalLM"),
        _qwen3,
    ),
    Look(
        "a decoder like Qwen2",
        (*LLAMA, BIASED),
        (NORMED,),
        "qwen2",
        ("Qwen2Config", "Qwen2ForCausalLM"),
        _decoder,
    ),
    Look(
        "a Llama-like decoder",
        LLAMA,
        (NORMED, BIASED),
        "llama",
        ("LlamaConfig", "LlamaForCausalLM"),
        _decoder,
    ),
    Look("a mixture of experts", (r"(model\.)?layers\.\d+\.(block_sparse_moe|mlp)\.experts\.",)),
    Look("a BERT", (rf"(bert\.)?{ENCODER}",), (), "bert", ("BertConfig", "BertForMaskedLM"), _bert),
    Look(
        "a RoBERTa",
        (rf"roberta\.{ENCODER}",),
        (),
        "roberta",
        ("RobertaConfig", "RobertaForMaskedLM"),
        _bert,
    ),
    Look(
        "an OPT",
        (
            r"(model\.)?decoder\.layers\.0\.self_attn\.q_proj\.weight",
            r"(model\.)?decoder\.layers\.0\.fc1\.",
        ),
        (r"(model\.)?encoder\.",),
    ),
    Look(
        "an encoder and decoder like BART or Whisper",
        (r"(model\.)?decoder\.layers\.0\.encoder_attn\.",),
    ),
    Look("a T5", (r"encoder\.block\.0\.layer\.0\.SelfAttention\.q\.weight",)),
    Look("a DistilBERT", (r"(distilbert\.)?transformer\.layer\.0\.attention\.q_lin\.weight",)),
    Look("a CLIP", (r"(text_model\.encoder\.layers|visual\.transformer\.resblocks)\.0\.",)),
    Look("a convolutional network like ResNet", (r"layer1\.0\.conv1\.weight",)),
)


def find_look(names: Collection[str]) -> tuple[Look, Mapping[str, str]] | None:
    """The kind of network that the names are those of, and name in the file -> name without
    wrappers; None for no known one.
    """
    for form in forms(names):
        for look in LOOKS:
            if _fits(look, form.values()):
                return look, form
    return None


def _fits(look: Look, names: Collection[str]) -> bool:
    there = all(any(re.match(pattern, name) for name in names) for pattern in look.names)
    return there and not any(re.match(pattern, name) for pattern in look.without for name in names)


def read_sizes(look: Look, form: Mapping[str, str], shapes: Shapes) -> dict[str, Json]:
    """The entries of a configuration that shapes tell; {} where a tensor that is needed for them is
    not there.
    """
    try:
        return look.sizes({bare: shapes[name] for name, bare in form.items() if name in shapes})
    except (StopIteration, IndexError, ZeroDivisionError):
        return {}


def lines(
    look: Look, sizes: Mapping[str, Json], folder: str, classes: int | None = None
) -> list[str]:
    """Three lines of Python that write the `config.json` of a folder; [] where they cannot be
    given.

    Args:
        look: the kind of network.
        sizes: of it.
        folder: to write into.
        classes: of a model of timm.
    """
    if not look.kind or not sizes:
        return []
    given = ", ".join(
        f"{name}={value if value in (HEADS, 'GROUPS') else repr(value)}"
        for name, value in sizes.items()
    )
    if look.kind == "timm":
        config = (
            f'{{"architecture": "vit_base_patch16_224", "num_classes": {classes or 0}, '
            f'"model_args": dict({given})}}'
        )
        return [
            "import json, pathlib",
            f"c = {config}",
            f'pathlib.Path("{folder}/config.json").write_text(json.dumps(c))',
        ]
    config_class, model_class = look.classes
    return [
        f"from transformers import {config_class}",
        f'c = {config_class}({given}, architectures=["{model_class}"])',
        f'c.save_pretrained("{folder}")',
    ]
