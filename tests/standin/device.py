"""The stand-in accelerator as the device "standin": compiled once on a machine, loaded once in a
process.

It says three things that a GPU would: whether a tensor is on the wrong side, how often the program
waits for the device (copies to the host), and how much memory is held there. It says nothing about
speed. It needs g++ and the headers that torch comes with.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.utils import cpp_extension
from torch.utils.backend_registration import (
    generate_methods_for_privateuse1_backend,
    rename_privateuse1_backend,
)

from lmc_core.locks import FileLock
from lmc_core.symmetry import arithmetic

NAME = "standin"
SOURCE = Path(__file__).with_name("standin.cpp")


class Unavailable(Exception):
    """There is no stand-in on this machine; says why."""


@dataclass
class Counts:
    """What happened on the device.

    Attributes:
        held: bytes at the end.
        peak: bytes, the most at any time.
        to_device: copies from the host.
        to_host: copies to the host, for each of which the program waits.
        bytes_to_host: of these copies.
    """

    held: int = 0
    peak: int = 0
    to_device: int = 0
    to_host: int = 0
    bytes_to_host: int = 0


@functools.cache
def load() -> str:
    """Make the stand-in known to torch in this process, and return its name as a device.

    Raises:
        Unavailable: where it cannot be compiled.
    """
    torch.ops.load_library(str(_library()))
    rename_privateuse1_backend(NAME)
    module = ModuleType(f"torch.{NAME}")
    module.__dict__.update(
        is_available=lambda: True,
        device_count=lambda: 1,
        current_device=lambda: 0,
        set_device=lambda device: None,
        _is_in_bad_fork=lambda: False,
        manual_seed_all=lambda seed: None,
        get_rng_state=lambda device=0: torch.empty(0, dtype=torch.uint8),
        set_rng_state=lambda state, device=0: None,
        # asked by checkpointing, also in tests of other devices after these in one process
        get_amp_supported_dtype=lambda: [torch.bfloat16],
    )
    torch._register_device_module(NAME, module)
    generate_methods_for_privateuse1_backend()
    return NAME


@contextmanager
def counting() -> Iterator[Counts]:
    """Counts what the block does; complete when it ends."""
    load()
    found = Counts()
    torch.ops.standin.reset()
    yield found
    found.held, found.peak, found.to_device, found.to_host, found.bytes_to_host = (
        torch.ops.standin.stats()
    )


@contextmanager
def refusing_float64() -> Iterator[None]:
    """Refuses float64 on the device in the block, as MPS does; says nothing of other differences
    between MPS and CUDA.
    """
    load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetic, "WITHOUT_FLOAT64", {*arithmetic.WITHOUT_FLOAT64, NAME})
        torch.ops.standin.refuse_float64(True)
        try:
            yield
        finally:
            torch.ops.standin.refuse_float64(False)


def _library() -> Path:
    """The compiled library, made by the first process that needs it.

    Raises:
        Unavailable: without a compiler, or if it fails.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise Unavailable("the stand-in accelerator needs a C++ compiler (apt-get install g++)")
    about = torch.__version__.encode() + SOURCE.read_bytes()
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmc-tests"
    path = folder / f"standin-{hashlib.sha256(about).hexdigest()[:16]}.so"
    if path.exists():
        return path
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            _compile(compiler, path)
    return path


def _compile(compiler: str, path: Path) -> None:
    draft = Path(tempfile.mkdtemp(dir=path.parent)) / "standin.so"
    includes = [f"-I{each}" for each in cpp_extension.include_paths()]
    libraries = [f"-L{each}" for each in cpp_extension.library_paths()]
    command = [compiler, "-O1", "-std=c++20", "-shared", "-fPIC", *includes, str(SOURCE)]
    command += ["-o", str(draft), *libraries, "-lc10", "-ltorch_cpu", "-ltorch"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(draft.parent)
        raise Unavailable(f"the stand-in accelerator does not compile: {done.stderr[:2000]}")
    draft.replace(path)
    draft.parent.rmdir()
