"""Tiny models of one family, for sweeps that take a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three tiny Vision Transformers `s0` to `s2`; read them, do not change them."""
    root = tmp_path_factory.mktemp("seeds")
    for seed in range(3):
        tiny.write(root / f"s{seed}", tiny.tiny("vit", seed))
    return root
