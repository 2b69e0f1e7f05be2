"""Fine-tune a model on another task and write it as an ordinary checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import nn

from lmc_core.errors import BadInput
from lmc_core.models.config import Config
from lmc_core.models.model import Model, untied_state
from lmc_core.runs.inputs import choose_length, choose_task
from lmc_core.tasks import TASKS
from lmc_core.training.checkpoints import Checkpoints, choose_steps
from lmc_core.training.produce import describe_training, measure_splits
from lmc_core.training.recipes import Recipe
from lmc_core.training.trainer import train

STEPS, RATE, BATCH = 400, 1e-3, 16


def finetune(
    model: Model,
    task: str,
    folder: Path,
    *,
    steps: int = STEPS,
    learning_rate: float = RATE,
    batch: int = BATCH,
    seed: int = 0,
    device: str = "cpu",
    report: Callable[[str], None] = lambda line: None,
    keep: int | Sequence[int] | None = None,
) -> Model:
    """Train all parameters of a model on a shipped task, and write it in the types of its files.

    AdamW, the rate rises over the first tenth of the steps and falls linearly to zero; windows of
    the model's context, at most 128 tokens.

    Args:
        model: to begin with.
        task: name of a shipped task.
        folder: of the checkpoint; created, existing files of the same names are replaced.
        steps: of the optimiser.
        learning_rate: the peak rate.
        batch: examples a step.
        seed: of the order of the data, by `training.batches`.
        device: where to train.
        report: called with lines of progress.
        keep: how many checkpoints are kept along the run in `folder`, or at which steps
            (`checkpoints.choose_steps`); None for none.

    Raises:
        BadInput: for a task that is not shipped, or that the model was not made for.
    """
    if task not in TASKS:
        raise BadInput(f"Fine-tuning takes a shipped task, one of {', '.join(TASKS)}; {task} came.")
    length = choose_length(choose_task([model], task), [model], None) or Recipe.length
    start, settings = (model.family.name, task, model.config), (seed, steps, batch, learning_rate)
    recipe = Recipe(folder.name, *start, *settings, warmup=max(1, steps // 10), length=length)
    # a copy: a module shares the parameters of its model
    copied = model.with_state({name: tensor.clone() for name, tensor in model.state.items()})
    module = copied.module(device=device).requires_grad_(True)
    make = partial(_make_model, model, recipe)
    story = train(
        recipe,
        module,
        model.family.outputs,
        subset=True,
        report=report,
        checkpoints=None if keep is None else Checkpoints(choose_steps(keep, steps), folder, make),
    )
    tuned = replace(make(module, steps), name=folder.name, card=Config(task=task))
    scores = measure_splits(tuned, device, recipe.length, True)
    said = {"scores": scores, **describe_training(story, device), "digest": tuned.digest}
    card = {**_describe_start(model, recipe), **said}
    folder.mkdir(parents=True, exist_ok=True)
    tuned.save(folder)
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    report(f"{folder.name} test {scores['test']}")
    return replace(tuned, card=Config(json.loads(json.dumps(card))))


def _describe_start(start: Model, recipe: Recipe) -> dict[str, object]:
    """The entries of a card that say what was trained, from where and how."""
    return {
        "name": recipe.name,
        "family": recipe.family,
        "task": recipe.task,
        "from": {"name": start.name, "digest": start.digest},
        "seed": recipe.seed,
        "parameters": start.parameters,
        "settings": recipe.settings() | {"config": dict(recipe.config)},
    }


def _make_model(start: Model, recipe: Recipe, module: nn.Module, step: int) -> Model:
    """The model of a network as it stands, in the types of the one that it began from, with the
    card of that step.
    """
    types, name = start.types(), f"{recipe.name} at step {step}"
    found = {key: tensor.cpu().contiguous() for key, tensor in untied_state(module).items()}
    rounded = {key: tensor.to(types[key]).float() for key, tensor in found.items()}
    made = replace(start, name=name, state=rounded, card=Config(), notes=())
    card = {"name": name, "family": recipe.family, "task": recipe.task, "step": step}
    return replace(made, card=Config({**card, "digest": made.digest}))
