"""The library does what the command does: same models, same data, same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import lmc_core
from tests import tiny
from tests.cli.conftest import Run, lmc

__all__ = ["lmc"]  # the fixture

IMAGES = ("zoo:vit-fashion-s0", "zoo:vit-fashion-s1")
TEXT = ("zoo:gpt2-plays-s0", "zoo:gpt2-plays-s1")
EXAMPLES, LEARN, POINTS = 20, 24, 5
LENGTH = 16  # tokens of a window
FEW = ("--examples", EXAMPLES, "--device", "cpu")
METHODS = {"none": {}, "weight": {}, "activation": {}, "learned": {"steps": 2, "batch": 4}}
CLOSE = 1e-6


def settings(values: dict[str, int]) -> list[str]:
    """As they are typed."""
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def same_state(one: lmc_core.Model, other: lmc_core.Model) -> None:
    """Assert that two models have the same parameters, to single precision."""
    assert one.state.keys() == other.state.keys()
    for name, tensor in one.state.items():
        torch.testing.assert_close(tensor.float(), other.state[name].float(), atol=CLOSE, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("references", "task", "length"),
    [(IMAGES, "fashion-mnist", None), (TEXT, "plays", LENGTH)],
    ids=["images", "text"],
)
def test_a_barrier(
    references: tuple[str, str], task: str, length: int | None, method: str, lmc: Run
) -> None:
    uses_data = method in ("activation", "learned")
    said = lmc(
        *("barrier", *references, *FEW, "--points", POINTS, "--refine", 0, "--json"),
        *("--method", method, *settings(METHODS[method])),
        *(["--learn", LEARN] if uses_data else []),
        *(["--length", length] if length else []),
    ).json

    a, b = (lmc_core.load(reference) for reference in references)
    data = lmc_core.task_for(task, a, b)
    window = {} if length is None else {"length": length}
    examples = data.examples("test", EXAMPLES, **window)
    line = lmc_core.Line(a, b)
    if method != "none":
        train = data.examples("train", LEARN, **window) if uses_data else None
        pair = lmc_core.align(a, b, examples, method=method, settings=METHODS[method], train=train)
        line = lmc_core.Line(pair.a, pair.end)
        assert said["function_error"] == pytest.approx(pair.function_error, abs=CLOSE)
        assert said["objective"] == pytest.approx(list(pair.trace.objective), abs=CLOSE)
    found = lmc_core.curve(line, examples, POINTS, 0)
    assert said["lam"] == found.lam.tolist()
    assert said["loss"] == pytest.approx(found.mean.tolist(), abs=CLOSE)
    assert said["barrier"] == pytest.approx(found.barrier.value, abs=CLOSE)
    assert said["barrier_stderr"] == pytest.approx(found.barrier.stderr, abs=CLOSE)
    assert said["barrier_lam"] == found.barrier.lam


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Folders of three tiny Vision Transformers, for a frame of several: finding one for the
    shipped ones takes many assignments, and it is found by the command and by the library.
    """
    folder = tmp_path_factory.mktemp("small")
    return tuple(str(tiny.write(folder / f"s{seed}", tiny.tiny("vit", seed))) for seed in range(3))


@pytest.mark.slow
def test_several_models_in_one_frame(small: tuple[str, ...], lmc: Run, tmp_path: Path) -> None:
    said = lmc(
        *("align", *small, "--set", "steps=0", "--set", "rounds=1", "--dtype", "float32"),
        *("--out", tmp_path / "out", "--json"),
    ).json
    models = [lmc_core.load(reference) for reference in small]
    examples = lmc_core.get_task("fashion-mnist").examples("test", EXAMPLES)
    aligned = lmc_core.align_many(models, examples, settings={"steps": 0, "rounds": 1})
    assert said["cycle_error"] == pytest.approx(aligned.cycle_error, abs=CLOSE)
    assert said["function_errors"] == pytest.approx(list(aligned.function_errors), abs=CLOSE)
    for model, folder in zip(aligned.written, said["folders"], strict=True):
        same_state(lmc_core.load(tmp_path / "out" / folder), model)
    same_state(lmc_core.load(tmp_path / "out" / "merged"), aligned.centre)


@pytest.mark.slow
@pytest.mark.parametrize("frame", ["none", "universe"])
def test_a_merge(frame: str, small: tuple[str, ...], lmc: Run, tmp_path: Path) -> None:
    references = small[:2] if frame == "universe" else IMAGES
    done = lmc(
        *("merge", *references, *FEW, "--frame", frame, "--method", "ties", "--set", "density=0.2"),
        *("--dtype", "float32", "--out", tmp_path / "out", "--json"),
    )
    assert done.code == 0, done.err
    models = [lmc_core.load(reference) for reference in references]
    if frame == "universe":
        models = lmc_core.align_many(models, settings={"steps": 0}).models
    same_state(lmc_core.load(tmp_path / "out"), lmc_core.merge(models, "ties", density=0.2))
