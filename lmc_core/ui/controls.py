"""The controls of the barrier's page, in the order of thought: which models, which symmetries, how
exact, what else to show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from lmc_core.errors import BadInput, LmcError
from lmc_core.matching.methods import METHODS
from lmc_core.symmetry.spaces import KINDS
from lmc_core.ui import address, backend, catalogue, custom_models, messages
from lmc_core.ui.setting import PLAIN, Setting, all_classes, only_permutations, with_residual

Row = Mapping[str, Any]

EXAMPLES = (50, 200, 500, 1000, None)
POINTS = (5, 11, 25, 51)
SPLITS = ("test", "validation", "train")
BOTH = "test and train"
STEPS = (100, 300, 600, 1500)


def method_title(name: str) -> str:
    """What a way to bring B into the coordinates of A is called in a list."""
    title = "none" if name == "none" else METHODS[name].title
    return title[0].upper() + title[1:]


def explain_methods() -> str:
    """What each way does, a paragraph each."""
    found = [f"**{method_title(name)}**: {method.sentence}" for name, method in METHODS.items()]
    return "\n\n".join(
        ["How B is brought into the coordinates of A.", *found, "**None**: the plain average."]
    )


def choose_pair(
    known: Mapping[str, dict[str, Any]], key: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two select boxes for the two models."""
    names = list(known)
    first = next((n for n in names if n == "vit-fashion-s0"), names[0])
    st.subheader("Models", anchor=False)

    def label(name: str) -> str:
        return catalogue.model_label(known[name])

    address.prepare(f"{key}_a", "a", names, first)
    a = st.selectbox(
        "Model A, at \u03bb = 0",
        names,
        key=f"{key}_a",
        format_func=label,
        help="It stays where it is.",
    )
    kin = [n for n in names if n != a and _comparable(known[n], known[a])] or [
        n for n in names if n != a
    ]
    address.prepare(f"{key}_b", "b", names, kin[0])
    changed = st.session_state.get(f"{key}_was") not in (None, a)
    if changed and not _comparable(known[st.session_state[f"{key}_b"]], known[a]):
        # the person went to another family or size: follow with a partner that fits
        st.session_state[f"{key}_b"] = kin[0]
    st.session_state[f"{key}_was"] = a
    b = st.selectbox(
        "Model B, at \u03bb = 1",
        names,
        key=f"{key}_b",
        format_func=label,
        help="It is moved into the coordinates of A.",
    )
    add_model(key)
    show_notes([known[a], known[b]])
    return known[a], known[b]


def show_notes(rows: Sequence[Row]) -> None:
    """Say what a person should know of the files of some models."""
    for note in dict.fromkeys(note for row in rows for note in row.get("notes", ())):
        st.warning(messages.sentence(note), icon=":material/warning:")


def add_model(key: str) -> None:
    """A field for a model that is not shipped; afterwards it is among those that can be chosen."""
    if backend.read_only():
        return
    name, extra, said = f"{key}_add", f"{key}_add_extra", f"{key}_add_said"

    def take() -> None:
        reference = str(st.session_state[name]).strip()
        st.session_state[said] = ""
        if reference:
            try:
                custom_models.add(reference, st.session_state[extra])
                st.session_state[name] = ""
            except LmcError as error:
                st.session_state[said] = messages.sentence(error)

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
        if st.session_state.get(said):
            st.error(st.session_state[said], icon=":material/error:")
        st.caption("Then choose it above. Supported families are listed on the page Models.")


def _comparable(one: Row, other: Row) -> bool:
    """Whether a line between two models exists: one family, the same sizes."""
    return one["family"] == other["family"] and one["sizes"] == other["sizes"]


def choose_classes(pair: Sequence[Row], key: str) -> tuple[Setting, dict[str, dict[str, Any]]]:
    """One group of buttons for the classes of every kind of space; returns the setting and what is
    known of each kind.
    """
    spaces = catalogue.spaces(pair[0])
    kinds = [kind for kind in KINDS if kind in spaces]
    largest = {kind: spaces[kind]["largest"] for kind in kinds}
    st.subheader("Symmetries that may be used", anchor=False)
    address.prepare(f"{key}_method", "method", [*METHODS, "none"], "weight")
    for kind in kinds:
        address.prepare(f"{key}_{kind}", kind, spaces[kind]["classes"], largest[kind])

    for kind in kinds:
        st.segmented_control(
            kind.capitalize(),
            spaces[kind]["classes"],
            key=f"{key}_{kind}",
            required=True,
            width="stretch",
            disabled=st.session_state[f"{key}_method"] == "none",
            help=_help(spaces[kind]),
        )
    method = st.selectbox(
        "Method",
        [*METHODS, "none"],
        key=f"{key}_method",
        format_func=method_title,
        help=explain_methods(),
    )
    steps = None
    if method in METHODS and METHODS[method].takes_loss:
        address.prepare(f"{key}_steps", "steps", list(STEPS), 300)
        steps = int(
            st.select_slider(
                "Steps",
                list(STEPS),
                key=f"{key}_steps",
                help="Of the gradient, on training examples. A hundred take about ten seconds for "
                "a model of the zoo; "
                "a cancelled run goes on where it was.",
            )
        )
    chosen = {kind: st.session_state[f"{key}_{kind}"] for kind in kinds}
    return Setting.of(str(method), chosen, steps), {kind: spaces[kind] for kind in kinds}


def _help(space: Row) -> str:
    what = space["what"][0].upper() + space["what"][1:]
    return f"{what}; at most {space['largest']}: {space['reason']}."


def choose_task(pair: Sequence[Row], known: Mapping[str, Row], key: str) -> str:
    """What the loss is measured on: the task of model A, or another that gives the same kind of
    input.
    """
    tasks = list(dict.fromkeys([pair[0]["task"], pair[1]["task"]]))
    tasks += [
        t
        for t in dict.fromkeys(
            row["task"] for row in known.values() if row["takes"] == pair[0]["takes"]
        )
        if t not in tasks
    ]
    name = f"{key}_task"
    address.prepare(name, "task", tasks, tasks[0])
    if st.session_state[name] not in tasks or st.session_state.get(f"{key}_task_of") not in (
        None,
        pair[0]["task"],
    ):
        st.session_state[name] = tasks[0]  # the person went to a model of another task
    st.session_state[f"{key}_task_of"] = pair[0]["task"]
    return str(
        st.selectbox(
            "Measured on",
            tasks,
            key=name,
            help="Models of different tasks can be compared on either.",
        )
    )


def choose_accuracy(key: str, splits: Sequence[str] = SPLITS) -> tuple[str, int | None, int]:
    """How much of the data, and how many points; returns split, examples (None for all) and
    points.
    """
    st.subheader("How exact", anchor=False)
    address.prepare(f"{key}_examples", "examples", [str(n or "all") for n in EXAMPLES], "all")
    address.prepare(f"{key}_points", "points", list(POINTS), 25)
    address.prepare(f"{key}_split", "split", list(splits), "test")
    examples = st.select_slider(
        "Examples",
        [str(n or "all") for n in EXAMPLES],
        key=f"{key}_examples",
        help="The standard error falls with the square root of their number.",
    )
    points = st.select_slider(
        "Points on the line",
        list(POINTS),
        key=f"{key}_points",
        help="Four more are added around the maximum.",
    )
    split = st.segmented_control(
        "Split",
        list(splits),
        key=f"{key}_split",
        required=True,
        width="stretch",
        help="Test and validation were not seen in training. All of the training split takes "
        "several times as long.",
    )
    return str(split), None if examples == "all" else int(examples), int(points)


def choose_kept(setting: Setting, spaces: Mapping[str, Row], key: str) -> list[Setting]:
    """The other settings that stay in the figure, with a way to add and to remove each."""
    name = f"{key}_with"
    largest = {kind: space["largest"] for kind, space in spaces.items()}
    if name not in st.session_state:
        st.session_state[name] = _from_address(spaces)
    kept: list[Setting] = st.session_state[name]

    def add(other: Setting) -> None:
        if other != PLAIN and other not in st.session_state[name]:
            st.session_state[name] = [*st.session_state[name], other]

    def remove(other: Setting) -> None:
        st.session_state[name] = [each for each in st.session_state[name] if each != other]

    st.subheader("In the figure", anchor=False)
    st.markdown("Plain average, always")
    for index, other in enumerate(kept):
        label, button = st.columns([5, 1], vertical_alignment="center")
        words = other.label(largest)
        label.markdown(words)
        button.button(
            "",
            icon=":material/close:",
            key=f"{key}_remove_{index}",
            on_click=remove,
            args=(other,),
            help=f"Remove {words} from the figure.",
            type="tertiary",
        )
    if setting not in (PLAIN, *kept):
        st.markdown(f"{setting.label(largest)} (chosen above)")
    with st.container(horizontal=True):
        for name_of, words, other in (
            ("keep", "Keep the chosen", setting),
            ("add_permutations", "Permutations only", only_permutations(largest)),
            ("add_all", "All classes", all_classes(largest)),
        ):
            st.button(
                words,
                icon=":material/add:",
                key=f"{key}_{name_of}",
                on_click=add,
                args=(other,),
                disabled=other in (PLAIN, *kept),
                help="Stays in the figure beside what is chosen above.",
            )
    _choose_grid(largest, key, add)
    return kept


def _choose_grid(largest: Mapping[str, str], key: str, add: Callable[[Setting], None]) -> None:
    """Several classes by several methods at once; each becomes a curve, and what is missing a job
    of the queue.
    """
    families = {
        "Permutations only": only_permutations(largest),
        "Orthogonal residual": with_residual(largest, "orthogonal"),
        "All classes": all_classes(largest),
    }
    with st.popover("A grid of settings", icon=":material/grid_on:", type="tertiary"):
        classes = st.pills(
            "Classes",
            list(families),
            selection_mode="multi",
            key=f"{key}_grid_classes",
            help="Orthogonal residual: the stream is rotated, the rest is permuted.",
        )
        methods = st.pills(
            "Methods",
            list(METHODS),
            selection_mode="multi",
            format_func=method_title,
            key=f"{key}_grid_methods",
            help="Those that learn take the steps chosen above, 300 by default.",
        )
        steps = int(st.session_state.get(f"{key}_steps") or 300)
        grid = [
            Setting(method, families[name].classes, steps if METHODS[method].takes_loss else None)
            for name in classes
            for method in methods
        ]

        def take() -> None:
            for other in grid:
                add(other)

        words = f"Add {len(grid)} curve{'s' if len(grid) != 1 else ''}"
        st.button(
            words,
            key=f"{key}_grid",
            on_click=take,
            disabled=not grid,
            help="**Run** then computes them one by one.",
        )


def _from_address(spaces: Mapping[str, Row]) -> list[Setting]:
    """The settings that the address names; those that are not admissible here are dropped."""
    texts = st.query_params.get_all("with")
    if not texts:
        return [only_permutations({kind: space["largest"] for kind, space in spaces.items()})]
    found = []
    for text in texts:
        try:
            setting = Setting.parse(text)
        except BadInput:
            continue
        if setting != PLAIN and all(
            k in spaces and v in spaces[k]["classes"] for k, v in setting.classes
        ):
            found.append(setting)
    return list(dict.fromkeys(found))
