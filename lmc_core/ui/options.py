"""Options: a control with its choices, which shows itself and lives in the address of its page.

A value comes from the session once the control was touched, before that from the address, and
before that from the default. What an address holds that is not among the choices is dropped, but
for whole numbers of options that take more than they offer: a result of the command line may have
another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

import streamlit as st

from lmc_core.ui import address

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

T = TypeVar("T")
Shape = Literal["list", "buttons", "pills", "slider"]
NONE = "none"  # in an address, for several of which there are none


def capital(words: str) -> str:
    """Return words with a large first letter."""
    return words[:1].upper() + words[1:]


@dataclass(frozen=True)
class Option(Generic[T]):
    """One of some choices.

    Attributes:
        name: of the query parameter.
        label: above the control.
        choices: what it can be; written in an address by `str`.
        default: at first.
        help: what a person reads who asks.
        shape: a list to open, buttons side by side, the same apart so that they may need two
            lines, or a slider.
        shown: how a choice is written for people.
        hidden: whether the label is for screen readers alone.
        suffix: of the control's key, where several share a query parameter.
        numbers: of choices that are whole numbers: an address may hold another one of these, which
            is a choice then as long as it is chosen.
    """

    name: str
    label: str
    choices: Sequence[T]
    default: T
    help: str | None = None
    shape: Shape = "slider"
    shown: Callable[[T], str] = str
    hidden: bool = False
    suffix: str = ""
    numbers: range = range(0)

    def key(self, page: str) -> str:
        """Key of the control, and of its value in the session."""
        return f"{page}_{self.name}{self.suffix}"

    def prepare(self, page: str) -> T:
        """Give the control its first value, or a legal one when its choices have changed.

        Args:
            page: prefix of the keys of the page's controls.

        Returns:
            The value.
        """
        key = self.key(page)
        address.prepare(key, self.name, self.offered(page), self.default)
        return st.session_state[key]

    def offered(self, page: str) -> Sequence[T]:
        """The choices, with the number of the session or else of the address where that may be
        another one.
        """
        held: object = st.session_state.get(self.key(page), st.query_params.get(self.name, ""))
        text = str(held)
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else -1
        if number not in self.numbers:
            return self.choices
        return cast("Sequence[T]", sorted({*cast("Sequence[Any]", self.choices), number}))

    def show(
        self,
        page: str,
        where: DeltaGenerator | None = None,
        width: Literal["stretch", "content"] | int = "stretch",
        disabled: bool = False,
        on_change: Callable[[], None] | None = None,
    ) -> T:
        """Show the control.

        Args:
            page: prefix of the keys of the page's controls.
            where: a part of the page; default where the page is being written.
            width: of the control.
            disabled: whether it is shown and cannot be used.
            on_change: called when a person chooses, before the page runs again.

        Returns:
            The chosen value.
        """
        self.prepare(page)
        choices = self.offered(page)
        key, place = self.key(page), where if where is not None else st
        visibility: Literal["collapsed", "visible"] = "collapsed" if self.hidden else "visible"
        if self.shape == "list":
            place.selectbox(
                self.label,
                choices,
                key=key,
                format_func=self.shown,
                help=self.help,
                width=width if width != "content" else "stretch",
                label_visibility=visibility,
                disabled=disabled,
                on_change=on_change,
            )
        elif self.shape in ("buttons", "pills"):
            row = place.segmented_control if self.shape == "buttons" else place.pills
            row(
                self.label,
                choices,
                key=key,
                format_func=self.shown,
                help=self.help,
                required=True,
                width=width,
                label_visibility=visibility,
                disabled=disabled,
                on_change=on_change,
            )
        else:
            place.select_slider(
                self.label,
                choices,
                key=key,
                format_func=self.shown,
                help=self.help,
                width=width if width != "content" else "stretch",
                disabled=disabled,
                on_change=on_change,
            )
        return st.session_state[key]


@dataclass(frozen=True)
class Several(Generic[T]):
    """Any number of some choices, as pills.

    Attributes:
        name: of the query parameter, which an address holds once for each.
        label: above the control.
        choices: what can be chosen.
        default: what is chosen at first.
        help: what a person reads who asks.
        shown: how a choice is written for people.
        may_be_none: whether the word none in an address stands for none of them.
        falls_back: whether an address with nothing that can be chosen gives the default.
    """

    name: str
    label: str
    choices: Sequence[T]
    default: Sequence[T]
    help: str | None = None
    shown: Callable[[T], str] = str
    may_be_none: bool = False
    falls_back: bool = True

    def prepare(self, page: str) -> list[T]:
        """Give the control its first value; see `Option.prepare`."""
        key = f"{page}_{self.name}"
        if key not in st.session_state:
            asked = st.query_params.get_all(self.name)
            found = [choice for choice in self.choices if str(choice) in asked]
            none = self.may_be_none and asked == [NONE]
            empty = none or (bool(asked) and not self.falls_back)
            st.session_state[key] = found if found or empty else list(self.default)
        return st.session_state[key]

    def show(self, page: str) -> list[T]:
        """Show the control; returns what is chosen, in the order of the choices."""
        self.prepare(page)
        key = f"{page}_{self.name}"
        st.pills(
            self.label,
            self.choices,
            selection_mode="multi",
            key=key,
            format_func=self.shown,
            help=self.help,
        )
        return [choice for choice in self.choices if choice in st.session_state[key]]
