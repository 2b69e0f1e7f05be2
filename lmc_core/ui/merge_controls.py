"""The controls of the page Merge: which models, which frames, which ways to merge, on what data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import streamlit as st

from lmc_core.merging.frames import FRAMES
from lmc_core.merging.methods import MERGES
from lmc_core.models.listing import Row
from lmc_core.numbers import count_words
from lmc_core.settings import find_choices
from lmc_core.ui import address, controls, current, model_labels
from lmc_core.ui.catalogue import Known
from lmc_core.ui.controls import alike, find_alike, find_tasks, read_count
from lmc_core.ui.options import Option, Several, capital

Value = str | int | float
FIRST = "vit-fashion-s0"
FEWEST, MOST, USUAL = 2, 8, 3  # models
CLASSES = {"all": "All classes", "permutations": "Permutations only"}
STAND_INS = {"mean": "Their mean, as a stand-in", "first": "The first, as a stand-in"}
STEPS = Option(
    "steps",
    "Steps of learning",
    (100, 300, 600, 1500),
    300,
    "Of the gradient, on training examples; a cancelled run goes on where it was.",
)
SYMMETRIES = Option(
    "symmetries",
    "Symmetries that may be used",
    list(CLASSES),
    "all",
    "The page Barrier shows what each class of symmetries is worth.",
    "buttons",
    CLASSES.__getitem__,
)
SPLIT = controls.make_split(
    ("test", "validation"),
    "Neither was seen in training. A greedy soup is chosen on the validation split, or on "
    "training examples where that is the one measured on.",
)


class Titled(Protocol):
    """A frame, or a way to merge."""

    @property
    def title(self) -> str:
        """What it is called."""
        ...

    @property
    def sentence(self) -> str:
        """What it does."""
        ...


@dataclass(frozen=True)
class Selection:
    """What the page asks for.

    Attributes:
        models: references of the models, with their digests.
        names: of the models.
        frames: names in `FRAMES`.
        merges: ways to merge with those settings that were touched.
        weights: of the models; relative.
        base: ``mean``, ``first``, or the reference of the common ancestor.
        onto: number of the model that stays in the frame ``reference``; 0 for the best.
        steps: of learning.
        symmetries: a key of `SYMMETRIES`.
        task: what is measured on.
        split: of its data.
        examples: how many; None for all.
    """

    models: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    frames: tuple[str, ...]
    merges: tuple[tuple[str, tuple[tuple[str, Value], ...]], ...]
    weights: tuple[float, ...]
    base: str
    onto: int
    steps: int
    symmetries: str
    task: str
    split: str
    examples: int | None


def find_groups(known: Known) -> dict[str, list[str]]:
    """First model -> models of its family and size, of which there are at least two."""
    found: dict[str, list[str]] = {}
    for name, row in known.items():
        first = next((f for f in found if alike(known[f], row)), name)
        found.setdefault(first, []).append(name)
    return {first: names for first, names in found.items() if len(names) >= FEWEST}


def choose_models(known: Known, key: str) -> list[str]:
    """A list of families and sizes, then of the models of the chosen one."""
    found = find_groups(known)
    begun = _begin_with_current(found)
    asked = st.query_params.get_all("models") or begun
    wanted = [name for name in dict.fromkeys(asked) if name in known]
    usual = next((first for first, names in found.items() if FIRST in names), next(iter(found)))
    if f"{key}_group" not in st.session_state:
        st.session_state[f"{key}_group"] = next(
            (f for f, names in found.items() if wanted and wanted[0] in names), usual
        )
    elif st.session_state[f"{key}_group"] not in found:
        st.session_state[f"{key}_group"] = usual

    def label(first: str) -> str:
        row = known[first]
        return f"{row['family']} \u00b7 width {row['width']} \u00b7 {len(found[first])} models"

    group = st.selectbox(
        "Family and size",
        list(found),
        key=f"{key}_group",
        format_func=label,
        help="A mean of weights exists between models of one family and the same sizes.",
    )
    options = found[str(group)]
    name = f"{key}_models"
    if name not in st.session_state:
        kept = [each for each in wanted if each in options][:MOST]
        st.session_state[name] = kept if len(kept) >= FEWEST else options[:USUAL]
    elif any(each not in options for each in st.session_state[name]):
        st.session_state[name] = options[:USUAL]
    chosen = st.pills(
        "Models",
        options,
        selection_mode="multi",
        key=name,
        format_func=model_labels.label_models(known).__getitem__,
        help="Two to eight; the first stays where it is. Of three the loss is drawn over their "
        "triangle.",
    )
    others = len(known) - len(options)
    if others:
        st.caption(
            f"{count_words(others, 'model')} of another family or size cannot be averaged with "
            "these."
        )
    controls.show_notes([known[each] for each in chosen])
    current.keep_set(chosen, options[:USUAL] if group == usual else (), bool(begun))
    return list(chosen)


def _begin_with_current(found: Mapping[str, Sequence[str]]) -> list[str]:
    """The current models of the session, filled up to as many as are usual; empty where they are
    no set that can be merged.
    """
    names = current.read()
    options = next((each for each in found.values() if names and set(names) <= set(each)), [])
    if not options:
        return []
    if set(names) <= set(options[:USUAL]):
        return list(options[:USUAL])
    others = [name for name in options if name not in names]
    return [*names, *others[: max(USUAL - len(names), 0)]]


def choose_frames(frames: Sequence[str], labels: Sequence[str], key: str) -> tuple[int, int, str]:
    """The model that stays, steps of learning, and the symmetries that may be used.

    Args:
        frames: names in `FRAMES`.
        labels: of the models.
        key: prefix of the widgets' keys.
    """
    onto = 0
    if "reference" in frames:
        onto = Option(
            "onto",
            "Onto",
            range(len(labels) + 1),
            0,
            "The model that the others are moved onto.",
            "list",
            lambda k: labels[k - 1] if k else "the one that matches best",
        ).show(key)
    steps = STEPS.show(key) if "learned" in frames else STEPS.default
    return onto, steps, SYMMETRIES.show(key)


def choose_base(
    merges: Sequence[str],
    chosen: Sequence[str],
    kin: Sequence[Row],
    labels: Mapping[str, str],
    key: str,
) -> str:
    """What the task vectors of those ways to merge start from that need an ancestor.

    Args:
        merges: ways to merge.
        chosen: names of the models that are merged.
        kin: models of their family and sizes.
        labels: of these, by their names.
        key: prefix of the widgets' keys.
    """
    if not any(MERGES[name].ancestor for name in merges):
        return "mean"
    others = {row["reference"]: labels[row["name"]] for row in kin if row["name"] not in chosen}
    return Option(
        "base",
        "Common ancestor",
        [*STAND_INS, *others],
        "mean",
        "Task arithmetic, TIES and DARE assume that all models were fine-tuned from one. "
        "Models of different seeds were not, so something stands in for it.",
        "list",
        lambda each: STAND_INS.get(each) or others[each],
    ).show(key)


def _settings(name: str, key: str) -> dict[str, Value]:
    """Inputs for the settings of one method; returns those that differ from the default."""
    method = MERGES[name]
    usual = method.settings()
    changed = dict(pair.split("=", 1) for pair in st.query_params.get_all("set") if "=" in pair)
    found: dict[str, Value] = {}
    for field in fields(method.settings):
        value, widget = getattr(usual, field.name), f"{key}_set_{name}_{field.name}"
        label = f"{method.title}: {field.name}"
        if isinstance(value, str):
            options = list(find_choices(method.settings, field.name)) or [value]
            start = changed.get(f"{name}.{field.name}", value)
            st.session_state.setdefault(widget, start if start in options else value)
            found[field.name] = st.selectbox(label, options, key=widget)
            continue
        low, high, step = _range(field.name, value)
        st.session_state.setdefault(
            widget, _number(changed.get(f"{name}.{field.name}"), value, low, high)
        )
        found[field.name] = st.number_input(label, low, high, step=step, key=widget)
    return {field: value for field, value in found.items() if value != getattr(usual, field)}


def _range(name: str, value: float) -> tuple[float, float, float]:
    """Smallest value, largest value and step of a setting, of its own type."""
    if name == "density":
        return 0.05, 1.0, 0.05
    if isinstance(value, int):
        return (2, 2000, 100) if name == "examples" else (0, 9999, 1)
    return -2.0, 2.0, 0.05


def _number(text: str | None, usual: float, low: float, high: float) -> float:
    try:
        return min(high, max(low, type(usual)(text))) if text else usual
    except ValueError:
        return usual


def choose_weights(names: Sequence[str], labels: Mapping[str, str], key: str) -> tuple[float, ...]:
    """A slider for the weight of each model, whose label is said beside it."""
    wanted = st.query_params.get("weights", "").split(",")
    st.markdown("**Weights of the models**")
    found = []
    for number, name in enumerate(names):
        widget = f"{key}_weight_{name}"
        if widget not in st.session_state:
            text = wanted[number] if len(wanted) == len(names) else None
            st.session_state[widget] = _number(text, 1.0, 0.0, 1.0)
        found.append(float(st.slider(labels[name], 0.0, 1.0, step=0.01, key=widget)))
    st.caption("Relative to each other; the plain average and the greedy soup ignore them.")
    return tuple(found) if sum(found) > 0 else (1.0,) * len(names)


def choose_data(rows: Sequence[Row], known: Known, key: str) -> tuple[str, str, int | None]:
    """Task, split and number of examples."""
    tasks = find_tasks(rows, known)
    about = "Models of different tasks are measured on all of their tasks."
    task = Option("task", "Measured on", tasks, tasks[0], about, "list").show(key)
    examples = controls.EXAMPLES.show(key)
    return task, SPLIT.show(key, width="content"), read_count(examples)


def _several(name: str, label: str, table: Mapping[str, Titled], key: str) -> tuple[str, ...]:
    """Pills of which any number can be on; in the order of the table, never none."""
    lines = [
        f"**{capital(entry.title)}**: {entry.sentence}"
        + (" Assumes a common ancestor." if getattr(entry, "ancestor", False) else "")
        for entry in table.values()
    ]
    option = Several(
        name,
        label,
        list(table),
        list(table),
        "\n\n".join(lines),
        lambda each: capital(table[each].title),
    )
    return tuple(option.show(key)) or (next(iter(table)),)


def choose(known: Known, key: str, places: controls.Places) -> Selection | None:
    """All controls; None while fewer than two models are chosen, or more than eight.

    Args:
        known: models that can be chosen.
        key: prefix of the widgets' keys.
        places: parts of the sidebar.
    """
    with places.first:
        names = choose_models(known, key)
        if not FEWEST <= len(names) <= MOST:
            return None
        frames = _several("frame", "Reference frames", FRAMES, key)
        merges = _several("merge", "Ways to merge", dict(MERGES.items()), key)
    rows = [known[name] for name in names]
    kin = [known[name] for name in (names[0], *find_alike(known, names[0]))]
    labels = model_labels.label_models(known)
    with places.more:
        onto, steps, symmetries = choose_frames(frames, [labels[name] for name in names], key)
        base = choose_base(merges, names, kin, labels, key)
        task, split, examples = choose_data(rows, known, key)
        weights = choose_weights(names, labels, key)
        st.markdown("**Settings of the methods**")
        settings = {name: _settings(name, key) for name in merges}
    return Selection(
        tuple((row["reference"], row["digest"]) for row in rows),
        tuple(names),
        frames,
        tuple((name, tuple(sorted(settings[name].items()))) for name in merges),
        weights,
        base,
        onto,
        steps,
        symmetries,
        task,
        split,
        examples,
    )


def write_address(chosen: Selection, more: Mapping[str, str | None]) -> None:
    """Put the selection into the address; what is as usual is left out.

    Args:
        chosen: what the page asks for.
        more: what another section of the page says there.
    """
    touched = [
        f"{name}.{field}={value}" for name, settings in chosen.merges for field, value in settings
    ]
    every = [name for name, _ in chosen.merges]
    address.write(
        {
            "models": list(chosen.names),
            "frame": list(chosen.frames),
            "merge": None if every == list(MERGES) else every,
            "set": touched or None,
            "weights": None
            if len(set(chosen.weights)) == 1
            else ",".join(f"{w:g}" for w in chosen.weights),
            "base": None if chosen.base == "mean" else chosen.base,
            "onto": str(chosen.onto) if chosen.onto else None,
            "steps": str(chosen.steps) if "learned" in chosen.frames else None,
            "symmetries": None if chosen.symmetries == "all" else chosen.symmetries,
            "task": chosen.task,
            "split": chosen.split,
            "examples": str(chosen.examples or "all"),
            **more,
        }
    )
