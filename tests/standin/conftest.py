"""The stand-in accelerator for tests; they are skipped where it cannot be compiled."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.standin import device

ALONE = "LMC_TEST_ALONE"  # set in the process that such tests have of their own
FAILURES = pytest.StashKey[dict[Path, dict[str, str]]]()


@pytest.fixture(scope="session")
def standin() -> str:
    """The name of the device."""
    try:
        return device.load()
    except device.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def float32_alone(standin: str) -> Iterator[str]:
    """The name of the device while it has no float64."""
    with device.refusing_float64():
        yield standin


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Give tests that are marked `alone` a process of their own, one for all of a file: torch's
    engine of gradients serves the devices that were there when the first gradient of the process
    was taken.
    """
    if not _is_alone(pyfuncitem):
        return None
    failures = pyfuncitem.config.stash.setdefault(FAILURES, {})
    if pyfuncitem.path not in failures:
        items = pyfuncitem.session.items
        together = [each for each in items if each.path == pyfuncitem.path and _is_alone(each)]
        failures[pyfuncitem.path] = _run([each.nodeid for each in together], pyfuncitem.config)
    if words := failures[pyfuncitem.path].get(pyfuncitem.name):
        pytest.fail(words, pytrace=False)
    return True


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None and not os.environ.get(ALONE)


def _run(tests: list[str], config: pytest.Config) -> dict[str, str]:
    """Run tests in a process of their own; names of those that did not pass, each with what was
    printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}"]
        done = subprocess.run(
            [*line, "-n", "0", *tests],
            cwd=config.rootpath,
            env={**os.environ, ALONE: "1", "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        words = f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
        names = {test.partition("::")[2] for test in tests}
        if not report.exists():
            return dict.fromkeys(names, words)
        passed = {
            case.get("name", "")
            for case in ElementTree.parse(report).getroot().iter("testcase")
            if not len(case)
        }
        return dict.fromkeys(names - passed, words)
