"""BERT and RoBERTa: checkpoints as they have been on disk since 2018, and configurations that are
refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import run
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from tests.families.mixtures import round_trip
from tests.networks import CONFIGURATIONS, random_inputs, random_model

EXAMPLES = [name for name, (family, _) in CONFIGURATIONS.items() if family in ("bert", "roberta")]
AUTO = {
    "ForMaskedLM": "AutoModelForMaskedLM",
    "ForPreTraining": "AutoModelForPreTraining",
    "ForSequenceClassification": "AutoModelForSequenceClassification",
    "LMHeadModel": "AutoModelForCausalLM",
    "ForCausalLM": "AutoModelForCausalLM",
    "Model": "AutoModel",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_round_trip(name: str, tmp_path: Path) -> None:
    model = random_model(name, 1, torch.float32)
    cls = model.config["architectures"][0]
    further = {} if model.config.get("add_pooling_layer", True) else {"add_pooling_layer": False}
    round_trip(model, tmp_path, AUTO[cls.removeprefix("Bert").removeprefix("Roberta")], **further)


def on_disk(name: str, folder: Path) -> tuple[Model, dict[str, Any], dict[str, Tensor]]:
    """A saved example: the model, its config.json and its tensors."""
    model = random_model(name, 2, torch.float32)
    model.save(folder)
    return (
        model,
        json.loads((folder / "config.json").read_text()),
        load_file(folder / "model.safetensors"),
    )


def rewritten(folder: Path, content: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    """The same checkpoint with another configuration and other tensors."""
    (folder / "config.json").write_text(json.dumps(content))
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    return folder


def require_same(model: Model, other: Model) -> None:
    inputs = random_inputs(model)
    assert torch.equal(run(model, inputs), run(other, inputs))


def theirs(model: Model, folder: Path) -> Tensor:
    """What transformers makes of the same folder with the class of the model."""
    cls = getattr(transformers, model.config["architectures"][0])
    with torch.no_grad():
        return model.family.outputs(cls.from_pretrained(folder).eval(), random_inputs(model))


def test_names_of_2018(tmp_path: Path) -> None:
    """Gamma and beta, positions as a buffer, a copy of the table, the second name of a bias, and no
    word on what it is.
    """
    model, content, tensors = on_disk("bert-pretraining", tmp_path)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    old["bert.embeddings.position_ids"] = torch.arange(12).float()[None]
    old["cls.predictions.decoder.weight"] = tensors[
        "bert.embeddings.word_embeddings.weight"
    ].clone()
    old["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"].clone()
    content = {
        key: value
        for key, value in content.items()
        if key not in ("model_type", "architectures", "tie_word_embeddings")
    }
    require_same(model, load_folder(rewritten(tmp_path, content, old)))


def test_a_masked_model_saved_with_what_pretraining_had(tmp_path: Path) -> None:
    """As google-bert/bert-base-uncased: the class is a masked model, the file has the pooler and
    the second head too.
    """
    model, content, tensors = on_disk("bert-pretraining", tmp_path)
    content["architectures"] = ["BertForMaskedLM"]
    found = load_folder(rewritten(tmp_path, content, tensors))
    assert not any("pooler" in name or "seq_relationship" in name for name in found.state)
    require_same(model, found)
    torch.testing.assert_close(theirs(found, tmp_path), run(found, random_inputs(found)))


@pytest.mark.parametrize(
    ("name", "cls"), [("bert-pretraining", "BertModel"), ("roberta", "RobertaModel")]
)
def test_an_encoder_alone_from_a_file_with_heads(name: str, cls: str, tmp_path: Path) -> None:
    _, content, tensors = on_disk(name, tmp_path)
    content["architectures"] = [cls]
    found = load_folder(rewritten(tmp_path, content, tensors))
    assert found.config["add_pooling_layer"] == (cls == "BertModel")
    inputs = random_inputs(found)
    expected = theirs(found, tmp_path)[:, : inputs.shape[1]]
    torch.testing.assert_close(expected, run(found, inputs)[:, : inputs.shape[1]])


@pytest.mark.parametrize("name", ["bert-untied-relu", "roberta-untied"])
def test_an_untied_head_has_the_bias_that_is_used(name: str, tmp_path: Path) -> None:
    """Both names are written with one value; of two values on disk transformers uses the decoder's,
    and so does this.
    """
    model, content, tensors = on_disk(name, tmp_path)
    head = "cls.predictions" if name.startswith("bert") else "lm_head"
    assert torch.equal(tensors[f"{head}.bias"], tensors[f"{head}.decoder.bias"])
    tensors[f"{head}.bias"] = torch.zeros_like(tensors[f"{head}.bias"])
    found = load_folder(rewritten(tmp_path, content, tensors))
    require_same(model, found)
    torch.testing.assert_close(theirs(found, tmp_path), run(found, random_inputs(found)))


@pytest.mark.parametrize(
    ("head", "second"), [("bert", "cls.predictions.decoder"), ("roberta", "lm_head.decoder")]
)
def test_a_table_that_is_said_to_be_shared_and_is_not(
    head: str, second: str, tmp_path: Path
) -> None:
    _, content, tensors = on_disk(head, tmp_path)
    tensors[f"{second}.weight"] = torch.ones(37, 24)
    tensors[f"{second}.bias"] = tensors[f"{second.removesuffix('.decoder')}.bias"].clone()
    with pytest.raises(BadCheckpoint, match="differs from .*set tie_word_embeddings to false"):
        load_folder(rewritten(tmp_path, content, tensors))
    content["tie_word_embeddings"] = False
    found = load_folder(rewritten(tmp_path, content, tensors))
    torch.testing.assert_close(theirs(found, tmp_path), run(found, random_inputs(found)))


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_decoder": True}, "causal attention"),
        ({"add_cross_attention": True}, "cross-attention"),
        ({"position_embedding_type": "relative_key"}, "other than absolute positions"),
        ({"pruned_heads": {"0": [1]}}, "pruned heads"),
        ({"hidden_act": "softmax"}, "activation 'softmax' is not supported"),
        ({"architectures": ["BertForRetrieval"]}, "BertForRetrieval.*supported are"),
        ({"architectures": "BertModel"}, "supported are"),
        ({"num_attention_heads": 5}, "should divide hidden_size"),
        ({"hidden_size": -1}, "positive integer"),
        ({"vocab_size": 10**12}, "positive integer"),
        ({"type_vocab_size": None}, "positive integer"),
        ({"layer_norm_eps": "small"}, "positive number"),
        ({"pad_token_id": 37}, "there are 37 tokens"),
        ({"pad_token_id": True}, "number of a token"),
        ({"tie_word_embeddings": None}, "true or false"),
    ],
)
def test_refused_configurations(family: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCheckpoint, match=words):
        FAMILIES[family].config({**FAMILIES[family].examples[family], **changes})


def test_a_roberta_needs_positions_behind_the_padding() -> None:
    with pytest.raises(BadCheckpoint, match="come after that of pad_token_id"):
        FAMILIES["roberta"].config(
            {**FAMILIES["roberta"].examples["roberta"], "max_position_embeddings": 2}
        )


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("labels", [0, "two", 10**12])
def test_a_number_of_labels_that_is_none(family: str, labels: Any) -> None:
    example = FAMILIES[family].examples[f"{family}-classifier"]
    with pytest.raises(BadCheckpoint, match="'num_labels' as a positive integer"):
        FAMILIES[family].config({**example, "num_labels": labels})
    assert (
        FAMILIES[family].config({**example, "num_labels": None, "id2label": {"0": "a", "1": "b"}})[
            "num_labels"
        ]
        == 2
    )
