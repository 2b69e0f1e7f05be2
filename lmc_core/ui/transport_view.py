"""Carry a fine-tuning from one model to another, at the end of the page Merge, folded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.figures.panel import panels
from lmc_core.models.listing import Row
from lmc_core.runs.requests.transport import TransportNumbers
from lmc_core.ui import backend, catalogue, controls, merge_controls, messages, model_labels
from lmc_core.ui.catalogue import Known
from lmc_core.ui.drawn import WithoutArrays, draw_once
from lmc_core.ui.merge_controls import Selection
from lmc_core.ui.options import Option, capital
from lmc_core.ui.panels import show_panel, theme
from lmc_core.ui.requests import make_transport
from lmc_core.ui.setting import only_permutations
from lmc_core.ui.status import Line, show_status

SWITCH = "carry"  # query parameter of the switch
# query parameters of the section -> what is left out of an address
USUAL = {"from": "", "tuned": "", "to": "", "itself": "none", "learned": "", "by": "weight"}
METHODS = {"weight": "by weights", "activation": "by activations"}
NOTHING = (
    "No model of your own is listed yet: `lmc train --from MODEL --task NAME --out DIR` makes a "
    "fine-tuned one, and **Another model** adds its folder."
)


def read_address(key: str) -> dict[str, str | None]:
    """Return what the section says in the address: what its controls hold, or before they are shown
    what the address held.

    Args:
        key: prefix of the widgets' keys.
    """
    shown = st.session_state.get(f"{key}_{SWITCH}", st.query_params.get(SWITCH) == "1")
    found: dict[str, str | None] = {SWITCH: "1" if shown else None}
    for name, usual in USUAL.items():
        value = st.session_state.get(f"{key}_{name}", st.query_params.get(name))
        found[name] = str(value) if shown and value not in (None, usual) else None
    return found


def show_transport(known: Known, chosen: Selection, key: str) -> None:
    """Show the section: a switch, and behind it the models, the run and its picture.

    Args:
        known: models that can be chosen.
        chosen: what the page asks for; split, examples and symmetries are those of the section too.
        key: prefix of the widgets' keys.
    """
    if backend.read_only():
        return
    st.header("Carry a fine-tuning over", anchor=False)
    name = f"{key}_{SWITCH}"
    st.session_state.setdefault(name, st.query_params.get(SWITCH) == "1")
    words = "What a fine-tuning changed in one model, added to a model of another seed"
    about = "It is moved by the map that aligns both; nothing is trained."
    if not st.toggle(words, key=name, help=about):
        return
    own = [each for each, row in known.items() if not row["reference"].startswith("zoo:")]
    if not own:
        st.info(NOTHING)
        controls.add_model(key, _choose_added)
        return
    rows, task, method = _choose(known, own, key)
    controls.add_model(key, _choose_added)
    merge_controls.write_address(chosen, read_address(key))
    controls.show_notes(rows)
    largest = catalogue.find_largest(rows[2])
    permuted = chosen.symmetries == "permutations"
    classes = dict(only_permutations(largest).classes) if permuted else None
    asked = {"task": task, "method": method, "classes": classes}
    try:
        request = make_transport(rows, asked | {"split": chosen.split, "examples": chosen.examples})
    except LmcError as error:
        messages.refuse(error)
        return
    line: Line[TransportNumbers] = Line.read("The carried fine-tuning", request)
    show_status([line], name, noun="result", verbs=("Carry over", "Stop carrying over"))
    if line.result is not None:
        found = WithoutArrays(request.to_json(), line.result)
        look = theme()
        for panel in draw_once(lambda: panels([found], theme=look), "carry", line.result, look):
            show_panel(panel, name)


def _choose(known: Known, own: Sequence[str], key: str) -> tuple[list[Row], str, str]:
    """The models, the task of the fine-tuning, and how base and target are aligned."""
    model = partial(controls.make_model, known=known)
    tuned = model(
        "tuned",
        "Fine-tuned model",
        names=own,
        default=own[0],
        help="What came of the base by training on another task; one of your own models.",
    )
    name = tuned.prepare(key)
    base, target = _propose(known, name)
    _follow(name, {"from": base, "to": target, "learned": known[name]["task"]}, key)
    left, right = st.columns(2)
    said = "The model that was fine-tuned."
    base = model("from", "Base", names=list(known), default=base, help=said).show(key, left)
    tuned.show(key, right)
    said = "The fine-tuning is carried to it; of the family and sizes of the base."
    target = model("to", "Target", names=list(known), default=target, help=said).show(key, left)
    labels = model_labels.label_models(known)
    itself = Option(
        "itself",
        "Target fine-tuned itself",
        ["none", *(each for each in own if each != name)],
        _find_tuned(known, own, target, name),
        "The loss to reach: what the target gains by training on the same task.",
        "list",
        lambda each: labels.get(each, "None"),
    ).show(key, right)
    own_target = {} if itself == "none" else {"Target fine-tuned itself": itself}
    places = {"Base": base, "Fine-tuned": name, "Target": target, **own_target}
    controls.show_chosen(places, known)
    rows = [known[base], known[name], known[target]]
    tasks = controls.find_tasks([known[name], known[target]], known)
    said = "Split and examples are those on the left; the target's own task is measured too."
    task = Option("learned", "Task of the fine-tuning", tasks, tasks[0], said, "list")
    said = "How the target is aligned with the base; by activations, on training examples."
    method = Option("by", "Aligned", list(METHODS), "weight", said, "buttons", _title)
    chosen = task.show(key, left), method.show(key, right)
    return rows + ([known[itself]] if itself != "none" else []), *chosen


def _title(method: str) -> str:
    return capital(METHODS[method])


def _propose(known: Known, tuned: str) -> tuple[str, str]:
    """The model that a fine-tuned one came of, as its card says, and a target, of the base's own
    task where there is one; else models of its sizes.
    """
    kin = controls.find_alike(known, tuned)
    shipped = [each for each in kin if known[each]["reference"].startswith("zoo:")]
    origin = known[tuned].get("origin")
    source = [each for each, row in known.items() if row["digest"] == origin]
    base = next(iter([*source, *shipped, *kin]), tuned)
    others = (n for n in kin if known[n]["digest"] != known[base]["digest"])
    first = min(
        others,
        key=lambda n: (n not in shipped, known[n]["task"] != known[base]["task"]),
        default=base,
    )
    return base, first


def _find_tuned(known: Known, own: Sequence[str], target: str, tuned: str) -> str:
    """The model of one's own that came of the target, as its card says; ``none`` for none."""
    digest = known[target]["digest"]
    fits = (each for each in own if known[each].get("origin") == digest and each != tuned)
    return next(fits, "none")


def _follow(tuned: str, usual: dict[str, str], key: str) -> None:
    """Choose what fits where a person went to another fine-tuned model."""
    name = f"{key}_tuned_was"
    if st.session_state.get(name) not in (None, tuned):
        for each, value in usual.items():
            st.session_state[f"{key}_{each}"] = value
    st.session_state[name] = tuned


def _choose_added(added: str, key: str) -> str:
    """Choose a model that was just added as the fine-tuned one; returns what is said."""
    st.session_state[f"{key}_tuned"] = added
    about = controls.describe_added(added, catalogue.models()[added])
    return f"{about} It is the fine-tuned model now."
