"""The settings of rotary positions (Su et al. 2021, arXiv 2104.09864), as transformers writes them
down.
"""

from __future__ import annotations

from collections.abc import Mapping

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures.hf import switches
from lmc_core.models.config import Config, Json

# kinds of rotary positions, and what each needs to be told
NEEDS = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor",),
    "longrope": ("short_factor", "long_factor"),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
}
LISTS = ("short_factor", "long_factor")  # one for each pair
NUMBERS = (
    "rope_theta partial_rotary_factor factor original_max_position_embeddings attention_factor "
    "beta_fast beta_slow short_factor long_factor low_freq_factor high_freq_factor "
    "mscale mscale_all_dim"
).split()


def rope(raw: Mapping[str, Json], theta: Json = 10000.0, partial: float | None = None) -> Config:
    """The settings of rotary positions, from `rope_parameters` or from the older `rope_theta` and
    `rope_scaling`.

    Args:
        raw: a configuration.
        theta: the family's default base.
        partial: the family's default share of each head that is rotated; None where it cannot be
            chosen.

    Raises:
        BadCheckpoint: for a kind that is not known, or lacks what it needs.
    """
    given = raw.get("rope_scaling") or raw.get("rope_parameters") or {}
    if not isinstance(given, Mapping):
        raise BadCheckpoint(
            f"The configuration should give 'rope_parameters' as an object; it gives {given!r}."
        )
    if any(isinstance(value, Mapping) for value in given.values()):
        raise BadCheckpoint(
            "Rotary positions that differ by the type of layer are not supported here."
        )
    keys = ("rope_type", "truncate", *NUMBERS)
    found = Config({key: given[key] for key in keys if given.get(key) is not None})
    kind = found["rope_type"] = found.get("rope_type") or given.get("type") or "default"
    found.setdefault("rope_theta", raw.get("rope_theta") or raw.get("rotary_emb_base") or theta)
    length = raw.get("original_max_position_embeddings")
    if length is not None and kind in ("longrope", "yarn", "llama3"):
        found["original_max_position_embeddings"] = length
    for share in (raw.get("partial_rotary_factor"), raw.get("rotary_pct"), partial):
        if share is not None:
            found.setdefault("partial_rotary_factor", share)
    _check(found, kind)
    if partial is None and found.pop("partial_rotary_factor", 1.0) != 1.0:
        raise BadCheckpoint(
            "This kind of model rotates whole heads; 'partial_rotary_factor' should be 1 or left "
            "out."
        )
    return found


def _check(found: Config, kind: Json) -> None:
    """Raise `BadCheckpoint` unless the kind is known and has the numbers that it needs."""
    if not isinstance(kind, str) or kind not in NEEDS:
        raise BadCheckpoint(
            f"Rotary positions of the type {kind!r} are not supported; known: {', '.join(NEEDS)}."
        )
    for key in NEEDS[kind]:
        if key not in found:
            raise BadCheckpoint(
                f"Rotary positions of the type {kind!r} need {key!r} in 'rope_parameters'."
            )
    switches(found, "truncate")
    for key in NUMBERS:
        value = found.get(key, 1)
        values = value if isinstance(value, list) and key in LISTS else [value]
        low = -1 if key.startswith("mscale") else 0
        if not all(
            isinstance(x, int | float) and not isinstance(x, bool) and low < x < 1e12
            for x in values
        ):
            raise BadCheckpoint(
                f"The configuration should give {key!r} as a positive number; it gives {value!r}."
            )
    if kind == "llama3" and not found.number("low_freq_factor") < found.number("high_freq_factor"):
        raise BadCheckpoint(
            "Rotary positions of the type 'llama3' need a low_freq_factor below their "
            "high_freq_factor."
        )


def rope_by_type(raw: Mapping[str, Json], bases: Mapping[str, Json]) -> Config:
    """The settings of rotary positions that differ by the type of layer; an older `rope_scaling` is
    of those without a window.

    Args:
        raw: a configuration.
        bases: type of layer -> its base where `rope_parameters` does not say it.

    Raises:
        BadCheckpoint: for what is no object for each type, and as `rope` does.
    """
    given, scaling = raw.get("rope_parameters") or {}, raw.get("rope_scaling") or {}
    if (
        not isinstance(given, Mapping)
        or not isinstance(scaling, Mapping)
        or any(each is not None and not isinstance(each, Mapping) for each in given.values())
        or given.keys() - bases.keys()
    ):
        raise BadCheckpoint(
            "The configuration should give 'rope_parameters' as one object for each of "
            f"{', '.join(bases)}, and 'rope_scaling' as an object; it gives {str(given)[:80]} and "
            f"{str(scaling)[:80]}."
        )
    found = Config()
    for kind, base in bases.items():
        own = given.get(kind)
        part = Config(own if isinstance(own, Mapping) and own else {"rope_type": "default"})
        part |= scaling if kind == "full_attention" else {}
        share = raw.get("partial_rotary_factor")
        found[kind] = rope({"rope_parameters": part, "partial_rotary_factor": share}, base)
    return found
