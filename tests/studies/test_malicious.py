"""Archives that are meant to do harm are refused with a sentence, and nothing of them stays.

Each is made from a good archive by one change, with every hash made right again, so that it is the
change that is refused and not a hash. The control makes the archive in the same way without a
change, or with a harmless one of the same kind.
"""

from __future__ import annotations

import io
import json
import pickle
import stat
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lmc_core.errors import BadInput
from lmc_core.runs.result import FILES, digest, to_bytes
from lmc_core.runs.store import Store
from lmc_core.studies.archive import LIMITS, Limits
from lmc_core.studies.store import Studies
from lmc_core.studies.unpack import read_archive

SMALL = Limits(
    archive=2**20,
    total=2**21,
    results=6,
    sizes={**LIMITS.sizes, "arrays.npz": 2**19, "log.txt": 2**19},
)


class Parts:
    """A good archive in pieces, with the first of its results at hand."""

    def __init__(self, packed: bytes):
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            self.files = {name: archive.read(name) for name in archive.namelist()}
        self.key = sorted(name.split("/")[1] for name in self.files if "/" in name)[0]
        self.rehash = True
        self.members: list[tuple[zipfile.ZipInfo, bytes]] = []  # beside the files
        self.method = zipfile.ZIP_DEFLATED

    def path(self, name: str) -> str:
        return f"results/{self.key}/{name}"

    def edit(self, name: str, **values: object) -> None:
        """Change fields of a JSON file of the whole archive, or else of the first result."""
        path = name if name in self.files else self.path(name)
        self.files[path] = to_bytes({**json.loads(self.files[path]), **values})

    def arrays(self, **arrays: object) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        self.files[self.path("arrays.npz")] = buffer.getvalue()

    def add(self, name: str, data: bytes = b"x", mode: int = 0o644) -> None:
        info = zipfile.ZipInfo(name)
        info.filename = name  # the constructor turns separators around
        info.external_attr = mode << 16
        self.members.append((info, data))

    def rename(self, key: str) -> None:
        """Give the first result another key everywhere, as one who edits an archive by hand
        would.
        """
        for name in (*FILES, "manifest.json"):
            self.files[f"results/{key}/{name}"] = self.files.pop(self.path(name))
        self.files["study.json"] = self.files["study.json"].replace(self.key.encode(), key.encode())
        self.key = key

    def pack(self) -> bytes:
        if self.rehash:
            self._rehash()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", self.method) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a name that is there twice
            for name, data in self.files.items():
                archive.writestr(name, data)
            for info, data in self.members:
                archive.writestr(info, data)
        return buffer.getvalue()

    def _rehash(self) -> None:
        manifest = json.loads(self.files["manifest.json"])
        keys = {name.split("/")[1] for name in self.files if name.startswith("results/")}
        for key in keys:
            own = f"results/{key}/manifest.json"
            if own not in self.files or any(
                f"results/{key}/{name}" not in self.files for name in FILES
            ):
                continue
            written = json.loads(self.files[own])["written"]
            hashes = {name: digest(self.files[f"results/{key}/{name}"]) for name in FILES}
            self.files[own] = to_bytes({"key": key, "written": written, "files": hashes})
        manifest["results"] = {
            key: digest(self.files.get(f"results/{key}/manifest.json", b"")) for key in keys
        }
        self.files["manifest.json"] = to_bytes(
            {**manifest, "study": digest(self.files["study.json"])}
        )


class Boom:
    def __reduce__(self):
        return (Path(tempfile.gettempdir(), "lmc-was-here").write_text, ("ran",))


def npz_of(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr(name, data)
    return buffer.getvalue()


def npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


def objects(parts: Parts) -> None:
    parts.arrays(losses=np.array([Boom()], dtype=object))


def pickled_array(parts: Parts) -> None:
    parts.files[parts.path("arrays.npz")] = pickle.dumps(Boom())


def huge_claim(parts: Parts) -> None:
    parts.files[parts.path("arrays.npz")] = npz_of(
        "losses.npy", npy_header((2**40,), "<f8") + b"x" * 16
    )


def bomb_in_npz(parts: Parts) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, losses=np.zeros(2**22))
    parts.files[parts.path("arrays.npz")] = buffer.getvalue()


def long_logs(parts: Parts) -> None:
    for name in [name for name in parts.files if name.endswith("log.txt")]:
        parts.files[name] = "".join(f"{line}\n" for line in range(75_000)).encode()


def wrong_json(parts: Parts) -> None:
    parts.files[parts.path("result.json")] = b'{"barrier": '


def deep_json(parts: Parts) -> None:
    parts.files[parts.path("result.json")] = b"[" * 100_000 + b"]" * 100_000


def lost_file(parts: Parts) -> None:
    del parts.files[parts.path("log.txt")]


def result_of_another_study(parts: Parts) -> None:
    study = json.loads(parts.files["study.json"])
    parts.files["study.json"] = to_bytes({**study, "entries": study["entries"][:1]})


def edited_after_export(parts: Parts) -> None:
    parts.rehash = False
    parts.edit("result.json", barrier=0.0)


def edited_study(parts: Parts) -> None:
    parts.rehash = False
    parts.edit("study.json", title="Another")


def edited_manifest(parts: Parts) -> None:
    """The result and its own manifest, but not that of the archive."""
    parts.edit("result.json", barrier=0.0)
    kept = parts.files["manifest.json"]
    parts._rehash()
    parts.files["manifest.json"], parts.rehash = kept, False


def locked(packed: bytes) -> bytes:
    """Set the flag of encryption of every file."""
    data = bytearray(packed)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(mark, at + 4)
    return bytes(data)


def lying_size(packed: bytes) -> bytes:
    """Let the directory say that a file is smaller than it is."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("arrays.npz")).encode()
    data = bytearray(packed)
    at = data.rfind(name) - 46
    data[at + 24 : at + 28] = struct.pack("<I", 100)
    return bytes(data)


def many_entries(packed: bytes) -> bytes:
    """Let the directory say that it has a hundred megabytes."""
    data = bytearray(packed)
    data[-10:-6] = struct.pack("<I", 10**8)
    return bytes(data)


Change = Callable[[Parts], object]
Edit = Callable[[bytes], bytes]
ZOO: dict[str, tuple[Change | None, Edit | None, str]] = {
    "traversal": (lambda p: p.add("results/../../../etc/cron.d/x"), None, "leads out of it"),
    "traversal of Windows": (lambda p: p.add("results\\..\\..\\x"), None, "leads out of it"),
    "absolute": (lambda p: p.add("/etc/passwd"), None, "absolute name"),
    "absolute of Windows": (lambda p: p.add("C:/x"), None, "absolute name"),
    "share of Windows": (lambda p: p.add("\\\\host\\x"), None, "absolute name"),
    "link": (
        lambda p: p.add(p.path("more"), b"/etc/passwd", stat.S_IFLNK | 0o777),
        None,
        "the link",
    ),
    "folder": (lambda p: p.add("results/"), None, "which no study has"),
    "null in a name": (lambda p: p.add("study.json\0.txt"), None, "which no study has"),
    "stranger": (lambda p: p.add("readme.txt"), None, "which no study has"),
    "stranger in a result": (lambda p: p.add(p.path("run.py")), None, "which no study has"),
    "capital key": (lambda p: p.add(p.path("log.txt").upper()), None, "which no study has"),
    "pickle": (lambda p: p.add(p.path("model.pkl"), pickle.dumps(Boom())), None, "could run code"),
    "weights": (lambda p: p.add("weights/pytorch_model.bin"), None, "could run code"),
    "twice": (lambda p: p.add(p.path("log.txt"), b"other"), None, "twice"),
    "too many results": (
        lambda p: [p.add(f"results/{i:064x}/log.txt") for i in range(9)],
        None,
        "at most 6 results",
    ),
    "too large a file": (
        lambda p: p.files.update({p.path("log.txt"): bytes(range(256)) * 2100}),
        None,
        "at most 512 are taken",
    ),
    "too large together": (long_logs, None, "unpacks to 2 MiB; at most 2"),
    "bomb": (lambda p: p.files.update({p.path("log.txt"): b"0" * 2**19}), None, "times its size"),
    "bomb in the arrays": (bomb_in_npz, None, "unpack to more than is taken"),
    "array of objects": (objects, None, "holds objects"),
    "pickle in place of arrays": (pickled_array, None, "cannot be read"),
    "array that claims a terabyte": (huge_claim, None, "larger or smaller than it says"),
    "arrays with other names": (
        lambda p: p.files.update({p.path("arrays.npz"): npz_of("x.pkl", b"")}),
        None,
        "not named as",
    ),
    "broken JSON": (wrong_json, None, "is not JSON"),
    "deep JSON": (deep_json, None, "is not JSON"),
    "list for a result": (
        lambda p: p.files.update({p.path("result.json"): b"[1]"}),
        None,
        "named values",
    ),
    "log that is no text": (
        lambda p: p.files.update({p.path("log.txt"): b"\xff\xfe"}),
        None,
        "is not text",
    ),
    "other request": (lambda p: p.edit("request.json", seed=7), None, "another request"),
    "other key": (lambda p: p.rename("e" * 64), None, "another request"),
    "other key in the result": (
        lambda p: p.edit("result.json", key="e" * 64),
        None,
        "another request",
    ),
    "other models": (
        lambda p: p.edit("result.json", models=["mine", "yours"]),
        None,
        "other models",
    ),
    "models that are not named": (
        lambda p: p.edit("result.json", models=[["mine"]]),
        None,
        "other models",
    ),
    "names that are none": (
        lambda p: p.edit("request.json", names=5),
        None,
        "not one that this version makes",
    ),
    "unknown field": (
        lambda p: p.edit("request.json", run="rm"),
        None,
        "not one that this version makes",
    ),
    "unknown kind": (lambda p: p.edit("request.json", what="shell"), None, "does not know"),
    "a kind that is no text": (
        lambda p: p.edit("request.json", what=["barrier"]),
        None,
        "does not know|not one that",
    ),
    "path of a person": (
        lambda p: p.edit("request.json", models=["path:/home/me/a", "path:/b/c"]),
        None,
        "names a path",
    ),
    "numbers that are none": (lambda p: p.edit("result.json", lam="0123"), None, "cannot be shown"),
    "numbers that are missing": (
        lambda p: p.edit("result.json", loss=None),
        None,
        "cannot be shown",
    ),
    "lost file": (lost_file, None, "lacks results/"),
    "no study": (lambda p: p.files.pop("study.json"), None, "lacks study.json"),
    "study of other results": (result_of_another_study, None, "shows other results"),
    "study that is none": (
        lambda p: p.edit("study.json", entries=[{"keys": ["../x"]}]),
        None,
        "keys, title, note",
    ),
    "another format": (
        lambda p: p.edit("manifest.json", format="zip"),
        None,
        "not an archive of a study",
    ),
    "a later format": (lambda p: p.edit("manifest.json", version=2), None, "has format 2"),
    "edited result": (edited_after_export, None, "its hash differs"),
    "edited result and manifest": (edited_manifest, None, "its hash differs"),
    "edited study": (edited_study, None, "its hash differs"),
    "packed otherwise": (lambda p: setattr(p, "method", zipfile.ZIP_LZMA), None, "never exported"),
    "encrypted": (None, locked, "is encrypted"),
    "a directory that lies": (None, lying_size, "damaged or incomplete|larger or smaller"),
    "an endless directory": (None, many_entries, "lists more files"),
    "half of it": (None, lambda data: data[: len(data) // 2], "not the whole of it"),
    "something behind it": (None, lambda data: data + b"x", "not the whole of it"),
    "a flipped bit": (
        None,
        lambda data: data[:3000] + bytes([data[3000] ^ 8]) + data[3001:],
        "damaged or incomplete|hash differs",
    ),
    "no archive": (None, lambda data: b"GIF89a" * 100, "not an archive of a study"),
    "nothing": (None, lambda data: b"", "not an archive of a study"),
    "too large an archive": (None, lambda data: bytes(2**21), "at most 1 MiB"),
}
HARMLESS: dict[str, Change] = {
    "unchanged": lambda parts: None,
    "stored plainly": lambda parts: setattr(parts, "method", zipfile.ZIP_STORED),
    "another log": lambda parts: parts.files.update(
        {parts.path("log.txt"): "one more line, ë\n".encode()}
    ),
    "another number": lambda parts: parts.edit("result.json", barrier=0.5),
    "other arrays": lambda parts: parts.arrays(**same_points(parts), names=np.array(["a"])),
    "no arrays": lambda parts: parts.arrays(),
    "another title": lambda parts: parts.edit("study.json", title="Another"),
}
Place = tuple[Store, Studies]


def same_points(parts: Parts) -> dict[str, np.ndarray]:
    """Arrays of three examples at as many points as the result has."""
    zeros = np.zeros((len(json.loads(parts.files[parts.path("result.json")])["lam"]), 3))
    return {"losses": zeros, "correct": zeros}


def kept(place: Place) -> list[str]:
    root = place[0].root.parent
    return [
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and path.name != ".lock"
    ]


@pytest.mark.parametrize("name", ZOO)
def test_what_is_meant_to_do_harm_is_refused_and_leaves_nothing(
    name: str, packed: bytes, elsewhere: Place
):
    change, edit, words = ZOO[name]
    parts = Parts(packed)
    if name == "no study":
        parts.rehash = False
    if change is not None:
        change(parts)
    data = parts.pack() if change is not None else packed
    data = edit(data) if edit is not None else data
    with pytest.raises(BadInput, match=words) as caught:
        read_archive(io.BytesIO(data), *elsewhere, SMALL)
    said = str(caught.value)
    assert len(said) < 300 and said.count(". ") <= 1 and str(elsewhere[0].root) not in said
    assert kept(elsewhere) == [] and not list(elsewhere[0].root.glob(".tmp-*"))
    assert not Path(tempfile.gettempdir(), "lmc-was-here").exists()


@pytest.mark.parametrize("name", HARMLESS)
def test_the_same_archive_without_harm_is_taken(name: str, packed: bytes, elsewhere: Place):
    parts = Parts(packed)
    HARMLESS[name](parts)
    assert len(read_archive(io.BytesIO(parts.pack()), *elsewhere, SMALL).added) == 5
    assert len(kept(elsewhere)) == 5 * 5 + 1


def test_harm_in_an_archive_of_known_results_is_refused_as_well(packed: bytes, elsewhere: Place):
    """What is checked does not depend on what is here already, and what is here stays."""
    read_archive(io.BytesIO(packed), *elsewhere)
    before = sorted(kept(elsewhere))
    parts = Parts(packed)
    objects(parts)
    with pytest.raises(BadInput, match="holds objects"):
        read_archive(io.BytesIO(parts.pack()), *elsewhere)
    assert sorted(kept(elsewhere)) == before


def test_the_limits_of_the_ratio_have_a_control(packed: bytes, elsewhere: Place):
    parts = Parts(packed)
    parts.files[parts.path("log.txt")] = b"0" * (SMALL.free - 1)  # packs as well, but is small
    assert read_archive(io.BytesIO(parts.pack()), *elsewhere, replace(SMALL)).added
