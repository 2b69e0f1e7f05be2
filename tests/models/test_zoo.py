"""The shipped models: all there, as their cards say, good enough, independently trained, within the
size that was set.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lmc_core
from lmc_core.folders import assets
from lmc_core.models.zoo import read_scores
from lmc_core.tasks import losses
from lmc_core.training.recipes import RECIPES, Recipe

RECIPE_FIELDS = Recipe.__dataclass_fields__
NAMES = sorted(RECIPES)
COUNTS = {
    "vit-fashion": 4,
    "vit-hf-fashion": 2,
    "gpt2-plays": 4,
    "gpt2-austen": 2,
    "llama-plays": 3,
    "neox-plays": 3,
}
COUNTS |= {"mixtral-plays": 3, "qwen-moe-plays": 3}
OTHERS = {  # by the other optimiser -> the usual one, and how far their losses may be apart, nats
    "vit-fashion-with-adamw-s1": ("vit-fashion-s0", 0.08),  # AdamW learns images more slowly
    "gpt2-plays-with-muon-s1": ("gpt2-plays-s0", 0.02),
}
SEEDS = {group: [f"{group}-s{i}" for i in range(count)] for group, count in COUNTS.items()}


def test_every_recipe_has_its_model_and_the_other_way_round() -> None:
    assert sorted(lmc_core.zoo()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_card_tells_the_truth(name: str) -> None:
    model = lmc_core.load(f"zoo:{name}")
    card = model.card
    assert card["digest"] == model.digest and card["parameters"] == model.parameters
    assert (
        card["name"] == name
        and card["family"] == model.family.name
        and card["task"] == RECIPES[name].task
    )
    recipe = json.loads(json.dumps(RECIPES[name].settings()))
    # added since, unused
    later = {
        field: RECIPE_FIELDS[field].default for field in recipe.keys() - card["settings"].keys()
    }
    assert recipe == card["settings"] | later, "the recipe has changed since training"
    assert (
        card["seed"] == RECIPES[name].seed
        and card["trained"]["date"]
        and len(card["curve"]["rows"]) >= 5
    )
    limit = {
        "fashion-mnist": ("accuracy", 0.88),
        "plays": ("loss", 1.65),
        "austen": ("loss", 1.65),
    }[card["task"]]
    measured = card["scores"]["test"][limit[0]]
    assert measured >= limit[1] if limit[0] == "accuracy" else measured <= limit[1]


@pytest.mark.parametrize("name", ["vit-fashion-s0", "gpt2-plays-s0", "mixtral-plays-s1"])
def test_the_scores_of_the_card_can_be_measured_again(name: str) -> None:
    model = lmc_core.load(f"zoo:{name}")
    examples = lmc_core.get_task(model.card["task"]).examples("test")
    with torch.no_grad():
        parts = [
            losses(model.family.outputs(model.module(), b.inputs), b.targets)
            for b in examples.batches(500)
        ]
    recorded = model.card["scores"]["test"]
    assert float(torch.cat([p[0] for p in parts]).mean()) == pytest.approx(
        recorded["loss"], abs=1e-4
    )
    assert float(torch.cat([p[1] for p in parts]).mean()) == pytest.approx(
        recorded["accuracy"], abs=1e-3
    )


@pytest.mark.parametrize("family", SEEDS)
def test_seeds_are_independent(family: str) -> None:
    """No two models share an initialisation: their first matrices are not correlated beyond
    chance.
    """
    states = [lmc_core.load(name).state for name in SEEDS[family]]
    name = next(
        n
        for n, t in states[0].items()
        if t.ndim == 2 and any(part in n for part in ("attn.", "attention."))
    )
    for i, one in enumerate(states):
        for other in states[i + 1 :]:
            cosine = torch.nn.functional.cosine_similarity(
                one[name].flatten(), other[name].flatten(), 0
            )
            assert abs(float(cosine)) < 0.05


@pytest.mark.parametrize("name", OTHERS)
def test_a_pair_across_optimisers_differs_in_nothing_else(name: str) -> None:
    """One network, task and size of steps, two seeds and optimisers, and losses that are near."""
    usual, apart = OTHERS[name]
    recipes = RECIPES[name], RECIPES[usual]
    assert {each.optimizer for each in recipes} == {"adamw", "muon"}
    assert recipes[0].seed != recipes[1].seed
    same = ("family", "task", "config", "batch", "learning_rate", "weight_decay", "shift")
    assert all(getattr(recipes[0], each) == getattr(recipes[1], each) for each in same)
    scores = [read_scores(lmc_core.zoo()[each])["validation"] for each in (name, usual)]
    assert abs((scores[0]["loss"] or 0) - (scores[1]["loss"] or 0)) < apart


@pytest.mark.parametrize("family", SEEDS)
def test_aligning_keeps_the_function_in_float32_and_float64(family: str) -> None:
    a, b = (lmc_core.load(name) for name in SEEDS[family][:2])
    inputs = lmc_core.get_task(a.card["task"]).examples("test", 16).inputs
    pair = lmc_core.align_pair(a, b, inputs, settings=lmc_core.Settings(max_rounds=3))
    assert 0 < pair.function_error < 1e-5 and pair.trace.objective[-1] > pair.trace.before + 0.15
    classes = lmc_core.choose_classes(b.layout.spaces)
    right = lmc_core.canonical(b, classes)
    moved = right.with_state(pair.alignment.apply(right.layout, right.state))
    assert lmc_core.function_error(b, moved, inputs, torch.float64) < 1e-10


def test_stored_in_half_precision() -> None:
    from safetensors import safe_open

    for name in NAMES:
        with safe_open(assets() / "zoo" / name / "model.safetensors", framework="pt") as file:
            assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118


def test_assets_stay_small() -> None:
    found = sum(path.stat().st_size for path in assets().rglob("*") if path.is_file())
    assert found < 75 * 2**20


READER = """
import sys, timm, torch, transformers
for folder in sys.argv[1:]:
    if "vit-fashion" in folder:
        outputs = timm.create_model("local-dir:" + folder, pretrained=True).eval()(torch.ones(1, 1, 28, 28))
    elif "vit-hf" in folder:
        kind = transformers.AutoModelForImageClassification
        outputs = kind.from_pretrained(folder, dtype=torch.float32).eval()(torch.ones(1, 1, 28, 28)).logits
    else:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, experts_implementation="eager")
        outputs = model.eval()(torch.arange(20)[None]).logits
    print(float(outputs.double().abs().sum()))
assert "lmc_core" not in sys.modules
"""


@pytest.mark.slow
def test_ordinary_checkpoints_without_this_package(tmp_path: Path) -> None:
    """Shipped, aligned and averaged models are read by their own libraries in a process that does
    not know this one.
    """
    models = [lmc_core.load(names[0]) for names in SEEDS.values()]
    folders = [assets() / "zoo" / model.name for model in models]
    for group in ("llama-plays", "mixtral-plays", "vit-hf-fashion", "vit-fashion"):
        a, b = (lmc_core.load(name) for name in SEEDS[group][:2])
        inputs = lmc_core.get_task(a.card["task"]).examples("test", 2).inputs
        pair = lmc_core.align_pair(a, b, inputs, settings=lmc_core.Settings(max_rounds=1))
        for name, model in (
            ("aligned", pair.b),
            ("mean", pair.a.with_state(lmc_core.Line(pair.a, pair.b).state(0.5))),
        ):
            folders.append(tmp_path / f"{group}-{name}")
            model.save(folders[-1], "float32")  # the zoo itself is stored in half precision
            models.append(model)
    done = subprocess.run(
        [sys.executable, "-c", READER, *map(str, folders)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with torch.no_grad():
        own = [
            model.family.outputs(
                model.module(),
                torch.arange(20)[None]
                if model.family.takes == "text"
                else torch.ones(1, 1, 28, 28),
            )
            for model in models
        ]
    expected = [float(outputs.double().abs().sum()) for outputs in own]
    assert [float(line) for line in done.stdout.split()] == pytest.approx(expected, rel=1e-4)
