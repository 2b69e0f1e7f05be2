"""Where things lie: the shipped assets, the folder that holds a user's results, and what the app
may read.

Nothing here is created on import; folders appear when something is first written to them.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

PACKAGE = Path(__file__).resolve().parent


def app_folder() -> Path:
    """Return the folder with `app.py`, `pages/` and `assets/`: inside an installed wheel, or the
    repository's root.
    """
    installed = PACKAGE / "_app"
    return installed if installed.is_dir() else PACKAGE.parent


def assets() -> Path:
    """Return the folder of shipped data, models and fonts."""
    return app_folder() / "assets"


def read_only() -> bool:
    """Whether this process shows what is stored to an audience, and changes nothing (`lmc app
    --read-only`).
    """
    return os.environ.get("LMC_READ_ONLY", "") not in ("", "0")


def home() -> Path:
    """Return the folder of results and jobs: `LMC_HOME`, or the platform's user data folder."""
    chosen = os.environ.get("LMC_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("lmc-explorer"))


def roots() -> list[Path]:
    """Folders that the app may read models and data from.

    `LMC_ROOTS`, separated as `PATH` is; else the folder the app was started in and `models` in the
    folder of results. The root of the file system counts only where `LMC_ROOTS` names it.
    """
    chosen = os.environ.get("LMC_ROOTS")
    if chosen is not None:
        return [
            Path(part).expanduser().resolve() for part in chosen.split(os.pathsep) if part.strip()
        ]
    here = Path.cwd().resolve()
    return [*([here] if here != here.parent else []), (home() / "models").resolve()]


def allowed(path: str | Path) -> bool:
    """Whether a path lies in one of the `roots` once links are followed; of a folder, the links in
    it too.
    """
    try:
        found = Path(path).expanduser().resolve()
        inside = (
            [found, *(entry.resolve() for entry in found.iterdir() if entry.is_symlink())]
            if found.is_dir()
            else [found]
        )
    except (OSError, RuntimeError, ValueError):  # a loop of links, no such user, a null character
        return False
    return all(any(one.is_relative_to(root) for root in roots()) for one in inside)
