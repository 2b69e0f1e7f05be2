"""Memory that goes back to the system once it is let go of, where the C library can be told.

Working on a model block by block frees as much as it takes, in pieces of many sizes. By itself
glibc keeps freed blocks of up to 32 MB, and twice as much at the end of its heap: at 124 million
parameters more than twice what is in use.

What is mapped by itself comes in fresh pages, and of 4 KB each these take longer than most of what
is done with them. So torch is told to ask for pages of 2 MB, before it makes its first tensor.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

# bytes; what is smaller is used again without asking the system for new pages
WHOLE, TOP = 2**22, 2**25
# numbers of two options of `mallopt` (the manual of glibc, 3.2.3.11)
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
# of torch (c10/core/impl/alloc_cpu.cpp), for tensors of 2 MB or more; a person's choice stays
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


@cache
def _library() -> ctypes.CDLL | None:
    """Glibc, told to map every block of `WHOLE` bytes or more by itself; None for another
    library.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        found = ctypes.CDLL(None)
        told = found.mallopt(MMAP_THRESHOLD, WHOLE) and found.mallopt(TRIM_THRESHOLD, TOP)
        return found if told and found.malloc_trim else None
    except (AttributeError, OSError):
        return None


def return_freed() -> None:
    """Give back what was freed; before much memory is taken at once."""
    library = _library()
    if library is not None:
        library.malloc_trim(0)
