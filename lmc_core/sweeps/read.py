"""What a sweep file says: models, pairs or groups, methods, classes, and what else is varied.

    title = "Vision Transformers of the zoo"
    models = "vit-fashion-s*"          # see `patterns`; several sets as a table NAME = PATTERN
    pairs = "all"                      # or "consecutive", or [["A", "B"], ...]; or reference = "A",
                                       # or groups = 3
    seeds = [0]                        # likewise splits, tasks, examples, points, refine, length,
    points = 11                        # learn, resolution: a value or a list of values

    [methods]                          # or methods = ["none", "weight"]
    plain = "none"
    weight = {}
    permutations = { method = "weight", classes = "permutations" }
    learned = { steps = 400, seconds = [60, 600] }

Every combination is one cell, and every cell one ordinary request. All of this is checked before a
model is read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import shown
from lmc_core.matching.many import FEWEST, MOST
from lmc_core.runs.request import DEVICES, Scalar
from lmc_core.sweeps.patterns import find_models
from lmc_core.sweeps.read_methods import read_methods
from lmc_core.sweeps.spec import ModelSet, Sweep
from lmc_core.sweeps.values import GRID, OF_GROUPS, OF_PAIRS, read_list, read_text, read_values

ONE = ("title", "name", "models", "pairs", "reference", "groups", "methods", "classes", "device")
KNOWN = (*ONE, "learn", *GRID)
FILES = ("text", "labels", "images")  # kinds of data that lie in files
ALL, CONSECUTIVE = "all", "consecutive"


def read_file(path: Path, changes: Sequence[tuple[str, object]] = ()) -> Sweep:
    """Read a sweep file.

    Args:
        path: of the file.
        changes: entries in place of those of the file, by dotted names ("methods.learned.steps").

    Raises:
        BadInput: it cannot be read, or something in it makes no sense.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"The sweep file {str(path)!r} cannot be read ({error.strerror}); give the path of a "
            "TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} is not TOML: {error}.") from error
    for name, value in changes:
        _change(content, name.split("."), value)
    return read_content(content, path.parent.absolute(), path.stem, path.absolute())


def read_content(
    content: Mapping[str, object],
    folder: Path | None = None,
    name: str = "sweep",
    source: Path | None = None,
) -> Sweep:
    """Read what a sweep file says.

    Args:
        content: entries as TOML gives them.
        folder: that relative paths begin at; by default the current one.
        name: where the content gives none.
        source: the file.

    Raises:
        BadInput: something makes no sense; the message names the entry.
    """
    for key in content:
        if key not in KNOWN:
            raise UnknownName.of("entry of a sweep file", key, KNOWN)
    ways = [key for key in ("pairs", "reference", "groups") if key in content]
    if len(ways) > 1:
        raise BadInput(
            f"One of pairs, reference and groups is expected; {' and '.join(ways)} came."
        )
    grouped, folder = "groups" in content, folder or Path.cwd()
    units, others = ("groups", OF_PAIRS) if grouped else ("pairs", OF_GROUPS)
    for key in others:
        if key in content:
            raise BadInput(f"The entry {key} is not for sweeps over {units}; leave it out.")
    reference = None
    if "reference" in content:
        reference = _find_one("reference", content["reference"], folder)
    device = content.get("device")
    if device is not None and device not in DEVICES:
        raise UnknownName.of("device", str(device), DEVICES)
    return Sweep(
        name=read_text("name", content.get("name", name)),
        title=read_text("title", content.get("title", name)),
        sets=tuple(_read_sets(content, grouped, reference, folder)),
        methods=tuple(read_methods(content, grouped)),
        grid={
            argument: _read_grid(key, content[key], folder)
            for key, argument in GRID.items()
            if key in content
        },
        grouped=grouped,
        reference=reference,
        device=None if device is None else str(device),
        source=source,
        content=content,
    )


def _read_grid(key: str, value: object, folder: Path) -> tuple[Scalar, ...]:
    """The values of an entry of the grid; files of data begin at the folder."""
    found = read_values(key, value)
    return tuple(_place_data(str(each), folder) for each in found) if key == "tasks" else found


def _place_data(task: str, folder: Path) -> str:
    kind, _, name = task.partition(":")
    return f"{kind}:{folder / Path(name).expanduser()}" if kind in FILES else task


def _find_one(place: str, value: object, folder: Path) -> str:
    """The one model that a text means."""
    found = find_models([read_text(place, value)], folder)
    if len(found) != 1:
        raise BadInput(f"{place} should be one model; {shown(value)} matches {len(found)}.")
    return found[0]


def _read_sets(
    content: Mapping[str, object], grouped: bool, reference: str | None, folder: Path
) -> Iterator[ModelSet]:
    """The sets of models with their pairs or groups."""
    key = "groups" if grouped else "pairs"
    how = content.get(key, ALL)
    if isinstance(how, list):
        if "models" in content:
            raise BadInput(f"A list of {key} names the models itself; leave the entry models out.")
        units = [_read_unit(key, each, folder, grouped) for each in how]
        models = tuple(dict.fromkeys(model for unit in units for model in unit))
        if not units:
            raise BadInput(f"{key} is an empty list; name some models, such as [['A', 'B']].")
        yield ModelSet("", models, tuple(dict.fromkeys(units)))
        return
    if "models" not in content:
        raise BadInput("A sweep needs the entry models, such as models = 'vit-fashion-s*'.")
    given = content["models"]
    for name, patterns in (given if isinstance(given, Mapping) else {"": given}).items():
        place = f"models.{name}" if name else "models"
        models = find_models(read_list(place, patterns), folder)
        if reference is not None:
            models = [reference, *(each for each in models if each != reference)]
        units = tuple(_pair_up(key, how, models, reference))
        if not units:
            least = how if isinstance(how, int) else FEWEST
            raise BadInput(
                f"{place} should match {least} models or more; it matches {len(models)}."
            )
        yield ModelSet(name, tuple(models), units)


def _pair_up(
    key: str, how: object, models: Sequence[str], reference: str | None
) -> Iterable[tuple[str, ...]]:
    """The pairs or groups of some models."""
    if reference is not None:
        return [(reference, each) for each in models[1:]]
    if key == "pairs":
        if how == ALL:
            return combinations(models, 2)
        if how == CONSECUTIVE:
            return pairwise(models)
        raise BadInput(
            f"pairs should be 'all', 'consecutive' or a list [['A', 'B']]; {shown(how)} came."
        )
    size = max(len(models), FEWEST) if how == ALL else how
    if not isinstance(size, int) or isinstance(size, bool) or not FEWEST <= size <= MOST:
        raise BadInput(
            f"groups should be 'all', a number of models from {FEWEST} to {MOST}, or a list "
            f"[['A', 'B', 'C']]; {shown(size)} came."
        )
    return combinations(models, size)


def _read_unit(key: str, value: object, folder: Path, grouped: bool) -> tuple[str, ...]:
    """A pair or a group that the file spells out."""
    least, most = (FEWEST, MOST) if grouped else (2, 2)
    if not isinstance(value, list) or not least <= len(value) <= most:
        words = f"{least} to {most}" if grouped else "two"
        raise BadInput(f"Each of {key} should be a list of {words} models; {shown(value)} came.")
    unit = tuple(_find_one(key, each, folder) for each in value)
    if len(set(unit)) < len(unit):
        raise BadInput(f"Each of {key} should be of different models; {shown(value)} came.")
    return unit


def _change(content: dict[str, object], names: list[str], value: object) -> None:
    """Put a value in the place of an entry, by its dotted name."""
    *path, last = names
    table: object = content
    for name in path:
        table = table.setdefault(name, {}) if isinstance(table, dict) else None
        if isinstance(table, str | list):
            break
    if not isinstance(table, dict) or not last:
        raise BadInput(f"{'.'.join(names)} is no entry of the sweep file that can be changed.")
    table[last] = value
