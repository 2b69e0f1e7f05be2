"""A curve while it is measured: it lies beside the results for whoever looks, and a run that was
paused, cancelled or killed goes on from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter

import torch
from torch import Tensor

from lmc_core.models.lazy import PIECE
from lmc_core.paths.curve import Curve
from lmc_core.paths.line import Line, ModelPath
from lmc_core.progress import Progress, offer_pause
from lmc_core.runs.cost import PACE
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.request import WINDOW, hash_json
from lmc_core.runs.requests.barrier import BarrierRequest

FEW = (3, 9)  # points after which another run may give its first answer, and its next
ROUND = 15.0  # seconds that a round of examples may take about


class SoFar:
    """What there is of the curve of a request.

    Args:
        request: that is computed.
        path: that is measured. An alignment that is computed again may end elsewhere by rounding;
            what was measured along another path is not gone on with.
        describe: a curve -> the facts that are kept beside its losses.
        progress: of the run; may raise when it is offered a pause.
        pauses: whether the run may be paused, which it may where coming back is quick.
        refresh: take nothing that earlier runs left.
    """

    def __init__(
        self,
        request: BarrierRequest,
        path: ModelPath,
        describe: Callable[[Curve], Mapping[str, object]],
        progress: Progress,
        pauses: bool,
        refresh: bool = False,
    ):
        self._request, self._describe, self._progress = request, describe, progress
        self._pauses, self._file = pauses, Unfinished(request.key)
        self._end = fingerprint(path)
        self.begun: Curve | None = None
        self._before = 0.0  # seconds that earlier runs measured
        if refresh:
            self._file.remove()
        else:
            self._read()
        self._start = perf_counter()

    @property
    def seconds(self) -> float:
        """That the measuring took, in all runs together."""
        return self._before + perf_counter() - self._start

    def _read(self) -> None:
        if (found := self._file.read()) is None:
            return
        facts, arrays = found
        try:
            lam = torch.tensor(facts["lam"], dtype=torch.float64)
            losses, correct = (torch.from_numpy(arrays[name]) for name in ("losses", "correct"))
            seconds = float(facts["seconds"]["evaluate"])
            if facts["end"] != self._end:
                return
        except (KeyError, TypeError, ValueError):  # of an earlier version
            return
        self.begun, self._before = Curve(lam, losses, correct), seconds

    def keep(self, curve: Curve) -> None:
        """Write what there is; where a stage has ended, the run may pause."""
        points = len(curve.lam)
        stage = points in (*FEW, self._request.points)
        if stage or self._file.due:
            facts = {**self._describe(curve), "seconds": {"evaluate": self.seconds}}
            facts["end"] = self._end
            arrays = {"losses": curve.losses.numpy(), "correct": curve.correct.numpy()}
            self._file.write(facts, arrays, now=True)
        if stage and self._pauses:
            offer_pause(self._progress)

    def remove(self) -> None:
        """Take it away: the result is there."""
        self._file.remove()


def fingerprint(path: ModelPath) -> str:
    """A few digits that tell a path from others: of the far end of a line, of the middle of a path
    that bends.
    """
    state = path.b.state if isinstance(path, Line) else path.state(0.5)
    sums = [_add_up(state[name]) for name in sorted(state)]  # lazily read ones one at a time
    return hash_json(sums)[:16]


def _add_up(tensor: Tensor) -> float:
    """The sum of its values, of which little is in float64 at a time."""
    return sum(float(each.sum(dtype=torch.float64)) for each in tensor.flatten().split(PIECE))


def count_round(request: BarrierRequest, parameters: int) -> int:
    """Examples of a round that takes about `ROUND` seconds of a core; the same for every run of a
    request, so that it gives the same numbers.

    Args:
        request: that is computed.
        parameters: of a model.
    """
    pace = PACE["images"] if request.length is None else PACE["text"] * request.length / WINDOW
    each = pace * parameters * request.points
    return max(1, round(ROUND / each))
