"""Folders as people have them: shards, half precision, pickles, old configurations; what is read is
what the files say.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

from lmc_core.errors import BadCheckpoint
from lmc_core.models.files.legacy import completed
from lmc_core.models.load import find_files, load
from lmc_core.paths.curve import curve
from lmc_core.paths.line import Line
from lmc_core.tasks import get_task
from tests import tiny

Pair = tuple[Path, Path]
UNITS = "transformer.h.1.mlp.c_fc.weight"


@pytest.fixture
def folder(tiny_gpt2_pair: Pair, tmp_path: Path) -> Path:
    """A tiny GPT-2 to change, without a card."""
    copy = shutil.copytree(tiny_gpt2_pair[0], tmp_path / "mine")
    (copy / "card.json").unlink()
    return copy


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    result = change(tensors)
    save_file(
        result if isinstance(result, dict) else tensors,
        folder / "model.safetensors",
        {"format": "pt"},
    )


def shard(folder: Path, safe: bool = True) -> Path:
    """Save the model again as transformers shards it, or as it did before safetensors."""
    module = GPT2LMHeadModel.from_pretrained(folder)
    if safe:
        module.save_pretrained(folder, max_shard_size="12KB")
        (folder / "model.safetensors").unlink(missing_ok=True)
        return folder / "model.safetensors.index.json"
    tensors, placed = {n: t for n, t in module.state_dict().items() if n != "lm_head.weight"}, {}
    for number, name in enumerate(sorted(tensors)):
        placed[name] = f"pytorch_model-0000{number % 2 + 1}-of-00002.bin"
    for file in set(placed.values()):
        torch.save({n: tensors[n] for n in placed if placed[n] == file}, folder / file)
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": placed}))
    (folder / "model.safetensors").unlink()
    return index


def pickled(
    folder: Path, name: str = "pytorch_model.bin", wrap: str | None = None, **options: Any
) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({wrap: tensors, "epoch": 3} if wrap else tensors, folder / name, **options)


# --- what is read
# ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_and_computes_as_transformers_does(
    folder: Path, dtype: torch.dtype
) -> None:
    rewrite(folder, lambda tensors: {name: tensor.to(dtype) for name, tensor in tensors.items()})
    model = load(folder)
    assert {tensor.dtype for tensor in model.state.values()} == {dtype}
    wide = model.with_state({name: tensor.float() for name, tensor in model.state.items()})
    assert model.digest == wide.digest
    tokens = torch.arange(20)[None]
    other = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        assert torch.equal(model.module()(tokens).logits, other(tokens).logits)


def test_half_precision_is_averaged_in_float32(tiny_gpt2_pair: Pair, tmp_path: Path) -> None:
    halves = []
    for source in tiny_gpt2_pair:
        halves.append(shutil.copytree(source, tmp_path / source.name))
        rewrite(
            halves[-1],
            lambda tensors: {name: tensor.bfloat16() for name, tensor in tensors.items()},
        )
    a, b = (load(folder) for folder in halves)
    wide = [model.with_state({n: t.float() for n, t in model.state.items()}) for model in (a, b)]
    examples = get_task("plays").examples("test", 4, length=16)
    found = curve(Line(a, b), examples, points=3, refine=0)
    assert torch.equal(found.losses, curve(Line(*wide), examples, points=3, refine=0).losses)
    assert not torch.equal(found.losses[0], found.losses[1])


def test_double_precision_is_rounded(folder: Path) -> None:
    before = load(folder)
    rewrite(folder, lambda tensors: {name: tensor.double() for name, tensor in tensors.items()})
    assert load(folder).digest == before.digest and load(folder).state[UNITS].dtype == torch.float32


def test_shards_are_read_as_one(folder: Path) -> None:
    before = load(folder)
    index = shard(folder)
    after = load(folder)
    assert after.digest == before.digest and not (folder / "model.safetensors").exists()
    files = find_files(folder)
    assert index in files and len([path for path in files if path.suffix == ".safetensors"]) > 2


def test_a_head_that_is_stored_though_it_is_tied(folder: Path) -> None:
    before = load(folder)
    rewrite(
        folder,
        lambda tensors: tensors.update(
            {"lm_head.weight": tensors["transformer.wte.weight"].clone()}
        ),
    )
    assert load(folder).digest == before.digest


def test_names_without_the_prefix_and_masks(folder: Path) -> None:
    before = load(folder)
    rewrite(
        folder,
        lambda tensors: (
            {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
            | {
                "h.0.attn.bias": torch.ones(1, 1, 32, 32, dtype=torch.uint8),
                "h.0.attn.masked_bias": torch.tensor(-1e4),
            }
        ),
    )
    assert load(folder).digest == before.digest


def test_a_loaded_model_does_not_change_with_its_file(folder: Path) -> None:
    model = load(folder)
    before = model.state[UNITS].clone()
    path = folder / "model.safetensors"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\x00" * (path.stat().st_size // 2))
        file.truncate(100)
    assert torch.equal(model.state[UNITS], before)


def test_names(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(folder).name == "mine"
    monkeypatch.chdir(folder)
    assert load(".").name == load("path:.").name == "mine" and load(".").folder == folder
    (folder / "card.json").write_text('{"name": "from the card"}')
    assert load(folder).name == "from the card"


def test_configurations_without_a_kind() -> None:
    body = ["encoder.layer.0.attention.self.query.weight", "pooler.dense.bias"]
    with_head = [f"bert.{name}" for name in body]
    assert completed({}, body) == {"model_type": "bert", "architectures": ["BertModel"]}
    found = completed(
        {"hidden_size": 8}, [*with_head, "cls.predictions.bias", "cls.seq_relationship.bias"]
    )
    assert found == {
        "hidden_size": 8,
        "model_type": "bert",
        "architectures": ["BertForPreTraining"],
    }
    assert completed({}, [*with_head, "classifier.weight"])["architectures"] == [
        "BertForSequenceClassification"
    ]
    whole = {"model_type": "bert", "architectures": ["BertForMaskedLM"]}
    assert completed(whole, body) == whole and completed({"architecture": "vit_x"}, body) == {
        "architecture": "vit_x"
    }
    assert completed({}, ["transformer.h.0.ln_1.weight"]) == {} and completed(
        {"model_type": 3}, body
    ) == {"model_type": 3}


# --- pickles
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [
    ("pytorch_model.bin", {}),
    ("pytorch_model.bin", {"_use_new_zipfile_serialization": False}),
    ("best.pt", {"wrap": "state_dict"}),
    ("best.pth", {"wrap": "model"}),
])  # fmt: skip
def test_pickles_are_read_only_where_that_is_allowed(
    folder: Path, name: str, options: dict[str, Any]
) -> None:
    before = load(folder)
    pickled(folder, name, **options)
    torch.save({"learning_rate": 1.0}, folder / "training_args.bin")
    with pytest.raises(BadCheckpoint, match=f"{name}.*--allow-pickle"):
        load(folder)
    assert (
        load(folder, allow_pickle=True).digest == load(f"pickle:{folder}").digest == before.digest
    )


def test_pickled_shards(folder: Path) -> None:
    before = load(folder)
    shard(folder, safe=False)
    with pytest.raises(BadCheckpoint, match="--allow-pickle"):
        load(folder)
    assert load(folder, allow_pickle=True).digest == before.digest


def test_safetensors_come_first(folder: Path) -> None:
    before = load(folder)
    (folder / "pytorch_model.bin").write_bytes(b"nothing that can be read")
    assert load(folder, allow_pickle=True).digest == before.digest


class Bomb:
    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_a_pickle_cannot_act(folder: Path, tmp_path: Path) -> None:
    pickled(folder)
    torch.save({"a": Bomb(tmp_path / "boom")}, folder / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match="objects other than tensors"):
        load(folder, allow_pickle=True)
    assert not (tmp_path / "boom").exists()
    # the negative control: the bomb is a real one
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert (tmp_path / "boom").exists()


@pytest.mark.parametrize(("content", "words"), [
    ([torch.ones(2)], "none"),
    ({}, "none"),
    ({"a": torch.ones(2), "b": "text"}, "'b' is a str"),
    ({3: torch.ones(2)}, "'3'"),
    ({"a": torch.ones(1).expand(2**40)}, "claims more"),
    ({"a": torch.ones(2).to_sparse()}, "ordinary"),
    ({"transformer.wte.weight": torch.ones(81, 16, dtype=torch.complex64)}, "complex64"),
])  # fmt: skip
def test_pickles_of_other_things(folder: Path, content: Any, words: str) -> None:
    pickled(folder)
    torch.save(content, folder / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match=words):
        load(folder, allow_pickle=True)


def test_two_pickles_are_one_too_many(folder: Path) -> None:
    pickled(folder, "one.pt")
    shutil.copy(folder / "one.pt", folder / "two.pt")
    with pytest.raises(BadCheckpoint, match=r"one.pt, two.pt"):
        load(folder, allow_pickle=True)


# --- refusals
# --------------------------------------------------------------------------------------------------------


def change_index(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "model.safetensors.index.json"
    content = json.loads(path.read_text())
    result = change(content)
    path.write_text(json.dumps(content if result is None else result))


def put(name: str, file: Any) -> Callable[[dict[str, Any]], None]:
    return lambda index: index["weight_map"].__setitem__(name, file)


INDEX_DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], Any], tuple[str, ...]]] = {
    "no map": (lambda index: index.pop("weight_map") and None, ("weight_map",)),
    "an empty map": (lambda index: {"weight_map": {}}, ("weight_map",)),
    "a map that is a list": (lambda index: {"weight_map": ["a"]}, ("weight_map",)),
    "a shard that is not there": (
        put(UNITS, "model-9.safetensors"),
        ("model-9.safetensors", "missing"),
    ),
    "a tensor no shard has": (put("adapter", "model-00001-of-00005.safetensors"), ("adapter",)),
    "a tensor in another shard": (
        put(UNITS, "model-00001-of-00005.safetensors"),
        (UNITS, "model-00001-of-00005"),
    ),
    "a tensor left out": (
        lambda index: index["weight_map"].pop(UNITS) and None,
        (UNITS, "does not name it"),
    ),
    "a path upwards": (
        put(UNITS, "../mine/model-00001-of-00005.safetensors"),
        (UNITS, "same folder"),
    ),
    "an absolute path": (put(UNITS, "/etc/passwd"), (UNITS, "same folder")),
    "a path with backslashes": (put(UNITS, "..\\x.safetensors"), (UNITS, "same folder")),
    "another kind of file": (put(UNITS, "config.json"), (UNITS, "same folder")),
    "a number": (put(UNITS, 3), (UNITS, "3")),
}


@pytest.mark.parametrize("damage", INDEX_DAMAGES)
def test_damaged_index(folder: Path, damage: str) -> None:
    shard(folder)
    change, words = INDEX_DAMAGES[damage]
    names = sorted(path.name for path in folder.glob("model-*.safetensors"))
    for number, name in enumerate(names):  # the same names whatever the library makes of the sizes
        if number == 0 and name != "model-00001-of-00005.safetensors":
            (folder / name).rename(folder / "model-00001-of-00005.safetensors")
            text = (folder / "model.safetensors.index.json").read_text()
            (folder / "model.safetensors.index.json").write_text(
                text.replace(name, "model-00001-of-00005.safetensors")
            )
    load(folder)
    change_index(folder, change)
    with pytest.raises(BadCheckpoint) as caught:
        load(folder)
    for word in words:
        assert word in str(caught.value)


def test_a_shard_with_a_tensor_of_another(folder: Path) -> None:
    shard(folder)
    first, second = sorted(folder.glob("model-*.safetensors"))[:2]
    extra = load_file(second)
    save_file(load_file(first) | {next(iter(extra)): torch.ones(1)}, first, {"format": "pt"})
    with pytest.raises(BadCheckpoint, match=f"{first.name} holds .* puts it into {second.name}"):
        load(folder)


def test_no_layout_fits(folder: Path) -> None:
    """The refusal names the first parameter, as the file does, and where what is supported can be
    read.
    """
    rewrite(folder, lambda tensors: tensors.update({"adapter.weight": torch.ones(2)}))
    with pytest.raises(
        BadCheckpoint,
        match=r"mine/model.safetensors holds 1 tensor that .*'adapter.weight'. .*--ignore-extra",
    ):
        load(folder)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(content | {"model_type": "gpt2x", "architectures": ["GPT2XModel"]})
    )
    with pytest.raises(
        BadCheckpoint,
        match=r"'gpt2x' \('GPT2XModel'\).*begin with 'adapter.weight'.*--families.*'gpt2'",
    ):
        load(folder)


def test_a_quantisation_block_left_behind(folder: Path) -> None:
    """The types that are stored decide."""
    before = load(folder).digest
    content = json.loads((folder / "config.json").read_text())
    block = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    (folder / "config.json").write_text(json.dumps(content | block))
    model = load(folder)
    assert model.digest == before and len(model.notes) == 1 and "'bitsandbytes'" in model.notes[0]
    rewrite(folder, lambda tensors: tensors.update({UNITS: tensors[UNITS].to(torch.uint8)}))
    with pytest.raises(BadCheckpoint, match=f"'bitsandbytes'.*{UNITS}.*stored as uint8"):
        load(folder)
    rewrite(
        folder,
        lambda tensors: {
            n.replace("fc.w", "fc.qw"): t.int() if "fc.w" in n else t.float()
            for n, t in tensors.items()
        },
    )
    with pytest.raises(BadCheckpoint, match=r"'bitsandbytes'.*qweight.*stored as int32"):
        load(folder)


@pytest.mark.parametrize(("changes", "words"), [
    ({"model_type": "own", "auto_map": {"AutoModel": "modeling.Own"}}, "never run"),
    ({"n_layer": 10**9}, "n_layer"),
    ({"n_layer": 10**4}, "depth of 10,000"),
    ({"nested": {"num_experts": 10**12}}, "num_experts"),
])  # fmt: skip
def test_configurations_that_are_refused(folder: Path, changes: dict[str, Any], words: str) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | changes))
    with pytest.raises(BadCheckpoint, match=words):
        load(folder)


def test_code_beside_a_model_of_a_known_kind_is_not_run(folder: Path, tmp_path: Path) -> None:
    before = load(folder).digest
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(content | {"auto_map": {"AutoModelForCausalLM": "own.Own"}})
    )
    (folder / "own.py").write_text(
        f"import os\nos.mkdir({str(tmp_path / 'boom')!r})\nclass Own: pass\n"
    )
    model = load(folder)
    model.module()
    assert model.digest == before and not (tmp_path / "boom").exists()


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_float8_is_refused(folder: Path, dtype: torch.dtype) -> None:
    rewrite(folder, lambda tensors: tensors.update({UNITS: tensors[UNITS].to(dtype)}))
    with pytest.raises(BadCheckpoint, match=f"{UNITS}.*F8_E"):
        load(folder)
    pickled(folder)
    with pytest.raises(BadCheckpoint, match=f"{UNITS}.*float8"):
        load(folder, allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "what"), [("adapter_config.json", "adapter"), ("tf_model.h5", "TensorFlow")]
)
def test_files_of_other_kinds_are_named(folder: Path, name: str, what: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_text("{}")
    with pytest.raises(BadCheckpoint, match=f"model.safetensors is missing.*{name}.*{what}"):
        load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(BadCheckpoint, match=f"config.json is missing.*{name}"):
        load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "card.json"])
@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    if name == "card.json":
        assert load(folder).name == "mine"
    else:
        with pytest.raises(BadCheckpoint, match=f"{name} is missing"):
            load(folder)


@pytest.mark.parametrize("card", [
    {"name": 3}, {"name": "two\nlines"}, {"name": "x" * 1000}, {"task": ["plays"]}, {"scores": [1]}, {"scores": {"test": 1}},
    {"scores": {"test": {"loss": "low"}}},
])  # fmt: skip
def test_cards_that_cannot_be_shown(folder: Path, card: dict[str, Any]) -> None:
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(BadCheckpoint, match=f"card.json.*{next(iter(card))}"):
        load(folder)


def test_tiny_vit_in_half_precision_of_timm(tiny_vit_pair: Pair, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_vit_pair[0], tmp_path / "vit")
    rewrite(copy, lambda tensors: {name: tensor.half() for name, tensor in tensors.items()})
    model = load(copy)
    assert model.name == tiny.tiny("vit").name and {t.dtype for t in model.state.values()} == {
        torch.float16
    }
    assert model.module()(torch.ones(1, 1, 28, 28)).dtype == torch.float32
