"""Training: it learns, seeds decide everything, a killed run goes on where it was, the test split
is not touched.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmc_core.errors import UnknownName
from lmc_core.models.config import Config
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load
from lmc_core.tasks import Examples, get_task
from lmc_core.training import batches, trainer
from lmc_core.training.batches import image_batches
from lmc_core.training.produce import produce
from lmc_core.training.recipes import Recipe, get_recipe
from lmc_core.training.trainer import rate, set_dropout, train

TINY = {
    "vit": {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 10,
        "model_args": {
            "img_size": 28,
            "patch_size": 14,
            "in_chans": 1,
            "embed_dim": 16,
            "depth": 1,
            "num_heads": 2,
            "mlp_ratio": 2,
        },
    },
    "gpt2": {
        "vocab_size": 81,
        "n_positions": 16,
        "n_embd": 16,
        "n_layer": 1,
        "n_head": 2,
        "bos_token_id": None,
    },
}


def tiny(family: str, **changes: object) -> Recipe:
    task = {"vit": "fashion-mnist", "gpt2": "plays"}[family]
    settings = {
        "steps": 60,
        "batch": 16,
        "warmup": 10,
        "learning_rate": 1e-2,
        "length": 16,
        "optimizer": "muon",
    } | changes
    return Recipe(f"tiny-{family}", family, task, Config(TINY[family]), **settings)  # type: ignore[arg-type]


def module_for(recipe: Recipe) -> torch.nn.Module:
    torch.manual_seed(recipe.seed)
    return FAMILIES[recipe.family].build(recipe.config)


@pytest.fixture(autouse=True)
def _small_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop is what is tested; its validation split may be small."""
    original = trainer.get_task

    class Small:
        def __init__(self, name: str):
            self.task = original(name)
            self.stream = self.task.stream

        def examples(self, split: str, **options: int) -> Examples:
            assert split != "test", "training must not look at the test split"
            return self.task.examples(split, 64 if split == "validation" else None, **options)

    for module in (batches, trainer):
        monkeypatch.setattr(module, "get_task", Small)


@pytest.mark.parametrize("family", ["vit", "gpt2"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_loss_falls(family: str, optimizer: str) -> None:
    recipe = tiny(family, optimizer=optimizer)
    module = module_for(recipe)
    outputs = FAMILIES[family].outputs
    task = get_task(recipe.task)
    before, _ = trainer.score(module, outputs, task.examples("validation", 64, length=16))
    story = train(recipe, module, outputs, subset=True)
    assert story["curve"][-1][2] < before - 0.3 and not module.training


def test_equal_seeds_give_equal_models_and_others_do_not() -> None:
    states = []
    for seed in (0, 0, 1):
        recipe = tiny("gpt2", seed=seed, steps=12)
        module = module_for(recipe)
        train(recipe, module, FAMILIES["gpt2"].outputs)
        states.append(torch.cat([p.detach().flatten() for p in module.parameters()]))
    assert torch.equal(states[0], states[1]) and not torch.allclose(states[0], states[2])


def test_a_killed_run_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_EVERY", 20)
    recipe = tiny("gpt2", steps=50)
    outputs = FAMILIES["gpt2"].outputs
    whole = module_for(recipe)
    train(recipe, whole, outputs)

    class Killed(Exception):
        pass

    calls = 0

    def killed(module: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 33:
            raise Killed
        return outputs(module, inputs)

    state_file = tmp_path / "state.pt"
    with pytest.raises(Killed):
        train(recipe, module_for(recipe), killed, state_file=state_file)
    assert state_file.exists()
    resumed = module_for(recipe)
    train(recipe, resumed, outputs, state_file=state_file)
    assert not state_file.exists()
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_a_checkpoint_of_another_recipe_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_EVERY", 5)
    outputs = FAMILIES["gpt2"].outputs
    torch.save({"recipe": "something else"}, tmp_path / "state.pt")
    story = train(
        tiny("gpt2", steps=6), module_for(tiny("gpt2")), outputs, state_file=tmp_path / "state.pt"
    )
    assert story["curve"][-1][0] == 6


def test_the_rate_rises_then_falls_to_zero() -> None:
    recipe = tiny("gpt2", steps=100, warmup=10)
    values = [rate(step, recipe) for step in range(101)]
    assert (
        values[0] == pytest.approx(0.1) and max(values) == pytest.approx(1.0) and values[100] == 0.0
    )
    assert values[:10] == sorted(values[:10]) and values[10:] == sorted(values[10:], reverse=True)


def test_augmentation_keeps_shape_and_moves_at_most_so_far() -> None:
    images = Examples(torch.zeros(40, 1, 28, 28), torch.zeros(40, dtype=torch.int64))
    images.inputs[:, :, 14, 10] = 1.0
    batch = next(
        image_batches(images, tiny("vit", shift=2, batch=40), torch.Generator().manual_seed(0))
    )
    assert batch.inputs.shape == (40, 1, 28, 28)
    places = batch.inputs[:, 0].nonzero()
    assert len(places) == 40 and int((places[:, 1] - 14).abs().max()) <= 2
    assert all(min(abs(int(x) - 10), abs(int(x) - 17)) <= 2 for x in places[:, 2])


def test_dropout_is_set_but_not_on_attention_weights() -> None:
    module = module_for(tiny("gpt2"))
    set_dropout(module, 0.3)
    rates = {
        name: part.p for name, part in module.named_modules() if isinstance(part, torch.nn.Dropout)
    }
    assert set(rates.values()) == {0.0, 0.3} and all(
        p == 0.0 for n, p in rates.items() if "attn_drop" in n
    )


def test_a_produced_model_is_an_ordinary_folder(tmp_path: Path) -> None:
    made = produce(tiny("vit", steps=5), tmp_path / "made", subset=True)
    again = load(tmp_path / "made")
    assert again.digest == made.digest == again.card["digest"]
    assert again.card["scores"]["test"]["examples"] == 2000 and again.card["data"]["subset"] is True


def test_unknown_recipes_are_refused() -> None:
    with pytest.raises(UnknownName, match="recipe"):
        get_recipe("vit-fashion-s9")
