"""Where the page Merge meets requests; tests put something else in its place."""

from __future__ import annotations

import json

import streamlit as st

from lmc_core.runs.kinds.merge import MergeRequest
from lmc_core.ui.merge_controls import Selection


@st.cache_data(max_entries=256, show_spinner="Reading the models")
def _requests(chosen: Selection, classes: tuple[tuple[str, str], ...]) -> str:
    from lmc_core.runs.kinds.merge import make_merge_requests

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


def requests_of(chosen: Selection, classes: dict[str, str]) -> list[MergeRequest]:
    """Return one request for each frame.

    Args:
        chosen: what the page asks for.
        classes: kind of space -> class; empty for the largest.

    Raises:
        BadInput: with the reason, when these cannot be merged.
    """
    return [
        MergeRequest.from_json(content)
        for content in json.loads(_requests(chosen, tuple(sorted(classes.items()))))
    ]


def saving_of(request: MergeRequest, merge: str, name: str, dtype: str = "") -> MergeRequest:
    """Return the request that keeps one merged model; raises `BadInput` with the reason when it
    cannot.
    """
    from lmc_core.runs.kinds.merge import saving

    return saving(request, merge, name, dtype)


def is_kept(name: str) -> bool:
    """Whether there is a model of that name among those that were kept."""
    from lmc_core.runs.kinds.merge_save import models_folder

    return (models_folder() / name).is_dir()
