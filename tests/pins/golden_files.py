"""Golden values: how they are compared, and how they are written anew.

`LMC_WRITE_GOLDEN=1 pytest tests/pins/...` writes what the tests find in the place of what they
expect (in one process, without xdist); look at the difference with git before it is committed.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "golden"
WRITE = bool(os.environ.get("LMC_WRITE_GOLDEN"))
CLOSE, NEAR = 1e-4, 1e-6  # relative and absolute differences of floats that are allowed
LONG = 60  # numbers of an array beyond which it is told by shape, sum and norm
# Entries that differ from run to run or from machine to machine; their keys are pinned all the same
VARYING = {
    "date", "written", "created", "changed", "memory", "cached", "lmc", "torch", "python", "folder", "seconds", "learn_seconds",
    "versions",
}  # fmt: skip
# Of these a rounding error may change the number of entries: only the last is compared
HISTORIES = {"objective"}
# Numbers before anything is matched depend on the signs of singular vectors in the canonical form,
# which differ between the processors that LAPACK knows; what is matched does not
STARTS = {"objective_before", "<history>"}


def plain(value: Any, replace: dict[str, str] | None = None, name: str = "") -> Any:
    """Return JSON values without what varies: places, dates, durations, versions, long arrays.

    Args:
        value: as it was read from JSON.
        replace: texts, such as the folder of the test, with what stands for them.
        name: of the entry in its object.
    """
    if isinstance(value, dict):
        return {
            key if isinstance(key, str) else str(key): (
                {part: "<varies>" for part in item}
                if key in VARYING and isinstance(item, dict)
                else "<varies>"
                if key in VARYING and item is not None
                else plain(item, replace, key)
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        if name in HISTORIES and value and all(isinstance(item, float) for item in value):
            return {"<history>": [_short(value[0]), _short(value[-1])]}
        return _array(value) or [plain(item, replace, name) for item in value]
    if isinstance(value, str):
        for text, short in (replace or {}).items():
            value = value.replace(text, short)
        return re.sub(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(\+00:00)?", "<date>", value)
    return _short(value)


def check(file: str, case: str, found: Any, close: float = CLOSE) -> None:
    """Compare what a test found with the entry `case` of a golden file.

    Args:
        file: name of the golden file, without its ending.
        case: of the test.
        found: JSON values out of `plain`.
        close: relative difference of floats that is allowed.
    """
    path = FOLDER / f"{file}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found = json.loads(json.dumps(found))
    if WRITE:
        known[case] = found
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dump(known) + "\n", encoding="utf-8")
        return
    assert case in known, f"{path.name} has no entry {case!r}; see golden_files.py"
    wrong = differences(known[case], found, close)
    assert not wrong, "\n".join([f"{case} differs from {path.name}:", *wrong[:20]])


def differences(
    golden: Any, found: Any, close: float = CLOSE, place: str = "", name: str = ""
) -> list[str]:
    """Return where two JSON values differ: numbers by more than rounding, all else at all; the
    order of keys counts.
    """
    if isinstance(golden, dict) and isinstance(found, dict):
        if list(golden) != list(found):
            gone = [key for key in golden if key not in found]
            new = [key for key in found if key not in golden]
            return [f"{place}: keys gone {gone}, new {new}, order {list(found)}"]
        return [
            each
            for key in golden
            for each in differences(golden[key], found[key], close, f"{place}.{key}", key)
        ]
    if isinstance(golden, list) and isinstance(found, list):
        if len(golden) != len(found):
            return [f"{place}: {len(golden)} entries expected, {len(found)} found"]
        return [
            each
            for index, (one, other) in enumerate(zip(golden, found, strict=True))
            for each in differences(one, other, close, f"{place}[{index}]", name)
        ]
    if _is_float(golden) and _is_float(found):
        if name in STARTS and not place.endswith("[1]"):  # a history keeps its first and its last
            return [] if math.isfinite(found) else [f"{place}: {found} found"]
        return (
            []
            if _alike(golden, found, name, close)
            else [f"{place}: {golden} expected, {found} found"]
        )
    same = golden == found and type(golden) is type(found)
    return [] if same else [f"{place}: {golden!r} expected, {found!r} found"]


def dump(value: Any, indent: str = "") -> str:
    """Return JSON text with lists of plain values on one line."""
    if isinstance(value, dict) and value:
        inner = indent + " "
        lines = [f"{inner}{json.dumps(key)}: {dump(item, inner)}" for key, item in value.items()]
        text = "{\n" + ",\n".join(lines) + f"\n{indent}}}"
        short = json.dumps(value)
        return short if len(short) < 100 and "\n" not in short and indent else text
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        short = json.dumps(value)
        if len(short) < 100:
            return short
        inner = indent + " "
        return "[\n" + ",\n".join(f"{inner}{dump(item, inner)}" for item in value) + f"\n{indent}]"
    return json.dumps(value)


def _short(value: Any) -> Any:
    return float(f"{value:.8g}") if isinstance(value, float) else value


def _is_float(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool))


def _alike(golden: float, found: float, name: str, close: float) -> bool:
    if isinstance(golden, int) and isinstance(found, int):
        return golden == found
    if "error" in name and max(abs(golden), abs(found)) < 5e-3:  # rounding errors themselves
        small = 1e-9
        return 1 / 30 < (abs(golden) + small) / (abs(found) + small) < 30
    return math.isclose(golden, found, rel_tol=close, abs_tol=NEAR if close == CLOSE else close)


def _array(value: list[Any]) -> dict[str, Any] | None:
    """A long array of numbers in short; None for anything else."""
    shape: list[int] = []
    inner: Any = value
    while isinstance(inner, list) and inner:
        shape.append(len(inner))
        inner = inner[0]
    leaves = _leaves(value)
    if len(leaves) <= LONG or not all(_is_float(leaf) for leaf in leaves):
        return None
    return {
        "<array>": shape,
        "sum": _short(float(sum(leaves))),
        "norm": _short(math.sqrt(sum(leaf * leaf for leaf in leaves))),
        "ends": [_short(leaves[0]), _short(leaves[-1])],
    }


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]
