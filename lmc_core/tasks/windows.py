"""Windows of tokens, and what is predicted in them.

next          a window and the token after each of its tokens; windows do not overlap. Where a model
              expects texts to begin with a token of their own, every window does: then its targets
              are the tokens of text that follow in it
masked        15 % of a window's tokens are to be found again: 80 % of them are replaced by the
              mask, 10 % by a random token, 10 % stay (Devlin et al. 2018, arXiv 1810.04805, section
              3.1). At least one; the marks at the ends never
continuation the second half of a window from its first; of an odd length the last token is left out
features      nothing: the outputs are no predictions, and no loss is taken

Windows of one work share its words, so that standard errors are taken over groups of windows: the
works where there are at least `FEW`, which are independent but for their author. Of fewer, each is
cut into blocks of neighbouring windows, `BLOCKS` in all: what one window says of another fades with
the distance between them, so long blocks are nearly independent (Carlstein 1986; the ends of a
block are all that touches the next). Blocks say how well one work is measured, not how much works
differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.tasks.task import IGNORED, Examples

MASKED, REPLACED, RANDOM = 0.15, 0.8, 0.1
FEW = 8  # works; with fewer the quantile of Student's t is above 2.4, with two it is 12.7
BLOCKS = 16  # where works are cut; the quantile is 2.1, and each block is still as long as may be


@dataclass(frozen=True)
class Marks:
    """Numbers of the tokens that a masked window needs.

    Attributes:
        mask: stands in the place of a masked token.
        first: begins every window; None for nothing.
        last: ends every window; None for nothing.
        vocabulary: random tokens are drawn from [0, vocabulary).
    """

    mask: int
    first: int | None
    last: int | None
    vocabulary: int


@dataclass(frozen=True)
class Windows:
    """The windows of a stream of tokens, in order.

    Attributes:
        tokens: the stream `[n]`.
        length: tokens of a window, marks included.
        predicts: ``next``, ``masked``, ``continuation`` or ``features``.
        marks: needed for ``masked``; they also begin and end windows of features.
        works: where each work of the stream begins, increasing, the first 0.
        begins: tokens that begin every window of ``next``, on which there is no loss.
    """

    tokens: Tensor
    length: int
    predicts: str = "next"
    marks: Marks | None = None
    works: Sequence[int] = (0,)
    begins: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.predicts == "masked" and self.marks is None:
            raise BadInput(
                "The model predicts masked tokens, and its tokenizer has no mask; give a "
                "tokenizer that has one."
            )
        if self.step < 1:
            raise BadInput(
                f"A window of {self.length} tokens has no room for text; ask for a greater length."
            )

    @property
    def step(self) -> int:
        """Tokens of the stream in one window."""
        if self.predicts == "continuation":
            return self.length - self.length % 2
        return (
            self.length - len(self._around) - (len(self.begins) if self.predicts == "next" else 0)
        )

    @property
    def _around(self) -> list[int]:
        """The marks that begin and end a window."""
        around = (
            (self.marks.first, self.marks.last)
            if self.marks and self.predicts in ("masked", "features")
            else ()
        )
        return [mark for mark in around if mark is not None]

    def __len__(self) -> int:
        # the last window needs the token after it
        after = self.predicts == "next" and not self.begins
        return max(0, len(self.tokens) - after) // self.step

    def take(self, indices: Tensor, seed: int) -> Examples:
        """Return the windows at `indices` with their groups; the seed chooses what is masked."""
        return replace(self._take(indices, seed), groups=self.groups()[indices])

    def groups(self) -> Tensor:
        """The work of every window, or the block of a work, numbered from 0, int64 `[windows]`.

        A window belongs to the work that its middle lies in. Works shorter than a window may have
        none of their own.
        """
        middles = torch.arange(len(self)) * self.step + self.step // 2
        work = torch.searchsorted(torch.tensor(self.works), middles, right=True) - 1
        found, work, sizes = work.unique(return_inverse=True, return_counts=True)
        if len(found) >= FEW:
            return work
        blocks = -(-BLOCKS // max(1, len(found)))  # of each work, of equal length
        inside = torch.arange(len(self)) - (sizes.cumsum(0) - sizes)[work]
        return work * blocks + inside * blocks // sizes[work]

    def _take(self, indices: Tensor, seed: int) -> Examples:
        content = self._content(indices)
        if self.predicts == "next" and self.begins:
            rows = torch.cat([torch.tensor(self.begins).expand(len(content), -1), content], 1)
            targets = torch.full_like(rows, IGNORED)
            targets[:, len(self.begins) - 1 : -1] = content
            return Examples(rows, targets)
        if self.predicts == "next":
            after = indices[:, None] * self.step + torch.arange(1, self.step + 1)
            return Examples(content, self.tokens[after])
        if self.predicts == "continuation":
            return Examples(content, content[:, self.step // 2 :])
        masked = (content, torch.full_like(content, IGNORED))
        if self.predicts == "masked":
            assert self.marks is not None
            masked = mask(content, self.marks, seed)
        if self.marks is None:
            return Examples(*masked)
        first, last = self.marks.first, self.marks.last
        return Examples(_between(first, masked[0], last), _between(first, masked[1], last, IGNORED))

    def digest(self, indices: Tensor) -> str:
        """SHA-256 of the tokens of the windows, and of how they are used."""
        how = repr((self.predicts, self.length, self.marks if self.predicts != "next" else None))
        how += repr(self.begins) if self.predicts == "next" and self.begins else ""
        return hashlib.sha256(how.encode() + self._content(indices).numpy().tobytes()).hexdigest()

    def _content(self, indices: Tensor) -> Tensor:
        return self.tokens[indices[:, None] * self.step + torch.arange(self.step)]


def mask(tokens: Tensor, marks: Marks, seed: int) -> tuple[Tensor, Tensor]:
    """Mask 15 % of each row (rounded, at least one).

    Args:
        tokens: `[n, length]`.
        marks: the mask, and how many tokens there are.
        seed: of the positions and of the random tokens.

    Returns:
        Inputs and targets `[n, length]`; targets are `IGNORED` at positions that were not chosen.
    """
    generator = torch.Generator().manual_seed(seed)
    count = max(1, round(MASKED * tokens.shape[1]))
    order = torch.rand(tokens.shape, generator=generator).argsort(1)
    chosen = torch.zeros(tokens.shape, dtype=torch.bool).scatter_(1, order[:, :count], True)
    fate = torch.rand(tokens.shape, generator=generator)
    random = torch.randint(marks.vocabulary, tokens.shape, generator=generator)
    inputs = tokens.where(~(chosen & (fate < REPLACED)), torch.tensor(marks.mask))
    inputs = inputs.where(~(chosen & (fate >= REPLACED) & (fate < REPLACED + RANDOM)), random)
    return inputs, tokens.where(chosen, torch.tensor(IGNORED))


def _between(first: int | None, rows: Tensor, last: int | None, value: int | None = None) -> Tensor:
    """Put a column before and after the rows, holding the marks, or `value` in their places."""

    def column(mark: int | None) -> list[Tensor]:
        return (
            [] if mark is None else [torch.full((len(rows), 1), mark if value is None else value)]
        )

    return torch.cat([*column(first), rows, *column(last)], 1)
