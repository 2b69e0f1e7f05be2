"""Computing anew: what earlier runs left on disk to save time is then not used, but put in the
place of.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

_ANEW: ContextVar[bool] = ContextVar("anew", default=False)


@contextlib.contextmanager
def anew(wanted: bool = True) -> Iterator[None]:
    """Within this, nothing that was kept of earlier runs is used; with False it is, also inside of
    another one.
    """
    token = _ANEW.set(wanted)
    try:
        yield
    finally:
        _ANEW.reset(token)


def is_anew() -> bool:
    """Whether everything is to be computed anew."""
    return _ANEW.get()


def make_way(folder: Path) -> None:
    """Remove what is kept in a folder, if everything is to be computed anew."""
    if is_anew():
        shutil.rmtree(folder, ignore_errors=True)
