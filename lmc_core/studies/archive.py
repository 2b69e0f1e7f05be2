"""A study with its results as one archive that another installation imports.

    manifest.json               format, version, SHA-256 of study.json and of every result's
                                manifest
    study.json                  titles, notes, order
    results/<key>/request.json  and the other files of a result, with the SHA-256 of each in its
                                manifest.json

The same study gives the same bytes. References to a person's own models and data hold their last
name only.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import IO

from lmc_core import __version__
from lmc_core.errors import BadInput, StoreError
from lmc_core.figures.redact import without_places
from lmc_core.runs.result import FILES, Result, digest, to_bytes
from lmc_core.runs.store import Store
from lmc_core.studies.gather import is_known, public
from lmc_core.studies.study import Study

FORMAT, VERSION = "lmc-study", 1
MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What an archive may hold, so that nothing that is opened can fill a disk or the memory.

    Attributes:
        archive: bytes of the file.
        total: bytes of everything in it, unpacked.
        results: how many.
        ratio: of unpacked to packed bytes of one file that is larger than `free`.
        free: bytes below which the ratio does not matter.
        sizes: bytes of each file, unpacked.
    """

    archive: int = 200 * MIB
    total: int = 600 * MIB
    results: int = 500
    ratio: int = 100
    free: int = MIB // 4
    sizes: Mapping[str, int] = field(
        default_factory=lambda: {
            "manifest.json": MIB // 4,
            "study.json": 8 * MIB,
            "request.json": MIB // 4,
            "result.json": 16 * MIB,
            "log.txt": 16 * MIB,
            "arrays.npz": 128 * MIB,
        }
    )


LIMITS = Limits()


def write_archive(
    study: Study, store: Store, target: IO[bytes], limits: Limits = LIMITS
) -> list[str]:
    """Write a study and its results.

    Args:
        study: entries whose results are gone are left out of the archive.
        store: where the results lie.
        target: a file open for writing, or a buffer.
        limits: what an import takes.

    Returns:
        The keys of the study that the store has no result of, or one that a newer version made.

    Raises:
        BadInput: there is no result at all, or more than an archive may hold.
        StoreError: a result cannot be read or cannot leave this machine.
    """
    found = {
        key: each for key in study.keys if (each := store.get(key)) is not None and is_known(each)
    }
    missing = [key for key in study.keys if key not in found]
    if not found:
        raise BadInput(
            "The study shows no result that is stored here, so there is nothing to take away."
        )
    if len(found) > limits.results:
        raise BadInput(
            f"An archive holds at most {limits.results} results; the study has {len(found)}. "
            "Split it."
        )
    about = to_bytes(_present(study, set(found)).to_json())
    manifests: dict[str, str] = {}
    total = len(about)
    with zipfile.ZipFile(target, "w") as archive:
        for key in sorted(found):
            files = result_files(found[key])
            manifests[key] = digest(files["manifest.json"])
            total += sum(len(data) for data in files.values())
            large = next(
                (name for name, data in files.items() if len(data) > limits.sizes[name]), None
            )
            if large or total > limits.total:
                raise BadInput(
                    f"The result {key[:12]} makes the archive larger than one may be; leave it "
                    "out of the study."
                )
            for name, data in files.items():
                _add(archive, f"results/{key}/{name}", data, limits)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "lmc": __version__,
            "study": digest(about),
            "results": manifests,
        }
        _add(archive, "study.json", about, limits)
        _add(archive, "manifest.json", to_bytes(content), limits)
    return missing


def result_files(found: Result) -> dict[str, bytes]:
    """Return the files of a stored result as they go into an archive; without paths in them, the
    very bytes of the store.

    Raises:
        StoreError: a file cannot be read, or the result cannot leave this machine.
    """
    public(found)  # refuses what is named by a path
    try:
        files = {name: (found.folder / name).read_bytes() for name in (*FILES, "manifest.json")}
        before = [
            json.loads(files["request.json"]),
            json.loads(files["result.json"]),
            files["log.txt"].decode(errors="replace"),
        ]
    except (OSError, ValueError) as error:
        raise StoreError(
            f"The result {found.key[:12]} was deleted or damaged meanwhile; try again."
        ) from error
    after = without_places(before)
    for name, old, new in zip(("request.json", "result.json"), before, after, strict=False):
        if new != old:
            files[name] = to_bytes(new)
    if after[2] != before[2]:
        files["log.txt"] = after[2].encode()
    if after != before:
        manifest = {
            **json.loads(files["manifest.json"]),
            "files": {name: digest(files[name]) for name in FILES},
        }
        files["manifest.json"] = to_bytes(manifest)
    return files


def _present(study: Study, there: set[str]) -> Study:
    """The study without the results that are gone."""
    entries = []
    for entry in study.entries:
        kept = [index for index, key in enumerate(entry.keys) if key in there]
        labels = tuple(entry.labels[index] for index in kept) if entry.labels else ()
        if kept:
            entries.append(
                replace(entry, keys=tuple(entry.keys[index] for index in kept), labels=labels)
            )
    return replace(study, entries=tuple(entries))


def _add(archive: zipfile.ZipFile, name: str, data: bytes, limits: Limits) -> None:
    """Add a file with no date; packed, unless it packs so well that an import would take it for a
    bomb.
    """
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    info.create_system = 3  # the same bytes from every system
    info.compress_type = zipfile.ZIP_DEFLATED
    if len(data) > limits.free:
        import zlib

        packed = zlib.compress(data)
        if len(data) > 0.5 * limits.ratio * len(packed) or len(packed) > 0.95 * len(data):
            info.compress_type = zipfile.ZIP_STORED
    archive.writestr(info, data)
