"""What families of transformers' classes share: configurations, building, saving, rotary settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models.family import Config


def chosen(raw: Config, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get the defaults."""
    return {key: raw.get(key, default) for key, default in defaults.items()}


def build(
    config: Config, config_class: str, model_class: str, arguments: Mapping[str, Any] | None = None, **further: Any
) -> nn.Module:
    """A module of transformers' own class, randomly initialised, in float32.

    Args:
        config: of the family.
        config_class: name of the class of configurations, e.g. "LlamaConfig".
        model_class: name of the class of models, e.g. "LlamaForCausalLM".
        arguments: of the class of models, beside its configuration.
        further: settings of the configuration that matter in training or for speed alone (dropout, kernels).
    """
    import transformers

    settings = {key: value for key, value in config.items() if key not in ("model_type", "architectures")} | further
    made = getattr(transformers, config_class)(**settings, dtype="float32")
    made.architectures = [model_class]
    return getattr(transformers, model_class)(made, **(arguments or {}))


def save(module: nn.Module, config: Config, folder: Path) -> None:
    """Write `config.json` and `model.safetensors` as transformers does."""
    module.save_pretrained(folder)  # type: ignore[operator]  (every class of transformers has it)


def logits(module: nn.Module, inputs: Tensor) -> Tensor:
    """Logits `[n, length, vocabulary]` of tokens `[n, length]`, of a decoder."""
    return module(inputs, use_cache=False).logits


def as_on_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names on disk are those in memory; the copy of a tied head is dropped."""
    tied = config.get("tie_word_embeddings")
    return {name: tensor for name, tensor in tensors.items() if not (tied and name == "lm_head.weight")}


def drop_copy(tensors: dict[str, Tensor], copy: str, original: str) -> None:
    """Remove a tensor that the configuration says is another one, if it is there.

    Raises:
        BadCheckpoint: if it is not the same.
    """
    found = tensors.pop(copy, None)
    if found is not None and original in tensors and not torch.equal(found, tensors[original]):
        raise BadCheckpoint(
            f"{copy!r} differs from {original!r}, and the configuration says that they are one; set tie_word_embeddings to "
            "false in its config.json if the head is meant to be a matrix of its own."
        )


def labels(raw: Config) -> Any:
    """How many labels a classifier has: what is said, else the number of their names, else transformers' default."""
    named = raw.get("id2label")
    if raw.get("num_labels") is not None or not isinstance(named, dict):
        return raw.get("num_labels", 2)
    return len(named)


def positive_numbers(config: Config, *names: str) -> None:
    """Raise `BadCheckpoint` unless each of the names is a positive number of the configuration, an epsilon for example."""
    for name in names:
        value = config.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise BadCheckpoint(f"The configuration should give {name!r} as a positive number; it gives {value!r}.")


def rope(raw: Config, theta: float = 10000.0, partial: float | None = None) -> dict[str, Any]:
    """The settings of rotary positions, from `rope_parameters` or from the older `rope_theta` and `rope_scaling`.

    Args:
        raw: a configuration.
        theta: the family's default base.
        partial: the family's default share of each head that is rotated; None where it cannot be chosen.
    """
    given = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    if not isinstance(given, Mapping):
        raise BadCheckpoint(f"The configuration should give 'rope_parameters' as an object; it gives {given!r}.")
    found = dict(given)
    found["rope_type"] = found.pop("type", None) or found.get("rope_type") or "default"
    found.setdefault("rope_theta", raw.get("rope_theta") or raw.get("rotary_emb_base") or theta)
    if partial is not None:
        share = raw.get("partial_rotary_factor", raw.get("rotary_pct", partial))
        found.setdefault("partial_rotary_factor", share)
    numbers = {key: found.get(key) for key in ("rope_theta", "partial_rotary_factor") if found.get(key) is not None}
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
            raise BadCheckpoint(f"The configuration should give {key!r} as a positive number; it gives {value!r}.")
    return found


def activation(config: Config, key: str, known: set[str], family: str) -> str:
    """The activation of a configuration.

    Raises:
        BadCheckpoint: for one that is not known to act on each unit by itself.
    """
    value = config.get(key)
    if value not in known:
        raise BadCheckpoint(f"{family} with activation {value!r} is not supported; known: {', '.join(sorted(known))}.")
    return str(value)


Outputs = Callable[[nn.Module, Tensor], Tensor]
