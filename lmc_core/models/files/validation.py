"""What can be said about a configuration without knowing its family: counts that are believed, and
values of the right type.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from lmc_core.errors import BadCheckpoint, LmcError
from lmc_core.models.config import Config, Json
from lmc_core.models.family import Family
from lmc_core.models.files.references import clip

DEEP = 500  # layers that are described in no time; deeper models must have a tensor for each
MOST = 2**16  # layers, heads or experts of a configuration that is believed
COUNTS = re.compile(r"layer|depth|expert|head|group")
IDENTITY = ("model_type", "architecture", "architectures")


def require_plausible(config: Mapping[str, Json]) -> None:
    """Refuse counts for which describing the model alone would take all memory.

    Raises:
        BadCheckpoint: naming the entry.
    """
    todo: list[tuple[str, Json]] = list(config.items())
    while todo:
        key, value = todo.pop()
        if isinstance(value, dict):
            todo += value.items()
        elif isinstance(value, int) and value > MOST and COUNTS.search(key):
            raise BadCheckpoint(
                f"The configuration gives {clip(key)} as {clip(str(value))}; at most {MOST:,} is "
                "expected there."
            )


def quantisation(config: Mapping[str, Json]) -> str:
    """The method by which a configuration says that the weights are quantised; "" where it says
    nothing of it.

    Such a block is often left behind where the weights are ordinary numbers, so the types that are
    stored decide.

    Raises:
        BadCheckpoint: if it is there and names no method.
    """
    given = config.get("quantization_config")
    if given is None or given == {}:
        return ""
    method = given.get("quant_method") if isinstance(given, dict) else None
    if not isinstance(method, str) or not method:
        raise BadCheckpoint(
            "The configuration should give 'quantization_config' as an object that names its "
            "'quant_method'; it gives "
            f"{clip(repr(given), 60)}."
        )
    return method


def require_depth(family: Family, config: Config, tensors: int) -> None:
    """Refuse a depth for which there are too few tensors.

    Raises:
        BadCheckpoint: giving both.
    """
    depth = family.sizes(config).get("depth", 0)
    if depth > max(tensors, DEEP):
        raise BadCheckpoint(
            f"The configuration gives a depth of {depth:,} layers; the weights are only "
            f"{tensors:,} tensors."
        )


def require_types(family: Family, raw: Config, config: Config) -> None:
    """Refuse a number where the family's default is a switch, a text where it is a number, and so
    on.

    Args:
        family: whose configuration it is.
        raw: content of `config.json`.
        config: what the family took from it.

    Raises:
        BadCheckpoint: naming the entry.
    """
    try:
        defaults = family.config(Config({key: raw[key] for key in IDENTITY if key in raw}))
    except (LmcError, ArithmeticError, LookupError, TypeError, ValueError):
        return  # a family whose sizes must be given has no defaults to compare with
    for key, default, value in _pairs(defaults, config):
        if value is None or default is None or key.endswith("_token_id"):
            continue
        wanted = _mismatch(key, default, value)
        if wanted:
            raise BadCheckpoint(
                f"The configuration should give {key!r} as {wanted}; it gives "
                f"{clip(repr(value), 60)}."
            )


def _mismatch(key: str, default: Json, value: Json) -> str | None:
    """What was expected, in words, where the value is something else."""
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, int | float):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            return "a number"
        return (
            "a small positive number" if re.search(r"(^|_)eps", key) and not 0 < value < 1 else None
        )
    if isinstance(default, str):
        return None if isinstance(value, str) else "a word"
    return None


def _pairs(
    defaults: Mapping[str, Json], config: Mapping[str, Json]
) -> Iterator[tuple[str, Json, Json]]:
    for key in defaults.keys() & config.keys():
        default, value = defaults[key], config[key]
        if isinstance(default, Mapping) and isinstance(value, Mapping):
            yield from _pairs(default, value)
        else:
            yield key, default, value
