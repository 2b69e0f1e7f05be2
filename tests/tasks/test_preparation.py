"""Images are prepared as transformers and timm prepare them, pixel for pixel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lmc_core.errors import BadInput, Incompatible
from lmc_core.tasks import get_task
from lmc_core.tasks.model_preparation import common_preparation, find_preparation
from lmc_core.tasks.preparation import RESAMPLING, Preparation
from tests.tasks.makers import model

SIZES = [(40, 40), (61, 37), (37, 61), (48, 33), (24, 90)]


def picture(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8), mode)


def folder_with(path: Path, name: str, content: Any) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_numbers_of_pillow() -> None:
    assert [Image.Resampling(i).name.lower() for i in range(6)] == list(RESAMPLING)


@pytest.mark.parametrize("changes", [
    {"size": {"height": 24, "width": 24}, "resample": 2},
    {"size": {"height": 27, "width": 27}, "resample": 3, "do_center_crop": True, "crop_size": {"height": 24, "width": 24}},
    {"size": {"shortest_edge": 27}, "resample": 3, "do_center_crop": True, "crop_size": {"height": 24, "width": 24}},
    {"size": {"height": 24, "width": 24}, "resample": 0, "do_normalize": False},
    {"size": {"height": 24, "width": 24}, "resample": 2, "do_rescale": False},
])  # fmt: skip
def test_against_transformers(changes: dict[str, Any], tmp_path: Path) -> None:
    from transformers import DeiTImageProcessorPil

    given = {
        "do_resize": True,
        "do_center_crop": False,
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.25],
    } | changes
    processor = DeiTImageProcessorPil(**given)
    processor.save_pretrained(tmp_path)
    prepare = find_preparation(model("images", folder=tmp_path, image=24))
    for width, height in SIZES:
        image = picture(width, height)
        expected = torch.from_numpy(np.asarray(processor(image)["pixel_values"][0]))
        found = prepare(image, "x")
        assert found.shape == (3, 24, 24) and found.dtype == torch.float32
        scale = 255.0 if changes.get("do_rescale") is False else 1.0
        assert float((found - expected).abs().max()) < 1e-4 * scale


@pytest.mark.parametrize("mode", ["center", "squash"])
@pytest.mark.parametrize(
    ("interpolation", "share"), [("bicubic", 0.9), ("bilinear", 1.0), ("nearest", 0.875)]
)
def test_against_timm(interpolation: str, share: float, mode: str, tmp_path: Path) -> None:
    from timm.data import create_transform  # type: ignore[attr-defined]

    given = {
        "interpolation": interpolation,
        "crop_pct": share,
        "crop_mode": mode,
        "mean": [0.5] * 3,
        "std": [0.5, 0.4, 0.3],
    }
    folder_with(
        tmp_path,
        "config.json",
        {"architecture": "vit", "pretrained_cfg": {"input_size": [3, 24, 24], **given}},
    )
    prepare = find_preparation(model("images", folder=tmp_path, image=24))
    transform = create_transform(input_size=(3, 24, 24), is_training=False, **given)  # type: ignore[arg-type]
    for width, height in SIZES:
        image = picture(width, height)
        expected = transform(image)
        assert float((prepare(image, "x") - expected).abs().max()) < 1e-5  # type: ignore[operator]


def test_a_size_of_two_numbers_is_height_and_width() -> None:
    prepare = Preparation(3, 8, (8, 12), "nearest", True, 1.0, (0.0,) * 3, (1.0,) * 3)
    image = picture(12, 8)  # as large as it should be, so that the middle alone is cut out
    expected = torch.from_numpy(np.asarray(image, np.float32)).permute(2, 0, 1)[:, :, 2:10]
    assert torch.equal(prepare(image, "x"), expected)


def test_shipped_images_are_prepared_as_they_were() -> None:
    prepare = find_preparation(model("images", card={"task": "fashion-mnist"}))
    with np.load(
        Path(__file__).resolve().parents[2] / "assets" / "data" / "fashion-mnist.npz"
    ) as arrays:
        pixels = arrays["test_images"][:5]
    for row, expected in zip(
        pixels, get_task("fashion-mnist").examples().first(5).inputs, strict=True
    ):
        for image in (Image.fromarray(row), Image.fromarray(row).convert("RGB")):
            assert torch.allclose(prepare(image, "x"), expected, atol=1e-5)


def test_grey_and_colour() -> None:
    colour = Preparation(3, 8, (8, 8), "bilinear", False, 1 / 255, (0.0,) * 3, (1.0,) * 3)
    grey = Preparation(1, 8, (8, 8), "bilinear", False, 1 / 255, (0.0,), (1.0,))
    assert colour(picture(8, 8, "L"), "x").shape == (3, 8, 8) and grey(
        picture(8, 8), "x"
    ).shape == (1, 8, 8)
    palette = picture(8, 8).quantize(16)
    assert torch.equal(colour(palette, "x"), colour(palette.convert("RGB"), "x"))
    deep = Image.fromarray(np.full((8, 8), 3000, np.uint16))
    with pytest.raises(BadInput, match="class/deep.png has pixels of type 'I;16'"):
        grey(deep, "class/deep.png")


def test_a_size_that_is_not_the_models_is_refused() -> None:
    prepare = Preparation(3, 8, None, "bilinear", False, 1 / 255, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(BadInput, match="one.png has 9 x 7 pixels .* takes 8 x 8"):
        prepare(picture(9, 7), "one.png")


GIVEN = {"size": 8, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.mark.parametrize(("changes", "words"), [
    ({"image_mean": None}, "not supported"),
    ({"image_mean": [0.1, 0.2]}, "not supported"),
    ({"size": {"longest_edge": 8}}, "not supported .size is"),
    ({"size": {"shortest_edge": 8, "longest_edge": 9}}, "not supported .size is"),
    ({"do_center_crop": True, "crop_size": 7}, "crop_size is 7 and the model takes 8"),
    ({"do_pad": True}, "do_pad is true"),
    ({"resample": 9}, "not supported"),
])  # fmt: skip
def test_what_is_not_supported_is_said(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder_with(tmp_path / "net", "preprocessor_config.json", GIVEN | changes)
    with pytest.raises(BadInput, match=f"net/preprocessor_config.json .*{words}"):
        find_preparation(model("images", folder=tmp_path / "net"))


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_what_is_missing_is_named(missing: str, tmp_path: Path) -> None:
    folder_with(
        tmp_path, "preprocessor_config.json", {k: v for k, v in GIVEN.items() if k != missing}
    )
    with pytest.raises(BadInput, match=f"does not say '{missing}'"):
        find_preparation(model("images", folder=tmp_path))


def test_models_that_say_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="put the preprocessor_config.json"):
        find_preparation(model("images"))
    with pytest.raises(BadInput, match="put the preprocessor_config.json"):
        find_preparation(
            model(
                "images", folder=folder_with(tmp_path / "a", "config.json", {"model_type": "vit"})
            )
        )
    with pytest.raises(BadInput, match="does not say 'mean'"):
        find_preparation(
            model(
                "images",
                folder=folder_with(tmp_path / "b", "config.json", {"architecture": "vit_tiny"}),
            )
        )
    with pytest.raises(BadInput, match="c/preprocessor_config.json cannot be read"):
        find_preparation(
            model("images", folder=folder_with(tmp_path / "c", "preprocessor_config.json", "{"))
        )


def test_two_models_see_the_same_pixels(tmp_path: Path) -> None:
    one = model(
        "images", folder=folder_with(tmp_path / "a", "preprocessor_config.json", GIVEN), name="a"
    )
    sharper = model(
        "images",
        folder=folder_with(tmp_path / "b", "preprocessor_config.json", GIVEN | {"resample": 3}),
        name="b",
    )
    darker = folder_with(
        tmp_path / "c", "preprocessor_config.json", GIVEN | {"image_mean": [0.4] * 3}
    )
    assert common_preparation([one, sharper])[0].resampling == "bilinear"
    with pytest.raises(Incompatible, match="a and c prepare images differently .mean"):
        common_preparation([one, model("images", folder=darker, name="c")])
    raw = folder_with(tmp_path / "d", "preprocessor_config.json", GIVEN | {"do_rescale": False})
    with pytest.raises(Incompatible, match="a and d prepare images differently .scale"):
        common_preparation([one, model("images", folder=raw, name="d")])


def test_a_model_without_a_file_takes_the_others_and_a_note_says_so(tmp_path: Path) -> None:
    one = model(
        "images", folder=folder_with(tmp_path / "a", "preprocessor_config.json", GIVEN), name="a"
    )
    lacks = model(
        "images", folder=folder_with(tmp_path / "b", "config.json", {"model_type": "vit"}), name="b"
    )
    timm = model(
        "images",
        folder=folder_with(tmp_path / "c", "config.json", {"architecture": "vit_tiny"}),
        name="c",
    )
    for pair in ([one, lacks], [lacks, one], [timm, one]):
        chosen, notes = common_preparation(pair)
        assert (
            chosen == find_preparation(one)
            and len(notes) == 1
            and "prepared as a takes them" in notes[0]
        )
    assert common_preparation([one, one])[1] == ()
    with pytest.raises(BadInput, match="How b wants its images prepared is not known"):
        common_preparation([lacks, lacks])
    broken = model(
        "images", folder=folder_with(tmp_path / "d", "preprocessor_config.json", "{"), name="d"
    )
    with pytest.raises(BadInput, match="cannot be read"):  # a damaged file is no missing one
        common_preparation([one, broken])
    large = model(
        "images",
        folder=folder_with(tmp_path / "e", "config.json", {"model_type": "vit"}),
        name="e",
        image=16,
    )
    with pytest.raises(Incompatible, match="other sizes .edge 8 and 16"):
        common_preparation([one, large])
