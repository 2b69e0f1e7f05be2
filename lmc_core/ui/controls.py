"""The controls that pages about models share: which models, what they are measured on, how
exactly. Symmetries and methods are in `symmetry_controls`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.limits import MOST
from lmc_core.models.listing import Row
from lmc_core.ui import address, backend, catalogue, current, custom_models, messages, model_labels
from lmc_core.ui.catalogue import Known, Pair
from lmc_core.ui.options import Option
from lmc_core.ui.setting import Setting

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

BOTH = "test and train"
SQUARE_ROOT = "The standard error falls with the square root of their number."


def make_examples(
    counts: Sequence[int | None], default: str = "all", help: str = SQUARE_ROOT
) -> Option[str]:
    """How many examples; None for all, which is the word all."""
    return Option("examples", "Examples", [str(n or "all") for n in counts], default, help)


def make_split(splits: Sequence[str], help: str) -> Option[str]:
    """Which part of the data."""
    return Option("split", "Split", splits, splits[0], help, "buttons")


def read_count(text: str) -> int | None:
    """Return a number of examples; None for all."""
    return None if text == "all" else int(text)


EXAMPLES = make_examples((50, 200, 500, 1000, None))
POINTS = Option(
    "points",
    "Points on the line",
    (5, 11, 25, 51),
    25,
    "Four more are added around the maximum.",
    numbers=range(3, int(MOST["points"]) + 1),
)
SPLIT = make_split(
    ("test", "validation", "train", BOTH),
    "Test and validation were not seen in training. All of the training split takes several "
    "times as long.",
)


def begin(title: str) -> Known:
    """Show the title of a page and return the models that it can be about; stop where there are no
    two.
    """
    known = catalogue.models()
    st.title(title, anchor=False)
    if len(known) < 2:
        st.info(
            "This installation ships no models; `lmc train --list` names the recipes that make "
            "them."
        )
        address.stop()
    return known


def make_model(
    name: str, label: str, known: Known, names: Iterable[str], default: str, help: str
) -> Option[str]:
    """One of some models; `show_chosen` says what is known about it."""
    labels = model_labels.label_models(known)
    return Option(name, label, list(names), default, help, "list", labels.__getitem__)


def show_chosen(chosen: Mapping[str, str], known: Known) -> None:
    """Say below some lists what is known about the models that are chosen there.

    Args:
        chosen: their names, by what the lists are called, such as A.
        known: all models that can be chosen.
    """
    st.caption(model_labels.describe_models(chosen, known))


def choose_pair(known: Known, key: str) -> Pair:
    """Two lists for the two models, which begin with the current pair of the session."""
    names = list(known)
    usual = _find_usual(known)
    now = current.pair(known) or usual
    a = make_model(
        "a", "Model A, at \u03bb = 0", known, names, now[0], "It stays where it is."
    ).show(key)
    kin = find_alike(known, a) or [n for n in names if n != a]
    option = make_model(
        "b",
        "Model B, at \u03bb = 1",
        known,
        names,
        now[1] if a == now[0] else kin[0],
        "It is moved into the coordinates of A.",
    )
    before, was = option.prepare(key), st.session_state.get(f"{key}_was")
    if was not in (None, a) and before == a and was in kin:
        st.session_state[f"{key}_b"] = was  # the person chose B as A: they change places
    elif was not in (None, a) and not alike(known[before], known[a]):
        # the person went to another family or size: follow with a partner that fits
        st.session_state[f"{key}_b"] = kin[0]
    st.session_state[f"{key}_was"] = a
    b = option.show(key)
    show_chosen({"A": a, "B": b}, known)
    add_model(key)
    show_notes([known[a], known[b]])
    if known[a]["digest"] == known[b]["digest"]:
        st.warning(
            "A and B are the same model, so that nothing lies between them. Choose another as "
            "model B.",
            icon=":material/warning:",
        )
    current.keep_pair((a, b), usual, known)
    return known[a], known[b]


def _find_usual(known: Known) -> tuple[str, str]:
    """The pair that is shown where nothing was chosen yet."""
    names = list(known)
    first = next((n for n in names if n == "vit-fashion-s0"), names[0])
    kin = find_alike(known, first) or [n for n in names if n != first]
    return first, kin[0]


def show_notes(rows: Sequence[Row]) -> None:
    """Say what a person should know of the files of some models."""
    for note in dict.fromkeys(note for row in rows for note in row.get("notes", ())):
        st.warning(messages.sentence(note), icon=":material/warning:")


def add_model(key: str, choose: Callable[[str, str], str] | None = None) -> None:
    """A field for a model that is not shipped; it is chosen as soon as it was read, and listed from
    then on.

    Args:
        key: prefix of the widgets' keys.
        choose: called with the name of the model in the lists and the key, to choose it; returns
            what is said. By default it becomes model B.
    """
    if backend.read_only():
        return
    name, extra, said = f"{key}_add", f"{key}_add_extra", f"{key}_add_said"

    def take() -> None:
        reference = str(st.session_state[name]).strip()
        st.session_state[said] = ("", "")
        if reference:
            try:
                added = custom_models.add(reference, st.session_state[extra])
                st.session_state[name] = ""
                st.session_state[said] = "success", (choose or _choose_added)(added, key)
            except LmcError as error:
                st.session_state[said] = "error", messages.sentence(error)

    with st.popover("Another model", icon=":material/add:", type="tertiary"):
        st.text_input(
            "Reference",
            key=name,
            on_change=take,
            placeholder="path:FOLDER, hf:ORG/NAME, timm:NAME.TAG",
            help="A folder that the app may read, or a model in the hub's local cache; with "
            "+ADAPTER behind it, a LoRA merged "
            "into it. Nothing is fetched, no code is run.",
        )
        st.checkbox(
            "Leave out extra tensors (`--ignore-extra`)",
            key=extra,
            on_change=take,
            help="Some files hold tensors that have no place in the model, such as a value head. "
            "Left out, a note says which.",
        )
        kind, words = st.session_state.get(said, ("", ""))
        if kind == "error":
            st.error(words, icon=":material/error:")
        st.caption("Supported families are listed on the page Models.")
        _list_added(key)
    if kind == "success":
        st.success(words, icon=":material/check:")


def _choose_added(added: str, key: str) -> str:
    """Choose a model that was just added, as B beside a model that fits it; returns what is said.

    Args:
        added: its name in the lists.
        key: prefix of the widgets' keys.
    """
    known = catalogue.models()
    about = describe_added(added, known[added])
    a = st.session_state.get(f"{key}_a")
    fitting = [each for each in find_alike(known, added) if each == a] or find_alike(known, added)
    if not fitting:
        return f"{about} It is in the lists; add a second of the same sizes to compare it with."
    st.session_state[f"{key}_a"] = st.session_state[f"{key}_was"] = fitting[0]
    st.session_state[f"{key}_b"] = added
    return f"{about} It is model B now."


def describe_added(added: str, row: Row) -> str:
    """What is said of a model that was just added.

    Args:
        added: its name in the lists.
        row: what is known about it.
    """
    name = messages.plain(custom_models.title(added))
    return f"**{name}**: {row['family']}, width {row['width']}, {row['parameters']:,} parameters."


def _list_added(key: str) -> None:
    """The models that were added, each with a button that takes it out of the lists."""
    names = model_labels.name_models(custom_models.remembered())
    for number, (name, words) in enumerate(names.items()):
        label, button = st.columns([5, 1], vertical_alignment="center")
        label.markdown(messages.plain(words))
        button.button(
            messages.draw_cross(f"Take {words} out of the lists"),
            key=f"{key}_forget_{number}",
            on_click=custom_models.forget,
            args=(name,),
            help="Take it out of the lists; its files stay.",
            type="tertiary",
        )


def alike(one: Row, other: Row) -> bool:
    """Whether a line between two models exists: one family, the same sizes."""
    return one["family"] == other["family"] and one["sizes"] == other["sizes"]


def find_alike(known: Known, name: str) -> list[str]:
    """Names of the other models of the family and sizes of one."""
    return [n for n, row in known.items() if n != name and alike(row, known[name])]


def pair_address(pair: Pair, setting: Setting | None) -> dict[str, str | list[str] | None]:
    """Return what an address says of the models and of the setting, None where nothing is
    aligned.
    """
    found: dict[str, str | list[str] | None] = {"a": pair[0]["name"], "b": pair[1]["name"]}
    if setting is None:
        return found
    amounts = {"steps": setting.steps, "seconds": setting.seconds, "bend": setting.bend}
    amount = {name: str(value) for name, value in amounts.items() if value}
    return {**found, "method": setting.method, **amount, **dict(setting.classes)}


def find_tasks(rows: Sequence[Row], known: Known) -> list[str]:
    """Tasks of some models, then those that give the same kind of input as the first."""
    tasks = [row["task"] for row in rows if row["task"]]
    tasks += [row["task"] for row in known.values() if row["takes"] == rows[0]["takes"]]
    return list(dict.fromkeys(tasks))


def choose_task(pair: Pair, known: Known, key: str) -> str:
    """What the loss is measured on: the task of model A, or another that gives the same kind of
    input.
    """
    tasks, name = find_tasks(pair, known), f"{key}_task"
    option = Option(
        "task",
        "Measured on",
        tasks,
        tasks[0],
        "Models of different tasks can be compared on either.",
        "list",
    )
    option.prepare(key)
    if st.session_state.get(f"{name}_of") not in (None, pair[0]["task"]):
        st.session_state[name] = tasks[0]  # the person went to a model of another task
    st.session_state[f"{name}_of"] = pair[0]["task"]
    return option.show(key)


class Places(NamedTuple):
    """The parts of the sidebar, from top to bottom.

    Attributes:
        run: for the button that starts, the first that the Tab key reaches.
        first: for what everybody chooses: models, symmetries, method.
        more: for what most people leave as it is, folded.
    """

    run: DeltaGenerator
    first: DeltaGenerator
    more: DeltaGenerator


def divide_sidebar() -> Places:
    """Make the parts of the sidebar."""
    with st.sidebar:
        return Places(
            st.container(), st.container(), st.expander("More settings", icon=":material/tune:")
        )


def choose_accuracy(
    key: str, examples: Option[str], points: Option[int], split: Option[str]
) -> tuple[str, int | None, int]:
    """How much of the data, and how many points; returns split, examples (None for all) and
    points.
    """
    count, number = examples.show(key), points.show(key)
    return split.show(key), read_count(count), number
