"""The stand-in accelerator for tests; they are skipped where it cannot be compiled."""

from __future__ import annotations

import pytest

from tests.standin import device


@pytest.fixture(scope="session")
def standin() -> str:
    """The name of the device."""
    try:
        return device.load()
    except device.Unavailable as error:
        pytest.skip(str(error))
