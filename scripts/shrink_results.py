"""Write the shipped results smaller; what pages, commands and exports show of them stays.

    python scripts/shrink_results.py [assets/results]

Of an alignment the elements of continuous groups go, which nothing reads: angles, singular values,
phases and stretches that are shown of them lie beside them, and `lmc align` makes them again. Of a
log the first line of every percent stays, and every line that says something new. Numbers are
written without spaces, arrays compressed as far as deflate goes. `ship_results.py` does the same to
what it ships; a second time changes nothing.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lmc_core import folders
from lmc_core.runs.result import FILES, Result, digest, to_bytes
from lmc_core.runs.store import Store

UNREAD = "/values"  # ends the names of the arrays of an alignment that go


def main() -> None:
    """Shrink every result of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=folders.assets() / "results")
    options = parser.parse_args()
    before, now = 0, 0
    for entry in Store(options.folder, options.folder).list():
        before += size(entry.folder)
        shrink(entry)
        now += size(entry.folder)
    print(f"{before:,} bytes before, {now:,} now")


def shrink(found: Result) -> None:
    """Write the files of a result again, as small as they can be without loss of what is shown."""
    kept, folder = found.arrays(), found.folder
    if found.request["what"] == "alignment":
        kept = {name: array for name, array in kept.items() if not name.endswith(UNREAD)}
    files = {
        **{name: compact((folder / name).read_bytes()) for name in FILES[:2]},
        "arrays.npz": pack(kept),
        "log.txt": thin(found.log()).encode(),
    }
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"] = {name: digest(content) for name, content in files.items()}
    for name, content in {**files, "manifest.json": to_bytes(manifest)}.items():
        (folder / name).write_bytes(content)


def compact(data: bytes) -> bytes:
    """The same JSON without spaces."""
    return (json.dumps(json.loads(data), separators=(",", ":")) + "\n").encode()


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """What `numpy.savez_compressed` writes, at the highest level."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(member, content.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def thin(log: str) -> str:
    """The lines of a log whose percent or whose words, numbers in them aside, differ from those of
    the line before.
    """
    kept, last = [], ""
    for line in log.splitlines(keepends=True):
        share, _, words = line.partition(" s ")[2].strip().partition("  ")
        now = f"{share} {re.sub(r'[0-9]+', '', words)}"
        if now != last:
            kept.append(line)
        last = now
    return "".join(kept)


def size(folder: Path) -> int:
    """Bytes of the files of a folder."""
    return sum(path.stat().st_size for path in folder.iterdir())


if __name__ == "__main__":
    main()
