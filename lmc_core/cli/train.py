"""`lmc train NAME`: train a model of the zoo again, with its recipe's settings and seed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from lmc_core.cli.output import print_json, table
from lmc_core.errors import BadInput
from lmc_core.folders import app_folder, assets
from lmc_core.limits import require_counts
from lmc_core.runs.inputs import find_device
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
    if (arguments.name is None) == (not arguments.all):
        raise BadInput("Name one recipe, or give --all; `lmc train --list` names them.")
    changed = arguments.subset or arguments.steps is not None or arguments.seed is not None
    if arguments.all and (arguments.out is not None or arguments.seed is not None):
        raise BadInput(
            "--all writes every model to its own folder with its own seed; leave out --out and "
            "--seed."
        )
    require_counts(seed=arguments.seed, threads=arguments.threads)
    if arguments.steps is not None and not 2 <= arguments.steps <= MOST_STEPS:
        raise BadInput(f"--steps expects 2 to {MOST_STEPS:,}; {arguments.steps:,} came.")
    if arguments.threads is not None and arguments.threads < 1:
        raise BadInput(f"--threads expects at least 1; {arguments.threads} came.")
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
        )
        done.append({"name": model.name, "folder": str(folder), "scores": model.card["scores"]})
    print_json(done)


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
