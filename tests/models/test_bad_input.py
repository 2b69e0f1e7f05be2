"""Bad input: a clear error of the right kind from the library; exit code 2 and one or two lines
from the command.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmc_core.cli import main
from lmc_core.errors import BadCheckpoint, BadInput, Inadmissible, Incompatible, UnknownName
from lmc_core.models.load import load
from lmc_core.runs.executors import get_executor
from lmc_core.runs.kinds.barrier import make_request
from tests import tiny

Pair = tuple[Path, Path]
Change = Callable[[Path], None]
FAMILY_OF = {"gpt2": "tiny_gpt2_pair", "vit": "tiny_vit_pair"}


def refused_by_the_command(
    capsys: pytest.CaptureFixture[str], *arguments: object, words: tuple[str, ...] = ()
) -> None:
    """Assert exit code 2, nothing on standard output, and one or two lines that hold the words."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    assert captured.err.startswith("lmc: ") and len(captured.err.strip().splitlines()) <= 2
    for word in words:
        assert word in captured.err


# --- damaged folders
# -------------------------------------------------------------------------------------------------


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Change:
    """Change the tensors of a folder."""

    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return apply


def config(**changes: Any) -> Change:
    """Set entries of a folder's `config.json`, inside `model_args` where they are there; `...`
    removes one.
    """

    def apply(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        for name, value in changes.items():
            place = content["model_args"] if name in content.get("model_args", {}) else content
            place.pop(name, None)
            if value is not ...:
                place[name] = value
        (folder / "config.json").write_text(json.dumps(content))

    return apply


def text(name: str, content: str) -> Change:
    return lambda folder: (folder / name).write_text(content) and None


def remove(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def truncate(folder: Path, keep: float = 0.5) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: int(keep * len(data))])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def foreign(folder: Path) -> None:
    save_file(
        {"encoder.weight": torch.ones(3, 3), "encoder.bias": torch.ones(3)},
        folder / "model.safetensors",
    )


def spoil(name: str, value: float) -> Change:
    return weights(lambda tensors: tensors[name].view(-1).__setitem__(3, value))


GPT2_UNITS, VIT_UNITS = "transformer.h.1.mlp.c_fc.weight", "blocks.1.mlp.fc1.weight"

# what is done to a good folder, and words the error must hold
DAMAGES: dict[str, tuple[str, Change, tuple[str, ...]]] = {
    "no config": ("gpt2", remove("config.json"), ("config.json", "missing")),
    "no weights": ("gpt2", remove("model.safetensors"), ("model.safetensors", "missing")),
    "only a pickle": ("gpt2", pickled, ("pytorch_model.bin", "safetensors")),
    "config is no JSON": ("vit", text("config.json", "{"), ("config.json", "JSON")),
    "config is a list": ("vit", text("config.json", "[1]"), ("config.json", "object")),
    "card is no JSON": ("vit", text("card.json", "{"), ("card.json", "JSON")),
    "config is not text": (
        "vit",
        lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00") and None,
        ("config.json",),
    ),
    "truncated": ("gpt2", truncate, ("model.safetensors", "truncated")),
    "truncated in the header": (
        "vit",
        lambda f: truncate(f, 0.005),
        ("model.safetensors", "truncated"),
    ),
    "empty weights": ("vit", lambda f: truncate(f, 0), ("model.safetensors", "truncated")),
    "weights are text": (
        "vit",
        text("model.safetensors", "version https://git-lfs.github.com"),
        ("model.safetensors",),
    ),
    "foreign names": ("gpt2", foreign, ("missing",)),
    "foreign names, images": ("vit", foreign, ("missing",)),
    "a tensor is missing": ("gpt2", weights(lambda t: t.pop(GPT2_UNITS)), (GPT2_UNITS, "missing")),
    "an extra tensor": (
        "gpt2",
        weights(lambda t: t.update({"adapter": torch.ones(2)})),
        ("adapter",),
    ),
    "an extra tensor, images": (
        "vit",
        weights(lambda t: t.update({"adapter": torch.ones(2)})),
        ("adapter",),
    ),
    "a wrong shape": (
        "gpt2",
        weights(lambda t: t.update({GPT2_UNITS: torch.ones(16, 63)})),
        (GPT2_UNITS, "63"),
    ),
    "a wrong shape, images": (
        "vit",
        weights(lambda t: t.update({VIT_UNITS: torch.ones(64)})),
        (VIT_UNITS, "64"),
    ),
    "a transposed tensor": (
        "vit",
        weights(lambda t: t.update({VIT_UNITS: t[VIT_UNITS].T.contiguous()})),
        (VIT_UNITS,),
    ),
    "integers": (
        "vit",
        weights(lambda t: t.update({VIT_UNITS: t[VIT_UNITS].to(torch.int32)})),
        (VIT_UNITS, "int32"),
    ),
    "whole numbers": (
        "gpt2",
        weights(lambda t: t.update({GPT2_UNITS: t[GPT2_UNITS].long()})),
        (GPT2_UNITS, "int64"),
    ),
    "NaN": ("gpt2", spoil(GPT2_UNITS, math.nan), (GPT2_UNITS, "finite")),
    "infinity": ("vit", spoil(VIT_UNITS, math.inf), (VIT_UNITS, "finite")),
    "another family": ("gpt2", config(model_type="llama"), ("llama", "GPT2LMHeadModel")),
    "no family": ("gpt2", config(model_type=...), ("config.json", "gpt2")),
    "another network of timm": ("vit", config(architecture="resnet18"), ("resnet18",)),
    "no heads": ("gpt2", config(n_head=0), ("n_head", "0")),
    "heads that do not divide": ("gpt2", config(n_head=3), ("n_head", "3")),
    "negative width": ("gpt2", config(n_embd=-16), ("n_embd", "-16")),
    "depth in words": ("gpt2", config(n_layer="two"), ("n_layer", "two")),
    "width left out": ("gpt2", config(n_embd=...), ("768", "16")),
    "a huge vocabulary": ("gpt2", config(vocab_size=10**12), ("vocab_size",)),
    "more depth than weights": ("gpt2", config(n_layer=3), ("transformer.h.2", "missing")),
    "less depth than weights": ("gpt2", config(n_layer=1), ("transformer.h.1",)),
    "an activation that is none": ("gpt2", config(activation_function="glow"), ("glow",)),
    "no heads, images": ("vit", config(num_heads=0), ("num_heads", "0")),
    "heads that do not divide, images": ("vit", config(num_heads=5), ("num_heads", "5")),
    "no classes": ("vit", config(num_classes=0), ("num_classes", "0")),
    "more labels than outputs": ("vit", config(num_classes=11), ("head", "11")),
    "other patches": ("vit", config(patch_size=9), ("pos_embed", "shape")),
    "no sizes": ("vit", config(model_args=...), ("120 of its 152 parameters are missing",)),
    "sizes are a list": ("vit", config(model_args=[1, 2]), ("model_args",)),
    "an unknown part": ("vit", config(model_args={"act_layer": "relu"}), ("act_layer",)),
    "a negative ratio": ("vit", config(mlp_ratio=-1), ("mlp_ratio", "-1")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint(
    damage: str, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family, change, words = DAMAGES[damage]
    good, other = request.getfixturevalue(FAMILY_OF[family])
    folder = shutil.copytree(good, tmp_path / "model")
    change(folder)
    with pytest.raises(BadCheckpoint) as caught:
        load(folder)
    message = str(caught.value)
    for word in words:
        assert word in message
    assert len(message) < 400 and "\n" not in message
    refused_by_the_command(capsys, "show", folder, words=words)
    refused_by_the_command(
        capsys, "barrier", other, folder, "--points", 3, "--examples", 4, words=words
    )


@pytest.mark.parametrize(("reference", "kind", "words"), [
    ("zoo:nothing", UnknownName, ("model", "nothing")),
    ("nothing", UnknownName, ("model", "nothing")),
    ("", UnknownName, ("model",)),
    ("zoo:", UnknownName, ("model",)),
    ("zoo:../zoo/vit-fashion-s0", UnknownName, ("model",)),
    ("./nothing", BadCheckpoint, ("nothing", "folder")),
    ("path:nothing", BadCheckpoint, ("nothing", "folder")),
])  # fmt: skip
def test_no_such_model(
    reference: str,
    kind: type[Exception],
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(kind) as caught:
        load(reference)
    for word in words:
        assert word in str(caught.value)
    refused_by_the_command(capsys, "show", reference, words=words)
    refused_by_the_command(capsys, "barrier", reference, reference, words=words)


def test_a_file_in_place_of_a_folder(
    tiny_vit_pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tiny_vit_pair[0] / "model.safetensors"
    with pytest.raises(BadCheckpoint, match="is a file"):
        load(file)
    refused_by_the_command(capsys, "show", file, words=("is a file",))


# --- pairs that do not fit
# -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "changes", "words"), [
    ("gpt2", {"n_layer": 3}, ("depth", "2", "3")),
    ("gpt2", {"n_head": 4}, ("heads", "2", "4")),
    ("gpt2", {"activation_function": "silu"}, ("activation_function", "silu")),
    ("gpt2", {"layer_norm_epsilon": 1e-3}, ("layer_norm_epsilon", "0.001")),
    ("gpt2", {"vocab_size": 90}, ("tokens", "81", "90")),
    ("vit", {"depth": 3}, ("depth", "2", "3")),
    ("vit", {"num_classes": 12}, ("labels", "10", "12")),
    ("vit", {"patch_size": 7}, ("patch", "14", "7")),
])  # fmt: skip
def test_models_of_different_sizes(
    family: str,
    changes: dict[str, Any],
    words: tuple[str, ...],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    a, _ = request.getfixturevalue(FAMILY_OF[family])
    b = tiny.write(tmp_path / "other", tiny.tiny(family, 7, **changes))
    for method in ("weight", "none"):
        with pytest.raises(Incompatible) as caught:
            make_request(str(a), str(b), method=method, device="cpu")
        for word in words:
            assert word in str(caught.value)
    refused_by_the_command(capsys, "barrier", a, b, words=words)
    if "num_classes" not in changes:  # bodies with other heads can be aligned
        refused_by_the_command(capsys, "align", a, b, "--out", tmp_path / "out", words=words)
        assert not (tmp_path / "out").exists()


def test_models_of_different_families(
    tiny_gpt2_pair: Pair, tiny_vit_pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Incompatible, match="gpt2.*vit"):
        make_request(str(tiny_gpt2_pair[0]), str(tiny_vit_pair[0]), device="cpu")
    refused_by_the_command(
        capsys, "barrier", tiny_gpt2_pair[0], tiny_vit_pair[0], words=("gpt2", "vit")
    )


# --- requests that make no sense
# -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "keywords", "kind", "words"), [
    (["--task", "imagenet"], {"task": "imagenet"}, UnknownName, ("task", "imagenet", "fashion-mnist")),
    (["--task", "fashion-mnist"], {"task": "fashion-mnist"}, BadInput, ("text", "images")),
    (["--class", "units=spin"], {"classes": {"units": "spin"}}, UnknownName, ("spin", "orthogonal")),
    (["--class", "unit=none"], {"classes": {"unit": "none"}}, UnknownName, ("'unit'", "'units'")),
    (["--class", "units=orthogonal"], {"classes": {"units": "orthogonal"}}, Inadmissible, ("units", "permutation", "because")),
    (["--class", "residual=invertible"], {"classes": {"residual": "invertible"}}, Inadmissible, ("orthogonal", "LayerNorm")),
    (["--class", "heads=orthogonal"], {"classes": {"heads": "orthogonal"}}, Inadmissible, ("permutation", "softmax")),
    (["--method", "magic"], {"method": "magic"}, UnknownName, ("method", "magic", "weight")),
    (["--split", "exam"], {"split": "exam"}, UnknownName, ("split", "exam", "validation")),
    (["--device", "tpu"], {"device": "tpu"}, UnknownName, ("device", "tpu", "cpu")),
    (["--examples", "1"], {"examples": 1}, BadInput, ("2 examples", "1")),
    (["--examples", "-5"], {"examples": -5}, BadInput, ("examples", "-5")),
    (["--points", "1"], {"points": 1}, BadInput, ("3 points", "1")),
    (["--points", "2"], {"points": 2}, BadInput, ("3 points", "2")),
    (["--refine", "-1"], {"refine": -1}, BadInput, ("refin", "-1")),
])  # fmt: skip
def test_bad_request(
    option: list[str],
    keywords: dict[str, Any],
    kind: type[Exception],
    words: tuple[str, ...],
    tiny_gpt2_pair: Pair,
    capsys: pytest.CaptureFixture[str],
    home: Path,
) -> None:
    a, b = map(str, tiny_gpt2_pair)
    with pytest.raises(kind) as caught:
        make_request(a, b, **{"device": "cpu", **keywords})
    for word in words:
        assert word in str(caught.value)
    refused_by_the_command(capsys, "barrier", a, b, *option, words=words)
    assert not home.exists()


@pytest.mark.parametrize(("option", "words"), [
    (["--class", "units"], ("SPACE=CLASS", "units")),
    (["--class", "all=spin"], ("spin",)),
    (["--class", "units=none", "--method", "none"], ("--class", "--method none")),
    (["--executor", "cloud"], ("executor", "cloud", "inline")),
    (["--examples", "many"], ("--examples", "many")),
    (["--points", "2.5"], ("--points", "2.5")),
])  # fmt: skip
def test_bad_options(
    option: list[str],
    words: tuple[str, ...],
    tiny_gpt2_pair: Pair,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused_by_the_command(capsys, "barrier", *tiny_gpt2_pair, *option, words=words)


def test_unknown_executor() -> None:
    with pytest.raises(UnknownName, match="cloud"):
        get_executor("cloud")


def test_a_device_that_is_not_there(
    tiny_vit_pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(BadInput, match=absent):
        make_request(*map(str, tiny_vit_pair), device=absent)
    refused_by_the_command(
        capsys, "barrier", *tiny_vit_pair, "--device", absent, words=(absent, "cpu")
    )


def test_models_without_a_card_need_a_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (
        tiny.write(tmp_path / f"s{seed}", tiny.tiny("vit", seed), card=False) for seed in (0, 1)
    )
    with pytest.raises(BadInput, match="plays"):
        make_request(str(a), str(b), device="cpu")
    refused_by_the_command(capsys, "barrier", a, b, words=("task", "fashion-mnist"))
    assert make_request(str(a), str(b), task="fashion-mnist", device="cpu").task == "fashion-mnist"


@pytest.mark.parametrize(("family", "changes", "words"), [
    ("gpt2", {"vocab_size": 40}, ("40", "81", "plays")),
    ("vit", {"num_classes": 5}, ("5", "10", "fashion-mnist")),
    ("vit", {"img_size": 42}, ("42", "28")),
    ("vit", {"in_chans": 3}, ("3", "1")),
])  # fmt: skip
def test_models_that_the_task_does_not_fit(
    family: str,
    changes: dict[str, int],
    words: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    a, b = (
        tiny.write(tmp_path / f"s{seed}", tiny.tiny(family, seed, **changes)) for seed in (0, 1)
    )
    with pytest.raises(BadInput) as caught:
        make_request(str(a), str(b), device="cpu")
    for word in words:
        assert word in str(caught.value)
    refused_by_the_command(capsys, "barrier", a, b, words=words)
    refused_by_the_command(capsys, "align", a, b, "--out", tmp_path / "out", words=words)


def test_files_that_change_after_the_request(tiny_vit_pair: Pair, tmp_path: Path) -> None:
    """A request says which weights it meant; others are not computed under its key."""
    folder = shutil.copytree(tiny_vit_pair[0], tmp_path / "model")
    request = make_request(
        str(folder), str(tiny_vit_pair[1]), examples=4, points=3, refine=0, device="cpu"
    )
    spoil(VIT_UNITS, 1.5)(folder)
    with pytest.raises(BadInput, match="changed"):
        get_executor("inline").run(request)
    again = make_request(
        str(folder), str(tiny_vit_pair[1]), examples=4, points=3, refine=0, device="cpu"
    )
    assert again.key != request.key
