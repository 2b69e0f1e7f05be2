"""From a recipe to a folder of the zoo: train, round to half precision, measure, write the card."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NotRequired, TypedDict

import torch
from torch import nn

from lmc_core.folders import home
from lmc_core.models.config import Config
from lmc_core.models.families import FAMILIES
from lmc_core.models.model import Model, untied_state
from lmc_core.tasks import Examples, get_task
from lmc_core.tasks.fashion_mnist import full_set
from lmc_core.training.recipes import Recipe
from lmc_core.training.trainer import Story, score, train


class Score(TypedDict):
    """What a card says of one split."""

    loss: float  # nats
    accuracy: float
    examples: int
    perplexity: NotRequired[float]


def _scores(model: Model, device: str, length: int) -> dict[str, Score]:
    """Loss and accuracy or perplexity on the validation and test splits, of the weights as they are
    shipped.
    """
    task = get_task(model.card.text("task"))
    module = model.module(device=device)
    sets: dict[str, Examples] = {
        split: task.examples(split, length=length) for split in ("validation", "test")
    }
    if task.name == "fashion-mnist" and not model.card.part("data")["subset"]:
        sets["test_all_10000"] = full_set("test")
    result: dict[str, Score] = {}
    for name, examples in sets.items():
        on_device = Examples(examples.inputs.to(device), examples.targets.to(device))
        loss, accuracy = score(module, model.family.outputs, on_device)
        result[name] = {
            "loss": round(loss, 5),
            "accuracy": round(accuracy, 5),
            "examples": len(examples),
        }
        if task.kind == "text":
            result[name]["perplexity"] = round(math.exp(loss), 4)
    return result


def produce(
    recipe: Recipe,
    folder: Path,
    *,
    device: str = "cpu",
    subset: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Model:
    """Train the model of a recipe and write it to `folder` as an ordinary half-precision checkpoint
    with a `card.json`.

    Args:
        recipe: the settings.
        folder: created; existing files of the same names are replaced.
        device: where to train ("cpu", "cuda", "mps").
        subset: train images on the shipped subset alone.
        report: called with lines of progress.

    Returns:
        The model as it will be loaded again: half-precision values in float32.
    """
    family = FAMILIES[recipe.family]
    torch.manual_seed(recipe.seed)
    module = family.build(recipe.config).to(device)
    state_file = home() / "training" / f"{recipe.name}.pt"
    story = train(
        recipe, module, family.outputs, state_file=state_file, subset=subset, report=report
    )
    return write(recipe, module, story, folder, device=device, subset=subset, report=report)


def write(
    recipe: Recipe,
    module: nn.Module,
    story: Story,
    folder: Path,
    *,
    device: str = "cpu",
    subset: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Model:
    """Write a trained module of a recipe to `folder`; `story` is what `train` returned; the rest as
    of `produce`.
    """
    family = FAMILIES[recipe.family]
    state = {name: tensor.cpu().half().float() for name, tensor in untied_state(module).items()}
    data = {
        "task": recipe.task,
        "split": "train",
        "subset": subset,
        "examples_seen": story["examples"],
    }
    config = family.config(recipe.config)
    model = Model(recipe.name, family, config, state, Config(task=recipe.task, data=data)).check()
    scores = _scores(model, device, recipe.length)
    card = {
        "name": recipe.name,
        "family": recipe.family,
        "task": recipe.task,
        "seed": recipe.seed,
        "parameters": model.parameters,
        "settings": recipe.settings(),
        "data": data,
        "scores": scores,
        "curve": {"columns": ["step", "train_loss", "validation_loss"], "rows": story["curve"]},
        "trained": {
            "date": date.today().isoformat(),
            "seconds": story["seconds"],
            "device": device,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
        "licence": "MIT",
        "digest": model.digest,
    }
    folder.mkdir(parents=True, exist_ok=True)
    family.save(model.module(torch.float16), recipe.config, folder)
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    report(f"{recipe.name} test {scores['test']}")
    return Model(model.name, family, config, state, Config(json.loads(json.dumps(card))))
