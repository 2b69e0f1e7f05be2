"""The table of contents is true, and importing it is quick."""

from __future__ import annotations

import subprocess
import sys

import lmc_core


def test_every_name_of_all_exists_and_is_documented() -> None:
    for name in lmc_core.__all__:
        value = getattr(lmc_core, name)
        assert name == "__version__" or isinstance(value, dict) or (value.__doc__ or "").strip(), (
            name
        )
    assert set(dir(lmc_core)) == set(lmc_core.__all__)


def test_importing_brings_in_no_heavy_library() -> None:
    code = (
        "import sys, lmc_core; print([m for m in ('torch', 'transformers', 'timm', "
        "'streamlit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_core_never_imports_streamlit() -> None:
    code = """
import sys, pkgutil, importlib, lmc_core
for module in pkgutil.walk_packages(lmc_core.__path__, "lmc_core."):
    of_the_app = {"ui", "server", "page", "_app"} & set(module.name.split("."))
    if not of_the_app:
        importlib.import_module(module.name)
assert "streamlit" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
