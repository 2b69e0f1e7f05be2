"""What the app may read: configured roots, links followed first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lmc_core.folders import allowed, roots


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two roots and a place outside, each with a folder `model`."""
    for name in ("first", "second", "outside"):
        (tmp_path / name / "model").mkdir(parents=True)
        (tmp_path / name / "model" / "config.json").write_text("{}")
    monkeypatch.setenv(
        "LMC_ROOTS", f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'second'}{os.pathsep}"
    )
    return tmp_path


def test_inside_and_outside(world: Path) -> None:
    assert roots() == [world / "first", world / "second"]
    for inside in (
        "first",
        "first/model",
        "second/model/config.json",
        "first/not/there",
        "first/../second/model",
    ):
        assert allowed(world / inside) and allowed(str(world / inside))
    for outside in (
        "outside",
        "outside/model",
        ".",
        "first/../outside",
        "first/../../etc",
        "firstling",
        "second/..",
    ):
        assert not allowed(world / outside)


def test_links_are_followed(world: Path) -> None:
    (world / "first" / "out").symlink_to(world / "outside" / "model")
    (world / "first" / "in").symlink_to(world / "second" / "model")
    (world / "outside" / "back").symlink_to(world / "first" / "model")
    assert not allowed(world / "first" / "out") and not allowed(
        world / "first" / "out" / "config.json"
    )
    assert allowed(world / "first" / "in") and allowed(world / "outside" / "back")
    (world / "first" / "model" / "model.safetensors").symlink_to("/etc/hostname")
    assert not allowed(world / "first" / "model") and allowed(world / "second" / "model")
    (world / "first" / "loop").symlink_to("loop")
    assert (
        not allowed(world / "first" / "loop" / "x")
        and not allowed("\0")
        and not allowed("~nobody-here/x")
    )


def test_defaults(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LMC_ROOTS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert roots() == [tmp_path, home / "models"] and allowed("model") and not allowed("../model")
    monkeypatch.chdir("/")
    assert (
        roots() == [home / "models"] and not allowed("/etc") and allowed(home / "models" / "mine")
    )
    monkeypatch.setenv("LMC_ROOTS", "")
    assert roots() == [] and not allowed(tmp_path)
