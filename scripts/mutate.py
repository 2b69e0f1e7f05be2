"""Whether the tests can fail: make one natural fault at a time in a copy of the core, and run the
tests of its area.

    python scripts/mutate.py                              # every mutant; an hour or two of one core
    python scripts/mutate.py --area paths --only grid     # those of one area whose names match
    python scripts/mutate.py --quick                      # against the files that should notice, not whole areas; minutes
    python scripts/mutate.py --list
    python scripts/mutate.py --check                      # whether every place is still there, once; seconds

The faults lie in `mutants.toml`. A mutant is *killed* when a test of its own area fails, or it
hangs; it *survives* when all of them pass, slow ones and those in a browser left out. One that
cannot even be imported shows nothing and counts as *broken*.

The tree is copied once and only the copy is changed, so that nothing has to be put right after an
interruption. Importing torch and its like takes longer than most tests: this process does it once
and forks for every run (Linux and macOS alone).
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import importlib
import json
import os
import py_compile
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MUTANTS = ROOT / "scripts" / "mutants.toml"
COPIED = {"lmc_core", "tests", "scripts", "pages", "app.py", "pyproject.toml"}  # the rest is linked
LEFT_OUT = {".git", ".venv", "build", "dist"}
WARM = (
    *(
        "torch",
        "torch.func",
        "torch._dynamo",
        "scipy.optimize",
        "safetensors.torch",
        "tokenizers",
        "psutil",
        "PIL.Image",
    ),
    *(
        "timm",
        "timm.models.vision_transformer",
        "transformers",
        "transformers.modeling_utils",
        "hypothesis",
        "pytest",
    ),
    *(
        f"transformers.models.{name}.modeling_{name}"
        for name in ("gpt2", "llama", "gpt_neox", "bert", "t5", "opt", "vit")
    ),
)
OPTIONS = [
    *("-x", "-q", "-p", "no:cacheprovider", "-m", "not browser and not slow"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of plugins that are imported already
    # one example that fails is enough: to make it small takes minutes
    "--hypothesis-profile=mutants",
]
SOUND, FAILED, NOTHING = 0, 1, 5  # exit codes of pytest


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        name: unique, and telling.
        area: whose tests should notice, a key of the table `areas`.
        file: that is changed, relative to the root.
        find: text that is there once.
        put: what takes its place.
        breaks: what is wrong then, in a few words.
        tests: files that are run first, as the likeliest to notice.
    """

    name: str
    area: str
    file: str
    find: str
    put: str
    breaks: str
    tests: tuple[str, ...]


@dataclass
class Run:
    """A mutant that is being looked at.

    Attributes:
        mutant: which; None for the tree as it is.
        stages: groups of arguments of pytest that are still to be run.
        outcome: ``killed``, ``survived``, ``hung`` or ``broken``, once it is known.
        by: the test that noticed.
        seconds: that it took.
        limit: seconds after which a stage counts as hung.
    """

    mutant: Mutant | None
    stages: list[list[str]]
    limit: float
    outcome: str = ""
    by: str = ""
    seconds: float = 0.0
    pid: int = 0
    began: float = field(default_factory=time.monotonic)


def read(path: Path = MUTANTS) -> tuple[dict[str, list[str]], list[Mutant]]:
    """The areas with the folders of their tests, and the mutants."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return content["areas"], [
        Mutant(**{**each, "tests": tuple(each["tests"])}) for each in content["mutant"]
    ]


def complaints(areas: dict[str, list[str]], mutants: Sequence[Mutant]) -> Iterator[str]:
    """What is wrong with the list: places that are gone or not the only one, results that do not
    parse, tests that are not.
    """
    for name, times in Counter(mutant.name for mutant in mutants).items():
        if times > 1:
            yield f"{name}: {times} mutants have this name"
    for mutant in mutants:
        path = ROOT / mutant.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if text.count(mutant.find) != 1:
            yield (
                f"{mutant.name}: the place occurs {text.count(mutant.find)} times in "
                f"{mutant.file}, not once"
            )
            continue
        try:
            if ast.dump(ast.parse(text.replace(mutant.find, mutant.put))) == ast.dump(
                ast.parse(text)
            ):
                yield f"{mutant.name}: nothing changes"
        except SyntaxError as error:
            yield (
                f"{mutant.name}: {mutant.file} does not parse any more ({error.msg}, line "
                f"{error.lineno})"
            )
        if mutant.area not in areas:
            yield f"{mutant.name}: there is no area {mutant.area!r}"
            continue
        for test in mutant.tests:
            if not (ROOT / test).is_file() or not any(
                f"{test}/".startswith(f"{part}/") for part in areas[mutant.area]
            ):
                yield f"{mutant.name}: {test} is no file of the tests of {mutant.area}"


def copy_tree(to: Path) -> Path:
    """Copy what is changed or runs, link the rest."""
    to.mkdir()
    for path in ROOT.iterdir():
        if path.name in COPIED and path.is_dir():
            shutil.copytree(path, to / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.name in COPIED:
            shutil.copy(path, to / path.name)
        elif path.name not in LEFT_OUT:
            (to / path.name).symlink_to(path)
    # by the hash of the source: a mutant may be as long as what it replaces, and as old to the
    # second
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(to / "lmc_core", quiet=2, invalidation_mode=mode)
    return to


def warm_up() -> None:
    """Import what is slow and never changed, nothing of the tree."""
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    for name in WARM:
        importlib.import_module(name)
    sys.modules["torch"].set_num_threads(1)
    hypothesis = sys.modules["hypothesis"]
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutants", deadline=None, phases=phases, database=None)
    assert not any(name.partition(".")[0] in ("lmc_core", "tests") for name in sys.modules)


def start(tree: Path, arguments: Sequence[str]) -> int:
    """Fork a run of pytest in a tree; returns its process number."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        output = os.open(tree / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(tree)
        sys.path[:] = [
            str(tree),
            *(path for path in sys.path if path not in ("", str(ROOT), str(ROOT / "scripts"))),
        ]
        os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        import pytest

        code = int(pytest.main([*OPTIONS, f"--basetemp={tree / 'temporary'}", *arguments]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def stages(areas: dict[str, list[str]], area: str, first: Sequence[str]) -> list[list[str]]:
    """What is run for an area: some files, then all others."""
    rest = [*areas[area], *(f"--ignore={test}" for test in first)]
    return [list(first), rest] if first else [rest]


def judge(run: Run, tree: Path, status: int) -> None:
    """Note how a stage ended."""
    code = os.waitstatus_to_exitcode(status)
    text = (tree / "output.txt").read_text(encoding="utf-8", errors="replace")
    noticed = re.search(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
    if code in (SOUND, NOTHING):
        run.outcome = "" if run.stages else "survived"
    elif code == FAILED or code < 0:  # below zero a signal ended it
        run.outcome, run.by = "killed", noticed[1] if noticed else f"signal {-code}"
    else:
        run.outcome, run.by = "broken", noticed[1] if noticed else text[-500:]


class Trees:
    """Copies of the tree, one for each run that goes on at a time."""

    def __init__(self, folder: Path, jobs: int):
        self.free = [copy_tree(folder / f"tree{number}") for number in range(jobs)]
        self.busy: dict[Path, Run] = {}

    def advance(self) -> Iterator[Run]:
        """Look once after the runs that go on; gives back those that ended."""
        for tree, run in list(self.busy.items()):
            pid, status = os.waitpid(run.pid, os.WNOHANG)
            if pid:
                _end(run.pid)  # what its tests left behind
                judge(run, tree, status)
            elif time.monotonic() - run.began > run.limit:
                _end(run.pid)
                os.waitpid(run.pid, 0)
                run.outcome, run.by = "hung", f"after {run.limit:.0f} s"
            else:
                continue
            run.seconds += time.monotonic() - run.began
            if run.outcome:
                del self.busy[tree]
                self.put(tree, run.mutant, mutated=False)
                self.free.append(tree)
                yield run
            else:
                self.go_on(tree, run)

    def begin(self, run: Run) -> None:
        """Make the fault in a free copy and start."""
        tree = self.free.pop()
        self.put(tree, run.mutant, mutated=True)
        self.busy[tree] = run
        self.go_on(tree, run)

    def go_on(self, tree: Path, run: Run) -> None:
        """Start the next stage."""
        run.began = time.monotonic()
        run.pid = start(tree, run.stages.pop(0))

    def put(self, tree: Path, mutant: Mutant | None, mutated: bool) -> None:
        """Write a file of a copy with the fault, or as it is."""
        if mutant is not None:
            text = (ROOT / mutant.file).read_text(encoding="utf-8")
            changed = text.replace(mutant.find, mutant.put) if mutated else text
            (tree / mutant.file).write_text(changed, encoding="utf-8")

    def close(self) -> None:
        """End whatever still runs."""
        for run in self.busy.values():
            _end(run.pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(run.pid, 0)


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def run_all(runs: list[Run], trees: Trees) -> Iterator[Run]:
    """Run them, as many at a time as there are trees."""
    waiting = list(reversed(runs))
    while waiting or trees.busy:
        while waiting and trees.free:
            trees.begin(waiting.pop())
        yield from trees.advance()
        time.sleep(0.05)


def table(found: Sequence[Run]) -> str:
    """Counts by area, then what survived."""
    lines = [f"{'area':<12}{'mutants':>8}{'killed':>8}{'hung':>6}{'survived':>10}{'broken':>8}"]
    mutants = [(run.mutant, run) for run in found if run.mutant is not None]
    for area in [*dict.fromkeys(mutant.area for mutant, _ in mutants), "all"]:
        counts = Counter(run.outcome for mutant, run in mutants if area in (mutant.area, "all"))
        cells = (
            counts.total(),
            counts["killed"],
            counts["hung"],
            counts["survived"],
            counts["broken"],
        )
        lines.append(
            f"{area:<12}"
            + "".join(f"{n:>{width}}" for n, width in zip(cells, (8, 8, 6, 10, 8), strict=True))
        )
    for mutant, run in mutants:
        if run.outcome in ("survived", "broken"):
            lines.append(f"{run.outcome}: {mutant.name} ({mutant.file}): {mutant.breaks}")
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="PATTERN",
        help="mutants whose name matches this regular expression",
    )
    parser.add_argument(
        "--area", action="append", help="mutants of this area; may be given more than once"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument(
        "--limit",
        type=float,
        default=900.0,
        help="seconds after which a run counts as hung, at least",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was found here")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument(
        "--check", action="store_true", help="only see whether the list fits the tree"
    )
    parser.add_argument(
        "--quick", action="store_true", help="run only the files that are named with each mutant"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="do not first see whether the tests pass without a fault",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants that are asked for; returns 1 if the list is unsound, the tests fail as they
    are, or one survives.
    """
    options = parse(arguments)
    areas, mutants = read()
    wrong = list(complaints(areas, mutants))
    if wrong or options.check:
        print("\n".join(wrong) or f"{len(mutants)} mutants, each place there once")
        return int(bool(wrong))
    chosen = [
        m for m in mutants if re.search(options.only, m.name) and m.area in (options.area or areas)
    ]
    if options.list:
        print("\n".join(f"{m.area:<10} {m.name:<36} {m.file}: {m.breaks}" for m in chosen))
        return 0
    # so that the copy goes and nothing runs on
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    warm_up()
    found: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees = Trees(Path(folder), max(1, options.jobs))
        limits: dict[str, float] = {area: options.limit for area in areas}
        try:
            for area in (
                () if options.trust or options.quick else dict.fromkeys(m.area for m in chosen)
            ):
                (whole,) = run_all([Run(None, stages(areas, area, ()), float("inf"))], trees)
                if whole.outcome != "survived":
                    print(
                        f"The tests of {area} fail without any fault: {whole.by}", file=sys.stderr
                    )
                    return 1
                limits[area] = max(options.limit, 3 * whole.seconds)
                print(f"{area}: all tests pass without a fault, {whole.seconds:.0f} s", flush=True)
            runs = [
                Run(m, stages(areas, m.area, m.tests)[: 1 if options.quick else 2], limits[m.area])
                for m in chosen
            ]
            for run in run_all(runs, trees):
                assert run.mutant is not None
                print(
                    f"{run.outcome:<9} {run.seconds:6.1f} s  {run.mutant.name}  {run.by}",
                    flush=True,
                )
                found.append(run)
        finally:
            trees.close()
    print(table(found))
    if options.json:
        options.json.write_text(
            json.dumps([_plain(run) for run in found], indent=1) + "\n", encoding="utf-8"
        )
    return int(any(run.outcome in ("survived", "broken") for run in found))


def _plain(run: Run) -> dict[str, Any]:
    assert run.mutant is not None
    return {
        **asdict(run.mutant),
        "outcome": run.outcome,
        "by": run.by,
        "seconds": round(run.seconds, 1),
    }


if __name__ == "__main__":
    raise SystemExit(main())
