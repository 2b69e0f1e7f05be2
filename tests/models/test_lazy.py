"""Models that are read and written tensor by tensor: the same as whole ones, bit for bit."""

from __future__ import annotations

import errno
import filecmp
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmc_core.errors import BadCheckpoint, BadInput
from lmc_core.models.common import in_float32, untied
from lmc_core.models.config import Config
from lmc_core.models.families import FAMILIES
from lmc_core.models.files import safetensors_writer
from lmc_core.models.files.recorder import NotRecordable, Recorder
from lmc_core.models.lazy import LazyState, all_finite, count_bytes, is_lazy, shapes
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model, NotFinite, untied_state
from lmc_core.models.rows import Rows, extended, restricted
from tests.tiny import tiny, write

# what is renamed, stacked, cut, tied, made of zeros, or saved in a way of its own
EXAMPLES = (
    *("gpt2", "gpt_neox", "gpt_neox-sequential-tied", "mixtral", "deepseek_v3", "bert-untied-relu"),
    *("t5-1.1", "bart", "dinov2-swiglu-no-biases", "dinov3-gated", "vit", "gpt_oss-one-tied"),
)
SHARD = 15_000  # bytes


def example(key: str) -> Model:
    family = next(each for each in FAMILIES.values() if key in each.examples)
    torch.manual_seed(3)
    config = family.config(Config(family.examples[key]))
    return Model(key, family, config, untied_state(family.build(config)))


def same(one: Model, other: Model) -> bool:
    return list(one.state) == list(other.state) and all(
        tensor.dtype == other.state[name].dtype
        and shapes(other.state)[name].dtype == tensor.dtype
        and shapes(other.state)[name].shape == tensor.shape
        and torch.equal(tensor, other.state[name])
        for name, tensor in one.state.items()
    )


@pytest.mark.parametrize("key", EXAMPLES)
def test_reading_and_writing_one_by_one_changes_nothing(key: str, tmp_path: Path) -> None:
    model = example(key)
    model.save(tmp_path / "first", "bfloat16", SHARD)
    whole, lazy = load_folder(tmp_path / "first"), load_folder(tmp_path / "first", lazy=True)
    assert is_lazy(lazy.state) and not is_lazy(whole.state)
    assert same(whole, lazy) and whole.digest == lazy.digest and whole.stored == lazy.stored
    assert count_bytes(whole.state) == count_bytes(lazy.state)
    for dtype in (None, "float32"):
        one, other = tmp_path / f"whole-{dtype}", tmp_path / f"lazy-{dtype}"
        whole.save(one, dtype, SHARD)
        lazy.save(other, dtype, SHARD)
        assert same(load_folder(one), load_folder(other))
        if any(path.suffix == ".json" and "index" in path.name for path in one.iterdir()):
            assert len([*other.glob("*.safetensors")]) > 1
        if "expert" not in " ".join(whole.state):  # of which the library puts more into a file
            names = sorted(path.name for path in one.iterdir())
            assert names == sorted(path.name for path in other.iterdir())
            match, *rest = filecmp.cmpfiles(one, other, names, shallow=False)
            assert sorted(match) == names and rest == [[], []]


def test_transformers_reads_what_was_streamed(tmp_path: Path) -> None:
    import transformers

    model = example("gpt_neox")
    model.save(tmp_path / "first")
    load_folder(tmp_path / "first", lazy=True).save(tmp_path / "second", shard=SHARD)
    read = transformers.GPTNeoXForCausalLM.from_pretrained(tmp_path / "second")
    for name, tensor in untied_state(read).items():
        assert torch.equal(tensor, model.state[name])


def test_parameters_are_asked_for_once_each(tmp_path: Path) -> None:
    model, asked = example("mixtral"), []

    def make(name: str) -> Tensor:
        asked.append(name)
        return model.state[name]

    model.with_state(LazyState(model.state, make)).save(tmp_path / "out", shard=SHARD)
    assert sorted(asked) == sorted(model.state)


def test_changes_stay_lazy_and_are_those_of_whole_models(tmp_path: Path) -> None:
    write(tmp_path / "a", tiny("gpt2"))
    whole, lazy = load_folder(tmp_path / "a"), load_folder(tmp_path / "a", lazy=True)

    def shorter(model: Model) -> Model:
        return restricted(model, Rows(40, (("n_positions", 8),)))

    def doubled(model: Model) -> Model:
        return extended(
            model.with_state({n: 2 * t for n, t in shorter(model).state.items()}), model
        )

    changes: tuple[Callable[[Model], Model], ...] = (untied, in_float32, shorter)
    for change in changes:
        one, other = change(whole), change(lazy)
        assert is_lazy(other.state) and one.config == other.config and same(one, other)
    assert is_lazy(doubled(lazy).state) and same(doubled(whole), doubled(lazy))


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", tiny("gpt2"))
    lazy = load_folder(folder, lazy=True)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: -tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    with pytest.raises(BadCheckpoint, match="has changed since it was opened"):
        lazy.state["transformer.wte.weight"]


def test_values_and_copies_are_checked_as_ever(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", tiny("gpt2"))
    tensors = load_file(folder / "model.safetensors")
    head = {"lm_head.weight": tensors["transformer.wte.weight"] + 1}
    save_file(tensors | head, folder / "model.safetensors")
    with pytest.raises(BadCheckpoint, match="says that they are one"):
        load_folder(folder, lazy=True)
    tensors["transformer.h.1.mlp.c_fc.bias"][0] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(NotFinite, match="c_fc.bias"):
        load_folder(folder, lazy=True)


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = load_folder(write(tmp_path / "a", tiny("gpt2")), lazy=True)
    usage = type("Usage", (), {"free": 10})
    with monkeypatch.context() as patched:
        patched.setattr(safetensors_writer.shutil, "disk_usage", lambda folder: usage)
        with pytest.raises(BadInput, match="are free where they are written"):
            lazy.save(tmp_path / "b")

    def full(writer: object, name: str, tensor: Tensor) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors_writer.Writer, "put", full)
    with pytest.raises(BadInput, match="no room left"):
        lazy.save(tmp_path / "c")


def test_values_too_large_for_half_precision_are_refused(tmp_path: Path) -> None:
    lazy = load_folder(write(tmp_path / "a", tiny("gpt2")), lazy=True)
    huge = LazyState(shapes(lazy.state), lambda name: 1e6 * lazy.state[name].sign())
    with pytest.raises(BadInput, match="float16 holds none above"):
        lazy.with_state(huge).save(tmp_path / "b", "float16")


def test_a_recording_makes_what_was_made(tmp_path: Path) -> None:
    real = {name: torch.randn(4, 6) for name in "abc"}
    meta = {name: tensor.to("meta") for name, tensor in real.items()}

    def work(t: dict[str, Tensor]) -> dict[str, Tensor]:
        upper, lower = t["a"].chunk(2)
        zeros = torch.zeros(2, device=t["a"].device)
        both = torch.stack([torch.cat([t["b"], t["c"]]), torch.cat([t["c"], t["c"]])])
        return {"u": upper, "l": lower.t().contiguous(), "z": zeros, "s": both, "same": t["b"]}

    recorder = Recorder(meta.items())
    with recorder:
        recorded = work(meta)
    wanted, read = work(real), []

    def get(name: str) -> Tensor:
        read.append(name)
        return real[name]

    for name, tensor in recorded.items():
        read.clear()
        assert torch.equal(recorder.make(tensor, get), wanted[name])
        assert read == recorder.sources(tensor)  # each once, and no other
    with pytest.raises(NotRecordable), Recorder(meta.items()):
        meta["a"].mul_(2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers_are_seen_wherever_they_stand(
    dtype: torch.dtype, bad: float
) -> None:
    for size in (1, 7, 1000):
        for place in {0, size // 2, size - 1}:
            values = torch.randn(size, 3).to(dtype)
            assert all_finite(values) and all_finite(values[:0])
            values[place, 1] = bad
            assert not all_finite(values) and not all_finite(values.mT)
