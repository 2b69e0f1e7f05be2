"""What results are called, and the sentences that captions of all kinds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from lmc_core.look import PRODUCT
from lmc_core.matching.methods import METHODS
from lmc_core.numbers import estimate, number
from lmc_core.symmetry.spaces import PLANES

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
SHOWN = 6  # names in a sentence
DIFFERING = 2  # kinds of space in which a name of a setting differs from a preset, at the most


Result = Mapping[str, Any]


def method_title(name: str) -> str:
    """Return what a method is called; its name where there is none of that name."""
    return METHODS[name].title if name in METHODS else name


def setting_label(
    method: str, classes: Mapping[str, str] | None, largest: Mapping[str, str] | None = None
) -> str:
    """Return a short name of a setting, by preset and method: "Plain average", "Permutations only",
    "All classes, learned", "Permutations with orthogonal residual"; "Custom" for what is far from
    every preset.

    Args:
        method: ``none`` or a matcher.
        classes: kind of space -> chosen class.
        largest: kind of space -> the largest class that these models admit.
    """
    chosen = dict(classes or {})
    if method == "none":
        return "Plain average"
    if not any(value != "none" for value in chosen.values()):
        return "Nothing may move"
    name = _name_preset(chosen, largest) if largest else _name_classes(chosen)
    return name if method == "weight" else f"{name}, {method_title(method)}"


def _name_preset(classes: Mapping[str, str], largest: Mapping[str, str]) -> str:
    """The preset that classes are, or are nearest to, with what differs."""
    permuted = {
        kind: "none" if kind in PLANES or value in ("none", "signs") else "permutation"
        for kind, value in largest.items()
    }
    if classes == permuted and classes != largest:
        return "Permutations only"
    found = []
    for name, preset in (("All classes", largest), ("Permutations", permuted)):
        other = [kind for kind in largest if classes.get(kind, "none") != preset[kind]]
        parts = [f"with {classes[kind]} {kind}" for kind in other if _moves(classes, kind)]
        parts += [f"without {kind}" for kind in other if not _moves(classes, kind)]
        found.append(
            (
                len(other),
                " and ".join(
                    [f"{name} {part}" if not number else part for number, part in enumerate(parts)]
                )
                or name,
            )
        )
    count, name = min(found, key=lambda each: each[0])
    return name if count <= DIFFERING else "Custom"


def _moves(classes: Mapping[str, str], kind: str) -> bool:
    return classes.get(kind, "none") != "none"


def _name_classes(classes: Mapping[str, str]) -> str:
    """Classes of models of which it is not known what they admit."""
    active = {kind: value for kind, value in classes.items() if value != "none"}
    if (
        set(active.values()) == {"permutation"}
        and "units" in active
        and not set(active) & set(PLANES)
    ):
        return "Permutations only"
    if len(active) > DIFFERING:
        return "Custom"
    groups = [
        (word, [kind for kind, v in sorted(active.items()) if v == value])
        for value, word in ADJECTIVES.items()
    ]
    name = "; ".join(f"{word} {', '.join(kinds)}" for word, kinds in groups if kinds)
    return name[0].upper() + name[1:]


def distinguish(names: Sequence[str]) -> list[str]:
    """Return names of which none occurs twice: those that do are numbered."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(f"{name} ({seen[name]})" if names.count(name) > 1 else name)
    return found


def classes_sentence(classes: Mapping[str, str] | None) -> str:
    """Return the classes by group: "residual: orthogonal; heads, units: permutation"."""
    groups: dict[str, list[str]] = {}
    for kind, value in sorted((classes or {}).items()):
        groups.setdefault(value, []).append(kind)
    return "; ".join(f"{', '.join(kinds)}: {value}" for value, kinds in groups.items())


def label_setting(result: Result) -> str:
    """Return the method of a result with its classes in words."""
    method = str(result.get("method", "none"))
    name = setting_label(method, result.get("classes"), result.get("largest"))
    passed = (result.get("found") or {}).get("through")
    return f"{name}, through checkpoints" if passed else name


def label_results(results: Sequence[Result], settings: Sequence[str] = ()) -> list[str]:
    """Return a label for each result, with what else differs between them where settings alone do
    not tell them apart.

    Args:
        results: of any kind.
        settings: what each is called; by default its method with its classes.
    """
    names = list(settings) or [label_setting(r) for r in results]
    if not settings:
        names = [
            f"{name}, bent" if (r.get("bent") or {}).get("training") else name
            for name, r in zip(names, results, strict=True)
        ]
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
    return names if len(set(names)) == len(names) else _number_customs(names)


def _number_customs(names: Sequence[str]) -> list[str]:
    """Tell settings apart that have no name of their own."""
    numbered = iter(distinguish([name for name in names if name.startswith("Custom")]))
    return [next(numbered) if name.startswith("Custom") else name for name in names]


def barrier_words(result: Result, short: bool = False) -> str:
    """Return the barrier with its error and unit, "0.42 ± 0.01 nats", or that it is at zero, with
    the excess at the midpoint.

    Args:
        result: of a barrier; an older one does not say whether it is at zero.
        short: leave out what the nats are counted per, and the midpoint.
    """
    unit = str(result.get("unit", "nats"))
    if result.get("at_zero"):
        middle = estimate(result.get("midpoint_excess"), result.get("midpoint_excess_stderr"), unit)
        return "at zero" if short else f"at zero (midpoint {middle})"
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

    "midpoint 0.021 ± 0.005, cross-fitted 0.021 ± 0.006, the 95 % band there from 0.007 to 0.036
    nats"
    """
    if result.get("excess_low") is None:
        return ""
    parts = []
    if not result.get("at_zero"):
        parts.append(
            f"midpoint {estimate(result['midpoint_excess'], result['midpoint_excess_stderr'])}"
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


def checked_sentence(errors: Sequence[float | None]) -> str:
    """Return how far aligned models are from the originals, after a space; "" where nobody looked.

    Args:
        errors: largest relative differences of the outputs.
    """
    known = [error for error in errors if error is not None]
    if not known:
        return ""
    largest = number(max(known), digits=2)
    return f" Aligned models give the same outputs up to {largest} (relative)."


def notes(results: Sequence[Result]) -> list[str]:
    """What results say of how the models were given the data, each sentence once."""
    return list(dict.fromkeys(note for result in results for note in result.get("notes") or ()))


def version_sentence(result: Result, with_torch: bool = True) -> str:
    """Return by which versions and when a result was computed; "" where it does not say."""
    versions = result.get("versions") or {}
    if not versions:
        return ""
    torch = f", torch {versions['torch']}" if with_torch and versions.get("torch") else ""
    return f"{PRODUCT} {versions.get('lmc', '')}{torch}, {str(result.get('date', ''))[:10]}."


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


def same_weights(result: Result) -> list[str]:
    """What the models of a result hold in common, in words; two are called A and B, more by their
    numbers.

    Args:
        result: with what `sameness.common_weights` returned under ``same``; of older ones the
            digests tell what is equal altogether.
    """
    digests = result.get("digests", ())
    common, count = result.get("same"), len(digests)
    if common is None:
        pairs = [
            pair for pair in combinations(range(count), 2) if digests[pair[0]] == digests[pair[1]]
        ]
        common = [{"models": pair, "same": 1, "tensors": 1} for pair in pairs]
    found = []
    for each in common:
        i, j = each["models"]
        who = "A and B" if count == 2 else f"Models {i + 1} and {j + 1}"
        same, total = each["same"], each["tensors"]
        if same == total:
            found.append(f"{who} hold the same weights.")
        elif "differ" in each:
            found.append(
                f"{who} differ only in {_listed(each['differ'])}: {total - same:,} of {total:,} "
                "tensors."
            )
        else:
            found.append(
                f"{who} have {_listed(each['equal'])} in common: {same:,} of {total:,} tensors."
            )
    return found


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:SHOWN])} and {more} more"
