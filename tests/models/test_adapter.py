"""LoRA adapters: what is merged is the formula written out, and what `peft` merges; everything else
is refused by its name.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from lmc_core.cli import main
from lmc_core.errors import BadCheckpoint, BadInput
from lmc_core.models.files.references import Reference, parse
from lmc_core.models.load import find_files, full_reference, load
from tests.models.fake_hub import cached

LLAMA: dict[str, Any] = {
    "vocab_size": 29, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 16,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
LABELS: dict[str, Any] = {"num_labels": 3}
MODELS: dict[str, Any] = {
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=29, n_positions=16, n_embd=16, n_layer=2, n_head=2)
    ),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, attention_bias=True)),
    "tied": lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, tie_word_embeddings=True)),
    "bert": lambda: BertForSequenceClassification(BertConfig(vocab_size=29, **SMALL, **LABELS)),
    "vit": lambda: ViTForImageClassification(
        ViTConfig(**SMALL, **LABELS, image_size=8, patch_size=4)
    ),
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "fused, Conv1D": ("gpt2", {"target_modules": ["c_attn"]}),
    "square, Conv1D": ("gpt2", {"target_modules": ["attn.c_proj", "mlp.c_proj", "c_fc"], "lora_alpha": 5}),
    "square, linear": ("llama", {"target_modules": ["q_proj", "o_proj"], "r": 3}),
    "all linear layers": ("llama", {"target_modules": "all-linear"}),
    "the square root of the rank": ("llama", {"target_modules": ["k_proj", "down_proj"], "use_rslora": True, "r": 5}),
    "patterns": (
        "llama",
        {
            "target_modules": ["q_proj", "v_proj", "up_proj"], "rank_pattern": {"q_proj": 6}, "lora_alpha": 4,
            "alpha_pattern": {"layers.1.self_attn.v_proj": 9, "up_proj": 2}, "layers_to_transform": [1],
        },
    ),
    "the token table": ("llama", {"target_modules": ["embed_tokens", "v_proj"]}),
    "the head": ("llama", {"target_modules": ["lm_head"]}),
    "biases of its layers": ("llama", {"target_modules": ["q_proj"], "bias": "lora_only"}),
    "all biases": ("bert", {"target_modules": ["query", "value"], "bias": "all"}),
    "biases of the matrices": ("llama", {"target_modules": ["q_proj", "k_proj"], "lora_bias": True}),
    "a classifier": ("bert", {"target_modules": ["query"], "modules_to_save": ["classifier"], "task_type": "SEQ_CLS"}),
    "a saved table": ("llama", {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}),
    "images": ("vit", {"target_modules": ["q_proj", "v_proj", "projection"], "modules_to_save": ["classifier"]}),
    "a tied head that is left alone": ("tied", {"target_modules": ["gate_proj"], "task_type": "CAUSAL_LM"}),
}  # fmt: skip


def base(kind: str, folder: Path) -> PreTrainedModel:
    """A model on disk, away from its initial values."""
    torch.manual_seed(0)
    model = MODELS[kind]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model.eval()


def adapter(model: PreTrainedModel, options: dict[str, Any], folder: Path) -> Any:
    """An adapter as peft saves it, with trained values; returns peft's model."""
    peft = pytest.importorskip("peft")
    found = peft.get_peft_model(model, peft.LoraConfig(**{"r": 4, "lora_alpha": 8, **options}))
    with torch.no_grad():
        for parameter in found.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    found.save_pretrained(folder)
    return found.eval()


def inputs(kind: str) -> dict[str, Tensor]:
    if kind == "vit":
        return {"pixel_values": torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))}
    return {"input_ids": torch.randint(29, (2, 12), generator=torch.Generator().manual_seed(0))}


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_it_is_what_peft_merges(case: str, tmp_path: Path) -> None:
    kind, options = CASES[case]
    wrapped = adapter(base(kind, tmp_path / "base"), options, tmp_path / "lora")
    reference = f"{tmp_path / 'base'}+{tmp_path / 'lora'}"
    model, plain = load(reference), load(tmp_path / "base")
    with torch.no_grad():
        wanted, before = wrapped(**inputs(kind)).logits, plain.module()(**inputs(kind)).logits
        found = model.module()(**inputs(kind)).logits
    assert distance(found, wanted) < 1e-5 < 1e-2 < distance(before, wanted)
    wrapped.merge_and_unload().save_pretrained(tmp_path / "merged")
    theirs = load(tmp_path / "merged")
    assert theirs.config == model.config and theirs.state.keys() == model.state.keys()
    assert all(
        torch.allclose(model.state[name], tensor, atol=1e-6)
        for name, tensor in theirs.state.items()
    )
    assert (
        model.name == "base+lora" and model.family is plain.family and model.digest != plain.digest
    )


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A GPT-2 and a LoRA for one of its layers, written without peft."""
    base("gpt2", tmp_path / "base")
    return tmp_path / "base", written(tmp_path / "lora", {"h.0.attn.c_proj": (16, 16)})


def written(folder: Path, shapes: dict[str, tuple[int, int]], rank: int = 2, **config: Any) -> Path:
    """An adapter with matrices for the named modules of a GPT-2, `[out, in]`."""
    folder.mkdir()
    generator, tensors = torch.Generator().manual_seed(1), {}
    for path, (out, into) in shapes.items():
        at = f"base_model.model.transformer.{path}"
        tensors[f"{at}.lora_A.weight"] = torch.randn(rank, into, generator=generator)
        tensors[f"{at}.lora_B.weight"] = torch.randn(out, rank, generator=generator)
    save_file(tensors, folder / "adapter_model.safetensors")
    content = {
        "peft_type": "LORA",
        "base_model_name_or_path": "org/base",
        "r": rank,
        "lora_alpha": 3,
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("root", [False, True])
def test_the_formula_written_out(root: bool, pair: tuple[Path, Path]) -> None:
    content = json.loads((pair[1] / "adapter_config.json").read_text()) | {"use_rslora": root}
    (pair[1] / "adapter_config.json").write_text(json.dumps(content))
    tensors = load_file(pair[1] / "adapter_model.safetensors")
    first, second = (
        tensors[f"base_model.model.transformer.h.0.attn.c_proj.lora_{part}.weight"].double()
        for part in "AB"
    )
    plain, model = load(pair[0]).state, load(f"{pair[0]}+{pair[1]}").state
    name = "transformer.h.0.attn.c_proj.weight"
    scale = 3 / (math.sqrt(2) if root else 2)
    for i in range(16):  # Conv1D stores [in, out]
        for j in range(16):
            wanted = plain[name][i, j].double() + scale * sum(
                second[j, k] * first[k, i] for k in range(2)
            )
            assert abs(float(model[name][i, j] - wanted)) < 1e-5
    assert all(
        torch.equal(model[other], tensor) for other, tensor in plain.items() if other != name
    )


def test_two_after_each_other(pair: tuple[Path, Path], tmp_path: Path) -> None:
    second = written(tmp_path / "more", {"h.1.mlp.c_fc": (64, 16), "h.0.attn.c_proj": (16, 16)})
    both = load(f"{pair[0]}+{pair[1]}+{second}")
    load(f"{pair[0]}+{pair[1]}").save(tmp_path / "once")
    assert (
        both.digest == load(f"{tmp_path / 'once'}+{second}").digest
        and both.name == "base+lora+more"
    )


def test_half_precision_stays(pair: tuple[Path, Path], tmp_path: Path) -> None:
    GPT2LMHeadModel.from_pretrained(pair[0]).bfloat16().save_pretrained(tmp_path / "half")
    model = load(f"{tmp_path / 'half'}+{pair[1]}")
    assert {tensor.dtype for tensor in model.state.values()} == {torch.bfloat16}
    name = "transformer.h.0.attn.c_proj.weight"
    tensors = load_file(pair[1] / "adapter_model.safetensors")
    first, second = (next(t for n, t in tensors.items() if f"lora_{part}" in n) for part in "AB")
    wanted = load(tmp_path / "half").state[name].float() + 1.5 * (second @ first).t()
    assert torch.equal(model.state[name], wanted.bfloat16())


def test_references(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = parse("one+./lora", ["one"])
    assert (
        found == Reference("zoo", "one", adapters=(Reference("path", "lora"),))
        and found.label == "one+lora"
    )
    for text in (
        "one+hf:org/lora@v1",
        "hf:org/base+hf:org/lora",
        "path:/a/base+path:/b/lora",
        "pickle:extra:one+path:/b",
    ):
        assert parse(str(parse(text, ["one"])), ["one"]) == parse(text, ["one"])
    assert parse("one+pickle:hf:org/lora", ["one"]) == parse("pickle:one+hf:org/lora", ["one"])
    monkeypatch.chdir(tmp_path)
    assert full_reference("./base+./lora") == f"path:{pair[0]}+path:{pair[1]}"
    plus = shutil.copytree(pair[0], tmp_path / "c++" / "base")
    assert (
        load(plus).name == "base"
        and load(f"{plus}+{pair[1]}").digest == load(f"{pair[0]}+{pair[1]}").digest
    )
    with pytest.raises(BadInput, match="ORG/NAME"):
        parse("one+hf:", ["one"])


def test_files_and_what_is_kept_warm(pair: tuple[Path, Path]) -> None:
    from lmc_core.models.cache import load_warm

    reference = f"{pair[0]}+{pair[1]}"
    assert {path.parent.name for path in find_files(reference)} == {"base", "lora"}
    before = load_warm(reference).digest
    path = pair[1] / "adapter_model.safetensors"
    save_file({name: 2 * tensor for name, tensor in load_file(path).items()}, path)
    assert load_warm(reference).digest != before


def test_commands(
    pair: tuple[Path, Path], tiny_gpt2_pair: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = str(tiny_gpt2_pair[0])
    lora = written(tmp_path / "tiny", {"h.0.attn.c_proj": (16, 16), "h.1.mlp.c_fc": (64, 16)})
    b = f"{tiny_gpt2_pair[1]}+{lora}"
    quick = ["--examples", "4", "--length", "16", "--device", "cpu"]
    assert main(["show", b]) == 0 and "+tiny" in capsys.readouterr().out
    assert main(["barrier", a, b, "--points", "3", "--refine", "0", *quick]) == 0
    assert main(["align", a, b, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert load(tmp_path / "out").family.name == "gpt2"
    assert main(["align", a, b, "--out", str(lora), "--force", "--device", "cpu"]) == 2


def test_a_card_of_the_base_is_not_that_of_the_merged(tiny_gpt2_pair: Any, tmp_path: Path) -> None:
    lora = written(tmp_path / "lora", {"h.0.attn.c_proj": (16, 16)})
    model = load(f"{tiny_gpt2_pair[0]}+{lora}")
    assert model.card == {"task": "plays"} and model.name == "tiny-gpt2-s0+lora"


# --- refusals
# --------------------------------------------------------------------------------------------------------


def test_an_adapter_alone_says_what_to_write(pair: tuple[Path, Path]) -> None:
    with pytest.raises(BadCheckpoint, match=r"adapter_config.json.*write hf:org/base\+lora"):
        load(pair[1])


@pytest.mark.parametrize(("changes", "words"), [
    ({"use_dora": True}, "LORA with use_dora='True'.*merge_and_unload"),
    ({"peft_type": "IA3"}, "'IA3'.*from peft import AutoPeftModel;.*merge_and_unload"),
    ({"peft_type": "LOHA", "task_type": "CAUSAL_LM"}, "'LOHA'.*from peft import " "AutoPeftModelForCausalLM;.*merge_and_unload"),
    ({"peft_type": "PROMPT_TUNING"}, "'PROMPT_TUNING'.*no weights that could be merged"),
    ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa'"),
    ({"target_parameters": ["experts.gate_up_proj"]}, "target_parameters"),
    ({"layer_replication": [[0, 2], [1, 2]]}, "layer_replication"),
    ({"trainable_token_indices": [1]}, "trainable_token_indices"),
    ({"something_new": 3}, "something_new='3'"),
    ({"peft_type": None}, "'None'"),
    ({"lora_alpha": "many"}, "'lora_alpha' as a number"),
    ({"alpha_pattern": {"(a+)+": 3}}, "'alpha_pattern'"),
    ({"alpha_pattern": [1]}, "'alpha_pattern'"),
])  # fmt: skip
def test_other_kinds_are_refused_by_name(
    changes: dict[str, Any], words: str, pair: tuple[Path, Path]
) -> None:
    content = json.loads((pair[1] / "adapter_config.json").read_text()) | changes
    (pair[1] / "adapter_config.json").write_text(json.dumps(content))
    with pytest.raises(BadCheckpoint, match=words) as caught:
        load(f"{pair[0]}+{pair[1]}")
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


def change(folder: Path, **tensors: Tensor | None) -> None:
    path = folder / "adapter_model.safetensors"
    found = {
        **load_file(path),
        **{name: tensor for name, tensor in tensors.items() if tensor is not None},
    }
    save_file(
        {
            name: tensor
            for name, tensor in found.items()
            if name not in tensors or tensors[name] is not None
        },
        path,
    )


AT = "base_model.model.transformer.h.0.attn.c_proj"


@pytest.mark.parametrize(("tensors", "words"), [
    ({f"{AT}.lora_B.weight": None}, "only one of the two matrices"),
    ({f"{AT}.lora_magnitude_vector": torch.ones(16)}, "no part of a plain LoRA"),
    ({f"{AT}.lora_B.weight": torch.ones(17, 2)}, r"shape \[17, 16\].*another base"),
    ({"base_model.model.score.weight": torch.ones(3, 16)}, "'score.weight'.*GPT2LMHeadModel does " "not have"),
    ({"base_model.model.transformer.h.7.mlp.c_fc.lora_A.weight": torch.ones(2, 16),
      "base_model.model.transformer.h.7.mlp.c_fc.lora_B.weight": torch.ones(64, 2)}, "h.7.mlp.c_fc.weight'"),
    ({"base_model.model.transformer.ln_f.bias": torch.ones(3)}, r"'transformer.ln_f.bias' by a tensor of shape \[3\]"),
    ({"base_model.model.transformer.wte.lora_embedding_A": torch.ones(2, 29),
      "base_model.model.transformer.wte.lora_embedding_B": torch.ones(16, 2)}, "'transformer.wte.weight' " "alone.*tie_word"),
    ({"base_model.model.lm_head.weight": torch.ones(29, 16)}, "'transformer.wte.weight' alone"),
    ({"base_model.model.transformer.wte.weight": torch.ones(29, 16)}, "'transformer.wte.weight' " "alone"),
    ({f"{AT}.lora_A.weight": torch.full((2, 16), math.nan)}, "not finite"),
])  # fmt: skip
def test_what_does_not_fit(
    tensors: dict[str, Tensor | None], words: str, pair: tuple[Path, Path]
) -> None:
    change(pair[1], **tensors)
    with pytest.raises(BadCheckpoint, match=words):
        load(f"{pair[0]}+{pair[1]}")


def test_a_tied_table_that_both_replace_alike(pair: tuple[Path, Path]) -> None:
    table = torch.randn(29, 16)
    change(
        pair[1],
        **{
            "base_model.model.lm_head.weight": table,
            "base_model.model.transformer.wte.weight": table.clone(),
        },
    )
    assert torch.equal(load(f"{pair[0]}+{pair[1]}").state["transformer.wte.weight"], table)


def test_missing_files(pair: tuple[Path, Path]) -> None:
    (pair[1] / "adapter_model.safetensors").rename(pair[1] / "weights.safetensors")
    with pytest.raises(BadCheckpoint, match="adapter_model.safetensors is missing from lora"):
        load(f"{pair[0]}+{pair[1]}")
    torch.save(load_file(pair[1] / "weights.safetensors"), pair[1] / "adapter_model.bin")
    with pytest.raises(BadCheckpoint, match="adapter_model.bin.*--allow-pickle"):
        load(f"{pair[0]}+{pair[1]}")
    assert load(f"{pair[0]}+{pair[1]}", allow_pickle=True).name == "base+lora"
    (pair[1] / "adapter_config.json").unlink()
    with pytest.raises(BadCheckpoint, match="adapter_config.json is missing"):
        load(f"{pair[0]}+{pair[1]}")
    with pytest.raises(BadCheckpoint, match="no folder"):
        load(f"{pair[0]}+{pair[1]}-none")
    with pytest.raises(BadCheckpoint, match=r"hf:ORG/NAME; zoo:vit-fashion-s0"):
        load(f"{pair[0]}+zoo:vit-fashion-s0")


def test_one_of_the_hub(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BadInput, match="hf download org/lora"):
        load(f"{pair[0]}+hf:org/lora")
    cached(tmp_path / "hub", "org/lora", pair[1])
    cached(tmp_path / "hub", "org/base", pair[0])
    model = load("hf:org/base+hf:org/lora")
    assert model.digest == load(f"{pair[0]}+{pair[1]}").digest and model.name == "base+lora"
