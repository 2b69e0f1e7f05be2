"""The controls of symmetries and methods: a preset that follows the family, the method, and which
settings stay in the figure side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from lmc_core.errors import BadInput
from lmc_core.matching.methods import METHODS
from lmc_core.symmetry.spaces import KINDS
from lmc_core.ui import catalogue, messages
from lmc_core.ui.catalogue import Pair, Spaces
from lmc_core.ui.options import NONE, Option, capital
from lmc_core.ui.setting import (
    MOST_STEPS,
    PLAIN,
    Preset,
    Setting,
    all_classes,
    classes_of,
    only_permutations,
    preset_of,
    with_residual,
)

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

PRESETS: dict[Preset, str] = {
    "none": "None",
    "permutations": "Permutations",
    "all": "All",
    "custom": "Custom",
}
PRESET = Option(
    "preset",
    "Symmetries that may be used",
    list(PRESETS),
    "all",
    "**None**: the plain average.\n\n**Permutations**: units, heads and the like are reordered; "
    "planes inside heads stay.\n\n**All**: the largest class of maps that this architecture "
    "admits, for every kind of space.\n\n**Custom**: a class for every kind of space.",
    "pills",
    PRESETS.__getitem__,
)
STEPS = Option(
    "steps",
    "Steps",
    (100, 300, 600, 1500),
    300,
    "Of the gradient, on training examples. A hundred take about ten seconds for a model of the "
    "zoo; a cancelled run goes on where it was.",
    numbers=range(1, MOST_STEPS + 1),
)
TIME = Option(
    "seconds",
    "Time to learn",
    (NONE, "30", "60", "120", "300", "600", "1800"),
    NONE,
    "In place of a number of steps: as many are taken as fit, which is measured first.",
    shown=lambda each: "by steps" if each == NONE else describe_time(int(each)),
)
BEND = Option(
    "bend",
    "Path",
    (0, 300, 600, 1500),
    0,
    "The straight line, or a curve between the aligned models whose bend is trained for so many "
    "steps on training examples. Curves beside the straight line show how much of the barrier is "
    "left to a path that may leave it.",
    "list",
    lambda steps: f"Bent, {steps:,} steps" if steps else "Straight line",
)


def choose_bend(setting: Setting, key: str) -> Setting:
    """The same setting along the straight line, or along a curve; nothing is asked where a method
    bends by itself, or nothing is aligned.
    """
    if setting == PLAIN or METHODS[setting.method].bends:
        return setting
    return replace(setting, bend=BEND.show(key))


def describe_time(seconds: int) -> str:
    """A time to learn: "30 s", "5 min"."""
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"


def method_title(name: str) -> str:
    """What a way to bring B into the coordinates of A is called in a list."""
    return capital(METHODS[name].title)


def make_method() -> Option[str]:
    """How B is brought into the coordinates of A."""
    lines = [f"**{method_title(name)}**: {method.sentence}" for name, method in METHODS.items()]
    about = ["How B is brought into the coordinates of A.", *lines]
    return Option(
        "method", "Method", list(METHODS), "weight", "\n\n".join(about), "list", method_title
    )


def choose_setting(
    pair: Pair, key: str, more: DeltaGenerator | None = None
) -> tuple[Setting, Spaces]:
    """Choose symmetries and method; stop with the reason where models admit none.

    The preset follows the family: its classes are those of model A, whatever was shown before.

    Args:
        pair: of models.
        key: prefix of the widgets' keys.
        more: a part of the page for the steps of methods that learn.

    Returns:
        The setting, and what is known of every kind of space.
    """
    with messages.refusing():
        spaces = catalogue.spaces(pair[0])
    known = {kind: spaces[kind] for kind in KINDS if kind in spaces}
    largest = {kind: space["largest"] for kind, space in known.items()}
    preset = _choose_preset(known, key)
    if preset == "custom":
        classes = {
            kind: Option(
                kind,
                kind.capitalize(),
                space["classes"],
                space["largest"],
                f"{capital(space['what'])}; at most {space['largest']}: {space['reason']}.",
                "buttons",
            ).show(key)
            for kind, space in known.items()
        }
    else:
        classes = classes_of(preset, largest)
    method = make_method().show(key, disabled=preset == "none")
    if preset == "none":
        return PLAIN, known
    if not METHODS[method].takes_loss:
        return Setting.of(method, classes), known
    seconds = TIME.show(key, where=more)
    steps = STEPS.show(key, where=more, disabled=seconds != NONE)
    amount = (steps, None) if seconds == NONE else (None, int(seconds))
    return Setting.of(method, classes, *amount), known


def _choose_preset(spaces: Spaces, key: str) -> Preset:
    """The preset: of the session, else what the classes in the address amount to."""
    name = PRESET.key(key)
    if name not in st.session_state:
        st.session_state[name] = _read_preset(spaces)
    return PRESET.show(key)


def _read_preset(spaces: Spaces) -> Preset:
    if st.query_params.get("method") == "none":
        return "none"
    asked = {kind: st.query_params.get(kind) for kind in spaces}
    classes = {
        kind: wanted if (wanted := asked[kind]) in space["classes"] else space["largest"]
        for kind, space in spaces.items()
    }
    return preset_of(classes, {kind: space["largest"] for kind, space in spaces.items()})


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

    st.markdown("**In the figure**, beside the plain average")
    for index, other in enumerate(kept):
        label, button = st.columns([5, 1], vertical_alignment="center")
        words = other.label(largest)
        label.markdown(words)
        button.button(
            messages.draw_cross(f"Remove {words} from the figure"),
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
            ("keep", "Keep this setting", setting),
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
