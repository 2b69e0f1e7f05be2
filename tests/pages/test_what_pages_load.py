"""The server draws every page without torch, which takes seconds and half a gigabyte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import json, sys, tempfile, time
from pathlib import Path
from streamlit.testing.v1 import AppTest
from lmc_core.elsewhere import use_helper
from lmc_core.server.app import ROUTER
from lmc_core.ui.pages import PAGES, script

HEAVY = ("torch", "transformers", "timm", "torchvision")
use_helper()
drawn = {"start": AppTest.from_file(str(ROUTER), default_timeout=200).run()}
for name in PAGES:
    if name != "start":
        drawn[name] = AppTest.from_file(str(script(name)), default_timeout=200).run()
for name, page in drawn.items():
    assert not page.exception, (name, page.exception)
    assert not page.error, (name, page.error)
    assert page.title or name == "lecture", name
print([name for name in HEAVY if name in sys.modules])
"""


def test_the_server_draws_all_pages_without_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        env={**os.environ, "LMC_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
