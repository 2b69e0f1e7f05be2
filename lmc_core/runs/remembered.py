"""What was asked before: the requests, and what else is read from the files of models, by the words
that asked for it.

To make a request, models are loaded: their digests are part of its key, and everything that is
cheap to check is checked. From the same words, the same files and the same program follows the same
request, so that the result of one that was made before is found without torch, which takes two
seconds, and without weights.

An answer is kept in `asked/` of the folder of results, with the state of every file in the folders
of the models that it is about. It counts only while all of them are what they were, and a request
only while its result is stored: whatever is to be computed is checked again. Data that lies in many
files is not followed; what is asked about it is never kept.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, cast

from lmc_core import elsewhere, folders
from lmc_core.atomic import write_file
from lmc_core.errors import LmcError
from lmc_core.models.files.references import parse
from lmc_core.models.files.stamp import stamp
from lmc_core.models.zoo import zoo_names
from lmc_core.runs.computation import COMPUTATIONS, request_from_json
from lmc_core.runs.request import Request, hash_json
from lmc_core.runs.store import Store

P = ParamSpec("P")
R = TypeVar("R")
MOST = 2000  # answers that are kept on disk; beyond, the oldest half goes
IN_MEMORY = 256
FILES = 200  # in a folder that is followed, at the most
SINGLE = ("text", "labels")  # kinds of data of one's own that lie in one file
# what decides which devices there are, besides the machine
DEVICES = ("LMC_DEVICE", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
DRIVER = Path("/proc/driver/nvidia/version")

_KEPT: dict[Path, bytes] = {}  # what this process kept


class Remembered(Generic[P, R]):
    """A function whose answers are kept: requests, lists of them, or plain JSON values.

    Args:
        place: of the function, "package.module:NAME". Its positional arguments and those named
            `a`, `b`, `models`, `references` and `ancestor` are references of models, `task` one of
            data; its module is imported when an answer has to be found.
    """

    def __init__(self, place: str) -> None:
        self.place = place

    def __call__(self, *args: P.args, **named: P.kwargs) -> R:
        """The answer, as it was or found now."""
        question = _Question.of(self.place, args, named)
        if question is not None and (kept := question.read()) is not None:
            return cast(R, kept)
        found = self.again(*args, **named)
        if question is not None:
            question.keep(found)
        return found

    def again(self, *args: P.args, **named: P.kwargs) -> R:
        """The answer, found now."""
        return cast(R, elsewhere.call(self.place, *args, **named))


@dataclass(frozen=True)
class _Question:
    """One call.

    Attributes:
        path: of the file that keeps its answer.
        references: of the models that it is about.
        files: of a person's own data.
    """

    path: Path
    references: tuple[str, ...]
    files: tuple[Path, ...]

    @classmethod
    def of(
        cls, place: str, args: Sequence[object], named: Mapping[str, object]
    ) -> _Question | None:
        """The question of a call; None where what it is about cannot be followed."""
        words = ("a", "b", "models", "references", "ancestor")
        references = tuple(_list_texts([*args, *(named.get(word) for word in words)]))
        kind, colon, data = str(named.get("task") or "").partition(":")
        if named.get("through"):  # folders in which others may lie by then
            return None
        if colon and kind not in SINGLE:
            return None
        files = (Path(data).expanduser().absolute(),) if colon else ()
        zoo = zoo_names()
        try:
            shipped = all(parse(each, zoo).kind == "zoo" for each in references)
            asked = json.dumps([args, named], sort_keys=True)
        except (LmcError, TypeError, ValueError):
            return None
        about = (place, asked, "" if shipped and not files else os.getcwd(), *_surroundings())
        return cls(folders.home() / "asked" / f"{hash_json(about)}.json", references, files)

    def read(self) -> object:
        """The answer that is kept, None where there is none that counts."""
        try:
            content = json.loads(_KEPT.get(self.path) or self.path.read_bytes())
            if any(_state(Path(place)) != state for place, state in content["files"].items()):
                return None
            answer, requests = content["answer"], content["requests"]
            if requests is None:
                return answer
            made = [request_from_json(each) for each in answer]
            store = Store()
            if any(store.get(request.key) is None for request in made):
                return None
            return made if requests == "list" else made[0]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, LmcError):
            return None

    def keep(self, found: object) -> None:
        """Keep an answer: in memory, and on disk where it takes it and may be changed."""
        many = isinstance(found, list)
        made = cast("list[Request]", found if many else [found])
        requests = None
        answer: object = found
        if made and all(getattr(each, "what", None) in COMPUTATIONS for each in made):
            requests, answer = "list" if many else "one", [each.to_json() for each in made]
        with contextlib.suppress(OSError, ValueError, TypeError, LmcError):
            files = {str(place): _state(place) for place in self._list_places()}
            if None in files.values():
                return
            content = {"answer": answer, "requests": requests, "files": files}
            while len(_KEPT) >= IN_MEMORY:
                _KEPT.pop(next(iter(_KEPT)), None)
            _KEPT[self.path] = json.dumps(content).encode()
            if not folders.read_only():
                write_file(self.path, _KEPT[self.path])
                _forget_oldest(self.path.parent)

    def _list_places(self) -> Iterator[Path]:
        """Folders and files that the answer depends on."""
        find = "lmc_core.models.load:find_folders"
        yield from self.files
        found = [cast("list[Path]", elsewhere.call(find, name)) for name in self.references]
        for folder in dict.fromkeys(itertools.chain(*found)):
            yield folder.absolute()
            # which snapshot of a repository of the hub's cache is meant
            if folder.parent.name == "snapshots":
                yield folder.parent.parent / "refs"


def _list_texts(values: Sequence[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _list_texts(value)


def _state(place: Path) -> list[str] | None:
    """What tells whether a file, or any file in a folder, has changed; None where there are too
    many.
    """
    if not place.is_dir():
        return list(stamp([place]))
    files = [path for path in sorted(place.iterdir()) if path.is_file()]
    return list(stamp(files)) if len(files) <= FILES else None


def _surroundings() -> tuple[str, ...]:
    """What answers depend on besides words and files: the program and the machine's devices."""
    devices = (os.environ.get(name, "") for name in DEVICES)
    return (_find_program(), platform.node(), str(DRIVER.exists()), *devices)


@cache
def _find_program() -> str:
    """A digest of the package's own files, by their sizes and times."""
    found = []
    for folder, _, names in os.walk(folders.PACKAGE):
        for name in sorted(names):
            if name.endswith(".py"):
                stat = os.stat(os.path.join(folder, name))
                found.append([folder, name, stat.st_size, stat.st_mtime_ns])
    return hash_json(sorted(found))


def _forget_oldest(folder: Path) -> None:
    """Keep the number of answers bounded."""
    kept = list(folder.glob("*.json"))
    if len(kept) > MOST:
        for path in sorted(kept, key=lambda path: path.stat().st_mtime)[: MOST // 2]:
            path.unlink(missing_ok=True)


if TYPE_CHECKING:
    from lmc_core.equivariance.request import make_equivariance_request as make_equivariance_request
    from lmc_core.models.describe import read_kinds as read_kinds
    from lmc_core.models.describe import read_row as read_row
    from lmc_core.models.load import file_notes as file_notes
    from lmc_core.runs.inputs import lower_classes as lower_classes
    from lmc_core.runs.kinds.barrier import make_request as make_request
    from lmc_core.runs.kinds.many import make_group_request as make_group_request
    from lmc_core.runs.kinds.merge import make_merge_requests as make_merge_requests
    from lmc_core.runs.kinds.plane import make_plane_request as make_plane_request
    from lmc_core.runs.kinds.transport import make_transport_request as make_transport_request
else:
    make_equivariance_request = Remembered(
        "lmc_core.equivariance.request:make_equivariance_request"
    )
    read_kinds = Remembered("lmc_core.models.describe:read_kinds")
    read_row = Remembered("lmc_core.models.describe:read_row")
    file_notes = Remembered("lmc_core.models.load:file_notes")
    lower_classes = Remembered("lmc_core.runs.inputs:lower_classes")
    make_request = Remembered("lmc_core.runs.kinds.barrier:make_request")
    make_group_request = Remembered("lmc_core.runs.kinds.many:make_group_request")
    make_merge_requests = Remembered("lmc_core.runs.kinds.merge:make_merge_requests")
    make_plane_request = Remembered("lmc_core.runs.kinds.plane:make_plane_request")
    make_transport_request = Remembered("lmc_core.runs.kinds.transport:make_transport_request")
