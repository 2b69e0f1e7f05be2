"""The files of an archive, checked by what its directory says of them before any is unpacked."""

from __future__ import annotations

import re
import stat
import zipfile
from typing import IO

from lmc_core.errors import BadInput
from lmc_core.runs.result import FILES
from lmc_core.studies.archive import Limits

RESULT = re.compile(
    r"results/([0-9a-f]{64})/(" + "|".join(map(re.escape, (*FILES, "manifest.json"))) + ")"
)
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".npy")
END, FAR_END = b"PK\x05\x06", b"PK\x06\x07"  # of the directory, and of one with 64-bit numbers
# bytes of the directory for each file, at the most: 46, a name of up to 90, and some to spare
ENTRY = 200


def require_plain_end(file: IO[bytes], limits: Limits) -> None:
    """Refuse a file that is too large, does not end with a directory, or whose directory is longer
    than any of ours.

    Raises:
        BadInput: with what is wrong.
    """
    size = file.seek(0, 2)
    if size > limits.archive:
        raise BadInput(
            f"An archive has at most {limits.archive >> 20} MiB; this one has {size >> 20}. Split "
            "the study."
        )
    file.seek(max(size - 42, 0))
    tail = file.read(42)
    file.seek(0)
    end = tail[-22:]
    if len(end) < 22 or end[:4] != END or end[20:] != b"\0\0":
        raise BadInput(
            "This is not an archive of a study, or not the whole of it; choose a file that was "
            "exported here."
        )
    if tail[:4] == FAR_END or int.from_bytes(end[12:16], "little") > ENTRY * (
        2 + 5 * limits.results
    ):
        raise BadInput(
            f"The archive lists more files than {limits.results} results have; it was not "
            "exported here."
        )


def checked_members(archive: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """Return the files by name, after checking names, kinds, numbers and sizes.

    Raises:
        BadInput: one of them does not belong into an archive of a study.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for member in archive.infolist():
        _require_plain(member)
        if member.filename in found:
            raise BadInput(f"The archive holds {_shown(member)} twice; it was not exported here.")
        found[member.filename] = member
        total += member.file_size
        _require_small(member, limits)
    if total > limits.total:
        raise BadInput(
            f"The archive unpacks to {total >> 20} MiB; at most {limits.total >> 20} are taken. "
            "Split the study."
        )
    keys = {name.split("/")[1] for name in found if "/" in name}
    if len(keys) > limits.results:
        raise BadInput(
            f"An archive holds at most {limits.results} results; this one has {len(keys)}. Split "
            "the study."
        )
    wanted = ["manifest.json", "study.json"]
    wanted += [
        f"results/{key}/{name}" for key in sorted(keys) for name in (*FILES, "manifest.json")
    ]
    for name in wanted:
        if name not in found:
            raise BadInput(
                f"The archive lacks {name[-90:]}; export it again and copy the whole file."
            )
    return found


def _require_plain(member: zipfile.ZipInfo) -> None:
    """Refuse names that lead elsewhere, links, folders, locked files, pickles, and whatever else is
    never exported.
    """
    name = member.orig_filename  # before the reader cuts it at a null character
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        raise BadInput(
            f"The archive holds the absolute name {_shown(member)}; names in an archive are "
            "relative."
        )
    if ".." in re.split(r"[\\/]", name):
        raise BadInput(f"The archive holds {_shown(member)}, a name that leads out of it.")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadInput(f"The archive holds the link {_shown(member)}; only plain files are taken.")
    if member.flag_bits & 0x1:
        raise BadInput(f"{_shown(member)} in the archive is encrypted; only plain files are taken.")
    if name.lower().endswith(PICKLES):
        raise BadInput(
            f"The archive holds {_shown(member)}, which could run code when read; such files are "
            "never exported."
        )
    if member.filename != name or not (
        name in ("manifest.json", "study.json") or RESULT.fullmatch(name)
    ):
        raise BadInput(
            f"The archive holds {_shown(member)}, which no study has; it was not exported here."
        )
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadInput(
            f"{_shown(member)} in the archive is packed in a way that is never exported."
        )


def _require_small(member: zipfile.ZipInfo, limits: Limits) -> None:
    size, limit = member.file_size, limits.sizes[member.filename.rpartition("/")[2]]
    if size > limit:
        raise BadInput(
            f"{_shown(member)} in the archive has {size >> 10:,} KiB; at most {limit >> 10:,} are "
            "taken."
        )
    if size > limits.free and size > limits.ratio * max(member.compress_size, 1):
        raise BadInput(
            f"{_shown(member)} in the archive unpacks to more than {limits.ratio} times its size; "
            "it is refused."
        )


def _shown(member: zipfile.ZipInfo) -> str:
    return repr(member.orig_filename[:80])
