"""Compute an `EquivarianceRequest`: train one network towards equivariance and measure it on the
way and at the end.

While it runs, what it has so far lies in `unfinished`, where the page finds it to draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from lmc_core.equivariance.copies import Copies, measure_copies
from lmc_core.equivariance.data import KINDS, SOURCES, Sample, domain_of, sample
from lmc_core.equivariance.domains import Domain
from lmc_core.equivariance.forms import FORMS, make_form
from lmc_core.equivariance.groups import group as group_of
from lmc_core.equivariance.measures import plane, strip
from lmc_core.equivariance.networks import NETWORKS, build
from lmc_core.equivariance.numbers import (
    CopiesNumbers,
    EquivarianceFacts,
    EquivarianceNumbers,
    EquivarianceRequest,
    GroupScore,
    _End,
    _TraceEnd,
)
from lmc_core.equivariance.relaxed import Relaxed
from lmc_core.equivariance.structures import STRUCTURES
from lmc_core.equivariance.tracing import Trace, extent
from lmc_core.equivariance.training import Schedule, train
from lmc_core.progress import Progress, ignore
from lmc_core.runs.computation import Arrays, Entries
from lmc_core.runs.inputs import make_stamp
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.request import RequestJson

SHARES = 21  # points of a path to the projection
ROWS = 400  # examples that the plane is measured on, at the most
SIDE = 17  # points along a side of the plane over two entries of gamma
SHOWN = 6  # examples whose positions are shown
TRAINED = 0.7  # share of the progress


def compute(
    request: EquivarianceRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[EquivarianceNumbers, Arrays]:
    """Train and measure the network of a request.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: nothing is kept that could be made again.

    Returns:
        The result as plain JSON values, losses in nats (``copies``: see
        `equivariance.copies.measure_copies`), and the arrays

        - ``trace.step`` `[k]`; ``trace.gamma``, ``.multiplier``, ``.slack``, ``.gradient``
          (dJ/dgamma), ``.gauge`` (-dJ/dgamma at gamma = 0) `[k, layers]`; ``trace.loss`` and
          ``trace.accuracy`` `[k, 4]`: training with the free branch on and off, held-out with it on
          and off; ``trace.error`` `[k, 2]`: of equivariance, with it on and off
        - ``path.step`` `[c]`, ``path.share`` `[t]`, ``path.loss``, ``path.stderr``,
          ``path.accuracy`` `[c, t]`, on the held-out split: from the projection (share 0) to the
          network after so many steps
        - ``plane.value`` `[v]`, ``plane.loss`` `[v, v]`: over the entries ``plane_layers`` of gamma
        - ``strip.inputs`` `[n, order, inputs]`, ``strip.labels`` `[n]`, ``strip.on``, ``strip.off``
          `[n, order, classes]`
        - ``weights.<parameter>``: of the network at the end, an ordinary state dict of its class.

    Raises:
        BadInput: the request cannot be done, or its training diverged.
    """
    begin = perf_counter()
    progress(0.0, "making the data")
    domain = domain_of(request.source, group_of(request.group))
    taught, held = _make_samples(request, domain)
    form = make_form(
        request.form, request.primal_rate, request.dual_rate, request.augmented, request.price
    )
    module, layout = build(request.network, domain, request.seed)
    relaxed = Relaxed(module.to(request.device), layout, as_built=request.form == "free")
    schedule = Schedule(request.steps, request.rate, request.decay, request.batch, request.seed)
    kept = Unfinished(request.key)
    trace = Trace(relaxed, taught, held, request.steps, SHARES)

    def watch(step: int, *state: Any) -> None:
        progress(TRAINED * step / request.steps, f"training, step {step:,} of {request.steps:,}")
        if trace.record(step, *state):
            kept.write({**_facts(request, relaxed, taught, held), "step": step}, trace.arrays())

    with _one_thread():
        last = train(relaxed, form, taught, schedule, watch)
        trained = perf_counter() - begin
        end, arrays = _measure(request, relaxed, last.gamma, trace, taught, held, progress)
    result: EquivarianceNumbers = {
        "key": request.key,
        **_facts(request, relaxed, taught, held),
        **end,
        "seconds": {"train": trained, "evaluate": perf_counter() - begin - trained},
        **make_stamp(),
    }
    kept.remove()
    return result, arrays


def _make_samples(request: EquivarianceRequest, domain: Domain) -> tuple[Sample, Sample]:
    """The examples to train on, and those that losses are measured on."""
    taught, held = (
        sample(request.source, request.kind, domain, split, request.seed, count).to(
            request.device, torch.float32
        )
        for split, count in (("train", request.examples), (request.split, None))
    )
    return taught, held


def _facts(
    request: EquivarianceRequest, relaxed: Relaxed, taught: Sample, held: Sample
) -> EquivarianceFacts:
    """What the result says of what was asked."""
    group = group_of(request.group)
    return {
        **cast("EquivarianceFacts", request.to_json()),
        "models": list(request.model_names),
        "network_label": NETWORKS[request.network].label,
        "form_label": FORMS[request.form],
        "source_label": SOURCES[request.source],
        "kind_label": KINDS[request.kind],
        "group_labels": list(group.labels),
        "group_sentence": group.sentence,
        "acts": group.acts,
        "task": request.source,
        "unit": "nats",
        "method": request.form,
        "classes": {},
        "layers": list(relaxed.layers),
        "dimensions": relaxed.dimensions(),
        "parameters": sum(tensor.numel() for tensor in relaxed.free.values()),
        "trained_on": len(taught),
        "held_out": len(held),
    }


def _measure(
    request: EquivarianceRequest,
    relaxed: Relaxed,
    gamma: Tensor,
    trace: Trace,
    taught: Sample,
    held: Sample,
    progress: Progress,
) -> tuple[_End, dict[str, np.ndarray]]:
    """What is measured once the training is over: facts and arrays."""
    progress(TRAINED, "measuring the plane of two layers")
    arrays = trace.arrays()
    values = torch.linspace(*extent(arrays["trace.gamma"]), SIDE)
    few = held.first(ROWS)
    layers = (0, min(1, len(relaxed.layers) - 1))
    arrays |= {
        "plane.value": values.numpy(),
        "plane.loss": plane(relaxed, gamma, layers, values.to(gamma), few).numpy(),
    }
    progress(0.9, "following examples through their positions")
    still = sample(request.source, "upright", find_domain(request), request.split, request.seed)
    chosen = _of_each_class(still.labels.tolist())[:SHOWN]
    inputs, labels = still.inputs[chosen].to(gamma), still.labels[chosen]
    moved, on = strip(relaxed, gamma, inputs)
    _, off = strip(relaxed, torch.zeros_like(gamma), inputs)
    arrays |= {"strip.inputs": moved.cpu().numpy(), "strip.labels": labels.numpy()}
    arrays |= {"strip.on": on.cpu().numpy(), "strip.off": off.cpu().numpy()}
    weights = relaxed.weights(gamma)
    arrays |= {f"weights.{name}": tensor.detach().cpu().numpy() for name, tensor in weights.items()}
    with torch.no_grad():
        written = relaxed.module_at(gamma)(inputs)
        apart = (written - relaxed(inputs, gamma)).abs().max() / written.abs().max()
    end: _End = {
        **cast(_TraceEnd, trace.end(gamma)),
        "plane_layers": list(layers),
        "plane_examples": len(few),
        "function_error": float(apart),
    }
    if request.network not in STRUCTURES:  # nothing says which of its units may change places
        return end, arrays
    progress(0.95, "comparing the network with its moved copies")
    copies = Copies(request.network, relaxed.module, relaxed.layout, weights, taught)
    end["copies"] = cast(CopiesNumbers, measure_copies(copies, held))
    return end, arrays


def find_domain(request: EquivarianceRequest) -> Domain:
    """The inputs of a request and the group that acts on them."""
    return domain_of(request.source, group_of(request.group))


def _of_each_class(labels: list[int]) -> list[int]:
    """The first example of every class, in the order of the examples."""
    return sorted({label: place for place, label in reversed(list(enumerate(labels)))}.values())


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of torch inside: networks this small are several times slower on two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def summarize(request: RequestJson, numbers: EquivarianceNumbers, arrays: Arrays) -> Entries:
    """The last row of the record; errors over examples are not in it. See
    `runs.computation.summarize`.
    """
    last = {
        name: arrays[f"trace.{name}"][-1].tolist()
        for name in ("gamma", "multiplier", "slack", "gauge", "error")
    }
    losses, accuracies = (arrays[f"trace.{name}"][-1].tolist() for name in ("loss", "accuracy"))
    error_on, error_off = last.pop("error")
    names = ("train_on", "train_off", "on", "off")
    found = {
        name: {**cast(GroupScore, numbers[name]), "loss": loss, "accuracy": accuracy}
        for name, loss, accuracy in zip(names, losses, accuracies, strict=True)
    }
    return {**found, **last, "error_on": error_on, "error_off": error_off}
