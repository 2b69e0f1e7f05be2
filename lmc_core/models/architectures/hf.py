"""What families of transformers' classes share: configurations, building, saving."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import nn, torch
from lmc_core.models.config import Config, Json
from lmc_core.models.family import SHARD

if TYPE_CHECKING:
    from torch import Tensor

UNTIE = (
    "set tie_word_embeddings to false in its config.json if the head is meant to be a matrix "
    "of its own, or remove the copy"
)


def chosen(raw: Mapping[str, Json], defaults: Mapping[str, Json]) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get the
    defaults.
    """
    return Config({key: raw.get(key, default) for key, default in defaults.items()})


def named_class(
    raw: Mapping[str, Json], classes: Sequence[str], kind: str, default: str = ""
) -> str:
    """The class of transformers that a `config.json` names under `architectures`.

    The same parameters mean another network in another class: of a base model the outputs are the
    stream itself.

    Args:
        raw: the content of the file.
        classes: those that are supported.
        kind: of model, for the sentence.
        default: where the file names none.

    Raises:
        BadCheckpoint: naming the class found and those that are supported.
    """
    given = raw.get("architectures")
    given = [default] if given is None or given == [] else given
    if isinstance(given, list | tuple) and (given[0] in classes or given[0] == default):
        return str(given[0])
    found = ", ".join(map(str, given)) if isinstance(given, list | tuple) else repr(given)
    raise BadCheckpoint(
        f"The configuration gives the class under 'architectures' as {found[:80]}, which is not "
        f"supported; of the kind {kind} "
        f"supported are {', '.join(classes)}. A model saved as one of these is read."
    )


def build(
    config: Mapping[str, Json],
    config_class: str,
    model_class: str,
    arguments: Mapping[str, Json] | None = None,
    /,
    **further: Json,
) -> nn.Module:
    """A module of transformers' own class, randomly initialised, in float32.

    Args:
        config: of the family.
        config_class: name of the class of configurations, e.g. "LlamaConfig".
        model_class: name of the class of models, e.g. "LlamaForCausalLM".
        arguments: of the class of models, beside its configuration.
        further: settings of the configuration that matter in training or for speed alone (dropout,
            kernels).
    """
    import transformers

    settings = {
        key: value for key, value in config.items() if key not in ("model_type", "architectures")
    } | further
    made = getattr(transformers, config_class)(**settings, dtype="float32")
    made.architectures = [model_class]
    return getattr(transformers, model_class)(made, **(arguments or {}))


def save(module: nn.Module, config: Config, folder: Path, shard: int = SHARD) -> None:
    """Write `config.json` and `model.safetensors` as transformers does; above `shard` bytes several
    files and their index.
    """
    # every class of transformers has it
    # torch types what a module holds as a tensor or a module
    module.save_pretrained(folder, max_shard_size=shard)  # type: ignore[operator]


def drop_copy(tensors: dict[str, Tensor], copy: str, original: str, words: str = UNTIE) -> None:
    """Remove a tensor that the configuration says is another one, if it is there; alone, it is that
    other one.

    Versions of transformers differ in what they make of two that are not the same: up to 4 the copy
    is dropped, from 5 on both are kept. So neither is guessed.

    Args:
        tensors: by their names in memory.
        copy: name of the copy.
        original: name of what it is a copy of.
        words: what a person can do where they differ.

    Raises:
        BadCheckpoint: if it is not the same.
    """
    found = tensors.pop(copy, None)
    if found is None:
        return
    first = tensors.setdefault(original, found)
    alike = (
        torch.equal(found, first)
        if found.dtype == first.dtype
        else torch.equal(found.float(), first.float())
    )
    if not alike:
        raise BadCheckpoint(
            f"{copy!r} differs from {original!r}, and the configuration says that they are one; "
            f"{words}."
        )


def labels(raw: Config) -> Json:
    """How many labels a classifier has: what is said, else the number of their names, else
    transformers' default.
    """
    named = raw.get("id2label")
    if raw.get("num_labels") is not None or not isinstance(named, dict):
        return raw.get("num_labels", 2)
    return len(named)


def positive_numbers(config: Mapping[str, Json], *names: str) -> None:
    """Raise `BadCheckpoint` unless each of the names is a positive number of the configuration, an
    epsilon for example.
    """
    for name in names:
        value = config.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise BadCheckpoint(
                f"The configuration should give {name!r} as a positive number; it gives {value!r}."
            )


def switches(config: Mapping[str, Json], *names: str) -> None:
    """Raise `BadCheckpoint` unless each of the names that the configuration has is true or
    false.
    """
    for name in names:
        if name in config and not isinstance(config[name], bool):
            raise BadCheckpoint(
                f"The configuration should give {name!r} as true or false; it gives "
                f"{config[name]!r}."
            )


def special_tokens(config: Config) -> None:
    """Raise `BadCheckpoint` unless the numbers of special tokens are tokens, lists of them, or left
    out.
    """
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        value = config.get(name)
        values = [] if value is None else [value]
        if isinstance(value, list) and name == "eos_token_id":
            values = value
        if not all(isinstance(token, int) and not isinstance(token, bool) for token in values):
            raise BadCheckpoint(
                f"The configuration should give {name!r} as the number of a token; it gives "
                f"{value!r}."
            )
    pad, tokens = config.get("pad_token_id"), config.size("vocab_size")
    if isinstance(pad, int) and not -tokens <= pad < tokens:
        raise BadCheckpoint(
            f"The configuration gives 'pad_token_id' as {pad}, and there are {tokens} tokens."
        )


def require_tokens(config: Config, *keys: str) -> None:
    """Raise `BadCheckpoint` unless each of these entries is one of the tokens."""
    for key in keys:
        token = config[key]
        if (
            not isinstance(token, int)
            or isinstance(token, bool)
            or not 0 <= token < config.size("vocab_size")
        ):
            raise BadCheckpoint(
                f"The configuration should give {key!r} as one of the tokens; it gives {token!r}."
            )


def activation(config: Mapping[str, Json], key: str, known: Collection[str], family: str) -> str:
    """The activation of a configuration.

    Raises:
        BadCheckpoint: for one that is not known to act on each unit by itself.
    """
    value = config.get(key)
    if not isinstance(value, str) or value not in known:
        raise BadCheckpoint(
            f"{family} with activation {value!r} is not supported; known: "
            f"{', '.join(sorted(known))}."
        )
    return str(value)
