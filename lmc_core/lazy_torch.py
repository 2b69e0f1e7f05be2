"""torch, imported when something of it is first used.

What describes models (families, structures, layouts) names torch in few functions that compute. It
takes `torch` and `nn` from here, so that lists of models, commands and pages start without torch,
which takes two seconds; type checkers see the modules themselves.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch as torch
    from torch import nn as nn
else:

    class Later:
        """A module that is imported when one of its names is first read.

        Args:
            name: of the module.
        """

        def __init__(self, name: str) -> None:
            self.__name__ = name

        def __getattr__(self, name: str) -> object:
            value = getattr(import_module(self.__name__), name)
            setattr(self, name, value)
            return value

    torch, nn = Later("torch"), Later("torch.nn")
