"""Parts of the fuzz test: the judge of a case, and ways to damage bytes, tensors and
configurations.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from lmc_core.errors import LmcError
from lmc_core.models.load import load

SLOWEST = 3.0  # seconds for one case; they take a few milliseconds
NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "BF16": "<u2"}
OUTCOMES: Counter[str] = Counter()
Right = dict[str, np.ndarray]
SOURCES = ("gpt2", "gpt2-sharded", "gpt2-bfloat16", "vit", "zoo-gpt2", "zoo-vit")


# --- the judge
# -------------------------------------------------------------------------------------------------------


def said(folder: Path) -> Right:
    """What the files of a folder say, in float32 by name, without the library that is tested."""
    index = folder / "model.safetensors.index.json"
    single = folder / "model.safetensors"
    names = (
        [single.name]
        if single.is_file()
        else sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    )
    found = {}
    for name in names:
        data = (folder / name).read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
        for key, entry in header.items():
            if key == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            values = np.frombuffer(body[begin:end], NUMPY[entry["dtype"]])
            if entry["dtype"] == "BF16":
                values = (values.astype("<u4") << 16).view("<f4")
            found[key] = values.astype(np.float32).reshape(entry["shape"])
    return found


def judge(folder: Path, case: str, right: Right | None = None) -> str:
    """Load a folder; returns "refused" or "loaded", and fails for anything else.

    `right` has the values of names in memory, for families that have other names on disk.
    """
    begin = time.perf_counter()
    try:
        with np.errstate(all="ignore"):
            model = load(folder)
    except LmcError as error:
        text = str(error)
        sentences = text.count(". ") + text.count("; ") + 1
        assert text and "\n" not in text and len(text) < 500 and sentences <= 6, f"{case}: {text}"
        assert text[-1] in ".?!)", f"{case}: {text}"
        outcome = "refused"
    except BaseException as error:
        raise AssertionError(f"{case} ended in {type(error).__name__}: {error}") from error
    else:
        right = said(folder) if right is None else right
        for name, tensor in model.state.items():
            wanted = right.get(name, right.get(name.removeprefix("transformer.")))
            assert wanted is not None and np.array_equal(tensor.float().numpy(), wanted), (
                f"{case}: {name} has other values"
            )
            assert np.isfinite(wanted).all(), f"{case}: {name} is not finite"
        json.dumps(dict(model.config))
        outcome = "loaded"
    assert time.perf_counter() - begin < SLOWEST, f"{case} took too long"
    OUTCOMES[outcome] += 1
    return outcome


def weights_of(folder: Path) -> Path:
    """The file of the weights, or one of the shards."""
    return next(path for path in sorted(folder.glob("*.safetensors")))


def each(
    sources: dict[str, Path],
    tmp_path: Path,
    changes: dict[str, Callable[[Path], Any]],
    names: Sequence[str] = SOURCES,
    further: Callable[[Path, str], None] | None = None,
    right: Right | None = None,
) -> Counter[str]:
    """Judge every change on every source; each case starts from a fresh copy; `further` looks at
    what was loaded.
    """
    outcomes: Counter[str] = Counter()
    for source in names:
        for case, change in changes.items():
            folder = shutil.copytree(sources[source], tmp_path / "case" / source)
            change(folder)
            outcome = judge(folder, f"{source}: {case}", right)
            outcomes[outcome] += 1
            if further and outcome == "loaded":
                further(folder, f"{source}: {case}")
            shutil.rmtree(tmp_path / "case")
    return outcomes


# --- bytes
# -----------------------------------------------------------------------------------------------------------


def header_length(data: bytes) -> int:
    return 8 + struct.unpack("<Q", data[:8])[0]


def on_weights(change: Callable[[bytes], bytes]) -> Callable[[Path], Any]:
    def apply(folder: Path) -> None:
        path = weights_of(folder)
        path.write_bytes(change(path.read_bytes()))

    return apply


def flip(seed: int, in_header: bool) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        chance = random.Random(seed)
        end = header_length(data)
        at = chance.randrange(0, end) if in_header else chance.randrange(end, len(data))
        changed = bytearray(data)
        changed[at] ^= chance.randrange(1, 256)
        return bytes(changed)

    return change


def with_length(length: int) -> Callable[[bytes], bytes]:
    return lambda data: struct.pack("<Q", length) + data[8:]


def with_header(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        end = header_length(data)
        header = json.loads(data[8:end])
        result = change(header)
        text = (
            result
            if isinstance(result, bytes)
            else json.dumps(header if result is None else result).encode()
        )
        return struct.pack("<Q", len(text)) + text + data[end:]

    return apply


def first_entry(header: dict[str, Any]) -> dict[str, Any]:
    return next(entry for name, entry in header.items() if name != "__metadata__")


def entry(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: first_entry(header).update(changes)


# --- tensors
# ---------------------------------------------------------------------------------------------------------


def on_tensors(
    change: Callable[[dict[str, torch.Tensor], random.Random], Any], seed: int = 0
) -> Callable[[Path], Any]:
    def apply(folder: Path) -> None:
        path = weights_of(folder)
        tensors = load_file(path)
        change(tensors, random.Random(seed))
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"}
        )

    return apply


def pick(tensors: dict[str, torch.Tensor], chance: random.Random) -> str:
    return chance.choice(sorted(tensors))


def spoil(value: float) -> Callable[[dict[str, torch.Tensor], random.Random], Any]:
    def change(tensors: dict[str, torch.Tensor], chance: random.Random) -> None:
        tensor = tensors[pick(tensors, chance)]
        tensor.view(-1)[chance.randrange(tensor.numel())] = value

    return change


def reshape(
    change: Callable[[torch.Tensor], torch.Tensor],
) -> Callable[[dict[str, torch.Tensor], random.Random], Any]:
    def apply(tensors: dict[str, torch.Tensor], chance: random.Random) -> None:
        name = pick(tensors, chance)
        tensors[name] = change(tensors[name])

    return apply


def rename(change: Callable[[str], str]) -> Callable[[dict[str, torch.Tensor], random.Random], Any]:
    def apply(tensors: dict[str, torch.Tensor], chance: random.Random) -> None:
        name = pick(tensors, chance)
        tensors[change(name)] = tensors.pop(name)

    return apply


# --- configurations
# --------------------------------------------------------------------------------------------------

ABSURD: dict[str, Any] = {
    "minus one": -1, "zero": 0, "one": 1, "a billion": 10**9, "beyond 64 bits": 2**70, "a fraction": 2.5, "a huge float": 1e300,
    "words": "many", "null": None, "a list": [1, 2], "nothing in a list": [], "an object": {"a": {"b": [None]}}, "true": True,
    "NaN": float("nan"), "infinity": float("inf"), "deep": json.loads("[" * 200 + "]" * 200),
}  # fmt: skip


def on_config(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        result = change(content)
        (folder / "config.json").write_text(json.dumps(content if result is None else result))

    return apply


def put(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        (content["model_args"] if key in content.get("model_args", {}) else content)[key] = value

    return change
