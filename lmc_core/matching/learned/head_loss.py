"""The loss behind the head of a mixture, a few tokens at a time: neither the logits of a whole
batch nor a gradient of the table's size is held.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from lmc_core.matching.learned.mixture import Mixture
from lmc_core.tasks.task import IGNORED

LOGITS = 2**22  # numbers of logits that are held at once: 16 MB, and half as much again


def head_loss(
    hidden: Tensor, mixture: Mixture, name: str, bias: Tensor | None, targets: Tensor
) -> Tensor:
    """Mean cross-entropy behind a head over the targets that count, in nats, `[]`.

    Args:
        hidden: what the head gets, `[..., d]`.
        mixture: that the head is a part of; its slopes take note of the head's maps.
        name: of the head's table, which lies by rows.
        bias: of the head, `[tokens]`, if it has one.
        targets: `[...]`.
    """
    return _HeadLoss.apply(hidden, mixture, name, bias, targets)


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]


def _head_table(
    mixture: Mixture, name: str
) -> tuple[Tensor, Callable[[Tensor, Tensor], list[Tensor]]]:
    """The mixture T = sum_k w_k Y_k of a table, and what makes p Y_k of p and p T.

    Where one model moves, its Y becomes T in place, and p Y = (p T - sum_(others) w_j p Y_j) / w.
    """
    moved = mixture.move(name)
    (k, *others) = mixture.moving
    own = moved[k].data_ptr() != mixture.ends[k][name].data_ptr()  # may be written into
    if others or mixture.weights[k] == 0 or not own:
        return mixture.join(moved), lambda p, whole: [p @ each for each in moved]
    weight, apart = mixture.weights[k], [j for j in range(len(moved)) if j != k]
    table = moved[k].mul_(weight)
    for j in apart:
        table.add_(moved[j], alpha=mixture.weights[j])

    def slopes_of(p: Tensor, whole: Tensor) -> list[Tensor]:
        found = [whole] * len(moved)
        rest = whole.float()
        for j in apart:
            found[j] = p @ moved[j]
            rest = rest.sub(found[j], alpha=mixture.weights[j])
        found[k] = (rest / weight).to(whole.dtype)
        return found

    return table, slopes_of


class _HeadLoss(torch.autograd.Function):
    """The loss behind a head, with the slopes of its maps, a few tokens at a time.

    With p the probabilities less the target, over the number of targets, dL / dh = p (sum_k w_k
    Y_k), and the slope of the map that the columns of Y_k read from is -w_k (p Y_k)^T h: no
    gradient of the table's size is needed.
    """

    @staticmethod
    def forward(
        ctx: _Context,
        hidden: Tensor,
        mixture: Mixture,
        name: str,
        bias: Tensor | None,
        targets: Tensor,
    ) -> Tensor:
        table, slopes_of = _head_table(mixture, name)
        flat = hidden.detach().flatten(0, -2).to(table.dtype)
        wanted = targets.flatten()
        counts = wanted != IGNORED
        number = counts.sum().clamp_min(1)
        slope, total = torch.empty_like(flat), torch.zeros((), device=flat.device)
        size = max(1, LOGITS // len(table))
        for here in range(0, len(flat), size):
            part = slice(here, here + size)
            logits = (flat[part] @ table.mT).float()
            if bias is not None:
                logits += bias
            logs = torch.logsumexp(logits, -1)
            index = torch.where(counts[part], wanted[part], 0)[:, None]
            each = logs - logits.gather(-1, index)[:, 0]
            total += torch.where(counts[part], each, 0.0).sum()
            if not hidden.requires_grad:
                continue
            p = logits.sub_(logs[:, None]).exp_()
            p.scatter_add_(-1, index, torch.full_like(p[:, :1], -1.0))
            p = p.mul_((counts[part] / number)[:, None]).to(table.dtype)
            del logits
            slope[part] = p @ table
            mixture.gather_reads(name, slopes_of(p, slope[part]), flat[part])
        ctx.save_for_backward(slope.view(hidden.shape))
        return total / number

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * gradients[0], None, None, None, None
