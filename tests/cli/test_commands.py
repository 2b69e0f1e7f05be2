"""The other commands, exit codes, and what an import costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lmc_core import __version__
from lmc_core.cli import main
from lmc_core.cli.progress import INTERVAL, ProgressBar
from lmc_core.errors import StoreError
from lmc_core.models.config import Config
from lmc_core.models.zoo import zoo
from lmc_core.runs import executors
from lmc_core.server.entrance import Asked
from lmc_core.training.recipes import RECIPES
from tests import tiny
from tests.cli.conftest import Run

Pair = tuple[Path, Path]
QUICK = ("--examples", 8, "--points", 3, "--refine", 0)


@pytest.fixture
def small_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of one tiny model."""
    folder = tmp_path / "assets" / "zoo"
    model = tiny.tiny("vit")
    tiny.write(folder / "tiny-one", model)
    card = {
        "name": "tiny-one",
        "family": "vit",
        "task": "fashion-mnist",
        "seed": 0,
        "parameters": model.parameters,
    }
    card["scores"] = {"test": {"loss": 2.3, "accuracy": 0.1, "examples": 2000}}
    (folder / "tiny-one" / "card.json").write_text(json.dumps(card))
    monkeypatch.setattr("lmc_core.models.zoo.zoo_folder", lambda: folder)
    return folder


def test_models(small_zoo: Path, lmc: Run):
    (row,) = lmc("models", "--json").json
    assert {
        "name",
        "reference",
        "family",
        "seed",
        "task",
        "parameters",
        "width",
        "sizes",
        "scores",
    } <= set(row)
    assert (row["name"], row["reference"], row["width"], row["sizes"]["depth"]) == (
        "tiny-one",
        "zoo:tiny-one",
        16,
        2,
    )
    assert row["scores"]["test"]["accuracy"] == 0.1
    table = lmc("models").out
    assert "tiny-one" in table and "10.0 % right" in table


def test_models_of_an_empty_zoo(tmp_path: Path, lmc: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lmc_core.models.zoo.zoo_folder", lambda: tmp_path / "none")
    assert lmc("models", "--json").json == []
    assert "lmc train --list" in lmc("models").out


@pytest.mark.skipif(not zoo(), reason="the zoo is not there")
def test_models_and_show_of_the_zoo(lmc: Run):
    rows = lmc("models", "--json").json
    assert [row["name"] for row in rows] == list(zoo())
    content = lmc("show", rows[0]["reference"], "--json").json
    assert content["parameters"] == rows[0]["parameters"] and content["scores"] == rows[0]["scores"]


def test_show(tiny_gpt2_pair: Pair, lmc: Run):
    content = lmc("show", tiny_gpt2_pair[0], "--json").json
    assert (
        content["family"] == "gpt2" and content["task"] == "plays" and len(content["digest"]) == 64
    )
    assert content["sizes"]["width"] == 16 and content["parameters"] > 1000
    spaces = {space["kind"]: space for space in content["spaces"]}
    assert {kind: space["largest"] for kind, space in spaces.items()} == {
        "residual": "orthogonal",
        "heads": "permutation",
        "query-key": "invertible",
        "value-output": "invertible",
        "units": "permutation",
    }
    assert (spaces["residual"]["spaces"], spaces["residual"]["size"]) == (1, 16)
    # two heads in each of two blocks
    assert (spaces["query-key"]["spaces"], spaces["query-key"]["size"]) == (4, 8)
    assert (spaces["units"]["spaces"], spaces["units"]["size"]) == (2, 64)
    words = lmc("show", tiny_gpt2_pair[0]).out
    for part in (content["digest"], "LayerNorm divides", "invertible", "width 16"):
        assert part in words


def test_results_are_listed_and_deleted(tiny_vit_pair: Pair, lmc: Run):
    key = lmc("barrier", *tiny_vit_pair, *QUICK, "--json").json["key"]
    mine = [entry for entry in lmc("results", "--json").json if not entry["shipped"]]
    assert [entry["key"] for entry in mine] == [key]
    assert mine[0]["models"] == ["tiny-vit-s0", "tiny-vit-s1"] and isinstance(
        mine[0]["barrier"], float
    )
    assert key[:12] in lmc("results").out
    lmc("results", "--delete", "f" * 64).refused("No results")
    lmc("results", "--delete", "").refused("begins with")
    assert key in lmc("results", "--delete", key[:10]).out
    assert key not in [entry["key"] for entry in lmc("results", "--json").json]


@pytest.mark.filterwarnings("default::lmc_core.runs.store.StoreWarning")
def test_a_damaged_result_is_computed_again_with_a_warning(
    tiny_vit_pair: Pair, lmc: Run, home: Path
):
    first = lmc("barrier", *tiny_vit_pair, *QUICK, "--json").json
    (home / "results" / first["key"] / "arrays.npz").write_bytes(b"broken")
    again = lmc("barrier", *tiny_vit_pair, *QUICK, "--json")
    assert again.code == 0 and again.json["cached"] is False and again.json["loss"] == first["loss"]
    assert (
        again.err.startswith("lmc: ")
        and "damaged" in again.err
        and len(again.err.splitlines()) == 1
    )


def test_train(lmc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = RECIPES["vit-fashion-s0"]
    small = type(recipe)(
        **{**recipe.__dict__, "config": Config(tiny.configuration("vit")), "batch": 8}
    )
    monkeypatch.setitem(RECIPES, "vit-fashion-s0", small)
    done = lmc(
        "train",
        "vit-fashion-s0",
        "--subset",
        "--steps",
        2,
        "--seed",
        5,
        "--out",
        tmp_path / "model",
    )
    assert done.code == 0, done.err
    assert done.json[0]["scores"]["test"]["loss"] > 0
    assert "nats" in done.err
    content = lmc("show", tmp_path / "model", "--json").json
    assert (content["task"], content["seed"]) == ("fashion-mnist", 5)


def test_train_lists_the_recipes(lmc: Run):
    out = lmc("train", "--list").out
    assert all(name in out for name in RECIPES)


@pytest.mark.parametrize(("arguments", "words"), [
    (["train"], "--all"),
    (["train", "nothing"], "nothing"),
    (["train", "vit-fashion-s0", "--all"], "--all"),
    (["train", "--all", "--seed", "1"], "--seed"),
    (["train", "vit-fashion-s0", "--steps", "2"], "--out"),
    (["train", "vit-fashion-s0", "--steps", "0", "--out", "x"], "--steps"),
    (["train", "vit-fashion-s0", "--threads", "0"], "--threads"),
    (["worker", "--device", "tpu"], "tpu"),
    (["worker", "--idle", "-1"], "--idle"),
    (["app", "--port", "0"], "65535"),
    (["app", "--port", "eighty"], "eighty"),
    (["nothing"], "nothing"),
    (["models", "--nothing"], "--nothing"),
    (["show"], "MODEL"),
    (["show", "vit-fashion-s9"], "vit-fashion-s9"),
    (["barrier", "one"], "B"),
    (["align", "one", "two"], "--out"),
])  # fmt: skip
def test_bad_arguments(arguments: list[str], words: str, lmc: Run):
    lmc(*arguments).refused(words)


def test_no_command_and_app_open_the_app(lmc: Run, monkeypatch: pytest.MonkeyPatch):
    calls = []

    def launch(port, browser, read_only, hosts, executor, asked):
        assert hosts == [] and asked == Asked()
        calls.append((port, browser, read_only))
        return 0

    monkeypatch.setattr("lmc_core.cli.app.launch", launch)
    assert [lmc().code, lmc("app", "--port", 8600, "--no-browser").code] == [0, 0]
    assert [
        lmc("--read-only").code,
        lmc("app", "--read-only").code,
        lmc("--read-only", "app").code,
    ] == [0, 0, 0]
    assert calls == [(None, True, False), (8600, False, False), *[(None, True, True)] * 3]


def test_worker_ends_when_idle(lmc: Run):
    assert lmc("worker", "--idle", 0).code == 0


def test_version_and_help(lmc: Run):
    assert lmc("--version").out == f"lmc {__version__}\n"
    assert "barrier" in lmc("--help").out and "SPACE=CLASS" in lmc("barrier", "--help").out


@pytest.mark.parametrize(("raised", "code", "words"), [
    (KeyboardInterrupt(), 130, "stopped"),
    (StoreError("No space is left."), 1, "No space is left."),
    (OSError(13, "Permission denied", "/somewhere"), 1, "Permission denied"),
    (ZeroDivisionError("division by zero"), 1, "LMC_DEBUG"),
])  # fmt: skip
def test_exit_codes(
    raised: BaseException,
    code: int,
    words: str,
    tiny_vit_pair: Pair,
    lmc: Run,
    monkeypatch: pytest.MonkeyPatch,
):
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.delenv("LMC_DEBUG", raising=False)
    monkeypatch.setattr(executors.Inline, "run", fail)
    lmc("barrier", *tiny_vit_pair, *QUICK).refused(words, code=code)


def test_debug_shows_where(tiny_vit_pair: Pair, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setenv("LMC_DEBUG", "1")
    monkeypatch.setattr(executors.Inline, "run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["barrier", *map(str, tiny_vit_pair)])


def test_progress_waits_for_a_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    now = [0.0]
    monkeypatch.setattr("lmc_core.cli.progress.time.monotonic", lambda: now[0])
    with ProgressBar() as progress:
        progress.report(0.1, "early")
        now[0] = INTERVAL
        progress.report(0.5, "halfway")
        progress.report(0.6, "too soon after the last line")
    assert capsys.readouterr().err == " 50 % halfway, about 10 s left\n"


def test_progress_is_a_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("lmc_core.cli.progress.PATIENCE", 0.0)
    with ProgressBar() as progress:
        for step in range(3):
            progress.report(step / 3, "matching the weights")
    captured = capsys.readouterr()
    assert "%" in captured.err and captured.out == ""


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], "torch transformers timm streamlit plotly pandas numpy scipy tqdm"),
        (["barrier", "--help"], "torch transformers timm streamlit plotly pandas numpy scipy tqdm"),
        (["--version"], "torch transformers timm streamlit plotly pandas numpy scipy tqdm"),
        (["results"], "torch transformers timm streamlit plotly pandas"),
        (["report", "--list"], "torch transformers timm streamlit pandas"),
        (["methods"], "transformers timm streamlit plotly pandas"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_command_loads(words: list[str], heavy: str):
    """What only reads needs nothing that computes; help needs the standard library alone."""
    code = (
        f"import sys, lmc_core.cli; lmc_core.cli.main({words}); print([m for m in "
        f"{heavy.split()} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_in_a_process_of_its_own(tmp_path: Path):
    """Standard error holds the message alone, and a closed pipe is no error."""
    command = [sys.executable, "-m", "lmc_core.cli"]
    done = subprocess.run(
        [*command, "show", str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and done.stdout == ""
    assert (
        done.stderr.startswith("lmc: ")
        and len(done.stderr.splitlines()) == 1
        and "config.json" in done.stderr
    )
    piped = subprocess.Popen(
        [*command, "train", "--list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert piped.stdout is not None and piped.stderr is not None
    piped.stdout.close()
    assert (piped.stderr.read(), piped.wait(60)) == (b"", 0)
    piped.stderr.close()
