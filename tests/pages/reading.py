"""What a page shows, read from Streamlit's own test of it."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from lmc_core.ui.pages import script


def page(name: str, **address: Any) -> AppTest:
    """A page that was not run yet, opened at an address."""
    at = AppTest.from_file(str(script(name)), default_timeout=60)
    at.query_params.update(address)
    return at


def words(at: AppTest) -> str:
    """Everything that is written on the page, one piece a line."""
    parts = [*at.markdown, *at.caption, *at.error, *at.info, *at.success, *at.warning]
    return "\n".join(str(part.value) for part in parts)


def headers(at: AppTest) -> list[str]:
    return [each.value for each in at.header]


def button(at: AppTest, label: str) -> Any:
    return next(each for each in at.button if each.label == label)


def press(at: AppTest, label: str) -> AppTest:
    """Click a button; the page must go on."""
    button(at, label).click().run()
    assert not at.exception
    return at


def buttons(at: AppTest) -> list[str]:
    return [each.label for each in at.button]


def files(at: AppTest) -> set[str]:
    """Labels of the downloads."""
    return {each.label for each in at.get("download_button")}


def box(at: AppTest, label: str) -> Any:
    return next(each for each in at.selectbox if each.label == label)


def slider(at: AppTest, label: str) -> Any:
    return next(each for each in at.select_slider if each.label == label)


def metrics(at: AppTest) -> dict[str, str]:
    return {each.label: each.value for each in at.metric}


def charts(at: AppTest) -> list[str]:
    """Accessible names of the figures that a person sees."""
    return [each.proto.alt for each in at.get("plotly_chart") if each.proto.alt]


def parameters(at: AppTest, name: str) -> list[str]:
    """All values of a query parameter."""
    value = at.query_params.get(name, [])
    return value if isinstance(value, list) else [value]


def parameter(at: AppTest, name: str) -> str | None:
    """The first value of a query parameter; None where the address has none."""
    return next(iter(parameters(at, name)), None)


def progress(at: AppTest) -> str:
    return at.get("progress")[0].proto.text


def errors(at: AppTest) -> list[str]:
    return [each.value for each in at.error]
