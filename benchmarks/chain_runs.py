"""Train the pairs of runs that `chain.py` matches along their checkpoints: two seeds, one
initialisation under two orders of data, and AdamW beside Muon, on text and images.

    python benchmarks/chain_runs.py FOLDER [--text-steps 600] [--image-steps 800]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from lmc_core.models.families import FAMILIES
from lmc_core.training.produce import make_checkpoints, write
from lmc_core.training.recipes import Recipe, get_recipe
from lmc_core.training.trainer import train

KEPT = 8
# name of the folder -> seed of the initialisation, seed of the order of the data, optimiser
TEXT = {
    "s0": (0, 0, "adamw"),
    "s1": (1, 1, "adamw"),
    "s0-order1": (0, 1, "adamw"),
    "s1-muon": (1, 1, "muon"),
    "s0-muon": (0, 0, "muon"),
}
IMAGES = {
    "s0": (0, 0, "muon"),
    "s1": (1, 1, "muon"),
    "s0-order1": (0, 1, "muon"),
    "s1-adamw": (1, 1, "adamw"),
    "s2": (2, 2, "muon"),
    "s3": (3, 3, "muon"),
    "s2-adamw": (2, 2, "adamw"),
}


def train_run(recipe: Recipe, initial: int, folder: Path) -> None:
    """Train from the initialisation of a seed, in the order of the recipe's own seed."""
    family = FAMILIES[recipe.family]
    torch.manual_seed(initial)
    module = family.build(recipe.config)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    kept = make_checkpoints(recipe, folder, KEPT, subset=True)
    story = train(recipe, module, family.outputs, subset=True, report=report, checkpoints=kept)
    write(recipe, module, story, folder, subset=True, report=report)


def main() -> None:
    """Train every run that is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--text-steps", type=int, default=600)
    parser.add_argument("--image-steps", type=int, default=800)
    arguments = parser.parse_args()
    for start, runs, steps in (
        ("vit-fashion", IMAGES, arguments.image_steps),
        ("gpt2-plays", TEXT, arguments.text_steps),
    ):
        for name, (initial, order, optimizer) in runs.items():
            folder = arguments.folder / f"{start}-{name}"
            if (folder / "card.json").is_file():
                continue
            common = get_recipe(f"{start}-s0")
            recipe = replace(
                common,
                name=folder.name,
                seed=order,
                steps=steps,
                warmup=min(common.warmup, steps // 10),
                optimizer=optimizer,
            )
            train_run(recipe, initial, folder)


if __name__ == "__main__":
    main()
