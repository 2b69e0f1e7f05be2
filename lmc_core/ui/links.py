"""Links between pages: the same models with the same settings on another page, and the page of a
stored result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import urlencode

import streamlit as st
from streamlit.errors import StreamlitPageNotFoundError

from lmc_core.merging.frames import find_frame
from lmc_core.models.listing import Row
from lmc_core.ui.catalogue import Known
from lmc_core.ui.controls import alike, pair_address
from lmc_core.ui.pages import PAGES, script
from lmc_core.ui.setting import PLAIN, Setting
from lmc_core.ui.widths_controls import fits

Address = dict[str, str | list[str]]
VIEWS = {
    "barrier": "Loss along the line between the models",
    "alignment": "What was matched with what",
    "landscape": "Loss on the plane through the models",
    "widths": "The narrow model inside the wide one",
    "merge": "One model made of these",
    "experts": "Every order of the experts",
}
"""What each page shows of the same models."""
# page of a kind of result; barriers between two widths belong on the page Widths
HOMES = {
    "barrier": "barrier",
    "layers": "barrier",
    "along": "barrier",
    "alignment": "alignment",
    "plane": "landscape",
    "bend": "landscape",
    "point": "landscape",
    "merge": "merge",
    "transport": "merge",
    "orders": "experts",
    "equivariance": "equivariance",
}


def show_views(
    page: str, rows: Sequence[Row], setting: Setting | None, data: Mapping[str, str]
) -> None:
    """Offer the other pages that can show these models, with the same settings.

    Args:
        page: that is shown.
        rows: of the models, at least two.
        setting: how they were matched; None leaves it to the other page.
        data: task and split, as an address names them.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("The same models:", width="content")
        for name in find_views(page, rows):
            show_link(name, PAGES[name].title, address_of(name, rows, setting, data), VIEWS[name])


def find_views(page: str, rows: Sequence[Row]) -> list[str]:
    """Names of the other pages that can show some models."""
    a, b = rows[0], rows[1]
    equal = alike(a, b)
    able = {
        "barrier": True,
        "alignment": equal,
        "landscape": equal,
        "widths": fits(a, b) or fits(b, a),
        "merge": equal,
        "experts": equal and "experts" in a["sizes"],
    }
    return [name for name in VIEWS if able[name] and name != page]


def address_of(
    page: str, rows: Sequence[Row], setting: Setting | None, data: Mapping[str, str]
) -> Address:
    """Return the query parameters under which a page shows models with a setting."""
    names = [row["name"] for row in rows]
    if page == "merge":
        return {**data, "models": names}
    pair = (rows[1], rows[0]) if page == "widths" and fits(rows[1], rows[0]) else (rows[0], rows[1])
    found = pair_address(pair, None if page == "widths" else setting)
    if page == "experts" and setting is not None:
        found = {name: found[name] for name in ("a", "b", "method")}
    if page == "barrier" and setting == PLAIN:
        found["with"] = "none"
    kept = {name: value for name, value in found.items() if value is not None}
    return {**kept, **data}


def show_link(page: str, label: str, address: Address, help: str | None = None) -> None:
    """Show a link to a page: within the app, and where a page runs without it, by its address."""
    try:
        st.page_link(
            script(page),
            label=label,
            icon=":material/arrow_forward:",
            query_params=address,
            help=help,
        )
    except StreamlitPageNotFoundError:
        st.markdown(f"[{label}]({url(page, address)})", width="content")


def url(page: str, address: Address) -> str:
    """Return the address of a page, relative to the app's."""
    return f"{'' if page == 'start' else page}?{urlencode(address, doseq=True)}"


def find_home(
    request: Mapping[str, object], known: Known, key: str = ""
) -> tuple[str, Address] | None:
    """Return the page of a stored result with the query parameters under which it shows it; None
    for a kind that no page shows, and for models that are not there any more.

    Args:
        request: of the result, as JSON.
        known: the models that pages can show.
        key: of the result.
    """
    what = str(request.get("what"))
    page = HOMES.get(what)
    if page is None:
        return None
    if page == "equivariance":
        return page, _training_address(request, key)
    by_digest = {row["digest"]: row for row in known.values()}
    digests = cast("Sequence[str]", request.get("digests") or ())
    rows = [by_digest[digest] for digest in digests if digest in by_digest]
    if not rows or len(rows) < len(digests):
        return None
    if page == "barrier" and len(rows) == 2 and not alike(rows[0], rows[1]):
        page = "widths"
    return page, _home_address(page, what, rows, request)


def _home_address(
    page: str, what: str, rows: Sequence[Row], request: Mapping[str, object]
) -> Address:
    """Query parameters of a stored result."""
    data = {name: str(request[name]) for name in ("task", "split") if request.get(name)}
    data["examples"] = str(request.get("examples") or "all")
    if what == "transport":
        return _carried_address(rows, request, data)
    settings = dict(cast("Sequence[tuple[str, object]]", request.get("settings") or ()))
    steps, seconds = settings.get("steps"), settings.get("seconds")
    setting = Setting.of(
        str(request.get("method", "none")),
        dict(cast("Sequence[tuple[str, str]]", request.get("classes") or ())),
        steps if isinstance(steps, int) else None,
        int(seconds) if isinstance(seconds, int | float) else None,
        cast("int", request.get("bend") or 0),
    )
    kind = request.get("kind") if what == "plane" else "pair"
    if page == "landscape" and kind == "random":
        more: Address = {"plane": "random", "span": str(request.get("span"))}
        more |= {"a": rows[0]["name"], "seed": str(request.get("seed", 0))}
        return {**data, **more, "resolution": str(request.get("resolution"))}
    found = address_of(page, rows, setting, data)
    if page == "merge":
        found |= _merge_address(request, find_frame(setting.method, settings).name)
        if setting.classes and {value for _, value in setting.classes} <= {"none", "permutation"}:
            found["symmetries"] = "permutations"
    elif what == "plane":
        found |= {"plane": str(kind), "resolution": str(request.get("resolution"))}
        if len(rows) > 2:
            found["c"] = rows[2]["name"]
    elif request.get("points") and page in ("barrier", "experts", "widths"):
        found["points"] = str(request["points"])
    if page == "widths":
        found["ways"] = "none" if setting == PLAIN else setting.method
    return found


def _merge_address(request: Mapping[str, object], frame: str) -> Address:
    """Query parameters of ways to merge in a frame.

    Answers of an ensemble are the same in every frame, and measured in the first alone.
    """
    merges = cast("Sequence[tuple[str, Sequence[tuple[str, object]]]]", request.get("merges") or ())
    names = [name for name, _ in merges]
    weights = cast("Sequence[float]", request.get("weights") or ())
    found: Address = {"frame": [frame], "merge": names}
    if "ensemble" not in names and frame != "none":
        found = {"frame": ["none", frame], "merge": [*names, "ensemble"]}
    if touched := [f"{name}.{field}={value}" for name, pairs in merges for field, value in pairs]:
        found["set"] = touched
    if len(set(weights)) > 1:
        found["weights"] = ",".join(f"{weight / max(weights):g}" for weight in weights)
    return found


def _carried_address(
    rows: Sequence[Row], request: Mapping[str, object], data: Mapping[str, str]
) -> Address:
    """Query parameters of a carried fine-tuning."""
    names = dict(
        zip(("from", "tuned", "to", "itself"), (row["name"] for row in rows), strict=False)
    )
    found: Address = {"carry": "1", **names, "learned": data["task"], "split": data["split"]}
    found |= {"examples": data["examples"], "by": str(request.get("method"))}
    chosen = dict(cast("Sequence[tuple[str, str]]", request.get("classes") or ()))
    if set(chosen.values()) <= {"none", "permutation"}:
        found["symmetries"] = "permutations"
    return found


def _training_address(request: Mapping[str, object], key: str) -> Address:
    """Query parameters of a training towards equivariance."""
    names = {
        "source": "data",
        "price": "rho",
        "augmented": "c",
        "primal_rate": "primal",
        "dual_rate": "dual",
        "examples": "images",
    }
    same = ("kind", "group", "network", "form", "steps", "seed", "split")
    said = {names.get(name, name): str(request[name]) for name in (*names, *same)}
    return {**said, "run": key[:8]}
