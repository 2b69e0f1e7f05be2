"""The exceptions of the project.

    LmcError                  every error a person can act on; its text is one or two sentences
    ├── BadInput              what was asked for cannot be done as asked
    │   ├── UnknownName       no model, task, space, class or method of that name
    │   ├── BadCheckpoint     files that are missing, truncated, foreign or not finite
    │   ├── Incompatible      two models that have no common layout
    │   └── Inadmissible      a symmetry class that would change the function
    ├── FunctionChanged       a transformation moved the outputs by more than rounding
    ├── StoreError            results cannot be written or read
    └── Cancelled             somebody asked for the run to stop

Each message says what was expected, what came, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LmcError(Exception):
    """An error with a message for a person; never shown with a traceback."""


class BadInput(LmcError):
    """What was asked for cannot be done as asked."""


class UnknownName(BadInput):
    """A name that is not in the list it should come from."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """Build the message, with the nearest known name as a suggestion.

        Args:
            kind: what the name should name, in the singular ("task").
            name: what came.
            known: the names that exist.
        """
        options = sorted(known)
        if not options:
            return cls(f"There is no {kind} {name!r}, and none of another name either.")
        near = difflib.get_close_matches(name, options, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return cls(f"There is no {kind} {name!r}; expected one of: {', '.join(options)}.{hint}")


class BadCheckpoint(BadInput):
    """Files that are missing, truncated, foreign or not finite."""


class Incompatible(BadInput):
    """Two models that have no common layout."""


class Inadmissible(BadInput):
    """A symmetry class that would change the function of the model."""


class FunctionChanged(LmcError):
    """A transformation moved the outputs by more than rounding."""


class StoreError(LmcError):
    """Results cannot be written or read."""


class Cancelled(LmcError):
    """Somebody asked for the run to stop."""


class Paused(Cancelled):
    """The run stops here for a while, so that another gives its first answer.

    Attributes:
        behind: key of the job that it waits behind.
    """

    def __init__(self, message: str, behind: str):
        super().__init__(message)
        self.behind = behind
