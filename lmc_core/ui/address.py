"""The state of a page lives in its address: opened fresh, it shows the same selection.

A widget's value comes from the session once it was touched, before that from the address, and
before that from its default. What an address holds that is not among the options is dropped.

The browser's Back and Forward, and a link into the page that is open, change the address and no
widget. The router tells that from a person's choice (`enter`), and lets the address win.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import streamlit as st

from lmc_core.ui import current

T = TypeVar("T")
# values of one name; a page writes at most one for each of its curves, models or results
REPEATED = 64
LONGEST = 8000  # characters; browsers and servers agree on about so many
KNOWN = "address_known"  # in the session: what the server knows of the page, `Known`
SHOWN = "address_shown"  # in the session: the page that runs
CARRIES = "address_carries"  # in the session: whether the page names the current models apart
PLAIN = (bool, int, float, str, type(None))  # values of widgets, or of what they list


@dataclass
class Known:
    """What the server knows of the page that the browser shows. It is kept up to date while the
    page runs: a run that another interrupts has no end at which it could be remembered.

    Args:
        page: its name.
        address: that the browser has, or was sent.
        values: of its widgets, by key.
    """

    page: str = ""
    address: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, object] = field(default_factory=dict)


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
    value = next((option for option in options if str(option) == wanted), default)
    st.session_state[key] = value
    _known().values[key] = value


def prepare_text(key: str, name: str, limit: int = 200) -> None:
    """Give the text box `key` its first value from the query parameter `name`, cut to `limit`
    characters.
    """
    if key not in st.session_state:
        st.session_state[key] = st.query_params.get(name, "")[:limit]
        _known().values[key] = st.session_state[key]


def write(values: Mapping[str, str | list[str] | None]) -> None:
    """Put the state into the address; None leaves a parameter out."""
    carried = current.carried() if st.session_state.get(CARRIES) else {}
    fresh = {name: value for name, value in {**values, **carried}.items() if value is not None}
    if read() != {
        name: value if isinstance(value, list) else [value] for name, value in fresh.items()
    }:
        st.query_params.from_dict(fresh)
        _known().address = read()


def read() -> dict[str, list[str]]:
    """Return everything that the address holds."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def enter(page: str, pages: Iterable[str], about_models: bool) -> None:
    """Forget what the session must not hold against the address, before a page runs: the state of
    all other pages, and that of the page itself where the browser went back or forward.

    Args:
        page: that runs.
        pages: names of all, with which the keys of their widgets begin.
        about_models: whether the page names models in its address itself.
    """
    st.session_state[SHOWN] = page
    owners = set(pages) - {page}
    known, now = _known(), _values(page)
    if known.page == page and known.address != read() and not _changed(known.values, now):
        owners.add(page)
    for key in list(st.session_state):
        if str(key).partition("_")[0] in owners:
            del st.session_state[key]
    st.session_state[KNOWN] = Known(page, read(), {} if page in owners else now)
    st.session_state[CARRIES] = not about_models
    if not about_models:
        current.follow_address()


def carry() -> None:
    """Name the current models in the address of a page that writes none of its own."""
    if st.session_state.get(CARRIES) and not current.carried().items() <= dict(_firsts()).items():
        write(read())


def leave(page: str) -> None:
    """Remember address and widgets of a page at the end of its run."""
    st.session_state[KNOWN] = Known(page, read(), _values(page))


def stop() -> NoReturn:
    """End the run of a page here, and remember what `leave` does: once Streamlit was asked to stop,
    nothing of the session can be read or written.
    """
    if (page := st.session_state.get(SHOWN)) is not None:
        leave(page)
    st.stop()


def _firsts() -> list[tuple[str, str]]:
    return [(name, st.query_params[name]) for name in st.query_params]


def _known() -> Known:
    """What the server knows; forgotten where nothing has entered a page."""
    return st.session_state.get(KNOWN, Known())


def _values(page: str) -> dict[str, object]:
    """Values of a page's widgets, by key; what else a page keeps in the session has other types."""
    found = {str(key): value for key, value in st.session_state.items()}
    return {
        key: value
        for key, value in found.items()
        if key.startswith(f"{page}_") and _is_plain(value)
    }


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(each, PLAIN) for each in value)
    return isinstance(value, PLAIN)


def _changed(before: Mapping[str, object], now: Mapping[str, object]) -> bool:
    """Whether a person has used a widget since; a button that was pressed is released by itself,
    and a widget that was not there could not be used.
    """
    return any(
        key in before and value != before[key] and before[key] is not True
        for key, value in now.items()
    )
