"""Pickled files of training scripts: weights only; whatever else they hold is never built, and
nothing in them runs.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import pickle
import shutil
import sys
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.serialization import get_safe_globals

from lmc_core.errors import BadCheckpoint
from lmc_core.models.files.pickle import Inert, read
from lmc_core.models.load import load

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def folder(tiny_vit_pair: tuple[Path, Path], tmp_path: Path) -> Path:
    """A tiny Vision Transformer without its weights."""
    copy = shutil.copytree(tiny_vit_pair[0], tmp_path / "mine")
    (copy / "model.safetensors").unlink()
    return copy


@pytest.fixture
def tensors(tiny_vit_pair: tuple[Path, Path]) -> Tensors:
    return load_file(tiny_vit_pair[0] / "model.safetensors")


class Settings(dict[str, Any]):
    """A dictionary of a library of its own, as EasyDict and Lightning's AttributeDict are."""


class Schedule:
    """An object with a state, whose class a reader may not have."""

    def __init__(self) -> None:
        self.rates = [0.1, torch.ones(2)]


FILES: dict[str, tuple[str, Callable[[Tensors], Any]]] = {
    "timm": (
        "model_best.pth.tar",
        lambda t: {"epoch": 3, "arch": "vit_tiny", "state_dict": t, "args": argparse.Namespace(lr=1), "metric": np.float64(3)},
    ),
    "Lightning": (
        "last.ckpt",
        lambda t: {
            "epoch": 1, "pytorch-lightning_version": "2.0", "state_dict": {f"model.{n}": x for n, x in t.items()},
            "hyper_parameters": Settings(width=3), "callbacks": {"best": pathlib.PurePosixPath("/x")},
        },
    ),
    "Lightning with a net": ("last.ckpt", lambda t: {"state_dict": OrderedDict((f"net.{n}", x) for n, x in t.items())}),
    "a running mean alone": ("m.pth", lambda t: {"state_dict_ema": t, "args": argparse.Namespace(a=argparse.Namespace(b=1))}),
    "a model in a model": ("m.pt", lambda t: {"model": {"state_dict": {f"module.{n}": x for n, x in t.items()}}, "step": 1}),
    "DeepSpeed": ("mp_rank_00_model_states.pt", lambda t: {"module": t, "ds_config": Settings(a=Settings(b=1)), "lr": None}),
    "model_state_dict": ("c.pt", lambda t: {"model_state_dict": t, "schedule": Schedule(), "counts": defaultdict(int, a=1)}),
    "ema": ("c.pt", lambda t: {"ema": t, "random": np.random.RandomState(0).get_state()}),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_files_of_training_scripts(
    kind: str, folder: Path, tensors: Tensors, tiny_vit_pair: tuple[Path, Path]
) -> None:
    name, content = FILES[kind]
    torch.save(content(tensors), folder / name)
    with pytest.raises(BadCheckpoint, match=f"{name}.*--allow-pickle"):
        load(folder)
    before = set(get_safe_globals())
    assert load(folder, allow_pickle=True).digest == load(tiny_vit_pair[0]).digest
    # what was allowed for one file is allowed for no other
    assert set(get_safe_globals()) == before


def test_nothing_foreign_is_built(folder: Path, tensors: Tensors) -> None:
    torch.save(
        {"state_dict": tensors, "args": argparse.Namespace(lr=1), "best": Schedule()},
        folder / "m.pth",
    )
    beside = read(folder / "m.pth").beside
    for key, kind in (("args", "argparse.Namespace"), ("best", f"{__name__}.Schedule")):
        assert isinstance(beside[key], Inert) and beside[key].said == kind and not vars(beside[key])


def test_modules_are_not_imported(
    folder: Path, tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "code"
    package.mkdir()
    (package / "lmc_trap.py").write_text(
        f"import os\nos.mkdir({str(tmp_path / 'boom')!r})\nclass Args: pass\n"
    )
    monkeypatch.syspath_prepend(str(package))
    import lmc_trap  # type: ignore  # noqa: I001  (written above)

    torch.save({"state_dict": tensors, "args": lmc_trap.Args()}, folder / "m.pth")
    (tmp_path / "boom").rmdir()
    monkeypatch.delitem(sys.modules, "lmc_trap")
    assert load(folder, allow_pickle=True).parameters
    assert "lmc_trap" not in sys.modules and not (tmp_path / "boom").exists()
    # the negative control: an ordinary reader imports it
    torch.load(folder / "m.pth", weights_only=False)
    assert (tmp_path / "boom").exists()


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any):
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


def make(path: str) -> str:
    """Something that can be seen to have happened."""
    os.mkdir(path)
    return path


@pytest.mark.parametrize("function", [os.mkdir, make, os.system, eval, exec, getattr, __import__])
@pytest.mark.parametrize("place", ["beside", "within", "key"])
def test_a_malicious_file_cannot_act(
    function: Any, place: str, folder: Path, tensors: Tensors, tmp_path: Path
) -> None:
    """Nothing runs, whether the file is read (its weights are whole) or refused."""
    boom = tmp_path / "boom"
    words = {
        os.mkdir: (str(boom),), make: (str(boom),), os.system: (f"mkdir {boom}",), getattr: ("", "join"), __import__: ("this",),
        eval: (f"__import__('os').mkdir({str(boom)!r})",), exec: (f"import os; os.mkdir({str(boom)!r})",),
    }  # fmt: skip
    call = Call(function, *words[function])
    content: Any = {"state_dict": tensors, "args": call}
    if place == "within":
        content = {"state_dict": {**tensors, "args": call}}
    if place == "key":
        content = {"state_dict": tensors, "args": {call: 1}}
    torch.save(content, folder / "m.pth")
    sys.modules.pop("this", None)
    try:
        model = load(folder, allow_pickle=True)
        assert place != "within" and model.parameters
    except BadCheckpoint as error:
        assert "objects other than tensors" in str(error)
    assert not boom.exists() and "this" not in sys.modules
    if function in (os.mkdir, make, os.system, eval, exec):
        torch.load(folder / "m.pth", weights_only=False)  # the negative control: it is a real one
        assert boom.exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_pickles_cannot_act_either(protocol: int, folder: Path, tmp_path: Path) -> None:
    boom = tmp_path / "boom"
    (folder / "m.pth").write_bytes(
        pickle.dumps({"state_dict": {"a": Call(make, str(boom))}}, protocol)
    )
    with pytest.raises(BadCheckpoint, match="objects other than tensors"):
        load(folder, allow_pickle=True)
    assert not boom.exists()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_traced_program_is_not_run(folder: Path) -> None:
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(2)).save(str(folder / "m.pt"))  # type: ignore[union-attr]
    with pytest.raises(BadCheckpoint):
        load(folder, allow_pickle=True)


def test_a_stand_in_keeps_no_state(folder: Path, tensors: Tensors) -> None:
    """A file says what attributes an object gets; a stand-in keeps none of them, and later files
    see none.
    """
    torch.save(
        {"state_dict": tensors, "args": argparse.Namespace(said=1, __setstate__=2, __reduce__=3)},
        folder / "m.pth",
    )
    found = read(folder / "m.pth").beside["args"]
    assert not vars(found) and found.said == "argparse.Namespace" and Inert.said == "object"
    assert callable(Inert.__setstate__)


def test_a_whole_module_is_named(folder: Path) -> None:
    torch.save(Settings(), folder / "m.pth")
    torch.save(Schedule(), folder / "m.pth")
    with pytest.raises(
        BadCheckpoint, match=rf"whole object of the class {__name__}.Schedule.*state_dict\(\)"
    ):
        load(folder, allow_pickle=True)


def test_several_sets_of_weights(
    folder: Path, tensors: Tensors, tiny_vit_pair: tuple[Path, Path]
) -> None:
    """The network as it was trained comes before its running mean, and what was not read is
    said.
    """
    mean = {name: tensor + 1 for name, tensor in tensors.items()}
    torch.save(
        {"state_dict_ema": mean, "state_dict": tensors, "args": argparse.Namespace()},
        folder / "m.pth.tar",
    )
    model = load(folder, allow_pickle=True)
    assert model.digest == load(tiny_vit_pair[0]).digest
    assert model.notes == (
        "mine/m.pth.tar holds several sets of weights; 'state_dict' was read, and "
        "'state_dict_ema' was not.",
    )


def test_archives_of_other_things(folder: Path) -> None:
    with zipfile.ZipFile(folder / "m.pt", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}.")
    with pytest.raises(BadCheckpoint):
        load(folder, allow_pickle=True)
