"""Measure what the slides show of small included networks: every state that a reader can set.

Everything is measured in double precision, but the two networks of the average and the two that are
trained on digits. The numbers go into `assets/lecture/networks.json` (`scripts/lecture.py`), so
that neither the page nor the file of the lecture needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from itertools import combinations

import numpy as np

from lmc_core.lecture import positions as lecture_positions
from lmc_core.lecture import random_walk
from lmc_core.lecture.averages import averages
from lmc_core.lecture.exchange import exchange_heads, exchange_units
from lmc_core.lecture.experts import exchange_experts
from lmc_core.lecture.measured import ANGLES, SHOWN, Turned
from lmc_core.lecture.plane import stretch_plane
from lmc_core.lecture.rotation import tilt_stream, turn_stream
from lmc_core.lecture.sandbox import Live
from lmc_core.models.load import load
from lmc_core.tasks import get_task

IMAGES, MIXTURE = "zoo:vit-fashion-narrow-s0", "zoo:mixtral-plays-s0"
PAIR = ("zoo:vit-fashion-s0", "zoo:vit-fashion-s1")
FEW, MORE, WINDOW = 8, 100, 64  # images of a function check, images of an accuracy, characters
BLOCK, MIXED = 3, 1  # of the Vision Transformer, of the mixture
MOVES, SEED = 100, 0  # permutations; seed of them
INPUTS, ROUTED, SAID = 16, 32, 24  # coordinates that are drawn of a unit, an expert, a head
TURNS = [float(angle) for angle in range(0, 181, 10)]
STRENGTHS = [1.0, 1.25, 1.5, 2.0, 2.5, 3.0]
COUNT = 4  # heads, and experts
Json = dict[str, object]


@lru_cache
def images(canonical: bool) -> Live:
    """The narrow Vision Transformer, as it was trained or in canonical form."""
    make = Live.canonical if canonical else Live.of
    return make(load(IMAGES), get_task("fashion-mnist").examples("test", FEW))


@lru_cache
def mixture() -> Live:
    """The mixture of experts, on one window of text."""
    return Live.of(load(MIXTURE), get_task("plays").examples("test", 2, length=WINDOW).first(1))


def measure_units() -> Json:
    """The units that listen and speak most, and the outputs after every exchange of two of them,
    whole or half.
    """
    live = images(False)
    heard, said = (live.block(f"blocks.{BLOCK}.{part}.weight") for part in ("up", "down"))
    strength = heard.norm(dim=1) * said.norm(dim=0)
    shown = strength.topk(SHOWN).indices.sort().values.tolist()
    exchanges = {}
    for i, j in combinations(range(SHOWN), 2):
        found = {
            f"{rows:d}{columns:d}": exchange_units(live, BLOCK, shown[i], shown[j], rows, columns)
            for rows, columns in ((True, False), (False, True), (True, True))
        }
        exchanges[f"{i},{j}"] = {
            "before": found["11"].before,
            "after": {name: each.after for name, each in found.items()},
            "change": {name: each.difference for name, each in found.items()},
        }
    return {
        "incoming": heard[shown, :INPUTS].numpy(),
        "outgoing": said[:INPUTS, shown].numpy().T,
        "exchanges": exchanges,
    }


def measure_permutations() -> Json:
    """Random renumberings, and random moves of the same lengths."""
    live = images(False)
    return {**asdict(random_walk.wander(live, MOVES, SEED)), "orders": random_walk.orders(live)}


def measure_stream() -> Json:
    """The stream turned by every angle, with what reads from it or without.

    All planes turn by one angle, so that a weight with one axis in the stream is
    `constant + cosine cos(angle) + sine sin(angle)`; three angles give the three terms.
    """
    live = images(True)
    whole = [turn_stream(live, angle) for angle in TURNS]
    half = [turn_stream(live, angle, readers=False) for angle in TURNS]

    def terms(part: Callable[[Turned], np.ndarray]) -> Json:
        at = {angle: part(each) for angle, each in zip(TURNS, whole, strict=True)}
        constant = (at[0.0] + at[180.0]) / 2
        return {
            "constant": constant,
            "cosine": (at[0.0] - at[180.0]) / 2,
            "sine": at[90.0] - constant,
        }

    return {
        "degrees": TURNS,
        "filters": terms(lambda each: each.filters),
        "weights": terms(lambda each: each.after),
        "reading": whole[0].reading.astype(int),
        "outputs": {"1": [each.outputs for each in whole], "0": [each.outputs for each in half]},
        "change": {"1": [each.difference for each in whole], "0": [h.difference for h in half]},
        "similarity": {"1": [each.cosine for each in whole], "0": [each.cosine for each in half]},
    }


def measure_heads() -> Json:
    """Every exchange of two heads, with the output matrix or without."""
    live = images(False)
    still = exchange_heads(live, BLOCK, 0, 0)
    exchanges = {}
    for i, j in combinations(range(COUNT), 2):
        found = {
            f"{follow:d}": exchange_heads(live, BLOCK, i, j, follow) for follow in (True, False)
        }
        exchanges[f"{i},{j}"] = {
            "before": found["1"].outputs,
            "after": {name: each.after for name, each in found.items()},
            "change": {name: each.difference for name, each in found.items()},
        }
    return {"attention": still.before, "writing": still.writing[:, :SAID], "exchanges": exchanges}


def measure_planes() -> Json:
    """The queries of a head stretched by every strength, with its keys or without."""
    live = images(True)
    found = {
        f"{follow:d}": [stretch_plane(live, BLOCK, 0, s, bool(follow)) for s in STRENGTHS]
        for follow in (1, 0)
    }
    still = found["1"][0]
    return {
        "strengths": STRENGTHS,
        "queries": still.queries,
        "keys": still.keys,
        "maps": [each.map for each in found["1"]],
        "scores": {name: [each.scores for each in row] for name, row in found.items()},
        "change": {name: [each.difference for each in row] for name, row in found.items()},
        "score_change": {n: [each.score_difference for each in row] for n, row in found.items()},
    }


def measure_ones() -> Json:
    """The stream turned within, and out of, what LayerNorm keeps."""
    return asdict(tilt_stream(images(True), ANGLES))


def measure_average() -> Json:
    """The networks on the line between two."""
    examples = get_task("fashion-mnist").examples("test", MORE)
    found = averages(load(PAIR[0]), load(PAIR[1]), examples)
    labels = [name.split("/")[0].strip() for name in get_task("fashion-mnist").labels]
    return {**asdict(found), "labels": labels}


def measure_experts() -> Json:
    """Every exchange of two experts, with the rows of the router or without."""
    live = mixture()
    alphabet = get_task("plays").alphabet
    assert alphabet is not None
    still = exchange_experts(live, MIXED, 0, 0)
    return {
        "text": "".join(alphabet()[int(token)] for token in live.examples.inputs[0]),
        "router": still.router[:, :ROUTED],
        "choice": still.choice,
        "change": {
            f"{i},{j}": {
                f"{follow:d}": exchange_experts(live, MIXED, i, j, bool(follow)).difference
                for follow in (1, 0)
            }
            for i, j in combinations(range(COUNT), 2)
        },
    }


def measure_data() -> Json:
    """Two networks on the way to their projections."""
    return {form: asdict(lecture_positions.positions(form)) for form in lecture_positions.FORMS}


MEASURES: dict[str, Callable[[], Json]] = {
    "units": measure_units,
    "permutations": measure_permutations,
    "stream": measure_stream,
    "heads": measure_heads,
    "planes": measure_planes,
    "ones": measure_ones,
    "average": measure_average,
    "experts": measure_experts,
    "data": measure_data,
}
"""By the key of the step."""


def measure(report: Callable[[float, str], None] = lambda share, words: None) -> dict[str, Json]:
    """Measure what all steps show of networks, as JSON values of four significant digits.

    Args:
        report: called with the share done and the step.
    """
    found: dict[str, Json] = {}
    for number, (name, run) in enumerate(MEASURES.items()):
        report(number / len(MEASURES), name)
        plain = simplify(run())
        assert isinstance(plain, dict)
        found[name] = plain
    return found


def simplify(value: object) -> object:
    """Return arrays and numbers as JSON values, numbers to four significant digits."""
    if isinstance(value, dict):
        return {str(name): simplify(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return simplify(value.tolist())
    if isinstance(value, list | tuple):
        return [simplify(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
