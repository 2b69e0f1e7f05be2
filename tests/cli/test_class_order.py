"""Classifiers of the same classes in another order: compared by name, whatever is asked of them,
and written in one order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import lmc_core
from lmc_core.errors import BadInput, Incompatible
from lmc_core.models.load import load
from lmc_core.runs.cache import find_pair_key
from lmc_core.runs.inputs import open_inputs
from lmc_core.runs.kinds.barrier import compute, make_request
from lmc_core.runs.kinds.many import compute as compute_group
from lmc_core.runs.kinds.many import make_group_request
from lmc_core.runs.kinds.merge import compute as compute_merge
from lmc_core.runs.kinds.merge import make_merge_requests
from lmc_core.runs.kinds.plane import compute as compute_plane
from lmc_core.runs.kinds.plane import make_plane_request
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.tasks import get_task
from lmc_core.tasks.class_order import class_names, in_order_of
from tests import tiny
from tests.cli.conftest import Run

ANIMALS = ("cat", "dog", "owl", "yak")
OTHER = ("owl", "cat", "yak", "dog")  # row k of the other head is the class OTHER[k]
PREPARED = {
    "size": {"height": 14, "width": 14},
    "resample": 2,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}
QUICK = {"points": 3, "refine": 0, "device": "cpu"}


def hf(
    folder: Path,
    names: Sequence[str],
    seed: int = 0,
    rows: Sequence[int] | None = None,
    **changes: Any,
) -> Path:
    """A ViT of transformers with named classes; `rows` permute the head."""
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    }
    config = ViTConfig(**sizes, image_size=14, patch_size=7, initializer_range=0.3)  # type: ignore[arg-type]
    config.id2label, config.label2id = (
        dict(enumerate(names)),
        {name: k for k, name in enumerate(names)},
    )
    torch.manual_seed(seed)
    model = ViTForImageClassification(config)
    with torch.no_grad():
        model.classifier.bias.normal_()
        if rows is not None:
            for tensor in (model.classifier.weight, model.classifier.bias):
                tensor.copy_(tensor[list(rows)])
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPARED))
    edit(folder, **changes)
    return folder


def timm(
    folder: Path, names: Sequence[str], seed: int = 0, rows: Sequence[int] | None = None
) -> Path:
    """A timm ViT whose configuration names its classes; `rows` permute the head."""
    tiny.tiny("vit", seed, num_classes=len(names), in_chans=3).save(folder)
    state = load_file(folder / "model.safetensors")
    if rows is not None:
        state |= {name: state[name][list(rows)].clone() for name in ("head.weight", "head.bias")}
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    raw = json.loads((folder / "config.json").read_text())
    prepared = {"mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0, "interpolation": "bilinear"}
    descriptions = {name: f"a {name}" for name in names}
    edit(
        folder,
        label_names=list(names),
        label_descriptions=descriptions,
        pretrained_cfg=raw["pretrained_cfg"] | prepared,
    )
    return folder


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


PERMUTED = [ANIMALS.index(name) for name in OTHER]


@pytest.fixture(params=["hf", "timm"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A model, and the same one with its classes in another order."""
    make = {"hf": hf, "timm": timm}[request.param]
    return make(tmp_path / "a", ANIMALS), make(tmp_path / "b", OTHER, rows=PERMUTED)


@pytest.fixture
def images(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    for split, each in (("train", 12), ("test", 5)):
        for name in ANIMALS:
            (tmp_path / "animals" / split / name).mkdir(parents=True)
            for number in range(each):
                pixels = rng.integers(0, 256, (14, 14, 3), np.uint8)
                Image.fromarray(pixels).resize((28, 28)).save(
                    tmp_path / "animals" / split / name / f"{number}.png"
                )
    return f"images:{tmp_path / 'animals'}"


def barrier_of(a: Path, b: Path, images: str, **words: Any) -> dict[str, Any]:
    return compute(make_request(str(a), str(b), task=images, **(QUICK | words)))[0]


@pytest.mark.parametrize("method", ["none", "weight", "activation"])
def test_the_same_model_in_another_order_is_the_same_model(
    pair: tuple[Path, Path], images: str, method: str
) -> None:
    result = barrier_of(*pair, images, method=method)
    alone = barrier_of(pair[0], pair[0], images, method="none")
    assert result["loss"] == pytest.approx([alone["loss"][0]] * 3, rel=1e-4)
    assert result["accuracy"] == pytest.approx([alone["accuracy"][0]] * 3)
    assert result["barrier"] == pytest.approx(0, abs=1e-4)
    assert result["notes"] == [
        "b is read with the classes in the order of a, by their names: the rows of the head are "
        "permuted."
    ]
    assert alone["notes"] == []
    assert result["digests"] == [load(folder).digest for folder in pair]  # those of the files


def test_several_models_follow_the_first(
    pair: tuple[Path, Path], images: str, tmp_path: Path
) -> None:
    a, b = pair
    c = maker(a)(tmp_path / "c", OTHER[::-1], rows=[ANIMALS.index(name) for name in OTHER[::-1]])
    three = [str(folder) for folder in (a, b, c)]
    loss = barrier_of(a, a, images, method="none")["loss"][0]
    group, _ = compute_group(
        make_group_request(three, task=images, resolution=2, device="cpu", settings={"steps": 0})
    )
    assert [*group["losses"], group["centre_loss"]] == pytest.approx([loss] * 4, rel=1e-4)
    assert group["notes"][0].startswith("b and c are read with the classes in the order of a")
    (merge,) = make_merge_requests(
        three, frames=("none",), task=images, points=1, resolution=2, device="cpu"
    )
    row = compute_merge(merge)[0]["rows"][0]
    assert row["measured"]["images:animals"]["loss"] == pytest.approx(loss, rel=1e-4)


def test_planes_hold_models_that_have_their_own_loss(
    pair: tuple[Path, Path], images: str, tmp_path: Path
) -> None:
    models = [
        pair[0],
        *(maker(pair[0])(tmp_path / f"s{seed}", OTHER, seed=seed) for seed in (5, 6)),
    ]
    own = [barrier_of(model, model, images, method="none")["loss"][0] for model in models]
    for count, method in ((2, "weight"), (3, "none"), (3, "weight")):
        chosen = [str(model) for model in models[:count]]
        request = make_plane_request(chosen, task=images, resolution=3, method=method, device="cpu")
        assert [bool(order) for order in request.orders] == [False, True, True][:count]
        points = [point["loss"] for point in compute_plane(request)[0]["points"]]
        expected = own if count == 3 else [own[0], own[1], own[1]]  # A, B aligned, B
        assert points == pytest.approx(expected, rel=1e-4), method
    alone = make_plane_request([str(models[0])], task=images, resolution=3, device="cpu")
    assert alone.orders == () and len(alone.models) == 1


def maker(like: Path) -> Any:
    return hf if (like / "preprocessor_config.json").exists() else timm


def test_written_checkpoints_are_in_the_first_order_and_say_so(
    pair: tuple[Path, Path], images: str, lmc: Run, tmp_path: Path
) -> None:
    a, b = pair
    out = tmp_path / "moved"
    outcome = lmc("align", a, b, "--task", images, "--out", out)
    assert outcome.code == 0, outcome.err
    assert "b is read with the classes in the order of a" in outcome.out
    assert json.loads((out / "report.json").read_text())["notes"]
    for folder in (out, out / "reference"):
        model = load(folder)
        assert class_names(model) == ANIMALS and model.class_names == ()
        config = json.loads((folder / "config.json").read_text())
        if "architecture" in config:
            assert (
                config["label_names"] == list(ANIMALS)
                and config["label_descriptions"]["owl"] == "a owl"
            )
        else:
            assert config["id2label"] == {str(k): name for k, name in enumerate(ANIMALS)}
            assert config["label2id"] == {name: k for k, name in enumerate(ANIMALS)}
    again = barrier_of(out / "reference", out, images, method="none")
    assert again["notes"] == [] and again["loss"] == pytest.approx(
        barrier_of(a, b, images)["loss"], rel=1e-4
    )
    group = tmp_path / "group"
    assert (
        lmc(
            "align",
            a,
            b,
            "--method",
            "universe",
            "--set",
            "steps=0",
            "--task",
            images,
            "--out",
            group,
        ).code
        == 0
    )
    assert [class_names(load(group / name)) for name in ("1-a", "2-b", "merged")] == [ANIMALS] * 3


def test_a_card_does_not_keep_a_task_whose_order_is_gone(tmp_path: Path, lmc: Run) -> None:
    """A model of the zoo that follows another one no longer numbers its classes as the task
    does.
    """
    labels = get_task("fashion-mnist").labels
    sizes = {"num_classes": 10}
    own, shipped = tmp_path / "own", tiny.write(tmp_path / "shipped", tiny.tiny("vit", 1, **sizes))
    tiny.tiny("vit", 0, **sizes).save(own)
    edit(own, label_names=sorted(labels))
    with pytest.raises(
        BadInput,
        match="own has the classes of fashion-mnist in another order; give the images as images:F",
    ):
        make_request(str(own), str(shipped), task="fashion-mnist", **QUICK)
    moved = lmc_core.in_order_of(load(own), load(shipped))
    assert moved.class_names == tuple(sorted(labels))
    from lmc_core.cli.folder import write_model

    write_model(moved, tmp_path / "out", "moved")
    again = load(tmp_path / "out")
    assert "task" not in again.card and class_names(again) == tuple(sorted(labels))


def test_the_key_holds_the_order(pair: tuple[Path, Path], images: str) -> None:
    """The names are in no digest, and decide what is computed."""
    request = make_request(*map(str, pair), task=images, **QUICK)
    same = make_request(str(pair[0]), str(pair[0]), task=images, **QUICK)
    assert same.orders == () and len(request.orders) == 2 and request.orders[0] == ""
    assert BarrierRequest.from_json(request.to_json()) == request
    assert (
        replace(request, orders=()).key != request.key
        and replace(same, orders=("", "")).key == same.key
    )
    assert find_pair_key(replace(request, orders=())) != find_pair_key(request)
    names = (
        ("label_names",)
        if "label_names" in json.loads((pair[1] / "config.json").read_text())
        else ("id2label", "label2id")
    )
    for name in names:
        edit(pair[1], **{name: json.loads((pair[0] / "config.json").read_text())[name]})
    assert make_request(*map(str, pair), task=images, **QUICK).orders == ()
    with pytest.raises(BadInput, match="names of the classes have changed"):
        open_inputs(request)


@pytest.mark.parametrize(("first", "second"), [
    (ANIMALS, ["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"]),
    (["0", "1", "2", "3"], OTHER),
    (ANIMALS, ["Cat", "DOG", "owl", "yak"]),
])  # fmt: skip
def test_where_names_say_nothing_the_order_counts(
    first: list[str], second: list[str], images: str, tmp_path: Path
) -> None:
    a, b = hf(tmp_path / "a", first), hf(tmp_path / "b", second)
    if first != ["0", "1", "2", "3"]:  # the folders of images are named
        assert barrier_of(a, b, images, method="none")["barrier"] == pytest.approx(0, abs=1e-6)
    assert in_order_of(load(a), load(b)).class_names == ()


def test_models_of_other_classes_are_refused(images: str, tmp_path: Path, lmc: Run) -> None:
    a, b = hf(tmp_path / "a", ANIMALS), hf(tmp_path / "b", ("cat", "dog", "elk", "gnu"))
    words = (
        "a and b tell other classes apart: 'owl', 'yak' are known to a alone and 'elk', 'gnu' "
        "are known to b alone; choose"
    )
    lmc("barrier", a, b, "--task", images).refused(words)
    lmc("align", a, b, "--task", images, "--out", tmp_path / "out").refused(
        "tell other classes apart"
    )
    for make in (make_group_request, make_merge_requests):
        with pytest.raises(Incompatible, match="tell other classes apart"):
            make([str(a), str(b)], task=images, device="cpu")
    twice = (
        hf(tmp_path / "c", ("crane", "cat", "dog", "crane")),
        hf(tmp_path / "d", ("cat", "crane", "crane", "dog")),
    )
    for folder, order in zip(
        twice, (("crane", "cat", "dog", "crane"), ("cat", "crane", "crane", "dog")), strict=True
    ):
        edit(folder, id2label={str(k): name for k, name in enumerate(order)})
    with pytest.raises(Incompatible, match="another order, and call several 'crane'"):
        in_order_of(*map(load, twice))
    assert in_order_of(load(twice[0]), load(twice[0])).class_names == ()


def test_the_library_brings_them_into_one_order_too(pair: tuple[Path, Path]) -> None:
    a, b = map(load, pair)
    inputs = torch.randn(
        4, 3, 28 if a.family.name == "vit" else 14, 28 if a.family.name == "vit" else 14
    )
    with pytest.raises(Incompatible, match="classes in another order; align them, or bring"):
        lmc_core.Line(a, b)
    moved = lmc_core.in_order_of(a, b)
    assert moved.digest == a.digest and lmc_core.in_order_of(a, moved) is moved
    assert all(
        torch.equal(tensor, a.state[name])
        for name, tensor in lmc_core.Line(a, moved).b.state.items()
    )
    found = lmc_core.align_pair(a, b, inputs)
    assert found.function_error < 1e-5 and found.b.class_names == ANIMALS
    outputs = [model.family.outputs(model.module(), inputs) for model in (found.a, found.b)]
    assert torch.allclose(*outputs, atol=1e-4)
    assert [model.class_names for model in lmc_core.align_group([a, b], inputs, settings=None, method="reference").models] == [
        (), ANIMALS,
    ]  # fmt: skip


@pytest.mark.parametrize(("setting", "words"), [
    ({"problem_type": "regression"}, "problem_type: regression in its config.json"),
    ({"problem_type": "multi_label_classification"}, "problem_type: multi_label_classification in " "its"),
    ({}, "num_labels: 1 in its config.json"),
])  # fmt: skip
def test_outputs_that_choose_no_class_are_aligned_and_not_measured(
    setting: dict[str, str], words: str, tmp_path: Path, lmc: Run
) -> None:
    names = ("cat", "dog") if setting else ("cat",)
    a, b = (hf(tmp_path / name, names, seed, **setting) for seed, name in enumerate("ab"))
    for name in names:
        for split in ("train", "test"):
            (tmp_path / "set" / split / name).mkdir(parents=True)
            for k in range(8):
                Image.fromarray(np.full((14, 14, 3), 25 * k, np.uint8)).save(
                    tmp_path / "set" / split / name / f"{k}.png"
                )
    task = ("--task", f"images:{tmp_path / 'set'}")
    for how in ((), ("--method", "none"), ("--method", "learned")):
        lmc("barrier", a, b, *task, *how).refused("a does not choose one of several classes", words)
    lmc("group", a, b, *task).refused(words)
    lmc("merge", a, b, *task).refused(words)
    lmc("plane", a, b, *task).refused(words)
    lmc("align", a, b, *task, "--method", "learned", "--out", tmp_path / "out").refused(words)
    for method in ("weight", "activation"):
        outcome = lmc("align", a, b, *task, "--method", method, "--out", tmp_path / method)
        assert outcome.code == 0, outcome.err
        written = json.loads((tmp_path / method / "config.json").read_text())
        assert written.get("problem_type") == setting.get("problem_type")


def test_a_timm_model_of_one_class_is_not_measured(tmp_path: Path) -> None:
    a = timm(tmp_path / "a", ("cat",))
    (tmp_path / "set" / "test" / "cat").mkdir(parents=True)
    for k in range(4):
        Image.fromarray(np.full((28, 28, 3), 25 * k, np.uint8)).save(
            tmp_path / "set" / "test" / "cat" / f"{k}.png"
        )
    with pytest.raises(BadInput, match="num_classes: 1 in its"):
        make_request(str(a), str(a), task=f"images:{tmp_path / 'set'}", **QUICK)
