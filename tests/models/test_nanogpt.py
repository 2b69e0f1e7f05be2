"""nanoGPT's `ckpt.pt`: what is read computes what nanoGPT computes, written out here one position
after the other.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import GPT2LMHeadModel

from lmc_core.cli import main
from lmc_core.errors import BadCheckpoint
from lmc_core.models.load import file_notes, load

SIZES = {"n_layer": 2, "n_head": 3, "n_embd": 12, "block_size": 9, "vocab_size": 20, "dropout": 0.1}


def weights(bias: bool, seed: int = 0) -> dict[str, Tensor]:
    """The parameters as nanoGPT names and stores them, away from zeros and ones."""
    width, generator = SIZES["n_embd"], torch.Generator().manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (SIZES["vocab_size"], width),
        "transformer.wpe.weight": (SIZES["block_size"], width),
    }
    for i in range(SIZES["n_layer"]):
        at = f"transformer.h.{i}"
        shapes |= {f"{at}.ln_1.weight": (width,), f"{at}.attn.c_attn.weight": (3 * width, width)}
        shapes |= {f"{at}.attn.c_proj.weight": (width, width), f"{at}.ln_2.weight": (width,)}
        shapes |= {
            f"{at}.mlp.c_fc.weight": (4 * width, width),
            f"{at}.mlp.c_proj.weight": (width, 4 * width),
        }
    shapes["transformer.ln_f.weight"] = (width,)
    if bias:
        layers = {
            name: shape for name, shape in shapes.items() if ".w" not in name.replace(".weight", "")
        }
        shapes |= {name.replace(".weight", ".bias"): shape[:1] for name, shape in layers.items()}
    found = {name: 0.6 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return found | {"lm_head.weight": found["transformer.wte.weight"]}


def slowly(p: dict[str, Tensor], tokens: list[int]) -> Tensor:
    """Logits of the last token, in double precision and with loops alone."""
    heads, width = SIZES["n_head"], SIZES["n_embd"]
    size = width // heads
    p = {name: tensor.double() for name, tensor in p.items()}

    def linear(x: Tensor, name: str) -> Tensor:
        y = torch.stack([(row * x).sum() for row in p[f"{name}.weight"]])
        return y + p.get(f"{name}.bias", torch.zeros(len(y)).double())

    def norm(x: Tensor, name: str) -> Tensor:
        mean = x.sum() / width
        variance = ((x - mean) ** 2).sum() / width
        return (x - mean) / torch.sqrt(variance + 1e-5) * p[f"{name}.weight"] + p.get(
            f"{name}.bias", torch.zeros(width).double()
        )

    def gelu(x: Tensor) -> Tensor:
        return torch.tensor(
            [v / 2 * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()], dtype=torch.float64
        )

    stream = [
        p["transformer.wte.weight"][token] + p["transformer.wpe.weight"][i]
        for i, token in enumerate(tokens)
    ]
    for i in range(SIZES["n_layer"]):
        at = f"transformer.h.{i}"
        fused = [linear(norm(x, f"{at}.ln_1"), f"{at}.attn.c_attn") for x in stream]
        for here in reversed(range(len(tokens))):
            mixed = []
            for h in range(heads):
                part = slice(h * size, (h + 1) * size)
                query = fused[here][:width][part]
                scores = [
                    float(query @ fused[t][width : 2 * width][part]) / math.sqrt(size)
                    for t in range(here + 1)
                ]
                shares = [math.exp(score - max(scores)) for score in scores]
                values = [
                    share / sum(shares) * fused[t][2 * width :][part]
                    for t, share in enumerate(shares)
                ]
                mixed.append(torch.stack(values).sum(0))
            stream[here] = stream[here] + linear(torch.cat(mixed), f"{at}.attn.c_proj")
        stream = [
            x + linear(gelu(linear(norm(x, f"{at}.ln_2"), f"{at}.mlp.c_fc")), f"{at}.mlp.c_proj")
            for x in stream
        ]
    return linear(norm(stream[-1], "transformer.ln_f"), "lm_head")


def checkpoint(folder: Path, bias: bool, prefix: str = "", seed: int = 0, **changes: Any) -> Path:
    """Write a folder as nanoGPT's train.py leaves it."""
    folder.mkdir()
    content = {
        "model": {prefix + name: tensor for name, tensor in weights(bias, seed).items()},
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]},
        "model_args": {**SIZES, "bias": bias} | changes,
        "iter_num": 10,
        "best_val_loss": torch.tensor(1.5),
        "config": {"out_dir": "out", "dataset": "shakespeare_char"},
    }
    torch.save(content, folder / "ckpt.pt")
    return folder


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module._orig_mod."])
def test_it_computes_what_nanogpt_computes(bias: bool, prefix: str, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "out", bias, prefix)
    model = load(folder, allow_pickle=True)
    tokens = [3, 19, 0, 7, 7, 12]
    with torch.no_grad():
        found = model.module(torch.float64)(torch.tensor([tokens])).logits[0, -1]
    wanted = slowly(weights(bias), tokens)
    assert found.shape == (20,) and float((found - wanted).abs().max() / wanted.abs().max()) < 1e-12
    # the negative control: GPT-2's own activation is another one
    tanh = {**model.config, "activation_function": "gelu_new"}
    with torch.no_grad():
        other = model.family.build(tanh).double().eval()
        other.load_state_dict(model.module(torch.float64).state_dict())
        assert float((other(torch.tensor([tokens])).logits[0, -1] - wanted).abs().max()) > 1e-5
    assert model.family.name == "gpt2" and any("exact GELU" in note for note in model.notes)
    assert any("set to zero" in note for note in model.notes) == (not bias)
    assert file_notes(f"pickle:{folder}") == model.notes


def test_it_is_written_as_an_ordinary_gpt2(tmp_path: Path) -> None:
    model = load(checkpoint(tmp_path / "out", False, "_orig_mod."), allow_pickle=True)
    model.save(tmp_path / "saved")
    content = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert (
        content["architectures"] == ["GPT2LMHeadModel"] and content["activation_function"] == "gelu"
    )
    tokens = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        assert torch.equal(
            GPT2LMHeadModel.from_pretrained(tmp_path / "saved")(tokens).logits,
            model.module()(tokens).logits,
        )
    assert load(tmp_path / "saved").digest == model.digest


def test_the_command_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = checkpoint(tmp_path / "out", False)
    assert main(["show", str(folder), "--allow-pickle"]) == 0
    assert "set to zero" in capsys.readouterr().out


def test_what_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="config.json is missing.*ckpt.pt.*--allow-pickle"):
        load(checkpoint(tmp_path / "plain", True))
    with pytest.raises(BadCheckpoint, match="'n_embd' as a number"):
        load(checkpoint(tmp_path / "words", True, n_embd="many"), allow_pickle=True)
    folder = checkpoint(tmp_path / "biases", True)
    content = torch.load(folder / "ckpt.pt")
    del content["model"]["transformer.h.1.ln_2.bias"]
    torch.save(content, folder / "ckpt.pt")
    # zeros only where it says so
    with pytest.raises(BadCheckpoint, match="'transformer.h.1.ln_2.bias' .* is missing"):
        load(folder, allow_pickle=True)
    del content["model_args"]["n_head"]
    torch.save(content, folder / "ckpt.pt")
    with pytest.raises(BadCheckpoint, match="config.json is missing.*looks like a GPT-2"):
        load(folder, allow_pickle=True)


def test_a_padded_vocabulary_stays(tmp_path: Path) -> None:
    model = load(checkpoint(tmp_path / "out", True), allow_pickle=True)
    assert model.config["vocab_size"] == 20 and model.state["transformer.wte.weight"].shape[0] == 20
    assert model.config["tie_word_embeddings"] and "lm_head.weight" not in model.state
