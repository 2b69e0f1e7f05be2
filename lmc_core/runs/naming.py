"""What a stored result calls its models and data: names are not part of a key, so whoever asks
brings their own.

Equal weights in two folders, or one text under two names, are one request and one result. Whoever
asks second must not read the names of whoever asked first. The files stay as they are; what is read
of them is renamed, model by model in the order of the request, never by looking for an old name in
the text, which could stand for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from lmc_core.runs.result import Result

FIELDS = ("models", "names", "task")  # of a request, none of which decides a number
Values = dict[str, Any]


def naming_of(request: Mapping[str, Any]) -> Values | None:
    """The names in a request as JSON values; None for a kind that names nothing, or where they are
    not lists of texts.
    """
    models, names, task = (request.get(name) for name in FIELDS)
    if not (
        isinstance(models, list)
        and isinstance(names, list)
        and isinstance(task, str)
        and len(models) == len(names)
    ):
        return None
    texts = all(isinstance(text, str) for text in (*models, *names))
    return {"models": models, "names": names, "task": task} if texts else None


def named_as(found: Result, asked: Mapping[str, Any]) -> Result:
    """Return a result under the names of another request of the same key.

    Args:
        found: as it is stored.
        asked: the request as JSON values, or those of `FIELDS` alone.
    """
    old, new = naming_of(found.request), naming_of(asked)
    if old is None or new is None or old == new or len(old["names"]) != len(new["names"]):
        return found
    request = {**found.request, **new}
    if not found.request.get("data"):  # a shipped task has one name
        request["task"] = old["task"]
    return replace(found, request=request, result=renamed(found.result, request, old["task"]))


def renamed(
    result: Mapping[str, Any], request: Mapping[str, Any], before: str | None = None
) -> Values:
    """Return what a result says with the names of a request in every place where it names a model
    or its data.

    Args:
        result: as JSON values; also what a run says before it is done.
        request: that answers the same key.
        before: reference of the data that the result was computed with; by default that of the
            request.
    """
    new, content = naming_of(request), dict(result)
    if new is None or not isinstance(content.get("models"), list):
        return content
    count = len(content["models"])
    before_names, names = [*content["models"]], new["names"]
    content |= {"models": names[:count], "references": new["models"][:count]}
    if content.get("data"):
        content = _data(content, before or new["task"], new["task"])
    further = FURTHER.get(str(request.get("what")))
    return content if further is None else further(content, before_names, names)


def _data(content: Values, before: str, now: str) -> Values:
    """The same with another name of a person's own data: of the task, of the sentence about it, of
    numbers measured on it.
    """
    old, new = str(content.get("task")), _task_name(now)
    pairs = [(_place(before), _place(now)), (_last(_place(before)), _last(_place(now)))]

    def about(text: Any) -> Any:
        for place, instead in pairs:
            if isinstance(text, str) and text.startswith(f"{place}, "):
                return instead + text[len(place) :]
        return text

    def row(each: Values) -> Values:
        return {
            **each,
            "measured": {
                new if name == old else name: value for name, value in each["measured"].items()
            },
        }

    content |= {"task": new, "about": about(content.get("about"))}
    if isinstance(content.get("tasks"), list):
        content["tasks"] = [
            {**task, "name": new, "about": about(task.get("about"))}
            if task.get("name") == old
            else task
            for task in content["tasks"]
        ]
        content |= {
            name: [row(each) for each in content[name]]
            for name in ("models_rows", "rows")
            if content.get(name)
        }
    return content


def _task_name(reference: str) -> str:
    """What people read for ``text:/home/me/letters.txt``: the last name of the path."""
    kind, _, place = reference.partition(":")
    return f"{kind}:{_last(place)}"


def _place(reference: str) -> str:
    """The place that a reference to data names, without the split of a data set."""
    kind, _, place = reference.partition(":")
    return place.partition(":")[0] if kind == "hf-dataset" and not PurePath(place).drive else place


def _last(place: str) -> str:
    return PurePath(place).name if PurePath(place).is_absolute() else place


def _plane(content: Values, before: Sequence[str], names: Sequence[str]) -> Values:
    def named(point: Values) -> Values:
        letter = "ABC".find(str(point.get("label"))[:1]) if point.get("role") != "bend" else -1
        return {**point, "name": names[letter]} if 0 <= letter < len(names) else point

    return content | {"points": [named(point) for point in content.get("points", [])]}


def _group(content: Values, before: Sequence[str], names: Sequence[str]) -> Values:
    """The start says "2: name", the number of the model that the search began at."""
    number, colon, _ = str(content.get("start")).partition(": ")
    if colon and number.isdigit() and 1 <= int(number) <= len(names):
        return content | {"start": f"{number}: {names[int(number) - 1]}"}
    return content


def _merge(content: Values, before: Sequence[str], names: Sequence[str]) -> Values:
    content = _group(content, before, names)
    rows = content.get("models_rows") or []
    content["models_rows"] = [{**row, "name": name} for row, name in zip(rows, names, strict=False)]
    if content.get("ancestor"):
        content["ancestor"] = {**content["ancestor"], "name": names[-1]}

    def kept(row: Values) -> Values:
        about = row.get("about") or {}
        chosen = about.get("kept_numbers")  # counted from 1
        # of an earlier version, which kept the names alone
        if chosen is None and len(set(before)) == len(before):
            chosen = [before.index(name) + 1 for name in about.get("kept", ()) if name in before]
        return (
            {**row, "about": {**about, "kept": [names[k - 1] for k in chosen]}} if chosen else row
        )

    return content | {"rows": [kept(row) for row in content.get("rows") or []]}


def _alignment(content: Values, before: Sequence[str], names: Sequence[str]) -> Values:
    wider = content.get("wider")
    return content | {"wider": names[before.index(wider)]} if wider in before else content


FURTHER: dict[str, Callable[[Values, Sequence[str], Sequence[str]], Values]] = {
    "plane": _plane,
    "group": _group,
    "merge": _merge,
    "alignment": _alignment,
}
"""Kind of computation -> what renames the places that this kind alone has."""
