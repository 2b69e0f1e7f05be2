"""Losses of mixtures of models that are read one part at a time (`interleaved_forward`): points on
the line between two, or of the simplex of several.

Of what flows through the network one batch is held for each mixture, as many as fit in `FLOW`
bytes. With N examples, P mixtures, and F pairs of an example and a mixture that fit, the models are
read P N / F times however these are chosen, and a part is mixed N / (examples at once) times for
every mixture. So as many examples as fit are taken at once, and as many mixtures as fit beside
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from lmc_core.models.config import Config
from lmc_core.models.family import Family
from lmc_core.models.forward import compute_outputs, outputs_each
from lmc_core.models.interleaved_forward import Pass, run_interleaved
from lmc_core.models.model import Model
from lmc_core.models.streamed_forward import list_parts
from lmc_core.tasks.evaluator import BATCH
from lmc_core.tasks.task import Examples, losses

FLOW = 2**28  # bytes of activations that are held at once
OUTPUTS = 2**24  # numbers that a batch may give: 64 MB
STREAMS = 2  # tensors of the size of the stream that a waiting pass holds: it, and what it began as
PASSES = 256  # that wait at once, each on a thread
PATCH = 4  # pixels of an edge, where a configuration does not say: the smallest that is usual
SINGLE = 4  # bytes of a number


def flow_each(family: Family, config: Config, length: int | None = None) -> int:
    """Bytes of what is held of one example at one mixture while it waits.

    Args:
        family: of the model.
        config: of the model.
        length: tokens of a text; None for other inputs.
    """
    sizes, spaces = family.sizes(config), family.layout(config).spaces.values()
    width = max((space.size for space in spaces if space.kind == "residual"), default=1)
    tokens = length or sizes.get("context")
    if tokens is None:
        patch = config.get("patch_size")
        patch = patch if isinstance(patch, int) and patch > 0 else PATCH
        tokens = (sizes.get("image", patch) // patch) ** 2 + 1
    return SINGLE * STREAMS * tokens * width


def together(model: Model, inputs: Tensor) -> int:
    """How many pairs of an example and a mixture are held at once, one at least."""
    length = inputs.shape[1] if model.family.takes == "text" and inputs.ndim == 2 else None
    return max(1, FLOW // flow_each(model.family, model.config, length))


class StreamedLosses:
    """Measures mixtures of models of one configuration.

    Args:
        models: with the same parameters, lazily read or held.
        examples: what to measure on.
    """

    def __init__(self, models: Sequence[Model], examples: Examples) -> None:
        self.models, self.examples = tuple(models), examples
        self.together = together(models[0], examples.inputs)
        self._batch = max(1, min(BATCH, OUTPUTS // outputs_each(models[0], examples.inputs)))

    def losses(
        self,
        weights: Sequence[Sequence[float]],
        progress: Callable[[float], None] = lambda share: None,
        temperatures: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Loss and correctness of every example at every mixture.

        Args:
            weights: of each mixture those of the models, `[points, models]`.
            progress: called with the share done; may raise to stop.
            temperatures: what logits are divided by at each mixture, `[points]`; 1 by default.

        Returns:
            Two float32 tensors `[points, examples]`: loss in nats, share correct.
        """
        found = torch.empty(len(weights), 2, len(self.examples))
        scale = [1.0] * len(weights) if temperatures is None else temperatures.tolist()

        def make(point: int, rows: range) -> Pass:
            return self._make_pass(tuple(weights[point]), rows, found[point], scale[point])

        self.run(self.models[0].hollow_module(), len(weights), make, progress)
        return found[:, 0], found[:, 1]

    def run(
        self,
        module: nn.Module,
        points: int,
        make: Callable[[int, range], Pass],
        progress: Callable[[float], None] = lambda share: None,
    ) -> None:
        """Pass all examples through a module at mixtures, as many at once as fit.

        Args:
            module: of the models' class, without values.
            points: how many mixtures there are.
            make: what is computed at a mixture, given its number and the examples.
            progress: called with the share done; may raise to stop.
        """
        states = [model.state for model in self.models]
        parts = len(list_parts(module)) * points * -(-len(self.examples) // self._batch)
        done = 0

        def told() -> None:
            nonlocal done
            done += 1
            progress(min(1.0, done / max(1, parts)))

        for some, rows in self._divide(points):
            passes = [make(point, each) for point in some for each in _split(rows, self._batch)]
            run_interleaved(module, states, passes, told)
        progress(1.0)

    def _divide(self, points: int) -> Iterator[tuple[range, range]]:
        """Mixtures and examples that are measured at once."""
        most = min(self.together, PASSES * self._batch)
        rows = min(len(self.examples), most)
        some = max(1, min(most // max(1, rows), PASSES // max(1, -(-rows // self._batch))))
        for first in range(0, points, some):
            for each in _split(range(len(self.examples)), rows):
                yield range(first, min(points, first + some)), each

    def _make_pass(
        self, weights: tuple[float, ...], rows: range, found: Tensor, temperature: float
    ) -> Pass:
        batch = self.examples.rows(rows.start, rows.stop)
        family = self.models[0].family

        def compute(module: nn.Module) -> Tensor:
            return compute_outputs(family, module, batch.inputs)

        def take(outputs: Tensor) -> None:
            logits = outputs if temperature == 1 else outputs / temperature
            found[:, rows.start : rows.stop] = torch.stack(losses(logits, batch.targets))

        return Pass(weights, compute, take)


def _split(rows: range, size: int) -> list[range]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
