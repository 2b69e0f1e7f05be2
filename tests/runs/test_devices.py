"""Which device is used if none is asked for."""

from __future__ import annotations

import pytest
import torch

from lmc_core.errors import BadInput, UnknownName
from lmc_core.runs.inputs import find_device, name_device
from lmc_core.ui.welcome import device_sentence


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("LMC_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    return monkeypatch


def test_mps_has_to_be_asked_for(machine: pytest.MonkeyPatch) -> None:
    assert find_device() == find_device("auto") == "cpu"
    assert find_device("mps") == "mps"
    assert name_device() == ("cpu", "MPS", "")
    machine.setenv("LMC_DEVICE", "mps")
    assert find_device() == "mps" and find_device("cpu") == "cpu"
    assert name_device() == ("mps", "", "")


def test_cuda_comes_by_itself(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: True)
    assert find_device() == "cuda"
    machine.setenv("LMC_DEVICE", "cpu")
    assert find_device() == "cpu"


def test_what_is_not_there_is_said(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("LMC_DEVICE", "cuda")
    with pytest.raises(BadInput, match="'cuda' is not available on this machine"):
        find_device()
    machine.setenv("LMC_DEVICE", "gpu")
    with pytest.raises(UnknownName, match="gpu"):
        find_device()


def test_the_app_says_how_a_mac_uses_its_graphics_processor(machine: pytest.MonkeyPatch) -> None:
    machine.setattr("lmc_core.ui.welcome._may_have_device", lambda: True)
    machine.setattr("lmc_core.elsewhere.call", lambda place: name_device())
    device_sentence.clear()
    assert "LMC_DEVICE=mps uses the graphics processor" in device_sentence()
    device_sentence.clear()
