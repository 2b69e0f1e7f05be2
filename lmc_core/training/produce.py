"""From a recipe to a folder of the zoo: train, round to half precision, measure, write the card."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
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
from lmc_core.training.checkpoints import Checkpoints, choose_steps
from lmc_core.training.recipes import Recipe
from lmc_core.training.trainer import Story, score, train


class Score(TypedDict):
    """What a card says of one split."""

    loss: float  # nats
    accuracy: float
    examples: int
    perplexity: NotRequired[float]


def measure_splits(model: Model, device: str, length: int, subset: bool) -> dict[str, Score]:
    """Loss and accuracy or perplexity on the validation and test splits, of the weights as they are
    written.

    Args:
        model: whose card names its task.
        device: where to run.
        length: of a window, in tokens.
        subset: measure images on the shipped subset alone.
    """
    task = get_task(model.card.text("task"))
    module = model.module(device=device)
    sets: dict[str, Examples] = {
        split: task.examples(split, length=length) for split in ("validation", "test")
    }
    if task.name == "fashion-mnist" and not subset:
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


def describe_training(story: Story, device: str) -> dict[str, object]:
    """The entries of a card on how a training went, and where."""
    return {
        "curve": {"columns": ["step", "train_loss", "validation_loss"], "rows": story["curve"]},
        "trained": {
            "date": date.today().isoformat(),
            "seconds": story["seconds"],
            "device": device,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
    }


def produce(
    recipe: Recipe,
    folder: Path,
    *,
    device: str = "cpu",
    subset: bool = False,
    report: Callable[[str], None] = lambda line: None,
    keep: int | Sequence[int] | None = None,
) -> Model:
    """Train the model of a recipe and write it to `folder` as an ordinary half-precision checkpoint
    with a `card.json`.

    Args:
        recipe: the settings.
        folder: created; existing files of the same names are replaced.
        device: where to train ("cpu", "cuda", "mps").
        subset: train images on the shipped subset alone.
        report: called with lines of progress.
        keep: how many checkpoints are kept along the run in `folder`, or at which steps
            (`checkpoints.choose_steps`); None for none.

    Returns:
        The model as it will be loaded again: half-precision values in float32.
    """
    family = FAMILIES[recipe.family]
    torch.manual_seed(recipe.seed)
    module = family.build(recipe.config).to(device)
    state_file = home() / "training" / f"{recipe.name}.pt"
    story = train(
        recipe,
        module,
        family.outputs,
        state_file=state_file,
        subset=subset,
        report=report,
        checkpoints=None if keep is None else make_checkpoints(recipe, folder, keep, subset),
    )
    return write(recipe, module, story, folder, device=device, subset=subset, report=report)


def make_checkpoints(
    recipe: Recipe, folder: Path, keep: int | Sequence[int], subset: bool = False
) -> Checkpoints:
    """What `train` keeps along the run of a recipe, in half precision as the model that results;
    nothing is measured of them. For the arguments see `produce`.
    """
    family = FAMILIES[recipe.family]
    config = family.config(recipe.config)

    def make(module: nn.Module, step: int) -> Model:
        name = f"{recipe.name} at step {step}"
        state = {n: tensor.cpu().half().float() for n, tensor in untied_state(module).items()}
        half = dict.fromkeys(state, torch.float16)
        model = Model(name, family, config, state, stored=half).check()
        card = {
            "name": name,
            "family": recipe.family,
            "task": recipe.task,
            "seed": recipe.seed,
            "step": step,
            "parameters": model.parameters,
            "settings": recipe.settings(),
            "data": {
                "task": recipe.task,
                "split": "train",
                "subset": subset,
                "examples_seen": step * recipe.batch,
            },
            "licence": "MIT",
            "digest": model.digest,
        }
        return replace(model, card=Config(json.loads(json.dumps(card))))

    return Checkpoints(choose_steps(keep, recipe.steps), folder, make)


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
    scores = measure_splits(model, device, recipe.length, subset)
    card = {
        "name": recipe.name,
        "family": recipe.family,
        "task": recipe.task,
        "seed": recipe.seed,
        "parameters": model.parameters,
        "settings": recipe.settings(),
        "data": data,
        "scores": scores,
        **describe_training(story, device),
        "licence": "MIT",
        "digest": model.digest,
    }
    folder.mkdir(parents=True, exist_ok=True)
    family.save(model.module(torch.float16), recipe.config, folder)
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    report(f"{recipe.name} test {scores['test']}")
    return Model(model.name, family, config, state, Config(json.loads(json.dumps(card))))
