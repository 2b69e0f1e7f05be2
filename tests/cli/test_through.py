"""`--through`: checkpoints of two runs on the command line, in the key, and in the reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lmc_core.cli import main
from lmc_core.errors import BadInput
from lmc_core.models.model import Model
from lmc_core.runs.cache import find_pair_key
from lmc_core.runs.kinds.barrier import compute, make_request
from lmc_core.runs.request import PairRequest
from tests import tiny
from tests.cli.conftest import Run

QUICK = ("--examples", 6, "--points", 3, "--refine", 0, "--device", "cpu")


def write_run(folder: Path, seed: int, steps: tuple[int, ...] = (0, 10)) -> Path:
    """A run whose checkpoints lead to `tiny("vit", seed)`."""
    end = tiny.tiny("vit", seed)
    generator = torch.Generator().manual_seed(seed)
    for step in steps:
        drawn = {n: torch.randn(t.shape, generator=generator) for n, t in end.state.items()}
        state = {n: t + 0.05 * drawn[n] / (1 + step) for n, t in end.state.items()}
        model = Model(f"run {seed} at {step}", end.family, end.config, state)
        tiny.write(folder / f"checkpoints/step-{step:07d}", model)
    return tiny.write(folder, end)


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    return write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1)


def test_align_and_barrier_say_what_they_passed(both: tuple[Path, Path], lmc: Run, tmp_path: Path):
    out = tmp_path / "aligned"
    report = lmc("align", *both, "--through", *both, "--out", out, "--json").json
    assert [each["models"] for each in report["found"]["through"]] == [
        ["run 0 at 0", "run 1 at 0"], ["run 0 at 10", "run 1 at 10"],
    ]  # fmt: skip
    assert report["start"] == "given" and report["function_error"] < 1e-5
    assert json.loads((out / "report.json").read_text())["found"] == report["found"]
    said = lmc("barrier", *both, "--through", *both, *QUICK)
    assert said.code == 0 and "2 pairs of checkpoints, objective" in said.out
    plain = lmc("barrier", *both, *QUICK)
    assert "checkpoints" not in plain.out
    keys = {line.split()[-1] for text in (said, plain) for line in text.out.splitlines()
            if line.startswith("key")}  # fmt: skip
    assert len(keys) == 2


def test_the_page_does_not_name_places(both: tuple[Path, Path], lmc: Run, tmp_path: Path):
    page = tmp_path / "page.html"
    done = lmc("barrier", *both, "--through", *both, *QUICK, "--html", page)
    assert done.code == 0, done.err
    assert str(tmp_path) not in page.read_text()


def test_the_key_holds_the_content_of_the_checkpoints_and_not_their_place(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    words = {"examples": 6, "points": 3, "refine": 0, "device": "cpu"}
    a, b = map(str, both)
    plain = make_request(a, b, **words)
    request = make_request(a, b, through=both, **words)
    assert "through" not in plain.to_json()
    assert type(request).from_json(request.to_json()) == request
    assert len({request.key, plain.key}) == len({find_pair_key(request), find_pair_key(plain)}) == 2
    pair: PairRequest = request.pair()
    assert find_pair_key(pair) == find_pair_key(request)
    moved = write_run(tmp_path / "elsewhere", 0)
    assert make_request(a, b, through=(moved, b), **words).key == request.key
    (moved / "checkpoints/step-0000010").rename(moved / "checkpoints/step-0000000-old")
    fewer = write_run(tmp_path / "fewer", 1, (0,))
    assert make_request(a, b, through=(moved, fewer), **words).key != request.key
    other = write_run(tmp_path / "other", 2)
    assert make_request(a, b, through=(other, b), **words).key != request.key


def test_checkpoints_that_changed_are_refused(both: tuple[Path, Path], tmp_path: Path) -> None:
    words = {"examples": 6, "points": 3, "refine": 0, "device": "cpu"}
    request = make_request(*map(str, both), through=both, **words)
    tiny.write(both[1] / "checkpoints/step-0000000", tiny.tiny("vit", 5))
    with pytest.raises(BadInput, match="have changed since the request was made"):
        compute(request)


def test_what_does_not_fit_is_refused(
    both: tuple[Path, Path], tiny_gpt2_pair: tuple[Path, Path], lmc: Run, tmp_path: Path
):
    begin = ("align", *both, "--out", tmp_path / "out", "--through")
    lmc(*begin, both[0], write_run(tmp_path / "c", 1, (0, 5, 9))).refused("2 of A and 3 of B")
    lmc(*begin, both[0], tmp_path / "nowhere").refused("no folder")
    lmc(*begin, both[0], tmp_path / "home").refused("no folder")
    lmc(*begin, both[0], tiny_gpt2_pair[0].parent).refused("vit", "gpt2")
    lmc(*begin, *both, "--method", "soft").refused("soft", "weight, activation")
    lmc("barrier", *both, "--method", "none", "--through", *both).refused("none does not start")
    lmc("align", *both, both[0], "--out", tmp_path / "out", "--through", *both).refused("--through")


def test_checkpoints_are_kept_by_the_command(lmc: Run, tmp_path: Path):
    lmc("train", "vit-fashion-s0", "--keep-checkpoints").refused("--out")
    out = ("--out", tmp_path / "out")
    train = ("train", "gpt2-plays-s0", *out, "--steps", 2)
    lmc(*train, "--keep-checkpoints", "0,9").refused("between 0 and 2", "9")
    lmc(*train, "--keep-checkpoints", "x").refused("whole number")
    lmc(*train, "--keep-checkpoints", 0).refused("1 and 1,000")
    assert main(["train", "--help"]) == 0
