"""Models of a request on the machine that computes it: named by content, wherever they lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lmc_core.errors import BadInput
from lmc_core.leases import find_host

DIGITS = 12  # of a digest, that name a folder


def find_models(content: Mapping[str, object], home: Path) -> dict[str, object]:
    """Return a request whose folders of models are those of this machine.

    A folder that is not here under the path that was asked for is looked for as
    `models/<digest>` in the folder of results, by the whole digest or its first twelve digits.
    Whoever computes compares the digest with that of the files. References of the zoo and the hub
    mean the same everywhere.

    Args:
        content: a request as JSON values.
        home: folder of results.

    Raises:
        BadInput: a model is in neither place.
    """
    found = dict(content)
    names = [content.get(name) for name in ("models", "names", "digests")]
    if not all(isinstance(each, list) for each in names):
        return found
    references, said, digests = (cast("list[str]", each) for each in names)
    here = list(references)
    for place, (reference, name, digest) in enumerate(zip(references, said, digests, strict=True)):
        kind, _, path = reference.partition(":")
        if kind != "path" or "+" in path or Path(path).exists():
            continue
        kept = [home / "models" / each for each in (digest, digest[:DIGITS])]
        there = next((folder for folder in kept if folder.is_dir()), None)
        if there is None:
            raise BadInput(
                f"The machine {find_host().partition('/')[0]} does not have {name}: there is no "
                f"folder {path}, and none {kept[-1]}, where its files may be put for all machines."
            )
        here[place] = f"path:{there}"
    return {**found, "models": here}
