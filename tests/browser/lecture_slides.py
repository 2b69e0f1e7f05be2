"""What the controls of a slide show, and what they are to show where the address is silent."""

from __future__ import annotations

from playwright.sync_api import Page

from lmc_core.lecture.steps import STEPS


def begin(number: int) -> dict[str, str]:
    """What the controls of a slide, counted from 1, show at first."""
    found = {}
    for control in STEPS[number - 1].controls:
        label = control.labels[control.values.index(control.start)]
        found[control.name] = label if control.kind == "slider" else control.start
    return found


def controls(page: Page) -> dict[str, str]:
    """What the controls of the slide show, by their names in the address."""
    return page.locator(".controls").evaluate(
        """(element) => Object.fromEntries([...element.querySelectorAll("[data-name]")].map((each) => [
          each.dataset.name,
          each.type === "checkbox" ? String(Number(each.checked))
            : each.type === "range" ? each.getAttribute("aria-valuetext")
            : each.matches("select") ? each.value
            : each.querySelector("[aria-pressed=true]").dataset.value,
        ]))"""
    )
