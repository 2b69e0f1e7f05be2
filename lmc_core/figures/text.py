"""What results are called: the label of a setting, a caption that would stand in a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmc_core.equivariance.figures import data as equivariance_data
from lmc_core.figures.shared_weights import same_weights
from lmc_core.numbers import estimate, number
from lmc_core.symmetry.spaces import PLANES

Result = Mapping[str, Any]

MATCHERS = {
    "weight": "weight matching",
    "activation": "activation matching",
    "learned": "learned",
    "dual": "learned at both ends",
    "soft": "soft matching",
}
ADJECTIVES = {
    "permutation": "permuted",
    "signs": "signs of",
    "turns": "quarter turns of",
    "signed": "permuted and signed",
    "scales": "scales of",
    "scaled": "permuted and scaled",
    "rotation": "rotated pairs of",
    "rotary": "rotated and scaled pairs of",
    "orthogonal": "orthogonal",
    "invertible": "invertible",
}


def setting_label(
    method: str, classes: Mapping[str, str] | None, largest: Mapping[str, str] | None = None
) -> str:
    """Return a short name of a setting: "Plain average", "Permutations only", "All classes", or the
    classes themselves.

    Args:
        method: ``none``, a matcher, or the form of a training towards equivariance.
        classes: kind of space -> chosen class.
        largest: kind of space -> the largest class that these models admit.
    """
    classes = dict(classes or {})
    if method == "none":
        return "Plain average"
    if method in equivariance_data.FORMS:
        return equivariance_data.form_name(method)
    active = {kind: value for kind, value in classes.items() if value != "none"}
    if not active:
        return "Nothing may move"
    still = {
        kind for kind, value in (largest or {}).items() if value != "none" and kind not in PLANES
    } - set(active)
    if classes == dict(largest or {}):
        name = "All classes"
    elif (
        set(active.values()) == {"permutation"}
        and "units" in active
        and not still
        and not set(active) & set(PLANES)
    ):
        name = "Permutations only"
    else:
        groups = [
            (word, [kind for kind, v in sorted(active.items()) if v == value])
            for value, word in ADJECTIVES.items()
        ]
        name = "; ".join(f"{word} {', '.join(kinds)}" for word, kinds in groups if kinds)
        name = name[0].upper() + name[1:]
    return name if method == "weight" else f"{name}, {MATCHERS.get(method, method)}"


def setting_of(result: Result) -> str:
    """Return the method of a result with its classes in words, or the form of a training with its
    own setting.
    """
    if trains(result):
        return equivariance_data.form_label(result)
    return setting_label(
        str(result.get("method", "none")), result.get("classes"), result.get("largest")
    )


def trains(result: Result) -> bool:
    """Whether a result is a training towards equivariance."""
    return str(result.get("form", result.get("method"))) in equivariance_data.FORMS


def labels_of(results: Sequence[Result]) -> list[str]:
    """Return a label for each result, with what else differs between them where settings alone do
    not tell them apart.
    """
    if results and all(trains(r) for r in results):
        return equivariance_data.labels_of_runs(results)
    names = [setting_of(r) for r in results]
    pairs = [" \u2192 ".join(r.get("models") or ()) for r in results]
    if len(set(pairs)) > 1:
        names = [f"{name}, {pair}" for name, pair in zip(names, pairs, strict=True)]
    if len(set(names)) < len(names):  # one method, learned for longer
        steps = [(r.get("found") or {}).get("steps") for r in results]
        names = [
            f"{name}, {count:,} steps" if count else name
            for name, count in zip(names, steps, strict=True)
        ]
    for field in ("examples", "split", "seed"):
        values = {str(r.get(field)) for r in results}
        if len(set(names)) < len(names) and len(values) > 1:
            names = [
                f"{name}, {field} {r.get(field)}" for name, r in zip(names, results, strict=True)
            ]
    return names


def classes_sentence(classes: Mapping[str, str] | None) -> str:
    """Return the classes by group: "residual: orthogonal; heads, units: permutation"."""
    groups: dict[str, list[str]] = {}
    for kind, value in sorted((classes or {}).items()):
        groups.setdefault(value, []).append(kind)
    return "; ".join(f"{', '.join(kinds)}: {value}" for value, kinds in groups.items())


def barrier_words(result: Result, short: bool = False) -> str:
    """Return the barrier with its error and unit, "0.42 ± 0.01 nats", or that it is at zero, with
    what lies half way.

    Args:
        result: of a barrier; an older one does not say whether it is at zero.
        short: leave out what the nats are counted per, and half way.
    """
    unit = str(result.get("unit", "nats"))
    if result.get("at_zero"):
        middle = estimate(result.get("midpoint_excess"), result.get("midpoint_excess_stderr"), unit)
        return "at zero" if short else f"at zero (half way {middle})"
    return estimate(
        result.get("barrier"),
        result.get("barrier_stderr"),
        unit.split(" per ")[0] if short else unit,
    )


def is_above_plain(result: Result, results: Sequence[Result] = ()) -> bool:
    """Whether an aligned line leaves more than the plain average of the same models.

    Args:
        result: of a barrier; those computed long ago do not say it themselves.
        results: others, among which the curve of the plain average may be.
    """
    if "above_plain" in result:
        return bool(result["above_plain"])
    if result.get("method", "none") == "none":
        return False
    same = ("models", "digests", "task", "split")
    for other in results:
        if other.get("method") == "none" and all(
            other.get(name) == result.get(name) for name in same
        ):
            error = (result["barrier_stderr"] ** 2 + other["barrier_stderr"] ** 2) ** 0.5
            return result["barrier"] - other["barrier"] > 2 * error
    return False


def above_plain_words(result: Result) -> str:
    """Return by how much an aligned line is above the plain average: "above the plain average, by
    29 ± 1 nats at ...".
    """
    plain = result.get("plain")
    if plain is None:
        return "above the plain average"
    by = estimate(plain["more"], plain["more_stderr"], str(result.get("unit", "nats")))
    return f"above the plain average, by {by} at \u03bb = {number(plain['lam'][0], digits=3)}"


def certainty_words(result: Result) -> str:
    """Return what holds of a barrier without having looked for its place; "" for an older result.

    "half way 0.021 ± 0.005, cross-fitted 0.021 ± 0.006, the 95 % band there from 0.007 to 0.036
    nats"
    """
    if result.get("excess_low") is None:
        return ""
    parts = []
    if not result.get("at_zero"):
        parts.append(
            f"half way {estimate(result['midpoint_excess'], result['midpoint_excess_stderr'])}"
        )
    if result.get("barrier_crossfit") is not None:
        parts.append(
            "cross-fitted "
            f"{estimate(result['barrier_crossfit'], result['barrier_crossfit_stderr'])}"
        )
    top = result["lam"].index(result["barrier_lam"])
    low, high = (number(result[name][top], digits=2) for name in ("excess_low", "excess_high"))
    return (
        f"{', '.join([*parts, f'the 95 % band there from {low} to {high}'])} "
        f"{result.get('unit', 'nats')}"
    )


def barrier_caption(results: Sequence[Result], labels: Sequence[str] | None = None) -> str:
    """Return a caption for the curves that would stand in a paper, in plain text.

    Args:
        results: in the order of the figure.
        labels: of the lines; by default those of `labels_of`.
    """
    if not results:
        return "No result yet."
    names = list(labels or labels_of(results))
    first = results[0]
    pairs = list(dict.fromkeys(tuple(r["models"]) for r in results))
    between = " and ".join(f"from {a} to {b}" for a, b in pairs)
    points = sorted({len(r["lam"]) for r in results})
    counts = sorted({int(r["examples"]) for r in results})
    data = sorted({f"{r['split']} split of {r['task']}" for r in results})
    size = f" ({first['parameters']:,} parameters each)" if first.get("parameters") else ""
    sentences = [
        f"Loss and {first.get('score', 'score')} along the straight line {between}{size}, on the "
        f"{', '.join(data)} "
        f"({' or '.join(f'{count:,}' for count in counts)} examples; "
        f"{' or '.join(str(count) for count in points)} values of \u03bb, the weight of the "
        "second model).",
        "The barrier is the largest excess of the loss over the chord between the end losses "
        "(dashed), "
        f"\u00b1 one standard error over examples; {_bands(results)}.",
    ]
    sentences += dict.fromkeys(said for result in results for said in same_weights(result))
    for name, result in zip(names, results, strict=True):
        how = "no alignment"
        if result.get("method", "none") != "none":
            method = MATCHERS.get(str(result["method"]), str(result["method"]))
            how = f"{method}; {classes_sentence(result.get('classes'))}"
        where = number(result.get("barrier_lam"), digits=3)
        largest = (
            f", the largest value {number(result.get('barrier'))}" if result.get("at_zero") else ""
        )
        certain = f"; {words}" if (words := certainty_words(result)) else ""
        sentences.append(
            f"{name} ({how}): {barrier_words(result)}{largest} at \u03bb = {where}{certain}."
        )
        if is_above_plain(result, results):
            sentences.append(f"This is {above_plain_words(result)}.")
        if soft := result.get("soft"):
            sentences.append(
                f"It leads to an average of rows, which is another function (relative difference "
                f"{number(soft['function_error'], digits=2)}): its loss is "
                f"{number(soft['loss'])}, that of "
                f"{result['models'][1]} {number(soft['loss_of_b'])}, to which the chord runs."
            )
    errors = [
        r["function_error"]
        for r in results
        if r.get("function_error") is not None and not r.get("soft")
    ]
    if errors:
        sentences.append(
            "Before interpolation the aligned models give the same outputs as the originals: "
            f"largest relative difference {number(max(errors), digits=2)}."
        )
    about = [*sentences, *notes(results), version_sentence(first), imported_sentence(results)]
    return " ".join(filter(None, about))


def notes(results: Sequence[Result]) -> list[str]:
    """What results say of how the models were given the data, each sentence once."""
    return list(dict.fromkeys(note for result in results for note in result.get("notes") or ()))


def _bands(results: Sequence[Result]) -> str:
    """What the shaded bands are, and what an error of text is taken over."""
    if not all(result.get("excess_low") for result in results):
        return "bands show one standard error"
    works = (
        " (of a text, over its works or blocks of neighbouring windows)"
        if results[0].get("score") == "perplexity"
        else ""
    )
    fitted = (
        "cross-fitted values are read on the half of the examples that did not choose their place"
    )
    band = (
        "shaded bands hold a whole curve with 95 % confidence, and at zero means that a band "
        "holds the chord everywhere"
    )
    return f"{band}{works}; {fitted}"


def version_sentence(result: Result) -> str:
    """Return by which versions and when a result was computed; "" where it does not say."""
    versions = result.get("versions") or {}
    if not versions:
        return ""
    torch = f", torch {versions['torch']}" if versions.get("torch") else ""
    return f"LMC Explorer {versions.get('lmc', '')}{torch}, {str(result.get('date', ''))[:10]}."


def imported_sentence(results: Sequence[Result]) -> str:
    """Return which of some results came out of an archive, by their places; "" where all were
    computed here.
    """
    places = [index for index, result in enumerate(results, 1) if result.get("imported")]
    if not places:
        return ""
    if len(places) == len(results):
        return "Imported from an archive; not computed here."
    which = ", ".join(str(index) for index in places)
    return (
        f"Imported from an archive, not computed here: {which} of the {len(results)}, counted "
        "in their order."
    )


def origin_words(result: Result) -> str:
    """Return what is said beside the time that a result took: computed earlier, imported, or "" for
    just now.
    """
    if result.get("imported"):
        return " (imported from an archive; not computed here)"
    return " (computed earlier)" if result.get("cached") else ""
