"""A model in memory: its family, configuration and parameters, with what is known about it."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lmc_core.display import draw_bars, show
from lmc_core.errors import BadCheckpoint
from lmc_core.models.config import Config
from lmc_core.models.family import SHARD, Family
from lmc_core.models.files.error_wrapping import wrap_errors
from lmc_core.models.lazy import PIECE, all_finite, is_lazy, shapes
from lmc_core.models.precision import rounded, types_to_write, wide_type
from lmc_core.models.streaming import write_streamed
from lmc_core.progress import Progress, ignore
from lmc_core.side_by_side import side_by_side
from lmc_core.symmetry.arithmetic import brought, find_device
from lmc_core.symmetry.layout import Layout


class NotFinite(BadCheckpoint):
    """A parameter holds values that are no finite numbers."""


@dataclass(frozen=True)
class Model:
    """Parameters of one network, apart from any module.

    Attributes:
        name: how it is shown ("vit-fashion-s0").
        family: its family.
        config: its configuration, as in its `config.json`.
        state: parameters by their names in memory; a tied head is left out.
        card: what is known about it (task, seed, scores), possibly empty.
        folder: it was read from, where its tokenizer or its preparation of images lies; None for a
            model made in memory.
        stored: by name, the types that the parameters had in its files, or those of its first
            parent; it is written in these.
        notes: what a person should know of the files it was read from, as sentences.
        class_names: of a classifier whose outputs were brought into another order than that of
            `folder`, the names of its classes in the order that they have now; () for any other.
        rows: of a model whose token tables hold no finite numbers in rows that no token uses, how
            many rows come before the first of these; None for all.
    """

    name: str
    family: Family
    config: Config
    state: Mapping[str, Tensor]
    card: Config = field(default_factory=Config)
    folder: Path | None = None
    stored: Mapping[str, torch.dtype] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    rows: int | None = None

    def __post_init__(self) -> None:
        for name in ("config", "card"):
            if not isinstance(getattr(self, name), Config):
                object.__setattr__(self, name, Config(getattr(self, name)))

    @cached_property
    def layout(self) -> Layout:
        """Its spaces and blocks."""
        return self.family.layout(self.config)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over family, configuration and parameters in float32, as 64 hexadecimal
        digits.
        """
        digest = hashlib.sha256(
            json.dumps([self.family.name, dict(self.config)], sort_keys=True).encode()
        )
        for name in sorted(self.state):
            digest.update(name.encode())
            # in pieces, or a table in half precision would be there in float32 as well
            for part in self.state[name].detach().flatten().split(PIECE):
                digest.update(part.cpu().float().numpy().data)
        return digest.hexdigest()

    @property
    def parameters(self) -> int:
        """Number of parameters, a shared table counted once."""
        return sum(tensor.numel() for tensor in shapes(self.state).values())

    def check(self) -> Model:
        """Return the model itself after checking names, shapes and that all values are finite.

        Raises:
            BadCheckpoint: naming the first parameter that does not fit.
        """
        self.layout.check(shapes(self.state))
        padded = token_tables(self) if self.rows is not None else ()
        lazy = is_lazy(self.state)
        looks = [partial(self._is_finite, name, name in padded) for name in self.state]
        finite = side_by_side(looks, torch.device("cpu")) if lazy else (look() for look in looks)
        for name, known in zip(self.state, finite, strict=True):
            if not known:
                raise NotFinite(
                    f"The parameter {name!r} of {self.name} holds values that are not finite "
                    "numbers."
                )
        return self

    def _is_finite(self, name: str, padded: bool) -> bool:
        tensor = self.state[name]
        return all_finite(tensor[: self.rows] if padded else tensor)

    def _repr_html_(self) -> str:
        """What the model is, its spaces with their largest classes, and where its parameters are,
        in a notebook.
        """
        kinds = {space.kind: space.largest.value for space in self.layout.spaces.values()}
        facts = [
            ("family", f"{self.family.name}: {self.family.sentence}"),
            ("parameters", f"{self.parameters:,}"),
            ("task", str(self.card.get("task") or "not known")),
            ("classes", ", ".join(f"{kind}: {largest}" for kind, largest in kinds.items())),
        ]
        sizes: Counter[str] = Counter()
        for name, shape in self.layout.shapes.items():
            sizes[name.split(".")[-2] if "." in name else name] += math.prod(shape)
        return show(self.name, facts, draw_bars(list(sizes.items()), "parameters of each part"))

    def module(
        self, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
    ) -> nn.Module:
        """Build a module of the ordinary class with these parameters, in evaluation mode.

        Parameters that have this precision already and are on the device are shared with the
        module, not copied; nothing is initialised first.

        Args:
            dtype: of its parameters.
            device: of the module; that of the parameters by default. A module that is moved later
                keeps a table shared with its head only where torch counts both devices as alike (it
                does the CPU, CUDA and MPS); elsewhere each name gets a parameter of its own.
        """
        device = find_device(self.state) if device is None else device
        state = {name: brought(tensor, device, dtype) for name, tensor in self.state.items()}
        module, _ = self._built(state)
        return module.to(device, dtype).eval().requires_grad_(False)

    def unfilled(self, device: str = "cpu", dtype: torch.dtype | None = None) -> nn.Module:
        """Build a module of the ordinary class, in evaluation mode, whose parameters are its own
        and hold no numbers yet.

        Args:
            device: where it will run.
            dtype: of its parameters; by default that of the model's where they are not in half
                precision, else float32.
        """
        empty = {
            name: torch.empty_like(tensor, dtype=dtype or wide_type(tensor), device=device)
            for name, tensor in shapes(self.state).items()
        }
        module = self._built(empty)[0].to(device)
        return (module if dtype is None else module.to(dtype)).eval().requires_grad_(False)

    def on(self, device: str) -> Model:
        """The same model with its parameters on a device; for the CPU the model itself."""
        if device == "cpu":
            return self
        return self.with_state({name: tensor.to(device) for name, tensor in self.state.items()})

    def hollow_module(self, dtype: torch.dtype = torch.float32) -> nn.Module:
        """The same with parameters that have no values, on the device "meta"."""
        empty = {n: t.to("meta", dtype) for n, t in shapes(self.state).items()}
        return self._built(empty)[0].to(dtype).eval().requires_grad_(False)

    def _built(self, state: Mapping[str, Tensor]) -> tuple[nn.Module, dict[str, str]]:
        """A module of the ordinary class with some parameters, in the types that they have; and its
        names that repeat an earlier one, with that.
        """
        with Uninitialised(), wrap_errors(self.name):
            module = self.family.build(self.config)
        ties = named_ties(module)
        missing = set(module.load_state_dict(state, strict=False, assign=True).missing_keys) - {
            name for name, _ in ties
        }
        if missing:
            raise BadCheckpoint(f"The parameter {sorted(missing)[0]!r} of {self.name} is missing.")
        for name, first in ties:
            owner, _, leaf = name.rpartition(".")
            setattr(module.get_submodule(owner), leaf, module.get_parameter(first))
        return module, dict(ties)

    def with_state(self, state: Mapping[str, Tensor], **changes: object) -> Model:
        """The same kind of model with other parameters."""
        return replace(self, state=state, **changes)

    def types(self, dtype: torch.dtype | str | None = None) -> dict[str, torch.dtype]:
        """The type that `save` writes each parameter in.

        Args:
            dtype: of all of them; None for those that the files of the model, or of its first
                parent, have.
        """
        return types_to_write(self.state, self.stored, dtype)

    def save(
        self,
        folder: Path,
        dtype: torch.dtype | str | None = None,
        shard: int = SHARD,
        progress: Progress = ignore,
    ) -> None:
        """Write an ordinary checkpoint of the model's own class; of lazy parameters each is asked
        for once, written, and let go.

        Args:
            folder: to be made.
            dtype: float32, bfloat16 or float16 for all parameters; None for the types in which the
                model, or its first parent if it was aligned or merged, was stored.
            shard: bytes above which the weights are written in several files with an index, where
                the class's library reads such (transformers does, timm does not).
            progress: told the share written of lazy parameters; may raise to stop.

        Raises:
            UnknownName: for another type.
            BadInput: if a value is too large for float16, or lazy parameters find no room.
        """
        types, folder = self.types(dtype), Path(folder)
        if is_lazy(self.state):
            found = {n: t.to("meta", types[n]) for n, t in shapes(self.state).items()}
            module, ties = self._built(found)
            module.eval().requires_grad_(False)
            write_streamed(
                module, ties, self.family, self.config, self.state, types, folder, shard, progress
            )
            return
        module, _ = self._built(rounded(self.state, types))
        self.family.save(module.eval().requires_grad_(False), self.config, folder, shard)


def token_tables(model: Model) -> list[str]:
    """Names of the parameters that have a row for each token."""
    tokens = model.config.size("vocab_size")
    other = model.family.layout(model.config | {"vocab_size": max(1, tokens - 1)}).shapes
    return [name for name, shape in model.layout.shapes.items() if other[name] != shape]


class Uninitialised(TorchFunctionMode):
    """Leaves the parameters of modules that are built as they were allocated: no time, no random
    numbers, no memory touched.
    """

    FILLS = {
        "normal_",
        "uniform_",
        "trunc_normal_",
        "zero_",
        "fill_",
        "erfinv_",
        "mul_",
        "add_",
        "div_",
        "clamp_",
        "copy_",
        "constant_",
        "kaiming_normal_",
        "kaiming_uniform_",
    }

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Collection[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Skip what fills a parameter; everything else runs, buffers included."""
        kwargs = kwargs or {}
        filled = args[0] if args else kwargs.get("tensor")  # the latter from torch.nn.init
        if getattr(func, "__name__", "") in self.FILLS and isinstance(filled, nn.Parameter):
            return filled
        return func(*args, **kwargs)


def named_ties(module: nn.Module) -> list[tuple[str, str]]:
    """Pairs (name, first name) of parameters that are the same tensor as an earlier one."""
    seen: dict[int, str] = {}
    ties = []
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if id(parameter) in seen:
            ties.append((name, seen[id(parameter)]))
        else:
            seen[id(parameter)] = name
    return ties


def untied_state(module: nn.Module) -> dict[str, Tensor]:
    """The parameters of a module in memory, each once: names that repeat an earlier tensor are left
    out.
    """
    ties = {name for name, _ in named_ties(module)}
    return {
        name: tensor.detach().clone()
        for name, tensor in module.state_dict().items()
        if name not in ties
    }
