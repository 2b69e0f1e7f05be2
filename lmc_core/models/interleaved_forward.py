"""What a model computes at several mixtures of two sets of parameters or more, part by part: every
set is read once for all mixtures, and no more of each is held than one layer or one table.

    with weights w:   theta = sum_k w_k theta_k        on a line between two   w = (1 - lam, lam)

A pass (one mixture, some inputs) runs on a thread of its own, which waits wherever a part begins
(`streamed_forward`); so any class of modules can be run, and what it keeps between its parts stays
where it is. The parts are computed by whoever asked for the passes, one after the other, so that no
two threads ever compute at once: the parameters of a part are read of every set, mixed for one
pass after the other, and all passes that wait for the part go through it. As much as is held of
the models for this, so little is held of what flows through the network: one batch for each pass.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lmc_core.models.lazy import PIECE
from lmc_core.models.streamed_forward import CPU, StreamedPart, first_names, list_parts, list_places
from lmc_core.side_by_side import side_by_side
from lmc_core.symmetry.layout import State

_OF_THREAD = threading.local()  # the pass that a thread is for


@dataclass(frozen=True)
class Pass:
    """What is to be computed.

    Attributes:
        weights: of the sets of parameters, summing to 1.
        compute: runs the module on some inputs.
        take: is given what came of it.
        around: is entered while a part is computed for it, so that hooks know for whom they are.
    """

    weights: tuple[float, ...]
    compute: Callable[[nn.Module], Tensor]
    take: Callable[[Tensor], None]
    around: Callable[[], AbstractContextManager[object]] = nullcontext


def mix(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """sum_k w_k x_k in float32, whatever the types, for weights of 0 or more that sum to 1, as the
    running mean that `mixing.weighted` takes; of one weight 1 that tensor itself.

    Half precision is widened in pieces, so that only the mixture is there in float32.
    """
    if 1.0 in weights:
        return tensors[list(weights).index(1.0)].float()
    found = torch.empty(tensors[0].shape, dtype=torch.float32)
    pieces = (each.flatten().split(PIECE) for each in (found, *tensors))
    for mixture, *parts in zip(*pieces, strict=True):
        total = 0.0
        for part, weight in zip(parts, weights, strict=True):
            if weight and not total:
                mixture.copy_(part)
            elif weight:
                mixture.lerp_(part.float(), weight / (total + weight))
            total += weight
    return found


@torch.no_grad()
def run_interleaved(
    module: nn.Module,
    states: Sequence[State],
    passes: Sequence[Pass],
    told: Callable[[], None] = lambda: None,
) -> None:
    """Run passes of a module at mixtures of sets of parameters, which are read part by part.

    Args:
        module: in evaluation mode, parameters in float32 on the device "meta".
        states: the sets, with the same names and shapes, lazily read or held.
        passes: in the order of their mixtures.
        told: called whenever a pass has gone through a part; may raise to stop.
    """
    try:
        return _Interleaved(module, states).run(passes, told)
    except (NotImplementedError, RuntimeError) as error:
        if "meta" not in str(error):
            raise
    # a class that reaches into its parts from outside, as `streamed_forward` says
    _Interleaved(module, states, resident=True).run(passes, told)


class _Interleaved:
    """Takes passes through the parts of a module.

    Args:
        module: see `run_interleaved`.
        states: likewise.
        resident: whether the parameters outside the stacks are held from beginning to end.
    """

    def __init__(self, module: nn.Module, states: Sequence[State], resident: bool = False) -> None:
        self._module, self._states = module, states
        self._names = first_names(module)
        parts = list_parts(module)
        called = {part.module for part in parts}
        # a module with parameters of its own around others, as one that holds a class token
        around = {
            part.module
            for part in parts
            if not part.stacked and any(each in called for each in _below(part.module))
        }
        self._held = [
            part for part in parts if part.module in around or (resident and not part.stacked)
        ]
        self._called = {part.module: part for part in parts if part not in self._held}

    def run(self, passes: Sequence[Pass], told: Callable[[], None]) -> None:
        """See `run_interleaved`."""
        runs = [_Run(each, self._module) for each in passes]
        held = _Mixed(self._held, self._names, self._states)
        try:
            with self._waiting():
                for each in runs:
                    held.put(each.weights)
                    each.start()
                while alive := [each for each in runs if not each.done]:
                    self._take_through(alive[0].wanted, alive, held, told)
        finally:
            for each in runs:
                each.give_up()
            held.remove()

    def _take_through(
        self, wanted: nn.Module | None, runs: Sequence[_Run], held: _Mixed, told: Callable[[], None]
    ) -> None:
        """Take all passes that wait for a part through it, and on to the next that they need."""
        assert wanted is not None
        mixed = _Mixed([self._called[wanted]], self._names, self._states)
        try:
            for each in runs:
                if each.wanted is wanted:
                    mixed.put(each.weights)
                    held.put(each.weights)
                    each.compute()
                    each.go_on()
                    told()
        finally:
            mixed.remove()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Let passes wait where a part begins, meanwhile."""
        try:
            for part in self._called:
                own = part.forward
                part.forward = functools.wraps(own)(partial(_ask, part, own))
            yield
        finally:
            for part in self._called:
                part.__dict__.pop("forward", None)


def _below(module: nn.Module) -> Iterator[nn.Module]:
    return (each for each in module.modules() if each is not module)


def _ask(part: nn.Module, own: Callable[..., object], *given: object, **named: object) -> object:
    """Have a part computed, from the thread of a pass."""
    this: _Run = _OF_THREAD.run
    return this.ask(part, partial(own, *given, **named))


class _Mixed:
    """The parameters of some parts in every set, and their mixture while it is in its place.

    Args:
        parts: whose parameters are read.
        names: of parameters, by identity.
        states: the sets that are read from.
    """

    def __init__(
        self, parts: Sequence[StreamedPart], names: Mapping[int, str], states: Sequence[State]
    ) -> None:
        self._weights: tuple[float, ...] | None = None
        self._places = list_places(owner for part in parts for owner in part.owners)
        own = {id(place.empty): names[id(place.empty)] for place in self._places}
        found = side_by_side([partial(_read_all, states, name) for name in own.values()], CPU)
        self._read = dict(zip(own, found, strict=True))

    def put(self, weights: tuple[float, ...]) -> None:
        """Have the mixture with these weights in its place."""
        if weights == self._weights:
            return
        self.remove()  # two mixtures are not held at once
        mixed = {
            number: nn.Parameter(mix(tensors, weights), requires_grad=False)
            for number, tensors in self._read.items()
        }
        for place in self._places:
            place.put(mixed[id(place.empty)])
        self._weights = weights

    def remove(self) -> None:
        """Have the parameters without values in their places again."""
        for place in self._places:
            place.put(None)
        self._weights = None


def _read_all(states: Sequence[State], name: str) -> list[Tensor]:
    return [state[name] for state in states]


class _GivenUp(BaseException):
    """Ends a pass that nobody waits for any more."""


class _Run:
    """A pass on its way through a module, on a thread of its own; the thread and who owns the pass
    never run at the same time.

    Attributes:
        weights: of the sets of parameters.
        wanted: the part that it waits for.
        done: whether it has come to its end.
    """

    def __init__(self, what: Pass, module: nn.Module) -> None:
        self.weights, self._what, self._module = what.weights, what, module
        self.wanted: nn.Module | None = None
        self.done = False
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._call: Callable[[], object] | None = None
        self._found: object = None
        self._error: BaseException | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="pass", daemon=True)

    def start(self) -> None:
        """Begin, and come to the first part; on its owner's thread."""
        self._thread.start()
        self.go_on()

    def _run(self) -> None:
        _OF_THREAD.run = self
        self._go.acquire()
        try:
            if not self._given_up:
                torch.set_num_threads(1)  # what lies between parts is little
                torch.set_grad_enabled(False)
                self._found = self._what.compute(self._module)
        except _GivenUp:
            pass
        except BaseException as error:
            self._error = error
        self.done = True
        self._back.release()

    def ask(self, part: nn.Module, call: Callable[[], object]) -> object:
        """Wait until a part was computed; on its own thread."""
        self.wanted, self._call = part, call
        self._back.release()
        self._go.acquire()
        if self._given_up:
            raise _GivenUp
        found, self._found = self._found, None
        return found

    def compute(self) -> None:
        """Compute the part that is waited for; on its owner's thread."""
        assert self._call is not None
        call, self._call = self._call, None
        with self._what.around():
            self._found = call()

    def go_on(self) -> None:
        """Let it come to the next part, or to its end; on its owner's thread."""
        self.wanted = None
        self._go.release()
        self._back.acquire()
        if self._error is not None:
            raise self._error
        if self.done:
            found, self._found = self._found, None
            assert isinstance(found, Tensor)
            self._what.take(found)

    def give_up(self) -> None:
        """End it wherever it is."""
        self._given_up, self._call, self._found = True, None, None
        if self._thread.is_alive():
            self._go.release()
            self._thread.join()
