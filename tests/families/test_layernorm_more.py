"""Decoders with a LayerNorm before each layer: what their layouts say, counted and tried, in every
class.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lmc_core.matching.pair import canonical
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import function_error
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.elements import Orthogonal
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes
from tests.families.mixtures import error_after, nullity_and_dimension
from tests.families.test_layernorm import BEHIND, NARROW, NEOX, PLAIN
from tests.families.test_layernorm import OPT as TIED_OPT
from tests.networks import random_inputs, random_model


def cls(name: str, labels: int = 3) -> dict[str, Any]:
    return {"architectures": [name]} | ({"num_labels": labels} if "Classification" in name else {})


GPT2: dict[str, Any] = {
    "model_type": "gpt2",
    "vocab_size": 11,
    "n_positions": 6,
    "n_embd": 6,
    "n_layer": 2,
    "n_head": 2,
    "n_inner": 6,
}
UNTIED = {"tie_word_embeddings": False}
BY_LAYER = {"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False}
OPT = {key: value for key, value in TIED_OPT.items() if key != "tie_word_embeddings"} | {
    "hidden_size": 6,
    "num_hidden_layers": 1,
}
TINY: dict[str, Any] = {
    "vocab_size": 23,  # fewer tokens do not determine what reads their embeddings alone
    "hidden_size": 8,
    "intermediate_size": 3,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 8,
    "pad_token_id": None,  # its row has no derivative
    "eos_token_id": None,
}
ALL = {"num_key_value_heads": 2}
NORMED = {"qk_layernorm": True}
GPTJ: dict[str, Any] = {
    "vocab_size": 23,
    "n_positions": 8,
    "n_embd": 8,
    "n_layer": 1,
    "n_head": 2,
    "rotary_dim": 2,
    "n_inner": 3,
    "bos_token_id": None,
    "eos_token_id": None,
}
GPT_NEO: dict[str, Any] = {
    "vocab_size": 23,
    "max_position_embeddings": 6,
    "hidden_size": 6,
    "num_layers": 2,
    "num_heads": 2,
    "intermediate_size": 3,
    "window_size": 3,
    "attention_types": [[["global", "local"], 1]],
    "bos_token_id": None,
    "eos_token_id": None,
}
FALCON: dict[str, Any] = {
    "vocab_size": 23,
    "hidden_size": 8,
    "ffn_hidden_size": 3,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
}
GROUPS = {"new_decoder_architecture": True, "num_kv_heads": 2}
ONE_NORM = {"new_decoder_architecture": True, "num_kv_heads": 1, "num_ln_in_parallel_attn": 1}
IN_TURN = {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True}
BLOOM = {"vocab_size": 29, "hidden_size": 6, "n_layer": 1, "n_head": 2, "seq_length": 8}
MPT = {"vocab_size": 31, "d_model": 6, "n_layers": 1, "n_heads": 2, "max_seq_len": 8}
# every coordinate is sometimes clipped, sometimes not
CLIPPED = {"attn_config": {"clip_qkv": 0.5, "softmax_scale": 0.4}}
COHERE2 = {
    "layer_types": ["full_attention", "sliding_attention"],
    "sliding_window": 3,
    "num_hidden_layers": 2,
}
COUNTED: dict[str, tuple[str, dict[str, Any], int]] = {
    "gpt2, scores by layer": ("gpt2", GPT2 | UNTIED | BY_LAYER, 60),
    "gpt2, features": ("gpt2", GPT2 | cls("GPT2Model"), 60),
    "gpt2, labels of tokens": ("gpt2", GPT2 | cls("GPT2ForTokenClassification"), 60),
    "neox, features": ("gpt_neox", NEOX | cls("GPTNeoXModel"), 30),
    "neox, spans": ("gpt_neox", NEOX | cls("GPTNeoXForQuestionAnswering"), 60),
    "opt, features": ("opt", OPT | cls("OPTModel"), 30),
    "opt, spans": ("opt", OPT | cls("OPTForQuestionAnswering"), 120),
    "opt, behind, features": ("opt", OPT | BEHIND | cls("OPTModel"), 30),
    "opt, behind, spans": ("opt", OPT | BEHIND | cls("OPTForQuestionAnswering"), 120),
    "opt, narrow, features": ("opt", OPT | BEHIND | NARROW | cls("OPTModel"), 30),
    "opt, narrow, few labels": ("opt", OPT | NARROW | cls("OPTForQuestionAnswering"), 160),
    "opt, narrow, no gains, few labels": (
        "opt",
        OPT | BEHIND | NARROW | PLAIN | cls("OPTForQuestionAnswering"),
        160,
    ),
    "phi": ("phi", TINY | ALL, 30),
    "phi, norms": ("phi", TINY | NORMED, 30),
    "phi, norms, all rotated": ("phi", TINY | ALL | NORMED | {"partial_rotary_factor": 1.0}, 30),
    "phi, features": ("phi", TINY | cls("PhiModel"), 30),
    "starcoder2": ("starcoder2", TINY | UNTIED, 30),
    "starcoder2, no biases": ("starcoder2", TINY | UNTIED | ALL | {"use_bias": False}, 30),
    "stablelm": ("stablelm", TINY | ALL | {"partial_rotary_factor": 0.5}, 30),
    "stablelm, biases": (
        "stablelm",
        TINY | ALL | {"use_qkv_bias": True, "partial_rotary_factor": 0.5},
        30,
    ),
    "stablelm, parallel": (
        "stablelm",
        TINY
        | ALL
        | {
            "use_qkv_bias": True,
            "use_parallel_residual": True,
            "partial_rotary_factor": 0.5,
            "vocab_size": 29,
        },
        30,
    ),
    "stablelm, norms": ("stablelm", TINY | NORMED | {"partial_rotary_factor": 0.5}, 30),
    "stablelm, norms, biases": (
        "stablelm",
        TINY | NORMED | {"partial_rotary_factor": 1.0, "use_qkv_bias": True},
        30,
    ),
    "nemotron": ("nemotron", TINY, 60),
    "nemotron, biases": ("nemotron", TINY | ALL | {"attention_bias": True}, 60),
    "nemotron, gelu": (
        "nemotron",
        TINY | {"mlp_bias": True, "attention_bias": True, "hidden_act": "gelu"},
        30,
    ),
    "cohere": ("cohere", TINY | UNTIED, 30),
    "cohere, norms": ("cohere", TINY | UNTIED | ALL | {"use_qk_norm": True}, 30),
    "cohere, norms, biases": (
        "cohere",
        TINY | UNTIED | {"use_qk_norm": True, "attention_bias": True},
        30,
    ),
    "cohere2": ("cohere2", TINY | UNTIED | COHERE2 | {"attention_bias": True}, 30),
    "gptj": ("gptj", GPTJ, 30),
    "gptj, spans": ("gptj", GPTJ | cls("GPTJForQuestionAnswering"), 80),
    "gpt_neo": ("gpt_neo", GPT_NEO | UNTIED, 40),
    "falcon": ("falcon", FALCON | UNTIED, 30),
    "falcon, biases": ("falcon", FALCON | UNTIED | {"bias": True}, 30),
    "falcon, groups": ("falcon", FALCON | UNTIED | GROUPS, 30),
    "falcon, groups, one norm": ("falcon", FALCON | UNTIED | ONE_NORM, 30),
    "falcon, alibi": ("falcon", FALCON | UNTIED | {"alibi": True}, 30),
    "falcon, alibi, in turn": ("falcon", FALCON | UNTIED | IN_TURN, 30),
    "bloom": ("bloom", BLOOM | UNTIED, 30),
    "bloom, features": ("bloom", BLOOM | cls("BloomModel"), 30),
    "mpt": ("mpt", MPT | UNTIED, 30),
    "mpt, clipped": ("mpt", MPT | UNTIED | CLIPPED, 60),
    "gpt_bigcode": (
        "gpt_bigcode",
        {k: v for k, v in GPTJ.items() if k != "rotary_dim"} | UNTIED,
        30,
    ),
    "gpt_bigcode, all keys": (
        "gpt_bigcode",
        {k: v for k, v in GPTJ.items() if k != "rotary_dim"} | UNTIED | {"multi_query": False},
        30,
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    family, raw, count = COUNTED[name]
    found, expected = nullity_and_dimension(family, raw, count)
    assert found == expected


def test_what_scores_are_divided_by_is_seen() -> None:
    """The same parameters compute something else with another divisor, so that it belongs to the
    configuration.
    """
    model = random_model("gpt2-by-layer")
    products = {
        product.space: product.scale for product in model.family.rewrite(model.config).products
    }
    assert products["query-key.0"] == 2 * products["query-key.1"] == 8**-0.5
    tokens = random_inputs(model)
    outputs = model.family.outputs(model.module(), tokens)
    for key in ("scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"):
        other = model.family.build(dict(model.config) | {key: False}).eval()
        other.load_state_dict(model.module().state_dict())
        with torch.no_grad():
            same = torch.allclose(
                FAMILIES["gpt2"].outputs(other, tokens), outputs, rtol=1e-5, atol=1e-5
            )
        assert same is (key == "reorder_and_upcast_attn")


# Just outside each class, and what differs from it by that alone.
def heads_exchanged(model: Model) -> dict[str, Tensor]:
    """Exchange the first two heads of the first block, whatever its layout admits."""
    state = {key: tensor.clone() for key, tensor in model.state.items()}
    for block in model.layout.blocks:
        if block.name.startswith("blocks.0.") and any(
            axis.space == "heads.0" for axis in block.axes
        ):
            view = model.layout.view(state, block)
            axis = block.axis("heads.0")
            order = torch.arange(view.shape[axis])
            order[:2] = torch.tensor([1, 0])
            view.copy_(view.index_select(axis, order).clone())
    return state


HEADS = {
    "bloom": False,
    "mpt": False,
    "falcon-alibi": False,
    "gpt_neo": True,
    "phi": True,
    "gptj": True,
    "cohere-norms": True,
    "gpt_bigcode": True,
    "falcon": True,
    "starcoder2": True,
    "nemotron": True,
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_change_places_unless_slopes_tell_them_apart(name: str) -> None:
    model = random_model(name)
    moved = model.with_state(heads_exchanged(model))
    error = function_error(model, moved, random_inputs(model), torch.float64)
    assert error < 1e-10 if HEADS[name] else error > 1e-3


def turned(model: Model, plane: str, first: int, second: int) -> dict[str, Tensor]:
    """Turn two coordinates of all copies of a plane by one angle, in canonical form."""
    space = model.layout.spaces[plane]
    matrix = torch.eye(space.size, dtype=torch.float64).repeat(space.copies, 1, 1)
    c, s = 0.8, 0.6
    matrix[:, first, first] = matrix[:, second, second] = c
    matrix[:, first, second], matrix[:, second, first] = -s, s
    return dict(
        Alignment.of(model.layout.spaces, {plane: Orthogonal(matrix)}).apply(
            model.layout, model.state
        )
    )


# example, plane, two coordinates, whether the function stays
TURNS: dict[str, tuple[str, str, int, int, bool]] = {
    "neighbours of Cohere": ("cohere", "query-key.0", 0, 1, True),
    "halves of Cohere": ("cohere", "query-key.0", 0, 3, False),
    "a layer with a window": ("cohere2", "query-key.0", 0, 2, False),
    "a layer without positions": ("cohere2", "query-key.1", 0, 3, True),
    "neighbours of GPT-J": ("gptj", "query-key.0", 0, 1, True),
    "across pairs of GPT-J": ("gptj", "query-key.0", 1, 2, False),
    "not rotated in GPT-J": ("gptj", "query-key.0", 5, 7, True),
    "halves of Phi": ("phi", "query-key.0", 0, 2, True),
    "neighbours of Phi": ("phi", "query-key.0", 0, 1, False),
    "not rotated in StableLM": ("stablelm", "query-key.0", 4, 6, True),
    "rotated with not rotated in StableLM": ("stablelm", "query-key.0", 1, 6, False),
    "whole heads of Falcon": ("falcon", "query-key.0", 1, 4, True),
    "across pairs of Falcon": ("falcon", "query-key.0", 1, 5, False),
    "planes under ALiBi": ("bloom", "query-key.0", 0, 3, True),
    "values under ALiBi": ("mpt", "value-output.0", 0, 2, True),
    "clipped values": ("mpt-clipped", "value-output.0", 0, 2, False),
    "planes under norms": ("cohere-norms", "query-key.0", 0, 1, False),
    "unscaled scores": ("gpt_neo", "query-key.0", 0, 3, True),
}


@pytest.mark.parametrize("name", TURNS)
def test_planes_turn_where_positions_let_them(name: str) -> None:
    example, plane, first, second, stays = TURNS[name]
    model = random_model(example)
    model = canonical(model, choose_classes(model.layout.spaces))
    moved = model.with_state(turned(model, plane, first, second))
    error = function_error(model, moved, random_inputs(model), torch.float64)
    assert error < 1e-10 if stays else error > 1e-4


def test_squares_of_relu_answer_a_factor_with_its_square() -> None:
    model = random_model("nemotron")
    assert model.layout.spaces["units.0"].largest is SymmetryClass.PERMUTATION
    for behind, stays in ((0.25, True), (0.5, False)):

        def scale(blocks: Blocks, behind: float = behind) -> None:
            blocks["blocks.0.up.weight"] = 2 * blocks["blocks.0.up.weight"]
            blocks["blocks.0.down.weight"] = behind * blocks["blocks.0.down.weight"]

        error = error_after(model, scale)
        assert error < 1e-10 if stays else error > 1e-3
