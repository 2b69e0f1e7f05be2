"""The models that a person looks at: one pair or set for the session, which every page begins with
and writes into its address.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

NAME = "current_models"  # in the session; no page's own, so that it survives a change of the page
PARAMETER = "current"  # in the address of a page that is not about models
MOST = 8  # models of a set


def read() -> list[str]:
    """Return the names of the current models, the pair first; empty before any were shown."""
    return list(st.session_state.get(NAME, []))


def pair(known: Collection[str]) -> tuple[str, str] | None:
    """Return the current pair where a page can show both models, else None."""
    names = read()[:2]
    return (names[0], names[1]) if len(names) == 2 and set(names) <= set(known) else None


def keep(names: Sequence[str]) -> None:
    """Make models the current ones; a set that begins with them stays whole."""
    chosen = list(names)[:MOST]
    if read()[: len(chosen)] != chosen:
        st.session_state[NAME] = chosen


def keep_pair(chosen: tuple[str, str], usual: tuple[str, str], known: Collection[str]) -> None:
    """Make a pair the current one, but not where a page shows its usual pair because it cannot
    show the current one.

    Args:
        chosen: the pair that is shown.
        usual: what the page shows when nothing is chosen.
        known: names of the models that the page can show.
    """
    if not read() or pair(known) is not None or chosen != usual:
        keep(chosen)


def keep_set(chosen: Sequence[str], usual: Sequence[str], fits: bool) -> None:
    """Make a set the current one, the pair in it first; otherwise as `keep_pair`.

    Args:
        chosen: the models that are shown; fewer than two are no set.
        usual: what the page shows when nothing is chosen.
        fits: whether the page can show the current models.
    """
    if len(chosen) < 2 or (read() and not fits and list(chosen) == list(usual)):
        return
    first = read()[:2]
    keep(
        [*first, *(name for name in chosen if name not in first)]
        if set(first) <= set(chosen)
        else chosen
    )


def follow_address() -> None:
    """Take the current models from the address of a page that is not about models."""
    if not read() and (names := st.query_params.get(PARAMETER)):
        st.session_state[NAME] = names.split(",")[:MOST]


def carried() -> dict[str, str]:
    """Return what the address of a page that is not about models says of the current ones."""
    return {PARAMETER: ",".join(read())} if read() else {}
