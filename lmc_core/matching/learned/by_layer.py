"""A mixture of large models, run layer by layer: a layer's parameters are formed when it is reached
and freed behind it, forwards and again backwards; its activations are computed again backwards.

Chen et al. 2016 (arXiv 1604.06174) for activations. Of a table of tokens only the rows that are
looked up are moved, and the loss behind a head is taken a few tokens at a time: neither the table
nor the logits of a whole batch are ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from lmc_core.large_blocks import return_freed
from lmc_core.matching.learned.head_loss import head_loss
from lmc_core.matching.learned.mixture import Mixture
from lmc_core.models.functional import Forward
from lmc_core.symmetry.arithmetic import has_fast_bfloat16
from lmc_core.tasks.task import IGNORED


def half_precision(device: str) -> torch.dtype | None:
    """bfloat16 where a device multiplies in it faster than in float32, else None."""
    return torch.bfloat16 if has_fast_bfloat16(device) else None


class ByLayer:
    """Runs mixtures of one layout through a module that holds no weights of its own.

    Args:
        forward: the module, without numbers; its parameters are taken out of it, and its buffers
            are brought to the device.
        device: where it runs.
        dtype: of products, where that is not float32.
    """

    def __init__(self, forward: Forward, device: str, dtype: torch.dtype | None):
        return_freed()
        self.forward, self.device, self.dtype = forward, device, dtype
        config = getattr(forward.inner, "config", None)
        if config is not None and hasattr(
            config, "use_cache"
        ):  # a layer that is run again would lengthen a cache
            config.use_cache = False
        self.layers = _find_layers(forward.inner)
        self.outer: dict[str, list[tuple[nn.Module, str]]] = {}
        self.inner: dict[nn.Module, dict[str, list[tuple[nn.Module, str]]]] = {}
        seen: dict[int, str] = {}
        for path, module in forward.inner.named_modules(remove_duplicate=False):
            for leaf, value in list(module._parameters.items()):
                if value is None:
                    continue
                name = seen.setdefault(id(value), f"{path}.{leaf}" if path else leaf)
                layer = next(
                    (m for p, m in self.layers.items() if path == p or path.startswith(p + ".")),
                    None,
                )
                places = self.outer if layer is None else self.inner.setdefault(layer, {})
                places.setdefault(name, []).append((module, leaf))
        self.shapes = {
            name: module._parameters[leaf]
            for places in (self.outer, *self.inner.values())
            for name, ((module, leaf), *_) in places.items()
        }
        # nothing is held in their places
        self.shapes = {
            name: torch.empty((), device=device).expand(cast("Tensor", value).shape)
            for name, value in self.shapes.items()
        }
        for module in forward.inner.modules():
            for leaf, value in module._buffers.items():
                module._buffers[leaf] = None if value is None else value.to(device)
        self._empty()

    def _empty(self) -> None:
        for places in (self.outer, *self.inner.values()):
            for name, sites in places.items():
                for module, leaf in sites:
                    module._parameters[leaf] = cast("nn.Parameter", self.shapes[name])

    def logits(self, mixture: Mixture, inputs: Tensor) -> Tensor:
        """Outputs of a mixture."""
        with self._ready(mixture, inputs, None):
            return self.forward(inputs).float()

    def loss(self, mixture: Mixture, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of a mixture over the targets that count, in nats, `[]`."""
        if targets.ndim < 2 or not self._splits(mixture, inputs[:1, :8]):
            logits = self.logits(mixture, inputs)
            return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORED)
        with self._ready(mixture, inputs, head := _Head()):
            self.forward(inputs)
        assert head.hidden is not None
        return head_loss(head.hidden, mixture, head.name, head.bias, targets)

    def _splits(self, mixture: Mixture, inputs: Tensor) -> bool:
        """Whether the outputs are those of a head, with nothing behind it; found out once."""
        if not hasattr(self, "_split"):
            with torch.no_grad():
                whole = self.logits(mixture, inputs)
                with self._ready(mixture, inputs, head := _Head()):
                    self.forward(inputs)
                self._split = False
                if head.hidden is not None:
                    weight = mixture.parameter(head.name)
                    apart = F.linear(head.hidden.to(weight), weight).float()
                    apart = apart if head.bias is None else apart + head.bias
                    close = (
                        apart.shape == whole.shape and (apart - whole).norm() < 0.02 * whole.norm()
                    )
                    self._split = bool(close)
        return self._split

    @contextmanager
    def _ready(self, mixture: Mixture, inputs: Tensor, head: _Head | None) -> Iterator[None]:
        kind = torch.device(self.device).type
        half = nullcontext() if self.dtype is None else torch.autocast(kind, self.dtype)
        for module in self.layers.values():
            module.forward = self._layer(module, mixture)
        try:
            with half:
                for name, sites in self.outer.items():
                    if mixture.lies_by_rows(name):
                        continue
                    value = mixture.parameter(name)
                    for module, leaf in sites:
                        module._parameters[leaf] = cast("nn.Parameter", value)
                tables = {
                    id(self.shapes[name]): name for name in self.outer if mixture.lies_by_rows(name)
                }
                with _Tables(mixture, tables, head):
                    yield
        finally:
            for module in self.layers.values():
                del module.forward
            self._empty()

    def _layer(self, module: nn.Module, mixture: Mixture) -> Callable[..., object]:
        """The forward pass of one layer, with parameters that it forms itself."""
        places, plain = self.inner[module], type(module).forward
        formed: dict[str, Tensor] = {}

        def run(*args: object, **words: object) -> object:
            try:
                for name, sites in places.items():
                    value = formed[name] if name in formed else mixture.parameter(name)
                    for owner, leaf in sites:
                        owner._parameters[leaf] = cast("nn.Parameter", value)
                return plain(module, *args, **words)
            finally:
                for name, sites in places.items():
                    for owner, leaf in sites:
                        owner._parameters[leaf] = cast("nn.Parameter", self.shapes[name])

        def again(*args: object, **words: object) -> object:
            if not torch.is_grad_enabled():
                return run(*args, **words)
            if self.dtype is not None:  # in half precision forming them twice costs more than room
                formed.update((name, mixture.parameter(name)) for name in places)
            settings = {"use_reentrant": False, "preserve_rng_state": False}
            call = cast("Callable[..., object]", checkpoint)
            return call(run, *args, **settings, **words)

        return again


def _find_layers(root: nn.Module) -> dict[str, nn.Module]:
    """The members of lists of modules of one class that have parameters, outermost lists only."""
    found: dict[str, nn.Module] = {}
    for path, module in root.named_modules():
        if any(path.startswith(layer + ".") for layer in found):
            continue
        members = dict(module.named_children())
        alike = len({type(member) for member in members.values()}) == 1 < len(members)
        if isinstance(module, nn.ModuleList | nn.Sequential) and alike:
            for name, member in members.items():
                if next(member.parameters(), None) is not None:
                    found[f"{path}.{name}" if path else name] = member
    return found


class _Head:
    """What the last matrix of a model was asked for."""

    hidden: Tensor | None = None
    bias: Tensor | None = None
    name = ""


class _Tables(TorchFunctionMode):
    """Answers what is asked of large tables without forming them where that is possible."""

    def __init__(self, mixture: Mixture, tables: Mapping[int, str], head: _Head | None):
        self.mixture, self.tables, self.head = mixture, tables, head

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Look rows up, keep what a head gets, and form the table for all else."""
        words = dict(kwargs or {})
        named = [self.tables.get(id(each)) for each in args]
        if not any(named):
            return func(*args, **words)
        if func is F.embedding and named[1]:
            padding = args[2] if len(args) > 2 else words.get("padding_idx")
            return self.mixture.look_up(
                named[1], cast("Tensor", args[0]), cast("int | None", padding)
            )
        if func is F.linear and named[1] and self.head is not None and self.head.hidden is None:
            self.head.hidden, self.head.name = cast("Tensor", args[0]), named[1]
            bias = args[2] if len(args) > 2 else words.get("bias")
            self.head.bias = cast("Tensor | None", bias)
            return self.head.hidden[..., :1]
        formed = [
            each if name is None else self.mixture.parameter(name)
            for each, name in zip(args, named, strict=True)
        ]
        return func(*formed, **words)
