"""The stand-in accelerator for tests; they are skipped where it cannot be compiled."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.standin import device

ALONE = "LMC_TEST_ALONE"  # set in the process that a test has of its own


@pytest.fixture(scope="session")
def standin() -> str:
    """The name of the device."""
    try:
        return device.load()
    except device.Unavailable as error:
        pytest.skip(str(error))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Give a test that is marked `alone` a process of its own: torch's engine of gradients serves
    the devices that were there when the first gradient of the process was taken.
    """
    if pyfuncitem.get_closest_marker("alone") is None or os.environ.get(ALONE):
        return None
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", pyfuncitem.nodeid],
        cwd=pyfuncitem.config.rootpath,
        env={**os.environ, ALONE: "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}", pytrace=False)
    return True
