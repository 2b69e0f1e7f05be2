"""Why a folder cannot be loaded, in sentences whose every clause is true of it."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path

from lmc_core.errors import BadCheckpoint
from lmc_core.models.config import Config
from lmc_core.models.families import FAMILIES
from lmc_core.models.files.error_wrapping import WithLines
from lmc_core.models.files.folders import Weights, pickles
from lmc_core.models.files.json_files import ADAPTER, hint
from lmc_core.models.files.references import clip
from lmc_core.models.files.resemblance import HEADS, find_look, lines, read_sizes

SWIN2 = (
    "its norms stand behind attention and units and write to the stream of each stage, scores are "
    "cosines with a temperature "
    "for each head, and a small network gives relative positions; no layout says so yet"
)
CONVOLUTIONS = (
    "convolutions act on each of its channels by itself, so that only their order is "
    "free, and no layout says so yet"
)
# kinds of models that people bring and that have no layout, with the reason
REASONS = {
    "swinv2": SWIN2,
    "convnext": CONVOLUTIONS,
    "convnextv2": CONVOLUTIONS,
    "dinov3_convnext": CONVOLUTIONS,
    "resnet": f"{CONVOLUTIONS}, and batch norm keeps statistics of each",
    "mobilevit": f"{CONVOLUTIONS}, and batch norm keeps statistics of each",
    "siglip2": "it reads patches of images of any shape with a mask for each, and images here "
    "have one size; SigLIP 2 of one "
    "resolution is of the kind siglip",
    "mamba2": "its channels go in heads that share one decay and one time step, its convolution "
    "runs over what is written to "
    "states and read from them too, and a norm with a gate stands before its output; no layout "
    "says so yet",
    "deberta": "its queries, keys and values are one matrix with biases of their own beside it, "
    "and no layout says so yet; "
    "DeBERTa of the kind deberta-v2 is supported",
    "rwkv": "factors for each coordinate mix a token with the one before it, so that only the "
    "order of its stream is free, and "
    "no layout says so yet",
    "qwen3_next": "most of its layers are gated linear attention behind a short convolution, and "
    "no layout says yet what these "
    "leave open",
    "gemma3": "its images go through a tower of their own; its language model alone, saved as "
    "Gemma3ForCausalLM, is supported",
}
LIST = "`lmc models --families` lists what is supported"


def unsupported(config: Config, name: str, names: Collection[str]) -> BadCheckpoint:
    """The error for a configuration that no family recognises.

    Args:
        config: content of its `config.json`.
        name: of the model.
        names: of the parameters in its files, as far as they are known.
    """
    kind = config.get("model_type") or config.get("architecture")
    classes = config.get("architectures")
    where = f"{name[:80]}/config.json"
    if not kind:
        return BadCheckpoint(_nameless(where, names))
    given = [str(each) for each in classes] if isinstance(classes, list | tuple) else []
    words = f"{where} says {clip(str(kind), 60)}"
    words += f" ({clip(', '.join(given), 60)})" if given else ""
    if isinstance(kind, str) and kind in REASONS:
        words += f", which is not supported because {REASONS[kind]}"
    elif config.get("auto_map"):
        words += ", a model with code of its own, which is never run"
    else:
        words += ", a kind of model that is not supported"
    if names:
        words += f"; its weights begin with {clip(next(iter(names)), 60)}"
    near = difflib.get_close_matches(str(kind), FAMILIES, n=1, cutoff=0.7)
    near = f", the nearest name is {near[0]!r}" if near else ""
    return BadCheckpoint(f"{words}. {LIST}{near}.")


def _nameless(where: str, names: Collection[str]) -> str:
    """The sentence for a configuration that names no kind of model."""
    found = find_look(names)
    if found is None:
        return f"{where} names no kind of model ('model_type' or 'architecture'); {LIST}."
    look, _ = found
    add = (
        f'; if it is one, add "model_type": "{look.kind}" to it' if look.classes[0] else f"; {LIST}"
    )
    return (
        f"{where} names no kind of model ('model_type' or 'architecture'), and its weights "
        f"look like {look.what}{add}."
    )


def without_config(folder: Path, weights: Weights | None) -> BadCheckpoint:
    """The error for a folder without `config.json`.

    Args:
        folder: that was given.
        weights: its files; None where there are none that may be read.
    """
    missing = f"The file config.json is missing from {folder.name}"
    if weights is None or (folder / ADAPTER).is_file():
        found = pickles(folder)
        if not found or hint(folder):
            return BadCheckpoint(f"{missing}.{hint(folder)}")
        return BadCheckpoint(
            f"{missing}; it holds {found[0].name}, and what that is can be told only with "
            "--allow-pickle "
            "(load(..., allow_pickle=True)): allow it if you trust its source."
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.shapes().items()}
    file = weights.files[0].name
    looked = find_look(shapes)
    if looked is None:
        first = next(iter(shapes), "nothing")
        return BadCheckpoint(
            f"{missing}, and {file}, which begins with {clip(first, 60)}, looks like no network "
            "that is known here; save the "
            "model with save_pretrained of transformers or save_for_hf of timm."
        )
    look, form = looked
    sizes = read_sizes(look, form, shapes)
    heads = [shapes[name][0] for name, bare in form.items() if bare == "head.weight"]
    given = lines(look, sizes, folder.name, *heads)
    if not given:
        return BadCheckpoint(
            f"{missing}; {file} looks like {look.what}. Its configuration cannot be told from its "
            "weights: save the model "
            "with save_pretrained of transformers, or fetch its config.json."
        )
    asked = [each for each in (HEADS, "GROUPS") if any(each in line for line in given)]
    words = {HEADS: "the number of heads", "GROUPS": "that of key/value heads"}
    fill = f", with {' and '.join(f'{each} as {words[each]}' for each in asked)}" if asked else ""
    allow = "; read it with --allow-pickle" if weights.pickled else ""
    return WithLines(
        f"{missing}; {file} looks like {look.what}. Write one: `{'; '.join(given)}`{fill}{allow}."
    )
