"""The state of a page lives in its address: opened fresh, it shows the same selection.

A widget's value comes from the session once it was touched, before that from the address, and
before that from its default. What an address holds that is not among the options is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import streamlit as st

T = TypeVar("T")
# values of one name; a page writes at most one for each of its curves, models or results
REPEATED = 64
LONGEST = 8000  # characters; browsers and servers agree on about so many


def excess() -> str:
    """Why the address is not followed, in a sentence; "" for one that a page can have written
    itself.
    """
    counts = {name: len(st.query_params.get_all(name)) for name in st.query_params}
    name = max(counts, key=counts.__getitem__, default="")
    length = sum(len(each) for name in counts for each in (name, *st.query_params.get_all(name)))
    if counts.get(name, 0) > REPEATED:
        what = (
            f"names {name if name.isidentifier() else 'something'} {counts[name]:,} times, and "
            f"{REPEATED} are the most"
        )
    elif length > LONGEST or len(counts) > REPEATED:
        what = (
            f"holds {length:,} characters in {len(counts):,} parts, and {LONGEST:,} in "
            f"{REPEATED} are the most"
        )
    else:
        return ""
    return (
        f"This address {what} that a page writes; open the page by the links above, or shorten "
        "the address."
    )


def prepare(key: str, name: str, options: Sequence[T], default: T) -> None:
    """Give the widget `key` its first value, or a legal one when its options have changed.

    Args:
        key: of the widget, carries the page's name.
        name: of the query parameter.
        options: what it can be; compared with the address by `str`.
        default: used when neither session nor address hold an option.
    """
    if key in st.session_state and st.session_state[key] in options:
        return
    wanted = st.query_params.get(name) if key not in st.session_state else None
    st.session_state[key] = next((option for option in options if str(option) == wanted), default)


def prepare_text(key: str, name: str, limit: int = 200) -> None:
    """Give the text box `key` its first value from the query parameter `name`, cut to `limit`
    characters.
    """
    if key not in st.session_state:
        st.session_state[key] = st.query_params.get(name, "")[:limit]


def write(values: Mapping[str, str | list[str] | None]) -> None:
    """Put the state into the address; None leaves a parameter out."""
    fresh = {name: value for name, value in values.items() if value is not None}
    current = {name: st.query_params.get_all(name) for name in st.query_params}
    if current != {
        name: value if isinstance(value, list) else [value] for name, value in fresh.items()
    }:
        st.query_params.from_dict(fresh)
