"""Lower layers never import higher ones, files import each other in no circle, and own imports
inside functions are few, each with a reason beside it.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS = """
    lazy_torch elsewhere errors limits format numbers folders registry settings atomic locks threads machine progress
    large_blocks leases display look side_by_side
    symmetry
    models
    intervals
    tasks
    matching
    paths
    analysis
    merging
    equivariance
    runs equivariance.request equivariance.run equivariance.numbers
    figures equivariance.figures
    api
    studies
    sweeps
    lecture
    training
    ui equivariance.page lecture.page
    server
    cli
""".strip()
LAZY = 60  # own imports inside functions, all files together


def name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {name(path): path for path in sorted((ROOT / "lmc_core").rglob("*.py"))}


@cache
def imports() -> dict[str, dict[str, list[int]]]:
    """Module -> own modules that it imports anywhere, with the lines."""
    found: dict[str, dict[str, list[int]]] = {}
    for module, path in modules().items():
        own = found.setdefault(module, {})
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lmc_core"):
                for alias in node.names:
                    inside = f"{node.module}.{alias.name}"
                    target = inside if inside in modules() else str(node.module)
                    own.setdefault(target, []).append(node.lineno)
    return found


def level(module: str) -> int | None:
    """Which layer a module is of: that of the longest name which it begins with."""
    short = module.removeprefix("lmc_core").lstrip(".")
    known = {
        part: number for number, line in enumerate(LAYERS.splitlines()) for part in line.split()
    }
    fits = [part for part in known if short == part or short.startswith(f"{part}.")]
    return known[max(fits, key=len)] if fits else None


def test_every_module_has_a_layer() -> None:
    assert [m for m in modules() if m != "lmc_core" and level(m) is None] == []


def test_no_layer_imports_a_higher_one() -> None:
    upward = []
    for module, targets in imports().items():
        for target, lines in targets.items():
            if module != "lmc_core" and target != "lmc_core":
                low, high = level(module), level(target)
                if low is not None and high is not None and high > low:
                    upward.append(f"{module}:{lines[0]} imports {target}")
    assert upward == []


def test_files_import_each_other_in_no_circle() -> None:
    graph = {
        m: set(targets) - {m, "lmc_core"} for m, targets in imports().items() if m != "lmc_core"
    }
    graph = {m: {t for t in targets if t in graph} for m, targets in graph.items()}
    while free := [m for m, targets in graph.items() if not targets]:
        graph = {m: targets - set(free) for m, targets in graph.items() if m not in free}
    # what is left leads into a circle; those from which nothing comes back are no part of one
    while begin := [m for m in graph if not any(m in targets for targets in graph.values())]:
        graph = {m: targets for m, targets in graph.items() if m not in begin}
    assert sorted(graph) == []


def test_own_imports_inside_functions_are_few_and_say_why() -> None:
    found, silent = 0, []
    for path in modules().values():
        lines = path.read_text().splitlines()
        seen = set()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for inner in ast.walk(node):
                    if isinstance(inner, ast.ImportFrom) and (inner.module or "").startswith(
                        "lmc_core"
                    ):
                        seen.add(inner.lineno)
        found += len(seen)
        for number in sorted(seen):
            around = lines[number - 2 : number]
            first = number
            while first - 1 in seen or lines[first - 2].lstrip().startswith("from lmc_core"):
                first -= 1
            if "#" not in " ".join([*around, lines[first - 2]]):
                silent.append(f"{path.relative_to(ROOT)}:{number}")
    assert found <= LAZY
    assert silent == []
