"""Checkpoints of nanoGPT (Karpathy 2022): a `ckpt.pt` that holds its sizes beside the weights, read
as an ordinary GPT-2.

The network is GPT-2's with exact GELU, epsilon 1e-5 and a tied head. Its linear layers are stored
`[out, in]`, those of transformers' class `[in, out]`; a model trained with `bias=False` has neither
offsets of norms nor biases, which is the same as zeros. A padded vocabulary stays padded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models.config import Config

KEY = "model_args"
SIZES = {
    "vocab_size": "vocab_size",
    "block_size": "n_positions",
    "n_embd": "n_embd",
    "n_layer": "n_layer",
    "n_head": "n_head",
}
LINEAR = re.compile(
    r"transformer\.h\.\d+\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight"
)
NORM = re.compile(r"transformer\.(h\.\d+\.ln_[12]|ln_f)\.weight")
ZEROS = (
    "{where} was trained without biases (bias=False of nanoGPT); an ordinary GPT-2 has them, "
    "so they were set to zero."
)
MADE = (
    "{where} was written by nanoGPT; it is read, and written, as GPT2LMHeadModel of "
    "transformers, with exact GELU."
)


def recognises(beside: Mapping[str, object]) -> bool:
    """Whether what lies beside pickled weights gives the sizes as nanoGPT does."""
    return SIZES.keys() <= _arguments(beside).keys()


def configuration(beside: Mapping[str, object]) -> Config:
    """The content of a GPT-2's `config.json`, out of what lies beside the weights.

    Raises:
        BadCheckpoint: for sizes that are none.
    """
    args, sizes = _arguments(beside), Config()
    for theirs, ours in SIZES.items():
        value = args[theirs]
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadCheckpoint(
                f"The checkpoint of nanoGPT should give {theirs!r} as a number; it gives {value!r}."
            )
        sizes[ours] = value
    usual = Config(model_type="gpt2", architectures=["GPT2LMHeadModel"], layer_norm_epsilon=1e-5)
    return usual | sizes | {"activation_function": "gelu", "tie_word_embeddings": True}


def _arguments(beside: Mapping[str, object]) -> Mapping[str, object]:
    """The sizes and switches that nanoGPT writes beside the weights."""
    args = beside.get(KEY)
    return args if isinstance(args, Mapping) else {}


def converter(beside: Mapping[str, object]) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """What brings the tensors into the form in which transformers' class stores them; biases there
    were none of are zeros.
    """
    biases = _arguments(beside).get("bias", True)

    def converted(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for name, tensor in tensors.items():
            linear = LINEAR.fullmatch(name) is not None
            found[name] = tensor.t().contiguous() if linear and tensor.ndim == 2 else tensor
            if not biases and tensor.ndim and (linear or NORM.fullmatch(name)):
                zeros = torch.zeros(tensor.shape[0], dtype=tensor.dtype, device=tensor.device)
                found.setdefault(name.removesuffix("weight") + "bias", zeros)
        return found

    return converted


def notes(beside: Mapping[str, object], where: str) -> tuple[str, ...]:
    """What a person should know of it."""
    made = MADE.format(where=where)
    return (made,) if _arguments(beside).get("bias", True) else (made, ZEROS.format(where=where))
