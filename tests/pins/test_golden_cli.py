"""What every `lmc` command prints on tiny models, as golden JSON, and what can be typed after it.

Keys of objects and their order, texts and integers are compared exactly, floats with a tolerance;
dates, durations, versions, memory and places of the machine are left out. `golden_files.py` says
how the golden files are renewed: only with a reason why the product should print something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from lmc_core.cli import main
from tests.pins import checkpoints
from tests.pins.golden_files import CLOSE, check, plain

FEW = ("--examples", "8", "--device", "cpu")
LINE = (*FEW, "--points", "3", "--refine", "1")
LEARN = ("--set", "steps=1", "--set", "batch=4", "--learn", "12")
# A step of learning turns a last digit into a third one: what is told of such cases, and how far
# their numbers may differ
LEARNS, LOOSE = ("learned", "dual", "several", "bend", "curves"), 2e-2
Lmc = Callable[..., str]

BARRIERS = {
    "vit, weight": ("vit-s0", "vit-s1"),
    "vit, none": ("vit-s0", "vit-s1", "--method", "none"),
    "vit, activation": ("vit-s0", "vit-s1", "--method", "activation", "--learn", "12"),
    "vit, learned": ("vit-s0", "vit-s1", "--method", "learned", *LEARN),
    "vit, dual": ("vit-s0", "vit-s1", "--method", "dual", *LEARN),
    "vit, soft": ("vit-s0", "vit-s1", "--method", "soft", "--set", "rounds=2"),
    "vit, permutations": ("vit-s0", "vit-s1", "--class", "all=permutation"),
    "vit, one class": ("vit-s0", "vit-s1", "--class", "residual=none", "--set", "scout_rounds=1"),
    "vit, temperature": ("vit-s0", "vit-s1", "--temperature", "--learn", "12"),
    "vit, validation": ("vit-s0", "vit-s1", "--split", "validation", "--seed", "3"),
    "vit, widths": ("vit-s0", "vit-wide"),
    "gpt2, weight": ("gpt2-s0", "gpt2-s1"),
    "gpt2, short windows": ("gpt2-s0", "gpt2-s1", "--length", "16"),
    "gpt2, own text": ("gpt2-s0", "gpt2-s1", "--task", "text:letters.txt"),
    "gpt2, learned": ("gpt2-s0", "gpt2-s1", "--method", "learned", *LEARN, "--length", "16"),
    "mixtral, weight": ("mixtral-s0", "mixtral-s1"),
    "mixtral, none": ("mixtral-s0", "mixtral-s1", "--method", "none"),
}
MERGE = ("--points", "1", "--resolution", "2", "--length", "16")
OTHERS = {
    "group": {
        "universe": (
            *("gpt2-s0", "gpt2-s1", "gpt2-s2", "--resolution", "2", *FEW, "--length", "16"),
            *("--set", "steps=0"),
        ),
        "reference": (
            *("vit-s0", "vit-s1", "vit-s2", "--resolution", "2", *FEW),
            *("--method", "reference", "--class", "all=permutation"),
        ),
        "none, two": ("vit-s0", "vit-s1", "--method", "none", *FEW),
        "learned": (
            *("vit-s0", "vit-s1", "vit-s2", "--resolution", "2", *FEW),
            *("--set", "steps=1", "--set", "batch=4", "--learn", "12"),
        ),
    },
    "merge": {
        "all": ("gpt2-s0", "gpt2-s1", "gpt2-s2", *FEW, *MERGE),
        "some": (
            *("gpt2-s0", "gpt2-s1", "gpt2-s2", *FEW, *MERGE, "--method", "ties"),
            *("--method", "average", "--frame", "reference", "--set", "density=0.5"),
            *("--weights", "2", "1", "1"),
        ),
        "ancestor": (
            *("vit-s0", "vit-s1", *FEW, "--points", "1", "--base", "vit-s2"),
            *("--method", "task-arithmetic", "--method", "dare", "--frame", "none"),
        ),
        "learned": (
            *("vit-s0", "vit-s1", "vit-s2", *FEW, "--points", "1", "--method", "average"),
            *("--resolution", "2", "--frame", "learned", "--steps", "1", "--learn", "12"),
        ),
    },
    "plane": {
        "pair": ("vit-s0", "vit-s1", "--resolution", "3", *FEW),
        "three": ("vit-s0", "vit-s1", "vit-s2", "--resolution", "3", *FEW),
        "random": ("vit-s0", "--random", "--span", "0.5", "--resolution", "3", *FEW),
        "bend": ("vit-s0", "vit-s1", "--bend", "--steps", "2", "--resolution", "3", *FEW),
        "curves": (
            *("vit-s0", "vit-s1", "--curves", "--steps", "2", "--resolution", "3", *FEW),
            *("--class", "all=permutation"),
        ),
    },
    "equivariance": {
        "equality": ("--steps", "4", "--examples", "20", "--device", "cpu"),
        "resilient": (
            *("--steps", "4", "--examples", "20", "--kind", "broken", "--form", "resilient"),
            *("--group", "D4", "--network", "convolution", "--batch", "8"),
        ),
        "free": ("--steps", "4", "--examples", "20", "--form", "free", "--group", "S3"),
        "strict": ("--steps", "4", "--examples", "20", "--form", "strict", "--source", "fashion"),
    },
    "diff": {
        "two seeds": ("vit-s0", "vit-s1"),
        "one model": ("gpt2-s0", "gpt2-s0", "--ranks", "0"),
        "widths": ("gpt2-s0", "gpt2-wide"),
    },
    "models": {"zoo": (), "public": ("--public",), "families": ("--families",)},
    "methods": {"all": ()},
    "show": {name: (name,) for name in ("vit-s0", "gpt2-wide", "mixtral-s0", "llama-plays-s0")},
}
COMMANDS = (
    "app", "models", "methods", "show", "diff", "align", "barrier", "along", "group", "equivariance", "plane", "merge", "transport", "sweep",
    "lecture",
    "results", "report", "train", "worker",
)  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pins")
    for family in ("vit", "gpt2", "mixtral"):
        write = getattr(checkpoints, f"write_{family}")
        for seed in range(3):
            write(root / f"{family}-s{seed}", seed)
        write(root / f"{family}-wide", 7, 24)
    lines = [f"And line after line says {'so ' * (n % 7)}that it is.\n" for n in range(400)]
    (root / "letters.txt").write_text("".join(lines))
    return root


@pytest.fixture
def here(checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the checkpoints, as the current one."""
    monkeypatch.chdir(checkpoint_folder)
    monkeypatch.setenv("COLUMNS", "200")
    return checkpoint_folder


@pytest.fixture
def lmc(here: Path, capsys: pytest.CaptureFixture[str]) -> Lmc:
    """`lmc("barrier", a, b)` runs a command that must succeed, and returns what it prints."""

    def run(*arguments: object, code: int = 0) -> str:
        capsys.readouterr()
        found = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert found == code, captured.err
        return captured.out if code == 0 else captured.err

    return run


def close(case: str) -> float:
    """How far numbers of a case may differ from the golden ones."""
    return LOOSE if any(each in case for each in LEARNS) else CLOSE


def labels(text: str) -> list[str]:
    """The first column of every line, without numbers and places."""
    heads = [re.split(r" {2,}|\t", line)[0] for line in text.splitlines()]
    return [re.sub(r"\d[\d,.]*", "#", head) for head in heads if not head.startswith("/")]


@pytest.mark.parametrize("case", BARRIERS)
def test_barrier(case: str, lmc: Lmc, here: Path, tmp_path: Path) -> None:
    asked = ("barrier", *BARRIERS[case], *LINE)
    found = json.loads(lmc(*asked, "--json"))
    assert found["cached"] is False and set(found["seconds"]) == {"align", "evaluate"}
    text = lmc(*asked, "--csv", tmp_path / "curve.csv", "--html", tmp_path / "page.html")
    rows = (tmp_path / "curve.csv").read_text().splitlines()
    page = (tmp_path / "page.html").read_text()
    golden = {
        "json": plain(found, {str(here): "<here>"}),
        "labels": labels(text),
        "csv": [rows[0], len(rows)],
        "traces": traces(page),
    }
    check("cli/barrier", case, golden, close(case))
    assert found["key"] in text and json.loads(lmc(*asked, "--json"))["cached"] is True


def traces(page: str) -> list[str]:
    """Kinds of the traces of the first figure of a page."""
    data = page.split("Plotly.newPlot(")[1].split("[", 1)[1]
    content, _ = json.JSONDecoder().raw_decode("[" + data)
    return [str(trace["type"]) for trace in content]


@pytest.mark.parametrize(
    ("command", "case"), [(name, case) for name, cases in OTHERS.items() for case in cases]
)
def test_other_commands(command: str, case: str, lmc: Lmc, here: Path) -> None:
    asked = (command, *OTHERS[command][case])
    golden = {"json": plain(json.loads(lmc(*asked, "--json")), {str(here): "<here>"})}
    if command not in ("models", "methods", "show"):
        golden["labels"] = labels(lmc(*asked))
    check(f"cli/{command}", case, golden, close(case))


@pytest.mark.parametrize(
    ("case", "asked"),
    {
        "two": ("vit-s0", "vit-s1"),
        "two, half precision": ("gpt2-s0", "gpt2-s1", "--dtype", "float16"),
        "two, learned": ("vit-s0", "vit-s1", "--method", "learned", *LEARN, "--device", "cpu"),
        "several": ("gpt2-s0", "gpt2-s1", "gpt2-s2", *LEARN, "--device", "cpu"),
        "several, reference": ("vit-s0", "vit-s1", "vit-s2", "--method", "reference"),
        "mixtures": ("mixtral-s0", "mixtral-s1"),
        "widths": ("vit-s0", "vit-wide"),
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_align(case: str, asked: tuple[str, ...], lmc: Lmc, here: Path, tmp_path: Path) -> None:
    out = tmp_path / "aligned"
    report = json.loads(lmc("align", *asked, "--out", out, "--json"))
    golden = {
        "json": plain(report, {str(here): "<here>", str(tmp_path): "<out>"}),
        "files": written(out),
        "labels": labels(lmc("align", *asked, "--out", out, "--force")),
    }
    check("cli/align", case, golden, close(case))


def written(folder: Path) -> dict[str, Any]:
    """The files of a folder: of weights the tensors, each by shape, type, sum and norm."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
            found[name] = {
                key: [
                    str(tensor.dtype).removeprefix("torch."),
                    list(tensor.shape),
                    float(f"{tensor.double().norm():.7g}"),
                ]
                for key, tensor in tensors.items()
            }
        elif path.is_file():
            found[name] = "file"
    return found


def test_merge_writes_a_model(lmc: Lmc, here: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    asked = (
        *("merge", "vit-s0", "vit-s1", "vit-s2", *FEW),
        *("--method", "average", "--frame", "universe"),
    )
    found = json.loads(lmc(*asked, "--out", out, "--json"))
    golden = {
        "json": plain(found, {str(here): "<here>", str(tmp_path): "<out>"}),
        "files": written(out),
    }
    check("cli/merge", "out", golden)


def test_results_and_reports(lmc: Lmc, here: Path, home: Path, tmp_path: Path) -> None:
    """The way of a result: computed, listed, put into a study, taken elsewhere, deleted."""
    replace = {str(here): "<here>", str(tmp_path): "<tmp>"}
    first, second = (
        json.loads(lmc("barrier", "vit-s0", "vit-s1", *LINE, "--method", method, "--json"))["key"]
        for method in ("none", "weight")
    )
    listed = json.loads(lmc("results", "--json"))
    own = [row for row in listed if not row["shipped"]]
    assert {row["key"] for row in own} == {first, second} and len(listed) > 40
    golden: dict[str, Any] = {"results": plain(own, replace)}
    golden["head of the table"] = lmc("results").splitlines()[0].split()
    study = ("report", "Two ways", "--add", first, second, "--note", "Of a test.")
    golden["begun"] = plain(json.loads(lmc(*study, "--json")), replace)
    files = ("--html", tmp_path / "a.html", "--archive", tmp_path / "a.zip")
    golden["written"] = plain(json.loads(lmc("report", "two-ways", *files, "--json")), replace)
    golden["labels"] = [line.split(":")[0] for line in lmc("report", "two-ways").splitlines()]
    names = [study["name"] for study in json.loads(lmc("report", "--list", "--json"))]
    golden["studies"] = names
    folder = home / "results" / first
    golden["files"] = sorted(path.name for path in folder.iterdir())
    golden["manifest"] = list(json.loads((folder / "manifest.json").read_text()))
    golden["request"] = plain(json.loads((folder / "request.json").read_text()), replace)
    assert lmc("results", "--delete", first[:10]) == f"Deleted {first}.\n"
    imported = json.loads(lmc("report", "--import", tmp_path / "a.zip", "--json"))
    golden["imported"] = plain(imported, replace)
    assert imported["added"] == [first] and imported["kept"] == [second]
    assert json.loads(lmc("barrier", "vit-s0", "vit-s1", *LINE, "--method", "none", "--json"))[
        "imported"
    ]
    check("cli/results", "results", golden)


def test_classes_and_settings_in_another_order_are_one_request(lmc: Lmc) -> None:
    classes = (("--class", "units=permutation"), ("--class", "residual=orthogonal"))
    settings = (("--set", "max_rounds=2"), ("--set", "scout_rounds=1"))
    found = [
        json.loads(
            lmc("barrier", "vit-s0", "vit-s1", *LINE, *one, *other, *third, *fourth, "--json")
        )
        for one, other in (classes, classes[::-1])
        for third, fourth in (settings, settings[::-1])
    ]
    assert len({each["key"] for each in found}) == 1
    assert [each["cached"] for each in found] == [False, True, True, True]


def test_fresh_computes_again(lmc: Lmc) -> None:
    asked = ("barrier", "vit-s0", "vit-s1", *LINE, "--json")
    first, again, third = (json.loads(lmc(*asked, *more)) for more in ((), ("--fresh",), ()))
    assert [each["cached"] for each in (first, again, third)] == [False, False, True]
    assert first["key"] == again["key"] and first["loss"] == again["loss"]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(command: str, lmc: Lmc) -> None:
    """Arguments, options, what each takes, and its default; not the sentences around them."""
    text = lmc(*([command] if command else []), "--help").partition("\nexamples:")[0]
    usage = " ".join(text.partition("\n\n")[0].split())
    options: dict[str, str] = {}
    for line in text.splitlines():
        if match := re.match(r"  (-[^ ]+.*?|[A-Za-z]\S*)(?:  .*|$)", line):
            name = match[1]
            rest = text.partition(f"\n{line}")[2]
            own = line[2 + len(name) :] + " " + re.split(r"\n  ?\S|\n\n", rest)[0]
            default = re.findall(r"\(default: ([^)]*(?:\([^)]*\)[^)]*)*)\)", " ".join(own.split()))
            options[name] = default[0] if default else ""
    if not command:
        names = re.findall(r"^    (\w+)(?:  |$)", text, re.MULTILINE)
        assert sorted(names) == sorted(COMMANDS)
    check("cli/help", command or "lmc", {"usage": usage, "options": options})


def test_recipes(lmc: Lmc) -> None:
    check("cli/train", "list", lmc("train", "--list").splitlines())


REFUSALS = {
    "no such model": ("barrier", "vit-s0", "nothing"),
    "no such method": ("barrier", "vit-s0", "vit-s1", "--method", "magic"),
    "no such class": ("barrier", "vit-s0", "vit-s1", "--class", "units=magic"),
    "no such setting": ("barrier", "vit-s0", "vit-s1", "--set", "magic=1"),
    "no such task": ("barrier", "vit-s0", "vit-s1", "--task", "magic"),
    "no number": ("barrier", "vit-s0", "vit-s1", "--points", "many"),
    "too few points": ("barrier", "vit-s0", "vit-s1", "--points", "1"),
    "two families": ("barrier", "vit-s0", "gpt2-s0"),
    "classes without a method": (
        *("barrier", "vit-s0", "vit-s1", "--method", "none", "--class", "all=permutation"),
    ),
    "repair of norms": ("barrier", "vit-s0", "vit-s1", "--repair"),
    "one model": ("group", "vit-s0"),
    "nine models": ("merge", *["vit-s0"] * 9),
    "no such merge": ("merge", "vit-s0", "vit-s1", "--method", "magic"),
    "random and bend": ("plane", "vit-s0", "--random", "--bend"),
    "no such group": ("equivariance", "--group", "C5"),
    "no such study": ("report", "nothing"),
    "no such result": ("results", "--delete", "0123456789"),
    "shipped result": ("results", "--delete", "04adc51a"),
    "no such recipe": ("train", "nothing"),
    "no command": ("nothing",),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str, lmc: Lmc) -> None:
    """Bad input is two lines at the most, code 2, and nothing on standard output."""
    said = lmc(*REFUSALS[case], code=2)
    assert said.startswith("lmc: ") and 1 <= len(said.strip().splitlines()) <= 2
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "asked",
    [
        ("barrier", "vit-s0", "vit-s1", "--method", "none", *FEW),
        ("group", "vit-s0", "vit-s1", "vit-s2", "--method", "none", *FEW),
        ("plane", "vit-s0", *FEW),
        ("merge", "vit-s0", "vit-s1", "--frame", "none", "--method", "average", *FEW),
    ],
    ids=lambda asked: asked[0],
)
def test_defaults(asked: tuple[str, ...], lmc: Lmc, here: Path, home: Path) -> None:
    """What a command asks for when little is typed, as it lies in `request.json`."""
    lmc(*asked)
    (path,) = (home / "results").glob("*/request.json")
    check("cli/defaults", asked[0], plain(json.loads(path.read_text()), {str(here): "<here>"}))
