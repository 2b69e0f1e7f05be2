"""Large models go from who made a request to who computes it, so that one process reads their
files and computes their digests once.

Small models are kept between runs anyway (`models.cache`). Large ones may be aligned in place, so
that they have one owner: they are held for one request alone, are taken once, and are let go as
soon as another request is made or computed, a worker computes instead, or the request is gone.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from lmc_core.models.files.stamp import stamp

if TYPE_CHECKING:
    from lmc_core.models.model import Model


@dataclass(frozen=True)
class Loaded:
    """A model and the files it was read from.

    Attributes:
        model: as it was loaded; nothing has written into it.
        files: that it was read from.
        content: what `stamp` said of them.
    """

    model: Model
    files: tuple[Path, ...]
    content: tuple[str, ...]

    @property
    def current(self) -> bool:
        """Whether its files are still what they were."""
        return all(path.is_file() for path in self.files) and stamp(self.files) == self.content


class Handover:
    """Holds the large models of the request that was made last."""

    def __init__(self) -> None:
        self._lock = RLock()  # again from the same thread where a request goes meanwhile
        self._owner: weakref.ref[object] | None = None
        self._held: tuple[Loaded | None, ...] = ()

    def give(self, owner: object, models: Sequence[Loaded | None]) -> None:
        """Hold the models of a request in place of what was held before.

        Args:
            owner: the request.
            models: one for each model of it; None for one that is kept elsewhere.
        """
        with self._lock:
            self.clear()
            if any(models):
                self._owner, self._held = weakref.ref(owner, self._forget), tuple(models)

    def pass_on(self, owner: object, other: object) -> None:
        """Hold the models of a request for another one about the same models."""
        with self._lock:
            if self._owner is not None and self._owner() is owner:
                self._owner = weakref.ref(other, self._forget)

    def take(self, owner: object, count: int) -> list[Model | None]:
        """The models held for a request whose files are what they were, None for the others;
        nothing is held afterwards, whomever it was for.

        Args:
            owner: the request.
            count: of its models.
        """
        with self._lock:
            mine = self._owner is not None and self._owner() is owner
            held = self._held if mine else (None,) * count
            self.clear()
        return [each.model if each and each.current else None for each in held]

    def clear(self) -> None:
        """Let go of what is held."""
        with self._lock:
            self._owner, self._held = None, ()

    def _forget(self, owner: weakref.ref[object]) -> None:
        with self._lock:
            if self._owner is owner:
                self.clear()


HANDOVER = Handover()
