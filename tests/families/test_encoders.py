"""Every class of BERT's and RoBERTa's kin: counted, tried just outside what is admitted, and read
from old files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.matching.pair import canonical
from lmc_core.models.architectures.encoders import outputs
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import function_error
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.dimension import symmetry_dimension
from lmc_core.symmetry.elements import Orthogonal, random_element
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes
from tests.families.mixtures import Edit, error_after, rolled, scaled
from tests.families.test_heads import random_model
from tests.families.test_postnorm import ROBERTA, TINY, with_all_gradients
from tests.networks import random_inputs
from tests.symmetry.nullity import nullity, small_model

CAUSAL = {"is_decoder": True}
BERT = TINY | {"pad_token_id": None}
# one output for each text
SMALLER = {"vocab_size": 7, "hidden_size": 6, "intermediate_size": 4, "max_position_embeddings": 4}


def of(cls: str, raw: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return raw | {"architectures": [cls], "num_labels": 3} | changes


# configuration, number of inputs
COUNTED: dict[str, tuple[dict[str, Any], int]] = {
    "bert, tokens": (of("BertForTokenClassification", BERT), 30),
    "bert, spans": (of("BertForQuestionAnswering", BERT, num_labels=2), 50),
    "bert, causal": (of("BertLMHeadModel", BERT, **CAUSAL), 30),
    "bert, follows": (of("BertForNextSentencePrediction", BERT), 350),
    "bert, choice": (of("BertForMultipleChoice", BERT, **SMALLER), 400),
    "roberta, tokens": (of("RobertaForTokenClassification", ROBERTA), 50),
    "roberta, choice": (
        of("RobertaForMultipleChoice", ROBERTA, **SMALLER | {"max_position_embeddings": 8}),
        400,
    ),
    "roberta, causal": (of("RobertaForCausalLM", ROBERTA, **CAUSAL), 30),
}
DISTILBERT: dict[str, Any] = {
    "model_type": "distilbert",
    "vocab_size": 11,
    "dim": 8,
    "hidden_dim": 6,
    "n_layers": 1,
    "n_heads": 2,
    "max_position_embeddings": 5,
    "pad_token_id": None,
}
FEW = {"dim": 6, "hidden_dim": 4, "vocab_size": 7}
COUNTED |= {
    "distilbert, tied": (of("DistilBertForMaskedLM", DISTILBERT), 30),
    "distilbert, untied relu": (
        of("DistilBertForMaskedLM", DISTILBERT, tie_word_embeddings=False, activation="relu"),
        60,
    ),
    "distilbert, texts": (of("DistilBertForSequenceClassification", DISTILBERT, **FEW), 300),
    "distilbert, features": (of("DistilBertModel", DISTILBERT, n_layers=2), 30),
}
ELECTRA = BERT | {
    "model_type": "electra",
    "embedding_size": 6,
    "vocab_size": 19,
    "tie_word_embeddings": False,
}
COUNTED |= {
    "electra, discriminator": (of("ElectraForPreTraining", ELECTRA), 180),
    "electra, discriminator relu": (of("ElectraForPreTraining", ELECTRA, hidden_act="relu"), 200),
    "electra, generator": (of("ElectraForMaskedLM", ELECTRA), 40),
    "electra, wide embeddings": (
        of("ElectraForTokenClassification", ELECTRA, embedding_size=10, vocab_size=31),
        80,
    ),
    "electra, features": (of("ElectraModel", ELECTRA, type_vocab_size=1, num_hidden_layers=2), 40),
    "electra, base": (
        of("ElectraForMaskedLM", ELECTRA, embedding_size=8, tie_word_embeddings=True),
        40,
    ),
}
ALBERT = ELECTRA | {"model_type": "albert", "num_hidden_layers": 2}
COUNTED |= {
    "albert, one run": (of("AlbertForTokenClassification", ALBERT, num_hidden_layers=1), 60),
    "albert, two runs": (of("AlbertForMaskedLM", ALBERT), 40),
    "albert, features": (
        of("AlbertModel", ALBERT, num_hidden_layers=3, add_pooling_layer=False),
        30,
    ),
    "albert, groups": (
        of("AlbertForTokenClassification", ALBERT, num_hidden_layers=3, num_hidden_groups=2),
        90,
    ),
    "albert, pairs of layers": (of("AlbertForTokenClassification", ALBERT, inner_group_num=2), 90),
}
MODERN: dict[str, Any] = {
    "model_type": "modernbert",
    "vocab_size": 29,  # so many that rows of tokens leave no rotation of the stream open
    "hidden_size": 8,
    "intermediate_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 6,
    "global_attn_every_n_layers": 2,
    "local_attention": 4,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id")),
    "tie_word_embeddings": False,
}
BIASED = dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"), True)
COUNTED |= {
    "modernbert, masked": (of("ModernBertForMaskedLM", MODERN), 40),
    "modernbert, features": (of("ModernBertModel", MODERN, num_hidden_layers=2), 30),
    "modernbert, features with biases": (of("ModernBertModel", MODERN, **BIASED), 30),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    raw, count = COUNTED[name]
    # at which every ReLU is on for some tokens and off for others
    seed = 10 if name == "electra, discriminator relu" else 0
    model = with_all_gradients(small_model(raw["model_type"], raw, seed), outputs)
    found, gap = nullity(model, count)
    counts = symmetry_dimension(model.layout, model.family.rewrite(model.config))
    assert found == sum(counts.values()), counts
    assert gap > 1e4


def flipped(*names: str) -> Edit:
    """The signs of some blocks, or of their first rows."""

    def edit(blocks: Any) -> None:
        for name in names:
            blocks[name] = -blocks[name]

    return edit


# family, class, an edit just outside what is admitted
WRONG: dict[str, tuple[str, str, Edit]] = {
    "the pooled state without its reader": (
        "bert",
        "BertForNextSentencePrediction",
        rolled("pooler.weight", "pooler.bias"),
    ),
    "a sign of the pooled state without its reader": (
        "bert",
        "BertForMultipleChoice",
        flipped("pooler.weight", "pooler.bias"),
    ),
    "a scale before tanh": (
        "roberta",
        "RobertaForMultipleChoice",
        scaled("pooler.weight", "score.weight"),
    ),
    "the last norm's gain, not what reads it": (
        "bert",
        "BertForTokenClassification",
        scaled("blocks.1.norm2.gain"),
    ),
    "gates without their units": (
        "modernbert",
        "ModernBertForMaskedLM",
        rolled("blocks.0.gate.weight"),
    ),
    "a scaled gate": (
        "modernbert",
        "ModernBertForMaskedLM",
        scaled("blocks.0.gate.weight", "blocks.0.down.weight"),
    ),
    "the norm behind the embeddings, not the stream": (
        "modernbert",
        "ModernBertModel",
        rolled("norm0.gain"),
    ),
    "labels in another order": (
        "roberta",
        "RobertaForTokenClassification",
        rolled("head.weight", "head.bias"),
    ),
    "beginning and end exchanged": (
        "bert",
        "BertForQuestionAnswering",
        rolled("head.weight", "head.bias"),
    ),
    "positions of a causal model": ("bert", "BertLMHeadModel", rolled("position.table")),
    "keys without queries": (
        "roberta",
        "RobertaForCausalLM",
        rolled("blocks.0.key.weight", "blocks.0.key.bias"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_edits_change_the_function(name: str) -> None:
    family, cls, edit = WRONG[name]
    assert error_after(random_model(family, cls), edit) > 1e-3


def test_the_edits_are_right_where_they_are_allowed() -> None:
    both = rolled("pooler.weight", "pooler.bias"), rolled("head.weight", axis=1)
    follows = random_model("bert", "BertForNextSentencePrediction")
    name = "seq_relationship.weight"

    def together(blocks: Any) -> None:
        both[0](blocks)
        blocks[name] = blocks[name].roll(1, 1)

    assert error_after(follows, together) < 1e-10
    assert (
        error_after(
            random_model("bert", "BertForMultipleChoice"),
            flipped("pooler.weight", "pooler.bias", "score.weight"),
        )
        < 1e-10
    )
    last = "blocks.1.norm2.gain", "blocks.1.norm2.offset", "head.weight"
    assert error_after(random_model("bert", "BertForTokenClassification"), scaled(*last[:1])) > 1e-3
    twice = random_model("bert", "BertForTokenClassification")

    def by_two(blocks: Any) -> None:
        for part, factor in zip(last, (2.0, 2.0, 0.5), strict=True):
            blocks[part] = blocks[part] * factor

    assert error_after(twice, by_two) < 1e-10


def test_causal_attention_does_not_see_what_follows() -> None:
    for family, cls in (("bert", "BertLMHeadModel"), ("roberta", "RobertaForCausalLM")):
        model = random_model(family, cls)
        tokens = torch.randint(3, 37, (2, 9), generator=torch.Generator().manual_seed(0))
        other = tokens.clone()
        other[:, -1] = (other[:, -1] - 3 + 1) % 34 + 3
        module = model.module(torch.float64)
        found, changed = (model.family.outputs(module, each)[:, :-1] for each in (tokens, other))
        assert torch.equal(found, changed)


def on_disk(family: str, cls: str, folder: Path) -> tuple[Model, dict[str, Any], dict[str, Tensor]]:
    model = random_model(family, cls, torch.float32)
    model.save(folder)
    return (
        model,
        json.loads((folder / "config.json").read_text()),
        load_file(folder / "model.safetensors"),
    )


def rewritten(folder: Path, content: dict[str, Any], tensors: dict[str, Tensor]) -> Model:
    (folder / "config.json").write_text(json.dumps(content))
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    return load_folder(folder)


CASES = [
    *(
        ("bert", f"Bert{end}")
        for end in ("ForTokenClassification", "ForQuestionAnswering", "LMHeadModel", "ForMaskedLM")
    ),
    *(
        ("roberta", f"Roberta{end}")
        for end in ("ForTokenClassification", "ForMultipleChoice", "ForCausalLM", "Model")
    ),
]


@pytest.mark.parametrize(("family", "cls"), CASES)
def test_a_body_is_found_with_any_prefix_and_without(family: str, cls: str, tmp_path: Path) -> None:
    """Bodies saved alone have none, and RoBERTa's of other libraries have BERT's; heads and poolers
    of others are left over.
    """
    model, content, tensors = on_disk(family, cls, tmp_path)
    for prefix in ("", "bert.", "roberta."):
        other = {}
        for name, tensor in tensors.items():
            bare = name.removeprefix(f"{family}.")
            body = bare.startswith(("embeddings.", "encoder.", "pooler."))
            old = bare.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            )
            other[prefix + old if body else name] = tensor
        other["embeddings.position_ids"] = torch.arange(14)[None].float()
        other |= (
            {"classifier.other": torch.zeros(2)}
            if "Classification" not in cls and "Choice" not in cls
            else {}
        )
        assert rewritten(tmp_path, content, other).digest == model.digest


def test_modernbert_of_old_files_has_its_two_bases(tmp_path: Path) -> None:
    """Files of its first year give the bases of both kinds of layers by names of their own."""
    model, content, tensors = on_disk("modernbert", "ModernBertForMaskedLM", tmp_path)
    for key in ("rope_parameters", "layer_types"):
        content.pop(key)
    content |= {
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "global_attn_every_n_layers": 2,
    }
    assert rewritten(tmp_path, content, tensors).digest == model.digest
    other = rewritten(tmp_path, content | {"local_rope_theta": 100.0}, tensors)
    assert function_error(model, other, random_inputs(model), torch.float64) > 1e-6
    assert function_error(other, other.with_state(dict(other.state)), random_inputs(model)) == 0


def test_narrow_embeddings_turn_by_themselves_and_keep_the_ones() -> None:
    model = random_model("electra", "ElectraForPreTraining")
    spaces, inputs = model.layout.spaces, random_inputs(model)
    generator = torch.Generator().manual_seed(0)
    model = canonical(model, choose_classes(spaces))
    admitted = random_element(spaces["embedding"], SymmetryClass.ORTHOGONAL, generator)
    free = Orthogonal(
        torch.linalg.qr(torch.randn(10, 10, generator=generator, dtype=torch.float64))[0]
    )
    for element, low, high in ((admitted, 0, 1e-10), (free, 1e-3, 1e3)):
        moved = Alignment.of(spaces, {"embedding": element}).apply(model.layout, model.state)
        assert low <= function_error(model, model.with_state(moved), inputs, torch.float64) < high


def test_a_generator_gets_a_head_of_its_own_before_its_embeddings_turn() -> None:
    model = random_model("electra", "ElectraForMaskedLM")
    classes = choose_classes(model.layout.spaces)
    assert "units.head" in canonical(model, classes).layout.spaces
    kept = canonical(model, classes | {"latent": SymmetryClass.PERMUTATION})
    assert kept.config["tie_word_embeddings"] and "units.head" not in kept.layout.spaces


def test_old_files_that_name_no_class(tmp_path: Path) -> None:
    for family, cls in (
        ("bert", "BertForQuestionAnswering"),
        ("roberta", "RobertaForTokenClassification"),
    ):
        model, content, tensors = on_disk(family, cls, tmp_path)
        content.pop("architectures")
        content.pop("model_type")
        assert rewritten(tmp_path, content, tensors).config == model.config


@pytest.mark.parametrize(
    ("family", "changes", "words"),
    [
        ("bert", {"architectures": ["BertLMHeadModel"]}, "does not say is_decoder=true"),
        (
            "roberta",
            {"architectures": ["RobertaForCausalLM"], "is_decoder": False},
            "does not say is_decoder=true",
        ),
        (
            "bert",
            {"architectures": ["BertForTokenClassification"], "is_decoder": True},
            "causal attention",
        ),
        ("bert", {"architectures": ["BertModel"], "is_decoder": "yes"}, "causal attention"),
        (
            "bert",
            {"architectures": ["BertForQuestionAnswering"], "num_labels": 3},
            "which are 2 labels.*gives 3",
        ),
        (
            "bert",
            {"architectures": ["BertForTokenClassification"], "num_labels": 0},
            "positive integer",
        ),
        ("modernbert", {"layer_types": ["full_attention"]}, "for each layer"),
        ("modernbert", {"local_attention": 0}, "integer from 2 on"),
        ("modernbert", {"global_attn_every_n_layers": "3"}, "integer from 1 on"),
        ("modernbert", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "is not supported"),
        ("modernbert", {"norm_bias": "no"}, "true or false"),
        ("modernbert", {"classifier_pooling": "max"}, "classifier_pooling='max'"),
        ("modernbert", {"num_attention_heads": 8}, "heads of even size"),
        ("albert", {"num_hidden_groups": 5}, "groups that never run"),
        ("albert", {"embedding_size": "10"}, "positive integer"),
        ("electra", {"embedding_size": None}, "positive integer"),
        (
            "electra",
            {"architectures": ["ElectraForMultipleChoice"], "summary_type": "mean"},
            "published models have 'first'",
        ),
        ("distilbert", {"sinusoidal_pos_embds": "yes"}, "true or false"),
        ("distilbert", {"n_heads": 5}, "n_heads = 5 should divide dim"),
        ("distilbert", {"activation": "softmax"}, "activation 'softmax'"),
        ("camembert", {"pad_token_id": None}, "come after that of pad_token_id"),
    ],
)
def test_refused_configurations(family: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCheckpoint, match=words):
        FAMILIES[family].config({**FAMILIES[family].examples[family], **changes})


def test_a_body_with_causal_attention_is_another_model() -> None:
    """Of one set of weights attention that looks back alone computes something else, so the
    configuration keeps it.
    """
    model = random_model("bert", "BertModel")
    causal = Model(
        "causal",
        model.family,
        model.family.config({**model.config, "is_decoder": True}),
        model.state,
    )
    assert causal.config["is_decoder"] is True
    assert function_error(model, causal, torch.arange(12)[None], torch.float64) > 1e-3
