"""The controls that pages about models share, in the order of thought: which models, which
symmetries, how exact, what else to show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import streamlit as st

from lmc_core.errors import BadInput, LmcError
from lmc_core.matching.methods import METHODS
from lmc_core.models.listing import Row
from lmc_core.symmetry.spaces import KINDS
from lmc_core.ui import backend, catalogue, custom_models, messages
from lmc_core.ui.catalogue import Known, Pair, Spaces
from lmc_core.ui.options import Option, capital
from lmc_core.ui.setting import PLAIN, Setting, all_classes, only_permutations, with_residual

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


STEPS = Option(
    "steps",
    "Steps",
    (100, 300, 600, 1500),
    300,
    "Of the gradient, on training examples. A hundred take about ten seconds for a model of the "
    "zoo; a cancelled run goes on where it was.",
)
EXAMPLES = make_examples((50, 200, 500, 1000, None))
POINTS = Option(
    "points", "Points on the line", (5, 11, 25, 51), 25, "Four more are added around the maximum."
)
SPLIT = make_split(
    ("test", "validation", "train", BOTH),
    "Test and validation were not seen in training. All of the training split takes several "
    "times as long.",
)


def method_title(name: str) -> str:
    """What a way to bring B into the coordinates of A is called in a list."""
    return capital("none" if name == "none" else METHODS[name].title)


def make_method() -> Option[str]:
    """How B is brought into the coordinates of A."""
    lines = [f"**{method_title(name)}**: {method.sentence}" for name, method in METHODS.items()]
    about = ["How B is brought into the coordinates of A.", *lines, "**None**: the plain average."]
    return Option(
        "method", "Method", [*METHODS, "none"], "weight", "\n\n".join(about), "list", method_title
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
        st.stop()
    return known


def make_model(
    name: str, label: str, known: Known, names: Iterable[str], default: str, help: str
) -> Option[str]:
    """One of some models."""
    return Option(
        name,
        label,
        list(names),
        default,
        help,
        "list",
        lambda each: catalogue.model_label(known[each]),
    )


def choose_pair(known: Known, key: str) -> Pair:
    """Two lists for the two models."""
    names = list(known)
    first = next((n for n in names if n == "vit-fashion-s0"), names[0])
    st.subheader("Models", anchor=False)
    a = make_model(
        "a", "Model A, at \u03bb = 0", known, names, first, "It stays where it is."
    ).show(key)
    kin = find_alike(known, a) or [n for n in names if n != a]
    option = make_model(
        "b",
        "Model B, at \u03bb = 1",
        known,
        names,
        kin[0],
        "It is moved into the coordinates of A.",
    )
    before = option.prepare(key)
    changed = st.session_state.get(f"{key}_was") not in (None, a)
    if changed and not alike(known[before], known[a]):
        # the person went to another family or size: follow with a partner that fits
        st.session_state[f"{key}_b"] = kin[0]
    st.session_state[f"{key}_was"] = a
    b = option.show(key)
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


def alike(one: Row, other: Row) -> bool:
    """Whether a line between two models exists: one family, the same sizes."""
    return one["family"] == other["family"] and one["sizes"] == other["sizes"]


def find_alike(known: Known, name: str) -> list[str]:
    """Names of the other models of the family and sizes of one."""
    return [n for n, row in known.items() if n != name and alike(row, known[name])]


def choose_setting(pair: Pair, key: str) -> tuple[Setting, Spaces]:
    """Choose symmetries and method; stop with the reason where models admit none.

    Args:
        pair: of models.
        key: prefix of the widgets' keys.

    Returns:
        The setting, and what is known of every kind of space.
    """
    with messages.refusing():
        spaces = catalogue.spaces(pair[0])
    known = {kind: spaces[kind] for kind in KINDS if kind in spaces}
    st.subheader("Symmetries that may be used", anchor=False)
    option = make_method()
    plain = option.prepare(key) == "none"
    chosen = {}
    for kind, space in known.items():
        about = f"{capital(space['what'])}; at most {space['largest']}: {space['reason']}."
        chosen[kind] = Option(
            kind, kind.capitalize(), space["classes"], space["largest"], about, "buttons"
        ).show(key, disabled=plain)
    method = option.show(key)
    learns = method in METHODS and METHODS[method].takes_loss
    steps = STEPS.show(key) if learns else None
    return Setting.of(method, chosen, steps), known


def pair_address(pair: Pair, setting: Setting | None) -> dict[str, str | list[str] | None]:
    """Return what an address says of the models and of the setting, None where nothing is
    aligned.
    """
    found: dict[str, str | list[str] | None] = {"a": pair[0]["name"], "b": pair[1]["name"]}
    if setting is None:
        return found
    steps = {"steps": str(setting.steps)} if setting.steps else {}
    return {**found, "method": setting.method, **steps, **dict(setting.classes)}


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


def choose_accuracy(
    key: str, examples: Option[str], points: Option[int], split: Option[str]
) -> tuple[str, int | None, int]:
    """How much of the data, and how many points; returns split, examples (None for all) and
    points.
    """
    st.subheader("How exact", anchor=False)
    count, number = examples.show(key), points.show(key)
    return split.show(key), read_count(count), number


def choose_kept(setting: Setting, spaces: Spaces, key: str) -> list[Setting]:
    """The other settings that stay in the figure, with a way to add and to remove each."""
    name = f"{key}_with"
    largest = {kind: space["largest"] for kind, space in spaces.items()}
    if name not in st.session_state:
        st.session_state[name] = _read_kept(spaces)
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
        for button_key, words, other in (
            ("keep", "Keep the chosen", setting),
            ("add_permutations", "Permutations only", only_permutations(largest)),
            ("add_all", "All classes", all_classes(largest)),
        ):
            st.button(
                words,
                icon=":material/add:",
                key=f"{key}_{button_key}",
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


def _read_kept(spaces: Spaces) -> list[Setting]:
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
