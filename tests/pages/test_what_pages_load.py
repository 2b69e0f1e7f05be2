"""What pages that only read load: nothing that computes, which takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from streamlit.testing.v1 import AppTest
import lmc_core.ui.backend
from lmc_core.server.app import ROUTER
from lmc_core.ui.pages import script

for path in (ROUTER, script("studies")):
    at = AppTest.from_file(str(path), default_timeout=100).run()
    assert not at.exception and at.title
print([name for name in ("torch", "transformers", "timm") if name in sys.modules])
"""


def test_start_and_studies_load_no_torch(tmp_path: Path) -> None:
    """Start on a server for an audience; elsewhere its last line asks torch for a device."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        env={**os.environ, "LMC_HOME": str(tmp_path), "LMC_READ_ONLY": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
