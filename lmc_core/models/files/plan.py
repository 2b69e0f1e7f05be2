"""How the tensors of a checkpoint become the parameters of a model, found out from their names and
shapes alone.

Nothing of the weights is read for it, so a model that is refused costs no time, and what is said of
a model can be said without loading it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lmc_core.errors import BadCheckpoint
from lmc_core.models.config import Config
from lmc_core.models.family import Family
from lmc_core.models.files.prefixes import Form, forms, removed
from lmc_core.models.files.recorder import NotRecordable, Read, Recorder
from lmc_core.models.files.references import clip
from lmc_core.models.files.safetensors import quantised
from lmc_core.models.lazy import LazyState
from lmc_core.symmetry.layout import Layout

PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)
SHOWN = 3  # names in a sentence
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Files:
    """What a plan is made from.

    Attributes:
        where: the file of the weights, for sentences ("mine/model.safetensors").
        shapes: the tensors without their values, by their names in the file.
        stored_as: name in the file -> its type, as the format spells it.
        quantisation: method that the configuration names for its weights; "" where it names none.
        convert: brings tensors without wrappers into the names and forms of the family's own files,
            and says what it did.
    """

    where: str
    shapes: Mapping[str, Tensor]
    stored_as: Callable[[str], str]
    quantisation: str = ""
    convert: Callable[[Tensors], Tensors] = dict


@dataclass(frozen=True)
class Plan:
    """How tensors become parameters.

    Attributes:
        names: name in the file -> name for the family; those that are left out are missing.
        notes: what a person should know, as sentences.
    """

    names: Mapping[str, str]
    notes: tuple[str, ...]


class Equal(TorchFunctionMode):
    """Takes tensors without values for equal: whether copies agree is checked when they are
    read.
    """

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Collection[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Answer `torch.equal`; everything else runs."""
        return True if func is torch.equal else func(*args, **(kwargs or {}))


def planned(files: Files, family: Family, config: Config, ignore_extra: bool = False) -> Plan:
    """How the tensors of a checkpoint become the parameters of a model of that configuration.

    Args:
        files: the checkpoint.
        family: of the model.
        config: of the model.
        ignore_extra: whether tensors that have no place in the model are left out.

    Raises:
        BadCheckpoint: naming the first parameter that is missing, has no place, another shape or a
            type of quantised weights.
    """
    layout = family.layout(config)
    form, state, source = _best(files, family, config, layout)
    missing = [name for name in layout.shapes if name not in state]
    _require_types(files, layout, state, source)
    if missing:
        raise BadCheckpoint(_missing(files, family, config, layout, missing))
    for name, shape in layout.shapes.items():
        if tuple(state[name].shape) != shape:
            raise BadCheckpoint(
                f"The parameter {source(name)!r} was expected with shape {list(shape)}; it has "
                f"{list(state[name].shape)}."
            )
    extra = [source(name) for name in state if name not in layout.shapes]
    if extra and not ignore_extra:
        raise BadCheckpoint(
            f"{files.where} holds {_tensors(extra)} that a {kind(family, config)} of this "
            "configuration has no place for: "
            f"{_listed(extra)}. Where the model does not need that, leave it out with "
            "--ignore-extra (load(..., "
            "ignore_extra=True))."
        )
    notes = _notes(files, form, extra)
    return Plan({name: bare for name, bare in form.items() if name not in extra}, notes)


def assembled(
    plan: Plan, files: Files, family: Family, config: Config, tensors: Tensors
) -> Tensors:
    """The parameters by their names in memory, from the tensors by their names in the file."""
    kept = {plan.names[name]: tensor for name, tensor in tensors.items() if name in plan.names}
    return family.from_disk(files.convert(kept), config)


def assembled_lazily(
    plan: Plan, files: Files, family: Family, config: Config, read: Read
) -> LazyState | None:
    """The same parameters, each made when it is asked for from those tensors alone that it needs;
    None where a family writes into tensors, so that all have to be there.

    Args:
        plan: how tensors become parameters.
        files: what the plan was made from.
        family: of the model.
        config: of the model.
        read: name in the file -> tensor.

    Raises:
        BadCheckpoint: as `assembled`, if copies do not agree.
    """
    sources = {name: files.shapes[name] for name in plan.names}

    def record(answers: Sequence[bool]) -> tuple[Recorder, Tensors]:
        recorder = Recorder(sources.items(), answers)
        with recorder:
            kept = {bare: sources[name] for name, bare in plan.names.items()}
            return recorder, family.from_disk(files.convert(kept), config)

    try:
        recorder, state = record(())
        answers = [
            torch.equal(recorder.make(one, read), recorder.make(other, read))
            for one, other in recorder.compared
        ]
        if not all(answers):
            recorder, state = record(answers)  # which refuses it, as a rule
    except NotRecordable:
        return None
    return LazyState(state, lambda name: recorder.make(state[name], read))


def kind(family: Family, config: Config) -> str:
    """Name of the class of a model, as people know it."""
    usual = [*family.classes[:1], config.get("architecture"), family.name]
    return config.class_name() or str(next(name for name in usual if name))


def _best(
    files: Files, family: Family, config: Config, layout: Layout
) -> tuple[Form, Mapping[str, Tensor], Callable[[str], str]]:
    """The form of the names that leaves the fewest parameters missing, what it makes, and a
    parameter's name in the file.
    """
    found: tuple[int, Form, Tensors] | None = None
    refusal: Exception | None = None
    for form in forms(files.shapes):
        try:
            with Equal():
                state = family.from_disk(
                    files.convert({form[name]: t for name, t in files.shapes.items()}), config
                )
        except (
            BadCheckpoint,
            LookupError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:  # names that the family does not know
            refusal = refusal or error
            continue
        missing = sum(name not in state for name in layout.shapes)
        if found is None or missing < found[0]:
            found = missing, form, state
        if not missing:
            break
    if found is None:
        raise refusal or BadCheckpoint(f"{files.where} holds no tensors.")
    _, form, state = found
    origin = {id(tensor): name for name, tensor in files.shapes.items()}
    bare = {short: name for name, short in form.items()}

    def source(name: str) -> str:
        return origin.get(id(state[name]), bare.get(name, name)) if name in state else name

    return form, state, source


def _require_types(
    files: Files, layout: Layout, state: Mapping[str, Tensor], source: Callable[[str], str]
) -> None:
    """Refuse weights that are stored as anything but ordinary numbers; a configuration alone makes
    none quantised.
    """
    for name, tensor in state.items():
        if tensor.dtype in PRECISIONS or (name not in layout.shapes and not files.quantisation):
            continue
        stored = files.stored_as(source(name))
        if files.quantisation:
            raise BadCheckpoint(
                "The configuration says that the weights are quantised "
                f"({clip(files.quantisation)}), and the parameter "
                f"{source(name)!r} is stored as {stored}; use the model's float32, bfloat16 or "
                "float16 checkpoint."
            )
        raise quantised(source(name), stored)


def _missing(
    files: Files, family: Family, config: Config, layout: Layout, missing: Sequence[str]
) -> str:
    head = layout.by_name.get("head.weight")
    if (
        head is not None
        and missing == [head.parameter]
        and config.get("tie_word_embeddings") is False
    ):
        return (
            f"The head {head.parameter!r} is not stored, and the configuration says "
            "tie_word_embeddings=false; set it to "
            "true in its config.json if the head is the token table, or fetch the checkpoint again."
        )
    what, count = kind(family, config), len(layout.shapes)
    if len(missing) == 1:
        return f"The parameter {missing[0]!r} of a {what} is missing from {files.where}."
    first = clip(next(iter(files.shapes)), 80)
    return (
        f"{files.where} is no {what} of this configuration: {len(missing)} of its {count} "
        "parameters are missing, the first "
        f"{missing[0]!r}; the file's {_tensors(files.shapes)} begin with {first}."
    )


def _notes(files: Files, form: Form, extra: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if words := removed(form):
        notes.append(
            f"The names in {files.where} were read without "
            f"{', '.join(repr(word + '.') for word in words)}, which "
            "training tools put around them."
        )
    if files.quantisation:
        notes.append(
            f"The configuration beside {files.where} speaks of quantised weights "
            f"({clip(files.quantisation)}), but all are "
            "stored as floating-point numbers; they were read as they are."
        )
    if extra:
        were = "was" if len(extra) == 1 else "were"
        notes.append(
            f"{files.where} holds {_tensors(extra)} without a place, which {were} left out: "
            f"{_listed(extra)}."
        )
    return tuple(notes)


def _tensors(names: Sequence[str] | Mapping[str, object]) -> str:
    return f"{len(names):,} tensor{'s' * (len(names) != 1)}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(clip(name, 80) for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
