"""Where things lie: the shipped assets, and the folder that holds a user's results.

Nothing here is created on import; folders appear when something is first written to them.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

PACKAGE = Path(__file__).resolve().parent


def app_folder() -> Path:
    """Return the folder with `app.py`, `pages/` and `assets/`: inside an installed wheel, or the repository's root."""
    installed = PACKAGE / "_app"
    return installed if installed.is_dir() else PACKAGE.parent


def assets() -> Path:
    """Return the folder of shipped data, models and fonts."""
    return app_folder() / "assets"


def home() -> Path:
    """Return the folder of results and jobs: `LMC_HOME`, or the platform's user data folder."""
    chosen = os.environ.get("LMC_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("lmc-explorer"))
