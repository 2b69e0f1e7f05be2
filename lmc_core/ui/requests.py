"""Where pages that compute make their requests; each is checked once, and loads what it names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import streamlit as st

from lmc_core.equivariance.numbers import EquivarianceRequest
from lmc_core.models.listing import Row
from lmc_core.runs.remembered import (
    make_equivariance_request,
    make_merge_requests,
    make_request,
    make_transport_request,
)
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.requests.merge import MergeRequest
from lmc_core.runs.requests.transport import TransportRequest
from lmc_core.ui.catalogue import Pair
from lmc_core.ui.merge_controls import Selection
from lmc_core.ui.setting import Setting


@st.cache_data(max_entries=512, show_spinner="Reading the models")
def _barrier(
    references: tuple[str, str],
    setting: str,
    split: str,
    examples: int | None,
    points: int,
    task: str,
    digests: tuple[str, str],
) -> str:
    chosen = Setting.parse(setting)
    request = make_request(
        *references,
        task=task,
        split=split,
        examples=examples,
        points=points,
        method=chosen.method,
        classes=dict(chosen.classes) or None,
        settings=chosen.settings,
        bend=chosen.bend,
    )
    return json.dumps(request.to_json())


def make_barrier(
    pair: Pair, setting: Setting, split: str, examples: int | None, points: int, task: str
) -> BarrierRequest:
    """Return the request of a pair of catalogue rows and a setting.

    Raises:
        BadInput: with the reason, when these cannot be compared.
    """
    a, b = pair
    text = _barrier(
        (a["reference"], b["reference"]),
        setting.text,
        split,
        examples,
        points,
        task,
        (a["digest"], b["digest"]),
    )
    return BarrierRequest.from_json(json.loads(text))


@st.cache_data(max_entries=512, show_spinner="Checking the settings")
def _equivariance(words: str) -> str:
    return json.dumps(make_equivariance_request(**json.loads(words)).to_json())


def make_equivariance(words: Mapping[str, object]) -> EquivarianceRequest:
    """Return the request of a training towards equivariance, from the words of
    `make_equivariance_request`.

    Raises:
        BadInput: with the reason, when it cannot be done.
    """
    text = _equivariance(json.dumps(dict(words), sort_keys=True))
    return EquivarianceRequest.from_json(json.loads(text))


@st.cache_data(max_entries=256, show_spinner="Reading the models")
def _merges(chosen: Selection, classes: tuple[tuple[str, str], ...]) -> str:
    stand_in = chosen.base in ("mean", "first")
    requests = make_merge_requests(
        [reference for reference, _ in chosen.models],
        frames=chosen.frames,
        merges={name: dict(settings) for name, settings in chosen.merges},
        weights=chosen.weights,
        ancestor=None if stand_in else chosen.base,
        stand_in=chosen.base if stand_in else "mean",
        onto=chosen.onto,
        steps=chosen.steps,
        classes=dict(classes) or None,
        task=chosen.task,
        split=chosen.split,
        examples=chosen.examples,
    )
    return json.dumps([request.to_json() for request in requests])


def make_merges(chosen: Selection, classes: Mapping[str, str]) -> list[MergeRequest]:
    """Return one request for each frame.

    Args:
        chosen: what the page asks for.
        classes: kind of space -> class; empty for the largest.

    Raises:
        BadInput: with the reason, when these cannot be merged.
    """
    text = _merges(chosen, tuple(sorted(classes.items())))
    return [MergeRequest.from_json(content) for content in json.loads(text)]


@st.cache_data(max_entries=256, show_spinner="Reading the models")
def _transport(references: tuple[str, ...], words: str, digests: tuple[str, ...]) -> str:
    request = make_transport_request(list(references), **json.loads(words))
    return json.dumps(request.to_json())


def make_transport(rows: Sequence[Row], words: Mapping[str, object]) -> TransportRequest:
    """Return the request that carries a fine-tuning over.

    Args:
        rows: of the base, the fine-tuned model, the target, and where there is one the target
            fine-tuned itself.
        words: of `make_transport_request`.

    Raises:
        BadInput: with the reason, when it cannot be carried over.
    """
    references, digests = (tuple(row[name] for row in rows) for name in ("reference", "digest"))
    text = _transport(references, json.dumps(dict(words), sort_keys=True), digests)
    return TransportRequest.from_json(json.loads(text))
