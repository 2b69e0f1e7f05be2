"""Importing an archive: everything is checked before anything is kept, and nothing of a refused
archive stays.

The hashes say that the files are those that were exported; they do not say who computed them, or
that anybody did. So what the numbers say of the arrays is recomputed, and the result is marked as
imported wherever it is shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lmc_core.errors import BadInput
from lmc_core.look import PRODUCT
from lmc_core.runs.computation import SUMMARY, Misfit, contradicts, summarize
from lmc_core.runs.result import FILES, IMPORTED, Result, digest, to_bytes
from lmc_core.runs.store import Store
from lmc_core.studies.archive import FORMAT, LIMITS, VERSION, Limits
from lmc_core.studies.content import check_result, parsed
from lmc_core.studies.files import write_error
from lmc_core.studies.members import checked_members, require_plain_end
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Study

CHUNK = 2**18  # bytes that are read at once


@dataclass(frozen=True)
class Imported:
    """What came of an archive.

    Attributes:
        study: as it is stored now; its name differs where another study had it.
        added: keys of results that are new here.
        kept: keys of results that were here already; those stay.
        mended: keys of new results whose numbers did not follow from their own arrays; they do now.
    """

    study: Study
    added: tuple[str, ...]
    kept: tuple[str, ...]
    mended: tuple[str, ...] = ()


def read_archive(
    file: IO[bytes], store: Store, studies: Studies, limits: Limits = LIMITS
) -> Imported:
    """Import a study with its results, whole or not at all.

    Args:
        file: the archive, open for reading.
        store: where results go.
        studies: where the study goes.
        limits: of sizes and numbers.

    Raises:
        BadInput: it is not an archive that was exported, or was changed since; the message says
            what is wrong with it.
        StoreError: there is no space, or the folders cannot be written.
    """
    draft = store.root / f".tmp-import-{secrets.token_hex(6)}"
    try:
        require_plain_end(file, limits)
        with _opened(file) as archive:
            members = checked_members(archive, limits)
            study, manifests = _contents(archive, members)
            for key, recorded in manifests.items():
                _stage(archive, members, key, recorded, draft / key, limits)
        wrong = {key for key in manifests if _mark(draft / key, key)}
        return _keep(study, sorted(manifests), wrong, draft, store, studies)
    except OSError as error:
        raise write_error(error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextlib.contextmanager
def _opened(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever its reader says against it becomes one sentence."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        UnicodeDecodeError,
    ) as error:
        raise BadInput(
            "The archive is damaged or incomplete; export it again and copy the whole file."
        ) from error


def _contents(
    archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]
) -> tuple[Study, dict[str, str]]:
    """The study and, for every result, the hash of its manifest."""
    manifest = parsed(_read(archive, members["manifest.json"]), "manifest.json")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BadInput(
            "This is not an archive of a study: its manifest does not say so. Choose a file that "
            "was exported here."
        )
    if manifest.get("version") != VERSION:
        raise BadInput(
            f"The archive has format {manifest.get('version')!r}; this version reads {VERSION}. "
            f"Update {PRODUCT}."
        )
    about = _read(archive, members["study.json"])
    if hashlib.sha256(about).hexdigest() != manifest.get("study"):
        raise BadInput(
            "study.json is not what was exported: its hash differs. Export the archive again."
        )
    study = Study.from_json(parsed(about, "study.json"))
    results = manifest.get("results")
    there = {name.split("/")[1] for name in members if "/" in name}
    if not isinstance(results, dict) or set(results) != there:
        raise BadInput(
            "The archive's manifest names other results than the archive holds. Export it again."
        )
    if set(study.keys) != there:
        raise BadInput(
            "The study in the archive shows other results than the archive holds. Export it again."
        )
    return study, results


def _stage(
    archive: zipfile.ZipFile,
    members: Mapping[str, zipfile.ZipInfo],
    key: str,
    recorded: object,
    folder: Path,
    limits: Limits,
) -> None:
    """Write one result into the draft and check it there."""
    folder.mkdir(parents=True)
    hashes = {
        name: _copy(archive, members[f"results/{key}/{name}"], folder / name)
        for name in (*FILES, "manifest.json")
    }
    if hashes["manifest.json"] != recorded:
        raise BadInput(
            f"The manifest of the result {key[:12]} is not what was exported: its hash differs."
        )
    manifest = parsed((folder / "manifest.json").read_bytes(), "manifest.json")
    if (
        not isinstance(manifest, dict)
        or manifest.get("key") != key
        or not isinstance(manifest.get("files"), dict)
    ):
        raise BadInput(f"The manifest of the result {key[:12]} names another key, or no files.")
    if not isinstance(manifest.get("written"), str) or len(manifest["written"]) > 40:
        raise BadInput(f"The manifest of the result {key[:12]} does not say when it was written.")
    for name in FILES:
        if manifest["files"].get(name) != hashes[name]:
            raise BadInput(
                f"{name} of the result {key[:12]} is not what was exported: its hash differs."
            )
    check_result(folder, key, manifest["written"], limits)


def _mark(folder: Path, key: str) -> bool:
    """Mark a checked result as imported, and let its numbers follow from its arrays.

    Returns:
        Whether they did not.

    Raises:
        BadInput: its arrays are not those of such a result.
    """
    manifest = parsed((folder / "manifest.json").read_bytes(), "manifest.json")
    request, result = (
        parsed((folder / name).read_bytes(), name) for name in ("request.json", "result.json")
    )
    try:
        found = summarize(
            request, result, Result(key, request, result, folder, manifest["written"]).arrays()
        )
    except Misfit as error:
        raise BadInput(
            f"The arrays of the result {key[:12]} in the archive are not those that its numbers "
            "speak of. Export it again."
        ) from error
    wrong = contradicts(result, found)
    # an honest one of today's version stays as it is, to the byte
    if wrong or not found.keys() <= result.keys():
        data = to_bytes({**result, **found})
        (folder / "result.json").write_bytes(data)
        manifest["files"]["result.json"] = digest(data)
    (folder / "manifest.json").write_bytes(
        to_bytes({**manifest, "summary": SUMMARY, IMPORTED: True})
    )
    return bool(wrong)


def _keep(
    study: Study, keys: list[str], wrong: set[str], draft: Path, store: Store, studies: Studies
) -> Imported:
    """Move checked results and the study to their places; on failure take back what was moved."""
    added: list[str] = []
    try:
        for key in keys:
            if store.get(key) is None and store.adopt(draft / key, key):
                added.append(key)
        stored = studies.add(study)
    except BaseException:
        for key in added:
            store.delete(key)
        raise
    kept, mended = (
        tuple(key for key in keys if key not in added),
        tuple(key for key in added if key in wrong),
    )
    return Imported(stored, tuple(added), kept, mended)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A small file; never more than it said it would be."""
    with archive.open(member) as source:
        data = source.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise BadInput(f"{member.filename} is larger or smaller than the archive says.")
    return data


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> str:
    """Unpack a file bit by bit; returns its SHA-256."""
    hashed, left = hashlib.sha256(), member.file_size
    with archive.open(member) as source, open(target, "xb") as sink:
        while chunk := source.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                break
            hashed.update(chunk)
            sink.write(chunk)
    if left:
        raise BadInput(f"{member.filename} is larger or smaller than the archive says.")
    return hashed.hexdigest()
