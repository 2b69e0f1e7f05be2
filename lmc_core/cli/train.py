"""`lmc train NAME`: train a model of the zoo again, with its recipe's settings and seed; with
`--from MODEL --task NAME` fine-tune a model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from lmc_core.cli.folder import check_folder, require_apart
from lmc_core.cli.output import print_json, table
from lmc_core.errors import BadInput
from lmc_core.folders import app_folder, assets
from lmc_core.limits import require_counts
from lmc_core.models.load import load
from lmc_core.runs.inputs import find_device
from lmc_core.training.finetune import RATE, STEPS, finetune
from lmc_core.training.produce import produce
from lmc_core.training.recipes import FURTHER, RECIPES, get_recipe

MOST_STEPS = 10_000_000  # of the optimiser; a schedule is planned over all of them


def run(arguments: argparse.Namespace) -> None:
    """Train one model or all, or list the recipes."""
    if arguments.list:
        rows = [
            (r.name, r.family, r.task, str(r.seed), f"{r.steps:,}", str(r.batch))
            for r in (RECIPES | FURTHER).values()
        ]
        return print(table(("recipe", "family", "task", "seed", "steps", "batch"), rows, left=3))
    if arguments.start is not None:
        return tune(arguments)
    if arguments.task is not None or arguments.rate is not None:
        raise BadInput(
            "--task and --rate are for fine-tuning; name a model with --from, or leave them out."
        )
    if (arguments.name is None) == (not arguments.all):
        raise BadInput("Name one recipe, or give --all; `lmc train --list` names them.")
    changed = arguments.subset or arguments.steps is not None or arguments.seed is not None
    if arguments.all and (arguments.out is not None or arguments.seed is not None):
        raise BadInput(
            "--all writes every model to its own folder with its own seed; leave out --out and "
            "--seed."
        )
    if arguments.keep is not None and arguments.out is None:
        raise BadInput("--keep-checkpoints is for a run of your own; say with --out where it goes.")
    _require_numbers(arguments)
    if arguments.name in FURTHER and arguments.out is None:
        raise BadInput(f"{arguments.name} is not shipped; say with --out where it goes.")
    recipes = []
    for name in RECIPES if arguments.all else [arguments.name]:
        changes = {} if arguments.seed is None else {"seed": arguments.seed}
        if arguments.steps is not None:
            warmup = min(get_recipe(name).warmup, arguments.steps // 2)
            changes |= {"steps": arguments.steps, "warmup": warmup}
        recipes.append(get_recipe(name, **changes))
    folders = [arguments.out or default_folder(recipe.name, changed) for recipe in recipes]
    for folder in folders:
        _check_folder(folder)
    device = find_device(arguments.device)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    done = []
    for recipe, folder in zip(recipes, folders, strict=True):
        model = produce(
            recipe,
            folder,
            device=device,
            subset=arguments.subset,
            report=lambda line: print(line, file=sys.stderr, flush=True),
            keep=arguments.keep,
        )
        done.append({"name": model.name, "folder": str(folder), "scores": model.card["scores"]})
    print_json(done)


def tune(arguments: argparse.Namespace) -> None:
    """Fine-tune the model that --from names."""
    if arguments.name is not None or arguments.all or arguments.subset:
        raise BadInput("--from fine-tunes one model; leave out NAME, --all and --subset.")
    if arguments.task is None or arguments.out is None:
        raise BadInput("--from expects --task NAME to learn and --out DIR to write to.")
    _require_numbers(arguments)
    rate = RATE if arguments.rate is None else arguments.rate
    if not 0 < rate < 1:
        raise BadInput(f"--rate expects a number between 0 and 1; {rate:g} came.")
    out: Path = arguments.out.absolute()
    check_folder(out, False)
    require_apart(out, [arguments.start])
    device = find_device(arguments.device)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    tuned = finetune(
        load(arguments.start),
        arguments.task,
        out,
        steps=arguments.steps or STEPS,
        learning_rate=rate,
        seed=arguments.seed or 0,
        device=device,
        report=lambda line: print(line, file=sys.stderr, flush=True),
        keep=arguments.keep,
    )
    print_json([{"name": tuned.name, "folder": str(out), "scores": tuned.card["scores"]}])


def _require_numbers(arguments: argparse.Namespace) -> None:
    require_counts(seed=arguments.seed, threads=arguments.threads)
    if arguments.steps is not None and not 2 <= arguments.steps <= MOST_STEPS:
        raise BadInput(f"--steps expects 2 to {MOST_STEPS:,}; {arguments.steps:,} came.")
    if arguments.threads is not None and arguments.threads < 1:
        raise BadInput(f"--threads expects at least 1; {arguments.threads} came.")


def default_folder(name: str, changed: bool) -> Path:
    """Where a recipe's model goes when nobody says: its place in the zoo, in a checkout and with
    its settings unchanged.

    Raises:
        BadInput: if there is no such place.
    """
    if not (app_folder() / "pyproject.toml").is_file():
        raise BadInput(
            "This is an installed copy, whose zoo is not written to; say where the model goes "
            "with --out DIR."
        )
    if changed:
        raise BadInput(
            "With --subset, --steps or --seed it is another model than the zoo's; say where it "
            "goes with --out DIR."
        )
    return assets() / "zoo" / name


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out expects a folder; {str(folder)!r} is a file.")
