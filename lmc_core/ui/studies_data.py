"""Where the page of studies meets the store; tests change the folders, not this."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from lmc_core import folders
from lmc_core.errors import LmcError
from lmc_core.numbers import size
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store
from lmc_core.studies import index as shelf
from lmc_core.studies.gather import public
from lmc_core.studies.index import Row
from lmc_core.studies.notes import Notes
from lmc_core.studies.store import Studies
from lmc_core.ui import backend, catalogue, messages
from lmc_core.ui.links import Address, find_home

KEY = "studies"
SHORT = 12  # digits of a key in an address


@st.cache_data(max_entries=4, show_spinner=False)
def _rows(stamp: tuple[tuple[str, int], ...]) -> list[Row]:
    return shelf.rows(Store())


def rows() -> list[Row]:
    """Return the rows of every stored result, newest first; read again only when the store has
    changed.
    """
    return _rows(shelf.stamp(Store()))


def found(keys: list[str]) -> list[Result]:
    """Return stored results in the order of their keys, without paths of this machine; those that
    are gone are left out.
    """
    store = Store()
    return [public(each) for key in keys if (each := store.get(key)) is not None]


def studies() -> Studies:
    """Return the folder of studies."""
    return Studies()


def notes() -> Notes:
    """Return the notes on results."""
    return Notes()


def names() -> Notes:
    """Return the names that this person gave to results, kept as notes are."""
    return Notes(folders.home() / "names")


def said() -> dict[str, str]:
    """Return what this person wrote about results by key, name and note, to be searched."""
    found = names().all()
    for key, note in notes().all().items():
        found[key] = f"{found[key]} {note}" if key in found else note
    return found


@st.cache_data(max_entries=4, show_spinner=False)
def _homes(
    stamp: tuple[tuple[str, int], ...], models: tuple[tuple[str, str], ...]
) -> dict[str, tuple[str, Address]]:
    known = catalogue.models()
    homes = {each.key: find_home(each.request, known, each.key) for each in Store().list()}
    return {key: home for key, home in homes.items() if home is not None}


def homes() -> dict[str, tuple[str, Address]]:
    """Return key -> page of a stored result with the query parameters under which it shows it."""
    known = tuple((name, row["digest"]) for name, row in catalogue.models().items())
    return _homes(shelf.stamp(Store()), known)


def store_sentence(table: list[Row]) -> str:
    """Say how much is stored, and how large it is."""
    own = [row for row in table if not row.shipped]
    came = len(table) - len(own)
    parts = [f"**{len(own)}** of your own ({size(shelf.measure_size(Store()))})"] if own else []
    parts += [f"**{came}** that came with the app"] if came else []
    return f"Stored results: {' and '.join(parts)}." if parts else "Nothing is stored yet."


def act(action: Callable[..., object], *arguments: object, said: str = "") -> None:
    """Change something as a callback of a button; what came of it is said at the top of the page.

    Refused on a server for an audience, whatever the page shows: a hidden button is no lock.
    """
    try:
        backend.require_writable()
        action(*arguments)
        if said:
            st.session_state[f"{KEY}_said"] = said
    except LmcError as error:
        st.session_state[f"{KEY}_refused"] = messages.sentence(error)


def say() -> None:
    """Show once what came of the last change, with a way back from a deletion."""
    if refused := st.session_state.pop(f"{KEY}_refused", None):
        st.error(refused, icon=":material/error:")
    said = st.session_state.pop(f"{KEY}_said", None)
    undo = st.session_state.get(f"{KEY}_undo")
    if said:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.success(said, icon=":material/check:")
            if undo is not None:
                st.button(
                    "Bring back", key=f"{KEY}_bring_back", icon=":material/undo:", on_click=_undo
                )
    else:
        st.session_state.pop(f"{KEY}_undo", None)


def _undo() -> None:
    action, words = st.session_state.pop(f"{KEY}_undo")
    act(action, said=words)


def delete_results(keys: list[str]) -> None:
    """Take results out of the store; they can be brought back until the next change."""
    store = Store()
    gone = [key for key in keys if shelf.remove(store, key)]

    def back() -> None:
        for key in gone:
            shelf.restore(store, key)

    count = f"{len(gone)} results were" if len(gone) != 1 else "One result was"
    st.session_state[f"{KEY}_undo"] = (back, f"{count} brought back.")
    st.session_state[f"{KEY}_said"] = f"{count} deleted."
    st.session_state[f"{KEY}_show"] = [
        key for key in st.session_state.get(f"{KEY}_show", []) if key not in gone
    ]


def delete_study(name: str) -> None:
    """Delete a study; its results stay, and it can be brought back until the next change."""
    folder = studies()
    study = folder.delete(name)
    st.session_state[f"{KEY}_study"] = None
    if study is not None:
        st.session_state[f"{KEY}_undo"] = (
            lambda: folder.add(study),
            f"The study \u201c{study.title}\u201d was brought back.",
        )
        st.session_state[f"{KEY}_said"] = (
            f"The study \u201c{study.title}\u201d was deleted; its results stay."
        )
