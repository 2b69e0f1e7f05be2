"""The cells of a sweep: each an ordinary request, all made and checked before anything is
computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from lmc_core.errors import BadInput
from lmc_core.models.cache import is_warm, load_warm
from lmc_core.models.files.hub import in_cache
from lmc_core.models.files.references import Reference, clip, parse
from lmc_core.models.handover import HANDOVER
from lmc_core.models.lazy import is_lazy
from lmc_core.models.load import load
from lmc_core.models.model import Model
from lmc_core.progress import Progress, ignore
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.many import make_group_request
from lmc_core.runs.request import ModelsRequest, Scalar
from lmc_core.sweeps.spec import MethodChoice, Sweep

HELD = 2  # large models that are held whole while requests are made


@dataclass(frozen=True)
class Cell:
    """One combination of models, a method and options.

    Attributes:
        set: name of the set of models.
        models: references of the pair or group.
        choice: the method.
        options: of the request, by argument.
        request: None where it cannot be made.
        problem: why it cannot, in a sentence.
        absent: whether it cannot only because a model has to be fetched first.
    """

    set: str
    models: tuple[str, ...]
    choice: MethodChoice
    options: Mapping[str, Scalar]
    request: ModelsRequest | None = None
    problem: str = ""
    absent: bool = False

    @property
    def label(self) -> str:
        """Models and method in few words."""
        names = self.request.names if self.request is not None else map(shorten, self.models)
        classes = self.choice.classes
        how = self.choice.label + (f" ({classes.label})" if classes is not None else "")
        return f"{' → '.join(names)}, {how}"


def shorten(reference: str) -> str:
    """A short name of a reference: "zoo:vit-fashion-s0" -> "vit-fashion-s0"."""
    return parse(reference, [reference.partition(":")[2]]).label


def make_cells(
    sweep: Sweep, fetch: bool = True, progress: Progress = ignore, elsewhere: bool = False
) -> list[Cell]:
    """Make the request of every cell; pairs come first, so that the models of one are read once.

    Args:
        sweep: what is asked for.
        fetch: whether models of the hub that are not in the local cache are fetched; without, their
            cells have no request.
        progress: told the share done and a few words.
        elsewhere: whether other machines compute, so that this one need not have the device.
    """
    asked = replace(sweep, device="cpu") if elsewhere and sweep.device else sweep
    found: list[Cell] = []
    opened = _Opened(fetch)
    units = [(each.name, unit) for each in sweep.sets for unit in each.units]
    for number, (name, unit) in enumerate(units):
        progress(number / len(units), f"reading {' and '.join(map(shorten, unit))}")
        problem, models, absent = "", None, False
        try:
            models = [opened.get(each) for each in unit]
        except BadInput as error:
            problem, absent = str(error), isinstance(error, NotHere)
        for options in sweep.options:
            for choice in sweep.methods:
                request, reason = None, problem
                try:
                    if models is not None:
                        request = _make_request(asked, unit, models, choice, options)
                        if elsewhere and sweep.device:
                            request = replace(request, device=sweep.device)
                except BadInput as error:
                    reason = str(error)
                found.append(Cell(name, unit, choice, options, request, reason, absent))
    HANDOVER.clear()  # what was read last is no longer wanted
    return found


def require_possible(cells: Sequence[Cell]) -> list[tuple[Cell, ModelsRequest]]:
    """The cells with their requests.

    Raises:
        BadInput: some have none; the message gives the first reason.
    """
    bad = [cell for cell in cells if cell.request is None]
    if bad:
        more = f" {len(bad) - 1} more cells cannot be computed either." if len(bad) > 1 else ""
        raise BadInput(f"{bad[0].label}: {bad[0].problem}{more}")
    return [(cell, cell.request) for cell in cells if cell.request is not None]


def _make_request(
    sweep: Sweep,
    unit: tuple[str, ...],
    models: Sequence[Model],
    choice: MethodChoice,
    options: Mapping[str, Scalar],
) -> ModelsRequest:
    """The request of one cell, of models that are open."""
    moving = models[-1].layout.spaces
    asked = {
        **options,
        "method": choice.method,
        "classes": None if choice.classes is None else choice.classes.for_spaces(moving),
        "settings": dict(choice.settings),
        "learn": choice.learn,
        "device": sweep.device,
        "models": tuple(models),
    }
    if sweep.grouped:
        return make_group_request(unit, **cast("dict", asked))
    return make_request(*unit, **cast("dict", asked))


class NotHere(BadInput):
    """A model of the hub that is not in the local cache and was not to be fetched."""


class _Opened:
    """Models by reference; large ones are read for their digests alone, once, and not kept."""

    def __init__(self, fetch: bool) -> None:
        self._fetch = fetch
        self._large: dict[str, Model] = {}
        self._refused: dict[str, BadInput] = {}

    def get(self, reference: str) -> Model:
        """The model.

        Raises:
            BadInput: it cannot be read, or is not here and may not be fetched.
        """
        if reference in self._refused:
            raise self._refused[reference]
        try:
            return self._read(reference)
        except BadInput as error:
            self._refused[reference] = error
            raise

    def _read(self, reference: str) -> Model:
        if not self._fetch and not all(map(_is_here, _parts(reference))):
            raise NotHere(f"{clip(reference)} is not in the local cache of the hub.")
        if is_warm(reference):
            return load_warm(reference)
        model = self._large.pop(reference, None) or load(reference, lazy=True)
        # pickles are read whole
        whole = [name for name, each in self._large.items() if not is_lazy(each.state)]
        for name in whole[: max(0, len(whole) + 1 - HELD)]:
            del self._large[name]
        self._large[reference] = model
        return model


def _parts(reference: str) -> list[Reference]:
    found = parse(reference, [reference.partition(":")[2]])
    return [found.base, *found.adapters]


def _is_here(found: Reference) -> bool:
    return found.kind not in ("hf", "timm") or in_cache(found)
