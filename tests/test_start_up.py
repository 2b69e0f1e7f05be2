"""Commands that only read start without torch, and what was asked before is found by its words."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lmc_core.cli import main
from lmc_core.models.zoo import zoo, zoo_folder
from lmc_core.runs import remembered
from lmc_core.runs.store import Store

PAIR = ("vit-fashion-s0", "vit-fashion-s1")
BARRIER = ("barrier", *PAIR, "--device", "cpu")
HEAVY = ("torch", "transformers", "timm", "torchvision")
CODE = f"""
import contextlib, io, json, sys
from lmc_core.cli import main

found = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = main(arguments)
    loaded = [name for name in {HEAVY} if name in sys.modules]
    found.append([code, len(out.getvalue()) > 0, loaded])
print(json.dumps(found))
"""

pytestmark = pytest.mark.skipif(not zoo().keys() >= set(PAIR), reason="the zoo is not there")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMC_HOME", str(tmp_path))
    monkeypatch.delenv("LMC_READ_ONLY", raising=False)
    return tmp_path


@pytest.mark.parametrize(("chosen", "expected"), [(None, "1"), ("0", "0")])
def test_operators_that_mps_lacks_run_on_the_cpu_unless_a_person_says_no(
    chosen: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "PYTORCH_ENABLE_MPS_FALLBACK"
    monkeypatch.delenv(name, raising=False)
    if chosen is not None:
        monkeypatch.setenv(name, chosen)
    code = f"import lmc_core, os, sys; print(os.environ[{name!r}], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected, "False"]


def test_commands_that_read_load_no_torch(home: Path) -> None:
    assert main([*BARRIER, "--json"]) == 0  # once; the result ships
    commands = (
        ["models"],
        ["models", "--families"],
        ["models", "--public"],
        ["methods"],
        ["results"],
        ["report", "--list"],
        list(BARRIER),
        [*BARRIER, "--json"],
        [*BARRIER, "--html", str(home / "barrier.html")],
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, json.dumps(commands)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[0, True, []]] * len(commands)


def _ask(references: tuple[str, str], **words: object) -> tuple[int, str]:
    """How often a request is made anew, and its key."""
    calls = []
    made = remembered.Remembered("lmc_core.runs.kinds.barrier:make_request")
    again = made.again

    def count(*args: str, **named: object) -> object:
        calls.append(args)
        return again(*args, **named)

    made.again = count  # type: ignore[method-assign]
    request = made(*references, device="cpu", **words)
    return len(calls), request.key  # type: ignore[attr-defined]


def test_a_request_is_taken_only_where_its_files_and_its_result_are(home: Path) -> None:
    a, b = (home / name for name in ("a", "b"))
    for name, folder in zip(PAIR, (a, b), strict=True):
        shutil.copytree(zoo_folder() / name, folder)
    references = (str(a), str(b))
    first, key = _ask(references)
    assert first == 1 and Store().get(key) is not None
    assert _ask(references) == (0, key)
    assert _ask(references, points=5)[0] == 1
    assert _ask(references, points=5)[0] == 1  # its result is not stored
    config = json.loads((b / "config.json").read_text())
    (b / "config.json").write_text(json.dumps(config | {"note": 1}))
    assert _ask(references) == (1, key)
    assert _ask(references) == (0, key)
    shutil.rmtree(b)
    shutil.copytree(zoo_folder() / "vit-fashion-s2", b)
    changed, other = _ask(references)
    assert changed == 1 and other != key


def test_what_is_asked_of_data_in_many_files_is_not_kept(home: Path) -> None:
    (home / "images").mkdir()
    made = remembered.Remembered("json:dumps")
    for task in (f"images:{home / 'images'}", "hf-dataset:some"):
        assert remembered._Question.of(made.place, PAIR, {"task": task}) is None
    assert remembered._Question.of(made.place, PAIR, {"task": "fashion-mnist"}) is not None
