"""`lmc equivariance`: in words, as JSON, as a page, as weights; refusals."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from lmc_core.equivariance import networks
from lmc_core.equivariance.data import domain_of
from lmc_core.equivariance.groups import group

FEW = ("--steps", "5", "--examples", "20")


def test_in_words_as_json_and_as_weights(lmc, tmp_path) -> None:
    page, weights = tmp_path / "page.html", tmp_path / "net.safetensors"
    done = lmc(
        "equivariance",
        *FEW,
        "--kind",
        "broken",
        "--form",
        "resilient",
        "--price",
        "0.5",
        "--out",
        weights,
        "--html",
        page,
    )
    assert done.code == 0, done.err
    assert "rho = 0.5" in done.out and "1,040 / 4,160" in done.out and "projected" in done.out
    again = lmc(
        "equivariance", *FEW, "--kind", "broken", "--form", "resilient", "--price", "0.5", "--json"
    )
    assert again.json["cached"] and len(again.json["arrays"]["trace.gamma"]) == 6
    module, _ = networks.build("perceptron", domain_of("digits", group("C4")), 3)
    module.load_state_dict(load_file(weights))
    with torch.no_grad():
        assert torch.isfinite(module(torch.zeros(1, 64))).all()
    assert "<title>Equivariance</title>" in page.read_text()
    assert "Resilient, \u03c1 = 0.5" in lmc("results").out


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (("--group", "C5"), "no group"),
        (("--form", "resilient", "--price", "0"), "price rho"),
        (("--group", "S3", "--network", "convolution"), "grey images"),
        (("--primal-rate", "x"), "--primal-rate"),
    ],
)
def test_refusals(lmc, more, word) -> None:
    lmc("equivariance", *FEW, *more).refused(word)
