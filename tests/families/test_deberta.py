"""DeBERTa: its scores of distances, counted, tried just outside what is admitted, and read from
files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmc_core.analysis.audit import audit
from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures.encoders import outputs
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load_folder
from lmc_core.symmetry.dimension import symmetry_dimension
from tests.families.mixtures import Edit, error_after, rolled, round_trip, scaled
from tests.families.test_heads import random_model as of_class
from tests.families.test_postnorm import with_all_gradients
from tests.networks import random_inputs, random_model
from tests.symmetry.nullity import nullity, small_model

NAMES = ("deberta-v2", "deberta-v2-newer-head", "deberta-v2-classifier")
TINY: dict[str, Any] = {
    "model_type": "deberta-v2",
    # so many that tokens leave no other gains and offsets open than those that all could have
    "vocab_size": 40,
    "hidden_size": 8,
    "intermediate_size": 6,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "max_position_embeddings": 9,
    "pad_token_id": None,
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
}
PLAIN = {
    "relative_attention": False,
    "pos_att_type": None,
    "share_att_key": False,
    "norm_rel_ebd": "none",
    "position_biased_input": True,
}
OWN = {
    "share_att_key": False,
    "hidden_size": 6,
    "num_attention_heads": 3,
    "max_position_embeddings": 13,
}
FREE = {"norm_rel_ebd": "none"}
C2P, P2C = {"pos_att_type": ["c2p"]}, {"pos_att_type": ["p2c"]}
MASKED = "DebertaV2ForMaskedLM"


def of(cls: str = "DebertaV2ForTokenClassification", **changes: Any) -> dict[str, Any]:
    return TINY | {"architectures": [cls], "num_labels": 3} | changes


# configuration, number of inputs
COUNTED: dict[str, tuple[dict[str, Any], int]] = {
    "no distances": (of(**PLAIN), 40),
    "types of tokens": (of(**PLAIN | {"type_vocab_size": 1, "vocab_size": 11}), 40),
    "shared maps": (of(), 50),
    "shared maps, no norm": (of(**FREE), 50),
    "shared maps, c2p": (of(**C2P), 50),
    "shared maps, c2p, no norm": (of(**C2P, **FREE), 50),
    "shared maps, p2c, no norm": (of(**P2C, **FREE), 50),
    "own maps": (of(**OWN), 40),
    "own maps, no norm": (of(**OWN, **FREE), 40),
    "own maps, c2p": (of(**OWN, **C2P), 40),
    "own maps, p2c": (of(**OWN, **P2C), 40),
    "few rows": (of(share_att_key=False, max_position_embeddings=4, **FREE), 100),
    "buckets": (of(position_buckets=4), 50),
    "convolution": (of(**PLAIN | {"conv_kernel_size": 3}), 60),
    "tied": (of(MASKED, vocab_size=30), 40),
    "untied": (of(MASKED, tie_word_embeddings=False, vocab_size=22), 40),
    "newer head": (of(MASKED, legacy=False, vocab_size=30), 40),
    "features, two layers": (of("DebertaV2Model", num_hidden_layers=2, vocab_size=11), 24),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    raw, count = COUNTED[name]
    model = with_all_gradients(small_model("deberta-v2", raw), outputs)
    found, gap = nullity(model, count)
    counts = symmetry_dimension(model.layout, model.family.rewrite(model.config))
    assert found == sum(counts.values()), counts
    assert gap > 1e4


@pytest.mark.parametrize("name", NAMES)
def test_an_audit_keeps_the_function_and_finds_what_was_moved(name: str) -> None:
    model = random_model(name)
    found = audit(model, random_inputs(model))
    assert found.double < 1e-12
    assert found.single < 1e-5
    assert found.recovered < 1e-6
    assert found.control > 1e-3


def shifted(*names: str) -> Edit:
    """Add one vector to all rows of some blocks."""

    def edit(blocks: Any) -> None:
        for name in names:
            blocks[name] = blocks[name] + 0.3

    return edit


KEYS = ("blocks.0.key.weight", "blocks.0.key.bias")
# example, an edit just outside what is admitted
WRONG: dict[str, tuple[str, Edit]] = {
    "a bias of keys that p2c sees": ("deberta-v2", shifted("blocks.0.key.bias")),
    "queries against keys, and not those of tables": (
        "deberta-v2-classifier",
        scaled(*KEYS[:1], "blocks.0.query.weight"),
    ),
    "the table of distances, not the stream": ("deberta-v2", rolled("distance.table", axis=1)),
    "distances in another order": ("deberta-v2", rolled("distance.table")),
    "the norm of distances alone": ("deberta-v2", rolled("distance.norm.gain")),
    "a table with its own maps, not these": (
        "deberta-v2-classifier",
        rolled("distance.table", axis=1),
    ),
    "the convolution's outputs alone": (
        "deberta-v2-classifier",
        rolled("conv.weight", "conv.bias"),
    ),
    "what a convolution reads alone": ("deberta-v2-classifier", rolled("conv.weight", axis=1)),
    "the pooled state without its reader": (
        "deberta-v2-classifier",
        rolled("pooler.weight", "pooler.bias"),
    ),
    "a norm before a convolution is added": (
        "deberta-v2-classifier",
        shifted("blocks.0.norm2.gain"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_edits_change_the_function(name: str) -> None:
    example, edit = WRONG[name]
    assert error_after(random_model(example), edit) > 1e-4


def test_biases_of_keys_that_no_output_sees() -> None:
    assert error_after(random_model("deberta-v2-newer-head"), shifted("blocks.0.key.bias")) < 1e-10
    assert (
        error_after(random_model("deberta-v2-classifier"), shifted("blocks.0.pos_key.bias")) < 1e-10
    )
    assert (
        error_after(random_model("deberta-v2-classifier"), shifted("blocks.0.pos_query.bias"))
        > 1e-4
    )


@pytest.mark.parametrize(
    ("name", "auto"),
    [(NAMES[0], "MaskedLM"), (NAMES[1], "MaskedLM"), (NAMES[2], "SequenceClassification")],
)
def test_round_trips_through_transformers(name: str, auto: str, tmp_path: Path) -> None:
    round_trip(random_model(name, dtype=torch.float32), tmp_path, f"AutoModelFor{auto}")


def test_files_of_old_have_positions_and_heads_that_are_not_read(tmp_path: Path) -> None:
    model = of_class("deberta-v2", "DebertaV2Model", torch.float32)
    model.save(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["position_biased_input"] is False
    content |= {"pos_att_type": "p2c|c2p", "pooler_hidden_size": 24, "max_relative_positions": -1}
    content.pop("architectures")
    (tmp_path / "config.json").write_text(json.dumps(content))
    tensors = {
        f"deberta.{name}": t for name, t in load_file(tmp_path / "model.safetensors").items()
    }
    tensors["deberta.embeddings.position_embeddings.weight"] = torch.zeros(12, 24)
    tensors["lm_predictions.lm_head.bias"] = torch.zeros(37)
    tensors["mask_predictions.dense.weight"] = torch.zeros(24, 24)
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    assert load_folder(tmp_path).digest == model.digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pos_att_type": "p2p|c2p"}, "of other terms transformers' class computes none"),
        ({"pos_att_type": []}, "either compared, or have neither"),
        ({"relative_attention": False}, "either compared, or have neither"),
        ({"relative_attention": "yes"}, "true or false"),
        ({"norm_rel_ebd": "batch_norm"}, "none or layer_norm"),
        ({"norm_rel_ebd": None}, "none or layer_norm"),
        ({"position_buckets": 2.5}, "as an integer"),
        ({"position_buckets": 2}, "at least 4"),
        ({"position_buckets": 40}, "beyond half their number"),
        ({"embedding_size": 10}, "embedding_size=10 is not supported; 24 is expected"),
        ({"attention_head_size": 4}, "attention_head_size=4"),
        ({"conv_kernel_size": 3, "conv_groups": 2}, "one group"),
        ({"conv_kernel_size": 2}, "an odd size"),
        ({"conv_kernel_size": "3"}, "positive integer"),
        ({"conv_kernel_size": 3, "conv_act": "softmax"}, "activation 'softmax'"),
        ({"type_vocab_size": -1}, "positive integer"),
        (
            {"architectures": ["DebertaV2ForSequenceClassification"], "pooler_hidden_act": 3},
            "activation 3",
        ),
        ({"hidden_size": 25}, "num_attention_heads = 3 should divide"),
    ],
)
def test_refused_configurations(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCheckpoint, match=words):
        FAMILIES["deberta-v2"].config({**FAMILIES["deberta-v2"].examples["deberta-v2"], **changes})
