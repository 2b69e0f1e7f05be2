"""Folders as people bring them, built small: what each is, and what should come of it.

`python scripts/compatibility.py` tries them all; so do the tests.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import lmc_core
from lmc_core.errors import LmcError
from lmc_core.matching.pair import align_pair
from lmc_core.models.forward import random_inputs

WEIGHTS = "model.safetensors"
Build = Callable[[Path], list[str]]


@dataclass(frozen=True)
class Case:
    """One kind of folder.

    Attributes:
        sentence: what it is.
        build: makes it in a folder; returns the references, one to be loaded or two to be aligned.
        refused: words of the refusal that is right; "" where it should work.
        note: words of a note that a person has to get; "" for none.
    """

    sentence: str
    build: Build
    refused: str = ""
    note: str = ""

    def verdict(self, folder: Path) -> tuple[bool, str]:
        """Whether what came is right, and what came, in words."""
        try:
            models = [lmc_core.load(reference) for reference in self.build(folder)]
            notes = " ".join(note for model in models for note in model.notes)
            if len(models) == 2:
                error = align_pair(models[0], models[1], random_inputs(models[0])).function_error
                came = f"aligned, function changed by {error:.0e}"
            else:
                came = f"read as a {type(models[0].module()).__name__}"
            return not self.refused and self.note in notes, came + (f"; {notes}" if notes else "")
        except LmcError as error:
            return bool(self.refused) and self.refused in str(error), f"refused: {error}"


def _module(cls: str, seed: int = 0, **config: Any) -> nn.Module:
    import transformers

    torch.manual_seed(seed)
    kind = getattr(transformers, cls).config_class
    return getattr(transformers, cls)(kind(**config))


def _gpt2(folder: Path, seed: int = 0, cls: str = "GPT2LMHeadModel", **config: Any) -> Path:
    sizes = {"vocab_size": 40, "n_positions": 16, "n_embd": 24, "n_layer": 2, "n_head": 2}
    _module(cls, seed, **sizes | config).save_pretrained(folder)  # type: ignore[operator]
    return folder


def _llama(folder: Path, seed: int = 0, cls: str = "LlamaForCausalLM", **config: Any) -> Path:
    sizes = {
        "vocab_size": 40,
        "hidden_size": 24,
        "intermediate_size": 20,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 16,
    }
    _module(cls, seed, **sizes | config).save_pretrained(folder)  # type: ignore[operator]
    return folder


def _bert(
    folder: Path, seed: int = 0, cls: str = "BertForSequenceClassification", **config: Any
) -> Path:
    sizes = {
        "vocab_size": 40,
        "hidden_size": 24,
        "intermediate_size": 20,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "max_position_embeddings": 16,
    }
    _module(cls, seed, **sizes | config).save_pretrained(folder)  # type: ignore[operator]
    return folder


def _renamed(folder: Path, rename: Callable[[str], str]) -> list[str]:
    tensors = load_file(folder / WEIGHTS)
    save_file({rename(name): tensor for name, tensor in tensors.items()}, folder / WEIGHTS)
    return [str(folder)]


def _changed(folder: Path, **entries: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    return folder


def _pickled(folder: Path, name: str, wrap: Callable[[dict[str, Tensor]], Any]) -> list[str]:
    torch.save(wrap(load_file(folder / WEIGHTS)), folder / name)
    (folder / WEIGHTS).unlink()
    return [f"pickle:{folder}"]


def _prefix(prefix: str) -> Build:
    return lambda folder: _renamed(_gpt2(folder), lambda name: prefix + name)


def _nanogpt(folder: Path) -> list[str]:
    """As its training script saves: linear layers `[out, in]`, no biases, the prefix of a compiled
    module.
    """
    folder.mkdir(parents=True)
    sizes = {
        "n_layer": 1,
        "n_head": 2,
        "n_embd": 16,
        "block_size": 8,
        "vocab_size": 32,
        "bias": False,
        "dropout": 0.0,
    }
    shapes = {
        "wte.weight": (32, 16),
        "wpe.weight": (8, 16),
        "h.0.ln_1.weight": (16,),
        "h.0.attn.c_attn.weight": (48, 16),
        "h.0.attn.c_proj.weight": (16, 16),
        "h.0.ln_2.weight": (16,),
        "h.0.mlp.c_fc.weight": (64, 16),
        "h.0.mlp.c_proj.weight": (16, 64),
        "ln_f.weight": (16,),
    }
    state = {f"_orig_mod.transformer.{name}": torch.randn(shape) for name, shape in shapes.items()}
    state["_orig_mod.lm_head.weight"] = state["_orig_mod.transformer.wte.weight"]
    torch.save({"model": state, "model_args": sizes, "iter_num": 3}, folder / "ckpt.pt")
    return [f"pickle:{folder}"]


def _pointer(folder: Path) -> list[str]:
    _gpt2(folder)
    (folder / WEIGHTS).write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 548105171\n"
    )
    return [str(folder)]


def _without(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).unlink()
    return [str(folder)]


def _value_head(folder: Path) -> Path:
    _gpt2(folder)
    save_file(
        load_file(folder / WEIGHTS) | {"v_head.summary.weight": torch.zeros(1, 24)},
        folder / WEIGHTS,
    )
    return folder


def _adapter(folder: Path) -> list[str]:
    base = _gpt2(folder / "base")
    lora = folder / "lora"
    lora.mkdir()
    settings = {
        "peft_type": "LORA",
        "r": 2,
        "lora_alpha": 4,
        "target_modules": ["c_attn"],
        "fan_in_fan_out": True,
    }
    (lora / "adapter_config.json").write_text(
        json.dumps(settings | {"base_model_name_or_path": "base"})
    )
    at = "base_model.model.transformer.h.0.attn.c_attn"
    matrices = {
        f"{at}.lora_A.weight": torch.randn(2, 24),
        f"{at}.lora_B.weight": torch.randn(72, 2),
    }
    save_file(matrices, lora / "adapter_model.safetensors")
    return [f"{base}+{lora}"]


def _timm(folder: Path, **arguments: Any) -> list[str]:
    import timm
    from timm.models import save_for_hf

    sizes: dict[str, Any] = {"img_size": 28, "embed_dim": 24, "depth": 1, "num_heads": 2}
    model = timm.create_model("vit_small_patch14_dinov2", **sizes | arguments)
    save_for_hf(model, str(folder), model_args=sizes | arguments, safe_serialization=True)
    return [str(folder)]


def _padded(folder: Path) -> list[str]:
    """Eight more rows than tokens, which hold no numbers."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    for name, rows in (("a", 40), ("b", 48)):
        _llama(folder / name, seed=ord(name), vocab_size=rows)
        tokens = Tokenizer(models.WordLevel({f"w{i}": i for i in range(40)}, unk_token="w0"))
        tokens.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[attr-defined]
        tokens.save(str(folder / name / "tokenizer.json"))
    tensors = load_file(folder / "b" / WEIGHTS)
    for tensor in tensors.values():
        if tensor.shape[0] == 48:
            tensor[40:] = float("nan")
    save_file(tensors, folder / "b" / WEIGHTS)
    return [str(folder / "a"), str(folder / "b")]


def _two(build: Callable[..., Path], first: dict[str, Any], second: dict[str, Any]) -> Build:
    def both(folder: Path) -> list[str]:
        return [
            str(build(folder / "a", seed=0, **first)),
            str(build(folder / "b", seed=1, **second)),
        ]

    return both


def _args() -> argparse.Namespace:
    return argparse.Namespace(lr=1e-3, model="gpt2")


CASES: dict[str, Case] = {
    **{
        f"prefix {prefix}": Case(f"parameters whose names begin with `{prefix}`", _prefix(prefix))
        for prefix in (
            "module.",
            "_orig_mod.",
            "_forward_module.",
            "_fsdp_wrapped_module.",
            "module._orig_mod.",
        )
    },
    "state_dict_ema": Case(
        "a `.pt` file with `state_dict_ema` beside an optimizer",
        lambda f: _pickled(_gpt2(f), "model.pt", lambda t: {"state_dict_ema": t, "optimizer": {}}),
    ),
    "pth.tar": Case(
        "a `.pth.tar` file with a Namespace inside",
        lambda f: _pickled(
            _gpt2(f), "model_best.pth.tar", lambda t: {"state_dict": t, "args": _args(), "epoch": 3}
        ),
    ),
    "Lightning": Case(
        "a `.ckpt` file of Lightning",
        lambda f: _pickled(
            _gpt2(f),
            "last.ckpt",
            lambda t: {"state_dict": {f"model.{n}": v for n, v in t.items()}, "epoch": 1},
        ),
    ),
    "nanoGPT": Case("nanoGPT's `ckpt.pt` with its `model_args`", _nanogpt),
    "context": Case(
        "a pair with contexts of 16 and 32", _two(_llama, {}, {"max_position_embeddings": 32})
    ),
    "pad_token_id": Case(
        "a pair of which one names a padding token", _two(_llama, {}, {"pad_token_id": 2})
    ),
    "rotary base": Case(
        "a pair with different rotary bases",
        _two(_llama, {}, {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}),
        refused="rope",
    ),
    "padded vocabulary": Case(
        "a pair of which one has eight further rows, of NaN", _padded, note="no token"
    ),
    "quantisation block": Case(
        "a quantisation block left over floating-point weights",
        lambda f: [
            str(
                _changed(
                    _llama(f),
                    quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True},
                )
            )
        ],
        note="quantis",
    ),
    "value head": Case(
        "a language model with a value head",
        lambda f: [str(_value_head(f))],
        refused="v_head.summary.weight",
    ),
    "value head, left out": Case(
        "the same with --ignore-extra",
        lambda f: [f"extra:{_value_head(f)}"],
        note="v_head.summary.weight",
    ),
    "adapter": Case("BASE+ADAPTER, a LoRA on GPT-2", _adapter),
    "adapter alone": Case(
        "a folder with an adapter alone", lambda f: [_adapter(f)[0].partition("+")[2]], refused="+"
    ),
    "Git LFS pointer": Case(
        "a pointer of Git LFS in place of the weights", _pointer, refused="git lfs pull"
    ),
    "no config.json": Case(
        "weights without config.json",
        lambda f: _without(_gpt2(f), "config.json"),
        refused="config.json is missing",
    ),
    "timm": Case(
        "what timm.models.save_for_hf writes, 14-pixel patches", lambda f: _timm(f, num_classes=5)
    ),
    "timm, headless": Case("the same without a head", lambda f: _timm(f, num_classes=0)),
    "GPT2Model": Case(
        "a pair of GPT2Model", _two(_gpt2, {"cls": "GPT2Model"}, {"cls": "GPT2Model"})
    ),
    "inverse layers": Case(
        "GPT-2 with scale_attn_by_inverse_layer_idx and reorder_and_upcast_attn",
        _two(
            _gpt2, *[{"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True}] * 2
        ),
    ),
    "classifiers": Case(
        "a pair of BERTs that sort texts", _two(_bert, {"num_labels": 3}, {"num_labels": 3})
    ),
    "body and head": Case(
        "a BERT with a head and the same body with another",
        _two(_bert, {"cls": "BertForMaskedLM"}, {"cls": "BertForSequenceClassification"}),
    ),
}
