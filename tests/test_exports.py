"""The table of contents is true, and importing it is quick."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lmc_core

CONTENTS = Path(lmc_core.__file__)


def test_every_name_of_all_exists_and_is_documented() -> None:
    for name in lmc_core.__all__:
        value = getattr(lmc_core, name)
        assert name == "__version__" or isinstance(value, dict) or (value.__doc__ or "").strip(), (
            name
        )
    assert set(dir(lmc_core)) == set(lmc_core.__all__)


def test_every_name_is_imported_for_the_type_checker() -> None:
    block = next(
        node
        for node in ast.parse(CONTENTS.read_text(encoding="utf-8")).body
        if isinstance(node, ast.If)
    )
    assert isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
    found = [
        (alias.name, alias.asname)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    # "name as name" exports a name from a typed package
    assert all(name == other for name, other in found)
    assert sorted(["__version__", *(name for name, _ in found)]) == sorted(lmc_core.__all__)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'aline'"):
        lmc_core.aline  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.slow
def test_a_type_checker_knows_every_name(tmp_path: Path) -> None:
    pyright = shutil.which("pyright", path=str(Path(sys.executable).parent))
    if pyright is None:
        pytest.skip("pyright is not installed")
    names = [name for name in lmc_core.__all__ if name != "__version__"]
    lines = ["import lmc_core", *(f"reveal_type(lmc_core.{name})" for name in names)]
    script = tmp_path / "names.py"
    script.write_text("\n".join([*lines, "lmc_core.aline", ""]))
    command = [pyright, "--pythonpath", sys.executable, "--outputjson", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CONTENTS.parents[1])
    said = json.loads(done.stdout)["generalDiagnostics"]
    types = {
        each["range"]["start"]["line"]: each["message"]
        for each in said
        if each["severity"] == "information"
    }
    unknown = [
        name
        for line, name in enumerate(names, 1)
        if line not in types or types[line].endswith(('is "Any"', 'is "Unknown"'))
    ]
    assert not unknown
    errors = [each["range"]["start"]["line"] for each in said if each["severity"] == "error"]
    assert errors == [len(names) + 1]


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
