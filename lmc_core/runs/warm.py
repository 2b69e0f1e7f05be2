"""What a worker does while it has nothing to do: it reads the models that somebody looks at, so
that the first answer about them waits neither for imports nor for files.

    workers/<device>.models     references, JSON; written by who looks, read by the worker
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from lmc_core.atomic import write_file
from lmc_core.errors import LmcError
from lmc_core.runs.jobs import lock_path

MOST = 4  # models that are read
COMPUTES = "lmc_core.runs.kinds.barrier"  # imports torch and all methods


def expect(references: Sequence[str], device: str, home: Path) -> None:
    """Say which models will probably be asked about next.

    Args:
        references: of the models.
        device: of the worker.
        home: folder of results, jobs and locks.
    """
    path, content = _place(device, home), json.dumps(list(references)[:MOST]).encode()
    with contextlib.suppress(OSError):
        if not path.exists() or path.read_bytes() != content:
            write_file(path, content)


class Expectations:
    """The models that a worker may be asked about next.

    Args:
        device: of the worker.
        home: folder of results, jobs and locks.
    """

    def __init__(self, device: str, home: Path):
        self._path = _place(device, home)
        self._written = 0.0
        self._left: list[str] = []

    def meet(self) -> bool:
        """Do one step towards being ready for them; False where nothing is left to do."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            if (written := self._path.stat().st_mtime) != self._written:
                self._written = written
                self._left = [str(each) for each in json.loads(self._path.read_bytes())][:MOST]
        if not self._left:
            return False
        reference = self._left.pop(0)
        with contextlib.suppress(LmcError, OSError):  # who asks for it is told why
            read(reference)
        return True


def read(reference: str) -> None:
    """Import what computes, and read a small model with the class that it runs as."""
    import_module(COMPUTES)  # here: a worker that waits needs no torch
    cache = import_module("lmc_core.models.cache")
    if cache.is_warm(reference):
        cache.load_warm(reference).unfilled()


def _place(device: str, home: Path) -> Path:
    return lock_path(device, home).with_suffix(".models")
