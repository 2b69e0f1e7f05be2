"""What captions on equivariance share: data, group, network, examples, split, seed, forms with
their settings, version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, ParamSpec

import plotly.graph_objects as go

from lmc_core.equivariance.figures.data import Facts, Run
from lmc_core.equivariance.figures.picture import form_label, setting
from lmc_core.figures.tables import Table
from lmc_core.figures.text import version_sentence

NAMED = 8  # runs at the most that a caption names one by one
WEIGHTS = "W(\u03b3) = P(W\u2091) + \u03b3 (I \u2212 P)(W\u2099) with P the average over the group"
BAND = "one standard error over examples"
NONE = "No run yet."
LONGEST = 900  # characters of such a sentence
EMPTY = "Empty: nothing has been measured yet."

P = ParamSpec("P")


def shorten(text: str) -> str:
    """Return a sentence for those who do not see a picture, cut where it becomes too long."""
    return text[:LONGEST]


@dataclass(frozen=True)
class Drawing(Generic[P]):
    """A picture of one or several runs, of which all functions take the same arguments.

    Attributes:
        title: what it is called.
        draw: the figure; takes a theme and a height besides.
        caption: text that would stand below it in a paper.
        alt: what it shows, in a sentence for those who do not see it.
        table: every number of it.
    """

    title: str
    draw: Callable[..., go.Figure]
    caption: Callable[P, str]
    alt: Callable[P, str]
    table: Callable[P, Table]


def setting_sentences(runs: Sequence[Run]) -> str:
    """Return two sentences on what was trained and measured, fields that differ joined by "or"."""
    facts = [run.facts for run in runs]
    if not facts:
        return ""
    network = _either(facts, _network)
    group = _either(
        facts, lambda f: f"{f.get('group')} ({f.get('group_sentence', '')})".replace(" ()", "")
    )
    data = _either(facts, lambda f: _lower(str(f.get("source_label", f.get("source")))))
    kind = _either(facts, lambda f: _lower(str(f.get("kind_label", f.get("kind")))))
    examples = _either(facts, lambda f: f"{f.get('examples', 0):,}")
    steps = _either(facts, lambda f: f"{f.get('steps', 0):,}")
    held = _either(
        facts, lambda f: f"{f.get('held_out', 0):,} examples of the {f.get('split')} split"
    )
    seed = _either(facts, lambda f: str(f.get("seed", 0)))
    rate = _either(facts, _rate)
    data = f"sets of {data}" if facts[0].get("acts") == "set" else data
    return (
        f"{network}; group {group}; {data} ({kind}); {examples} training examples; {steps} steps "
        f"of AdamW ({rate}); seed {seed}. Held out: {held}."
    )


def forms_sentence(runs: Sequence[Run]) -> str:
    """Return the forms with their settings, each once: "Equality, c = 2 (primal rate 0.02, dual
    rate 0.02).".
    """
    led = [run for run in runs if run.form in ("equality", "resilient")]
    rates = list(dict.fromkeys(_rates(run.facts) for run in led))
    own = [
        f" ({_rates(run.facts)})"
        if len(rates) > 1 and run.form in ("equality", "resilient")
        else ""
        for run in runs
    ]  # else they are said once
    said = list(
        dict.fromkeys(form_label(run.facts) + more for run, more in zip(runs, own, strict=True))
    )
    if len(said) > NAMED:
        said = [*said[:NAMED], f"and {len(said) - NAMED} more, which the table has"]
    every = f" ({rates[0]})" if len(rates) == 1 else ""
    return f"{'Form' if len(said) == 1 else 'Forms'} of the constraint: {'; '.join(said)}{every}."


def ending(runs: Sequence[Run], form: bool = True) -> str:
    """Return what stands at the end of a caption: setting, forms, how far an unfinished run is,
    version.
    """
    if not runs:
        return ""
    parts = [
        setting_sentences(runs),
        forms_sentence(runs) if form else "",
        *_progress(runs),
        version_sentence(runs[0].facts),
    ]
    return " ".join(part for part in parts if part)


def _progress(runs: Sequence[Run]) -> list[str]:
    return [
        f"{run.label}: still training, {int(run.steps[-1]) if len(run.steps) else 0:,} of "
        f"{run.total:,} steps."
        for run in runs
        if not run.finished
    ]


def _network(facts: Facts) -> str:
    size = f" ({facts['parameters']:,} parameters)" if facts.get("parameters") else ""
    return f"{facts.get('network_label', facts.get('network'))}{size}"


def _rates(facts: Facts) -> str:
    return (
        f"primal rate {setting(facts.get('primal_rate'))}, dual rate "
        f"{setting(facts.get('dual_rate'))}"
    )


def _rate(facts: Facts) -> str:
    return (
        f"learning rate {setting(facts.get('rate'))}, weight decay "
        f"{setting(facts.get('decay'))}, {_batch(facts)}"
    )


def _batch(facts: Facts) -> str:
    return f"batches of {facts['batch']:,}" if facts.get("batch") else "all examples a step"


def _either(facts: Sequence[Facts], words: Callable[[Facts], object]) -> str:
    return " or ".join(dict.fromkeys(str(words(each)) for each in facts))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
