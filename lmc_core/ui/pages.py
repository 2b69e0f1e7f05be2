"""The pages of the app, in the order of the navigation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lmc_core import folders


@dataclass(frozen=True)
class Entry:
    """A page of the app.

    Attributes:
        title: in the navigation.
        sentence: what it shows.
        models: whether it is about the models that its address names.
    """

    title: str
    sentence: str
    models: bool = False


# Name -> page. The script is pages/<name>.py, the address /<name>, but for the first.
PAGES = {
    "start": Entry("Start", "What a loss barrier is, and three ways in."),
    "barrier": Entry(
        "Barrier",
        "The loss between two models, with more and more symmetries removed.",
        models=True,
    ),
    "alignment": Entry("Alignment", "What matches in two models, layer by layer.", models=True),
    "landscape": Entry(
        "Landscape", "The plane through the models, and curved paths in it.", models=True
    ),
    "merge": Entry(
        "Merge", "Several models merged into one, by every method side by side.", models=True
    ),
    "experts": Entry(
        "Experts", "Mixtures: all orders of the experts, and the routing of tokens.", models=True
    ),
    "widths": Entry("Widths", "A narrow model embedded in a wide one.", models=True),
    "equivariance": Entry(
        "Equivariance",
        "The symmetry of the data, and the way from a free network to an equivariant one.",
    ),
    "sweeps": Entry("Sweeps", "All pairs of many models, by several methods side by side."),
    "lecture": Entry("Lecture", "Symmetry in about ten steps, for a hall."),
    "studies": Entry("Studies", "Every stored result: compare, keep, take away."),
    "models": Entry("Models", "What is shipped, and what can be opened."),
}
SCRIPTS = folders.app_folder() / "pages"


def script(name: str) -> Path:
    """The file of a page."""
    return SCRIPTS / f"{name}.py"


def there() -> list[str]:
    """Names of the pages in the order of the navigation."""
    return [name for name in PAGES if script(name).is_file()]
