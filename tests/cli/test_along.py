"""`lmc along` on tiny models."""

from __future__ import annotations

import json

FEW = ("--examples", "6", "--task", "plays", "--length", "12", "--at", "0,0.5,1")
CURVED = ("--curvature-examples", "2", "--probes", "2")


def test_every_quantity_in_words_and_files(lmc, tiny_gpt2_pair, tmp_path) -> None:
    page, rows = tmp_path / "along.html", tmp_path / "along.csv"
    asked = ("along", *tiny_gpt2_pair, *FEW, *CURVED, "--other-task", "austen")
    done = lmc(*asked, "--html", page, "--csv", rows)
    assert done.code == 0, done.err
    for word in ("Sharpness", "Spectra", "Calibration", "Loss on another task", "outputs changed"):
        assert word in done.out
    assert done.out.count("Plain average") == done.out.count("All classes")
    text = page.read_text()
    assert text.count("<figcaption>") == 4
    data = json.loads(text.split('id="results">')[1].split("</script>")[0])
    assert [each["quantity"] for each in data[::2]] == [
        *("sharpness", "spectra", "calibration", "other-task")
    ]
    assert rows.read_text().count("setting,lam") == 4
    again = lmc(*asked, "--json").json
    assert len(again) == 8 and all(each["cached"] for each in again)
    assert [each["method"] for each in again[:2]] == ["none", "weight"]


def test_one_quantity_of_the_plain_average_alone(lmc, tiny_vit_pair) -> None:
    few = ("--examples", "6", "--task", "fashion-mnist", "--points", "3")
    done = lmc("along", *tiny_vit_pair, *few, "--quantities", "calibration", "--method", "none")
    assert done.code == 0, done.err
    assert "Calibration" in done.out and "Sharpness" not in done.out
    assert "All classes" not in done.out


def test_what_makes_no_sense_is_refused(lmc, tiny_vit_pair) -> None:
    few = ("--examples", "6", "--task", "fashion-mnist")
    lmc("along", *tiny_vit_pair, *few, "--quantities", "flatness").refused("flatness", "sharpness")
    lmc("along", *tiny_vit_pair, *few, "--quantities", "other-task").refused("--other-task austen")
    lmc("along", *tiny_vit_pair, *few, "--other-task", "austen").refused("takes images")
    lmc("along", *tiny_vit_pair, *few, "--at", "0,2", "--quantities", "spectra").refused("0 and 1")
