"""Refused folders: every clause of the sentence is held against what is in the folder."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t
from safetensors.torch import load_file, save_file

from lmc_core.cli import main
from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.files.safetensors import header
from lmc_core.models.load import load

Change = Callable[[Path], None]
WIDTHS: dict[str, Any] = {
    "vocab_size": 23,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
SIZES: dict[str, Any] = {**WIDTHS, "intermediate_size": 24}
GROUPS: dict[str, Any] = {**SIZES, "num_key_value_heads": 1}
IMAGES: dict[str, Any] = {
    "num_labels": 3,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
SMALL_T5: dict[str, Any] = {
    "vocab_size": 23,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 1,
    "num_heads": 2,
}
SMALL_BART: dict[str, Any] = {"vocab_size": 23, "d_model": 16} | {
    f"{side}_{what}": value
    for side in ("encoder", "decoder")
    for what, value in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 24))
}


def named(name: str, module: torch.nn.Module) -> torch.nn.Module:
    return torch.nn.ModuleDict({name: module})


MODELS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(vocab_size=23, n_positions=9, n_embd=16, n_layer=2, n_head=2)),
    "gpt_neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**SIZES)),
    "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**GROUPS)),
    "tied llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**GROUPS, tie_word_embeddings=True)),
    "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**GROUPS)),
    "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**GROUPS, head_dim=6)),
    "bert": lambda: t.BertForMaskedLM(t.BertConfig(**SIZES)),
    "roberta": lambda: t.RobertaForMaskedLM(t.RobertaConfig(**SIZES)),
    "vit": lambda: t.ViTForImageClassification(t.ViTConfig(**IMAGES, image_size=8, patch_size=4)),
    "gemma2": lambda: t.Gemma2ForCausalLM(t.Gemma2Config(**GROUPS, head_dim=8)),
    "mixtral": lambda: t.MixtralForCausalLM(t.MixtralConfig(**GROUPS, num_local_experts=2)),
    "t5": lambda: t.T5ForConditionalGeneration(t.T5Config(**SMALL_T5)),
    "opt": lambda: t.OPTForCausalLM(t.OPTConfig(**WIDTHS, ffn_dim=24, word_embed_proj_dim=16)),
    "distilbert": lambda: t.DistilBertModel(t.DistilBertConfig(vocab_size=23, dim=16, n_layers=1, n_heads=2, hidden_dim=24)),
    "bart": lambda: t.BartModel(t.BartConfig(**SMALL_BART)),
    "resnet": lambda: named("layer1", named("0", named("conv1", torch.nn.Conv2d(3, 4, 3)))),
    "nothing known": lambda: named("front", torch.nn.Linear(3, 4)),
}  # fmt: skip
LOOKS = {
    "gpt2": "a GPT-2", "gpt_neox": "a GPT-NeoX (Pythia)", "llama": "a Llama-like decoder", "tied llama": "a Llama-like " "decoder",
    "qwen2": "a decoder like Qwen2", "qwen3": "a decoder like Qwen3", "bert": "a BERT", "roberta": "a RoBERTa",
    "vit": "a Vision Transformer of transformers", "gemma2": "a decoder like Gemma", "mixtral": "a mixture of " "experts",
    "t5": "a T5", "opt": "an OPT", "distilbert": "a DistilBERT", "bart": "an encoder and decoder like " "BART",
    "resnet": "a convolutional network like ResNet",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Kind -> a folder with that model, written once."""
    root = tmp_path_factory.mktemp("refused")

    def folder(kind: str) -> Path:
        place = root / kind.replace(" ", "-")
        if not place.is_dir():
            torch.manual_seed(0)
            model = MODELS[kind]()
            if isinstance(model, t.PreTrainedModel):
                model.save_pretrained(place)
            else:
                place.mkdir()
                save_file(model.state_dict(), place / "model.safetensors")
        return place

    return folder


def sentence(folder: Path, **options: Any) -> str:
    """The refusal, after a look at every claim in it that can be held against the folder."""
    with pytest.raises(BadCheckpoint) as caught:
        load(folder, **options)
    text = str(caught.value)
    assert (
        "\n" not in text
        and "no place in any layout" not in text
        and "bert, deepseek_v2" not in text
    )
    weights = next(iter(folder.glob("*.safetensors")), None)
    names: list[str] = []
    if weights is not None and weights.read_bytes()[:7] not in (b"version", b"{}"):
        names = list(header(weights))
    if begins := re.search(r"begins? with '([^']*)'", text):
        assert begins[1] == names[0]
    if count := re.search(r"the file's (\d+) tensors", text):
        assert int(count[1]) == len(names)
    if extra := re.search(r"holds (\d+) tensors? that a .* no place for: (.*?)\. ", text):
        listed = re.findall(r"'([^']*)'", extra[2])
        assert set(listed) <= set(names) and int(extra[1]) >= len(listed) > 0
    if missing := re.search(r"The file (\S+) is missing from", text):
        assert not (folder / missing[1].rstrip(";,.")).exists()
    for holds in re.findall(r"[Tt]he folder holds (\S+):", text):
        assert (folder / holds).is_file()
    if "--families" in text and (near := re.search(r"nearest name is '([^']*)'", text)):
        assert near[1] in FAMILIES
    return text


# --- kinds that are not supported
# ------------------------------------------------------------------------------------


def configured(source: Path, folder: Path, **changes: Any) -> Path:
    shutil.copytree(source, folder)
    content = json.loads((folder / "config.json").read_text())
    content = {key: value for key, value in (content | changes).items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    "kind",
    ["xlnet", "reformer", "xlnet", "longformer", "llama9", "gpt2000", "something-else", "vit_like"],
)
def test_an_unknown_kind(kind: str, made: Callable[[str], Path], tmp_path: Path) -> None:
    folder = configured(
        made("gpt2"), tmp_path / "mine", model_type=kind, architectures=["TheirModel"]
    )
    text = sentence(folder)
    assert (
        f"mine/config.json says '{kind}' ('TheirModel'), a kind of model that is not supported"
        in text
    )
    assert "its weights begin with" in text and "`lmc models --families`" in text
    if kind == "llama9":
        assert "the nearest name is 'llama'" in text
    if kind == "something-else":
        assert "nearest" not in text


def test_what_the_refusal_points_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--families"]) == 0
    out = capsys.readouterr().out
    assert (
        all(f"{name}: {family.sentence}" in out for name, family in FAMILIES.items())
        and "GPT2LMHeadModel" in out
    )
    assert main(["models", "--families", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} == FAMILIES.keys()
    assert main(["models", "--families", "--public"]) == 2


def test_a_class_of_a_known_kind(made: Callable[[str], Path], tmp_path: Path) -> None:
    text = sentence(
        configured(made("gpt2"), tmp_path / "mine", architectures=["GPT2DoubleHeadsModel"])
    )
    supported = re.search(r"supported are ([\w, ]+)\.", text)
    assert (
        "GPT2DoubleHeadsModel" in text
        and supported
        and set(supported[1].split(", ")) == set(FAMILIES["gpt2"].classes)
    )


def test_code_of_its_own(made: Callable[[str], Path], tmp_path: Path) -> None:
    text = sentence(
        configured(
            made("gpt2"),
            tmp_path / "mine",
            model_type="own",
            auto_map={"AutoModel": "modeling.Own"},
        )
    )
    assert "a model with code of its own, which is never run" in text


def test_another_network_of_timm(tiny_vit_pair: Any, tmp_path: Path) -> None:
    assert "resnet18" in sentence(
        configured(tiny_vit_pair[0], tmp_path / "mine", architecture="resnet18")
    )


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen3", "vit"])
def test_a_configuration_without_a_kind(
    kind: str, made: Callable[[str], Path], tmp_path: Path
) -> None:
    """What it says to add makes the folder one that is read."""
    folder = configured(made(kind), tmp_path / "mine", model_type=..., architectures=...)
    text = sentence(folder)
    assert LOOKS[kind] in text
    added = re.search(r'add ("model_type": "\w+") to it', text)
    assert added is not None
    architectures = json.loads((made(kind) / "config.json").read_text())["architectures"]
    content = (
        json.loads((folder / "config.json").read_text())
        | json.loads(f"{{{added[1]}}}")
        | {"architectures": architectures}
    )
    (folder / "config.json").write_text(json.dumps(content))
    assert load(folder).digest == load(made(kind)).digest


def test_a_configuration_without_a_kind_of_an_unknown_network(
    made: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(made("nothing known"), tmp_path / "mine")
    (folder / "config.json").write_text("{}")
    text = sentence(folder)
    assert "names no kind of model" in text and "look like" not in text


# --- no configuration
# ------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize(
    "kind", ["gpt2", "gpt_neox", "llama", "tied llama", "qwen2", "qwen3", "bert", "roberta", "vit"]
)
def test_the_lines_make_the_folder_one_that_is_read(
    kind: str,
    pickled: bool,
    made: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = shutil.copytree(made(kind), tmp_path / "mine")
    right = load(made(kind))
    (folder / "config.json").unlink()
    if pickled:
        tensors = {
            f"module.{name}": tensor
            for name, tensor in load_file(folder / "model.safetensors").items()
        }
        (folder / "model.safetensors").unlink()
        torch.save({"state_dict": tensors}, folder / "last.ckpt")
        with pytest.raises(
            BadCheckpoint, match="config.json is missing.*last.ckpt.*--allow-pickle"
        ):
            load(folder)
    text = sentence(folder, allow_pickle=pickled)
    assert f"looks like {LOOKS[kind]}." in text and ("--allow-pickle" in text) == pickled
    run_lines(text, monkeypatch, tmp_path)
    model = load(folder, allow_pickle=pickled)
    assert model.state.keys() == right.state.keys()
    assert all(torch.equal(model.state[name], tensor) for name, tensor in right.state.items())
    sizes, wanted = (each.family.sizes(each.config) for each in (model, right))
    # which rotary positions do not show
    assert {name for name in sizes if sizes[name] != wanted.get(name)} <= {"context"}


def run_lines(text: str, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Run the lines as a person would, who knows the number of heads."""
    lines = re.search(r"Write one: `(.*?)`", text)
    assert lines is not None and len(lines[1].split("; ")) == 3
    for word in ("HEADS", "GROUPS"):
        assert (word in lines[1]) == (f"{word} as" in text)
    monkeypatch.chdir(place)
    exec(lines[1].replace("HEADS", "2").replace("GROUPS", "1"), {})


@pytest.mark.parametrize("changes", [
    {},
    {"num_classes": 0},
    {"in_chans": 1},
    {"class_token": False, "global_pool": "avg"},
    {"init_values": 1e-5, "reg_tokens": 2},
    {"global_pool": "avg", "reg_tokens": 4, "no_embed_class": True},
    {"qkv_bias": False, "pre_norm": True, "mlp_ratio": 3},
])  # fmt: skip
def test_the_lines_of_timm(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm

    folder = tmp_path / "mine"
    folder.mkdir()
    args: dict[str, Any] = {
        "img_size": 16,
        "patch_size": 4,
        "embed_dim": 16,
        "depth": 2,
        "num_heads": 2,
        "num_classes": 3,
    }
    model = timm.create_model("vit_tiny_patch16_224", **(args | changes))
    torch.save({"state_dict": model.state_dict(), "arch": "vit"}, folder / "model_best.pth.tar")
    text = sentence(folder, allow_pickle=True)
    assert "looks like a Vision Transformer of timm" in text
    run_lines(text, monkeypatch, tmp_path)
    state = load(folder, allow_pickle=True).state
    assert state.keys() == model.state_dict().keys()


@pytest.mark.parametrize("kind", ["gemma2", "mixtral", "t5", "opt", "distilbert", "bart", "resnet"])
def test_other_networks_are_named(kind: str, made: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(made(kind), tmp_path / "mine")
    (folder / "config.json").unlink(missing_ok=True)
    text = sentence(folder)
    assert (
        f"model.safetensors looks like {LOOKS[kind]}" in text
        and "cannot be told from its weights" in text
    )


def test_an_unknown_network(made: Callable[[str], Path]) -> None:
    text = sentence(made("nothing known"))
    assert "looks like no network that is known here" in text and "begins with 'front." in text


# --- files
# -----------------------------------------------------------------------------------------------------------


def pointer(folder: Path) -> None:
    words = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d" * 32 + "\nsize 12345\n"
    (folder / "model.safetensors").write_text(words)


def touched(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / name).write_text("{}")

    return change


def tensors(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Change:
    def apply(folder: Path) -> None:
        save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")

    return apply


UNITS = "transformer.h.1.mlp.c_fc.weight"
FILES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "a pointer": (pointer, ("mine/model.safetensors is a Git LFS pointer of 130 bytes", "`git lfs pull`")),
    "TensorFlow": (touched("tf_model.h5"), ("model.safetensors is missing", "holds tf_model.h5: " "TensorFlow")),
    "Flax": (touched("flax_model.msgpack"), ("holds flax_model.msgpack: Flax",)),
    "an adapter": (touched("adapter_config.json"), ("holds adapter_config.json: an adapter; write " "BASE+mine",)),
    "another name": (touched("weights.safetensors"), ("if weights.safetensors holds the weights, " "rename it",)),
    "a pickle": (touched("last.ckpt"), ("it holds last.ckpt, which is read only with " "--allow-pickle",)),
    "nothing": (lambda folder: (folder / "model.safetensors").unlink(), ("model.safetensors is missing from " "mine.",)),
    "one is missing": (
        tensors(lambda found: {name: x for name, x in found.items() if name != UNITS}),
        (f"{UNITS!r} of a GPT2LMHeadModel is missing from mine/model.safetensors.",),
    ),
    "half are missing": (
        tensors(lambda found: {name: x for name, x in found.items() if ".h.1." not in name}),
        ("12 of its 28 parameters are missing, the first 'transformer.h.1.",),
    ),
    "foreign": (tensors(lambda found: {"a": torch.ones(2), "b": torch.ones(1)}), ("28 of its 28 parameters are " "missing",)),
    "a shape": (
        tensors(lambda found: found | {UNITS: torch.ones(3, 2)}),
        (f"{UNITS!r} was expected with shape [16, 64]; it has [3, 2].",),
    ),
    "extra": (tensors(lambda found: found | {"v_head.weight": torch.ones(2)}), ("1 tensor that a " "GPT2LMHeadModel", "v_head")),
    "integers": (tensors(lambda found: found | {UNITS: found[UNITS].int()}), (f"{UNITS!r} is stored as " "int32",)),
    "float8": (tensors(lambda found: found | {UNITS: found[UNITS].to(torch.float8_e4m3fn)}), ("is stored as " "F8_E4M3",)),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_files(kind: str, made: Callable[[str], Path], tmp_path: Path) -> None:
    change, words = FILES[kind]
    folder = shutil.copytree(made("gpt2"), tmp_path / "mine")
    change(folder)
    text = sentence(folder)
    assert all(word in text for word in words), text


def test_a_pointer_among_shards_and_pickles(made: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(made("gpt2"), tmp_path / "mine")
    names = list(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict.fromkeys(names, "a.safetensors")})
    )
    load(folder)
    pointer(folder)
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    assert "a.safetensors is a Git LFS pointer" in sentence(folder)
    (folder / "model.safetensors.index.json").unlink()
    (folder / "a.safetensors").rename(folder / "pytorch_model.bin")
    assert "pytorch_model.bin is a Git LFS pointer" in sentence(folder, allow_pickle=True)
