"""Names of classes into the class numbers of a model."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from lmc_core.errors import BadInput
from lmc_core.models.model import Model
from lmc_core.tasks.shipped import find_shipped


def class_numbers(
    names: Sequence[str], model: Model, what: str = "folder"
) -> tuple[dict[str, int], str]:
    """Map names of classes to the numbers that the model's outputs have.

    Args:
        names: of all classes, distinct.
        model: that should know them.
        what: the names belong to, for messages.

    Returns:
        Name -> number, and in words how it was found: whole numbers are taken as they are; else
        names that the model's configuration has are looked up there; else the alphabetical order
        counts.

    Raises:
        BadInput: if a name has no class, two have the same, or there are not as many names as
            classes.
    """
    classes = model.family.sizes(model.config)["classes"]
    known = model_labels(model)
    if all(re.fullmatch(r"\d{1,9}", name, re.ASCII) for name in names):
        found = {name: int(name) for name in names}
        how = f"class numbers as the {what}s are named"
    elif any(plain(name) in known for name in names):
        for name in names:
            if plain(name) not in known:
                raise BadInput(
                    f"The {what} {name!r} is none of the labels of {model.name}, and others are; "
                    f"name every {what} after a label, or by its number."
                )
        found = {name: known[plain(name)] for name in names}
        how = "classes by the labels of the model"
    else:
        if len(names) != classes:
            raise BadInput(
                f"{model.name} has {classes} classes, and there "
                f"{'is' if len(names) == 1 else 'are'} {len(names)} {what}"
                f"{'' if len(names) == 1 else 's'} ({few(names)}); give one for each class, or "
                "name them by number or label."
            )
        found = {name: number for number, name in enumerate(sorted(names))}
        how = f"classes in the alphabetical order of the {what}s"
    for name, number in found.items():
        if number >= classes:
            raise BadInput(
                f"The {what} {name!r} names class {number}; {model.name} has the classes 0 to "
                f"{classes - 1}."
            )
    twice = next((number for number, times in Counter(found.values()).items() if times > 1), None)
    if twice is not None:
        same = [name for name, number in found.items() if number == twice]
        raise BadInput(f"The {what}s {few(same)} name the same class, {twice}; keep one of them.")
    return found, how


def model_labels(model: Model) -> dict[str, int]:
    """Every name by which the model's configuration calls a class, in small letters -> its
    number.
    """
    named = {name: number for number, name in named_classes(model).items()}
    if _shipped(model):
        return {plain(name): number for name, number in named.items()}
    # ImageNet's labels list synonyms; one that two classes share means neither
    parts = Counter(plain(part) for name in named for part in name.split(","))
    known = {
        plain(part): n
        for name, n in named.items()
        for part in name.split(",")
        if parts[plain(part)] == 1
    }
    return known | {plain(name): number for name, number in named.items()}


def named_classes(model: Model) -> dict[int, str]:
    """Number -> name of the classes, as the shipped task says that a model was trained on, else its
    `config.json`.
    """
    if labels := _shipped(model):
        return dict(enumerate(labels))
    raw = read_configuration(model)
    by_number, by_name = raw.get("id2label"), raw.get("label2id")
    if isinstance(by_number, Mapping):
        return {
            int(number): str(name) for number, name in by_number.items() if str(number).isdecimal()
        }
    if isinstance(by_name, Mapping):
        return {number: str(name) for name, number in by_name.items() if isinstance(number, int)}
    if isinstance(names := raw.get("label_names"), list):  # timm
        return {number: str(name) for number, name in enumerate(names)}
    return {}


def read_configuration(model: Model) -> Mapping[str, object]:
    """All that the `config.json` of a model says, also what its outputs do not depend on; {} for a
    model made in memory.
    """
    if model.folder is None or not (model.folder / "config.json").is_file():
        return {}
    raw: object = json.loads((model.folder / "config.json").read_text(encoding="utf-8"))
    return raw if isinstance(raw, Mapping) else {}


def _shipped(model: Model) -> Sequence[str]:
    """The labels of the shipped task that a model's card names; none where it names no such
    task.
    """
    shipped = find_shipped(model)
    return shipped.labels if shipped is not None else ()


def plain(name: str) -> str:
    """A name as names are compared: in small letters, with a space for any of space, underscore and
    hyphen.
    """
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def few(names: Sequence[str], shown: int = 3) -> str:
    """Some of the names, for messages."""
    words = ", ".join(repr(name) for name in sorted(names)[:shown])
    return words + (f" and {len(names) - shown} more" if len(names) > shown else "")
