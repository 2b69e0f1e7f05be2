"""Keep a merged model as a checkpoint, from the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import streamlit as st

from lmc_core import elsewhere
from lmc_core.errors import LmcError
from lmc_core.figures.merge_rows import Row, best_row
from lmc_core.merging.methods import MERGES
from lmc_core.numbers import number
from lmc_core.runs.requests.merge import MergeNumbers, MergeRequest, models_folder
from lmc_core.ui import backend, messages
from lmc_core.ui.status import Line, find_results, show_status

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

Choice = tuple[Line[MergeNumbers], str]  # a frame and a way to merge
TYPES = {
    "": "As the first model's",
    "float32": "float32",
    "bfloat16": "bfloat16",
    "float16": "float16",
}
SAVE_AS = "lmc_core.runs.kinds.merge:save_as"


def show_saving(curves: Sequence[Line[MergeNumbers]], task: str, key: str) -> None:
    """A frame, a way to merge, a name, and the line of the run that writes the checkpoint.

    Args:
        curves: the requests of the page with their results, of which at least one is there.
        task: that the best one is looked up on.
        key: prefix of the widgets' keys.
    """
    choices = [
        (curve, merge)
        for curve in curves
        for merge, _ in (_request(curve).merges if curve.result is not None else ())
        if MERGES[merge].checkpoint
    ]
    if not choices:
        st.write("An output ensemble is several models; choose another way to merge as well.")
        return
    wanted = _choose_checkpoint(choices, best_row(find_results(curves), task), key)
    try:
        request = cast(MergeRequest, elsewhere.call(SAVE_AS, *wanted))
    except LmcError as error:
        messages.refuse(error)
        return
    # in the order opposite to the worker's, which writes the folder, then the result, and ends then
    jobs = backend.jobs([request.key])
    running = any(job.active for job in jobs.values())
    kept = (models_folder() / request.save).is_dir()
    result = cast("MergeNumbers | None", backend.stored(request))
    if result is not None and kept:
        said = (
            f"Saved as **{request.save}**, an ordinary checkpoint with a card that says where it "
            "came from. It lies in the folder `models` of the app's results, and the page Barrier "
            "lists it among the models of your own."
        )
        st.success(said + rounding_words(result), icon=":material/check:")
        return
    if kept and not running:
        said = f"There is a model named {request.save} already; choose another name."
        st.warning(said, icon=":material/warning:")
        return
    show_status(
        [Line[MergeNumbers](request.save, request, None)],
        key,
        "It is merged, measured and written.",
        "model",
        ("Save", "Stop saving"),
    )


def _choose_checkpoint(
    choices: Sequence[Choice], best: Row | None, key: str
) -> tuple[MergeRequest, str, str, str]:
    """What is kept: the request it is of, the way to merge, a name, and a type of the weights."""
    left, right = st.columns(2)
    curve, merge = _choose_merge(choices, best, key, left)
    frame = str(curve.result["frame"]) if curve.result else ""
    proposed = suggestion(_request(curve), merge, frame)
    name = right.text_input(
        "Name",
        proposed,
        key=f"{key}_name_{proposed}",
        max_chars=80,
        help="Of the new model, and of its folder.",
    )
    kind = left.selectbox(
        "Type of the weights",
        list(TYPES),
        key=f"{key}_dtype",
        format_func=TYPES.__getitem__,
        help="Half precision takes half of the space; what rounding does to the outputs is "
        "measured and said.",
    )
    return _request(curve), merge, name.strip(), str(kind)


def _choose_merge(
    choices: Sequence[Choice], best: Row | None, key: str, where: DeltaGenerator
) -> Choice:
    """What is kept; the best at first."""
    labels = [f"{MERGES[merge].title}, {curve.label}" for curve, merge in choices]
    usual = [
        label
        for label, (curve, merge) in zip(labels, choices, strict=True)
        if best and (merge, curve.label.lower()) == (best.merge, best.frame_title)
    ]
    name = f"{key}_which"
    if st.session_state.get(name) not in labels:
        st.session_state[name] = (usual or labels)[0]
    where.selectbox("Which", labels, key=name, help="The one with the smallest loss is proposed.")
    return choices[labels.index(st.session_state[name])]


def rounding_words(result: MergeNumbers) -> str:
    """What rounding to the type of the file did to the outputs of a model that was saved; empty
    where it is not known.
    """
    saved = result.get("saved") or {}
    if saved.get("rounding") is None:
        return ""
    error = number(saved["rounding"], digits=2)
    return (
        f" Written in {saved['dtype']}; rounding to it changed the outputs by {error} "
        "(relative, at most)."
    )


def _request(curve: Line[MergeNumbers]) -> MergeRequest:
    assert isinstance(curve.request, MergeRequest)
    return curve.request


def suggestion(request: MergeRequest, merge: str, frame: str) -> str:
    """A name for a merged model: what its sources have in common, the way to merge, the frame."""
    names = request.names[: request.count]
    first, last = min(names), max(names)
    common = first[
        : next(
            (k for k, (x, y) in enumerate(zip(first, last, strict=False)) if x != y),
            min(len(first), len(last)),
        )
    ]
    parts = [
        re.sub(r"[-_.]?s?$", "", common),
        merge,
        *([frame] if frame not in ("", "none") else []),
    ]
    return (
        re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(part for part in parts if part)).strip("-._")[:80]
        or merge
    )
