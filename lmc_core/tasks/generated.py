"""Windows of text that models write themselves: examples to learn from without any data.

    x_(i + 1) ~ softmax f[theta](x_1 ... x_i),    x_1 from its own distribution

A language model that was trained on texts writes texts of nearly that distribution, which is in its
weights like everything else. So what needs examples (predictions of both ends at the same inputs)
can be had from the weights alone. The first token is the one that the model's texts begin with, or
where there is none it is uniform over the vocabulary.

Text of a model's own in place of data: Liu et al. 2023, arXiv 2305.17888, for quantisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin, StoppingCriteria, StoppingCriteriaList

from lmc_core.errors import BadInput
from lmc_core.models.common import in_float32
from lmc_core.models.model import Model
from lmc_core.progress import Progress, ignore, part
from lmc_core.tasks.prediction import predicts
from lmc_core.tasks.task import Examples

TOGETHER = 256  # windows that are written at once


def write_windows(
    models: Sequence[Model],
    count: int,
    length: int,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = ignore,
) -> Examples:
    """Let some language models write windows of text, as many each.

    Args:
        models: of one vocabulary, which predict the next token.
        count: windows in all.
        length: tokens of one.
        seed: of what is drawn.
        device: where the models run.
        progress: told the share done and a few words; may raise to stop.

    Returns:
        Windows in random order, each token with the one that was written after it.

    Raises:
        BadInput: for models that do not write text.
    """
    shares = [count // len(models) + (k < count % len(models)) for k in range(len(models))]
    found = []
    for number, (model, share) in enumerate(zip(models, shares, strict=True)):
        told = part(progress, number / len(models), (number + 1) / len(models))
        found.append(_write(model, share, length + 1, seed * 1_000_003 + number, device, told))
    tokens = torch.cat(found)
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(seed))
    tokens = tokens[order]
    return Examples(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())


def find_length(model: Model, most: int) -> int:
    """How many tokens a window of a model has, at most `most`: its context, if it says one."""
    said = [
        value
        for name in ("n_positions", "max_position_embeddings", "n_ctx", "max_seq_len")
        if isinstance(value := model.config.get(name), int)
    ]
    return min([most, *said])


class _Tell(StoppingCriteria):
    """Tells after each token how far a window has come; never stops one."""

    def __init__(self, progress: Progress, low: float, high: float, length: int):
        self.progress, self.low, self.high, self.length = progress, low, high, length

    def __call__(self, input_ids: Tensor, scores: Tensor, **named: object) -> Tensor:
        share = self.low + (self.high - self.low) * min(input_ids.shape[1] / self.length, 1.0)
        self.progress(share, "letting the models write text")
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _write(
    model: Model, count: int, length: int, seed: int, device: str, progress: Progress
) -> Tensor:
    """Windows of one model, `[count, length]`, on the CPU."""
    module = in_float32(model, device).module(device=device)
    if predicts(model) != "next" or not isinstance(module, GenerationMixin):
        raise BadInput(
            f"The method generated lets both models write the text that it learns from, and "
            f"{model.name} does not write text; use the method learned with a training split."
        )
    sizes = model.family.sizes(model.config)
    begins = model.config.get("bos_token_id")
    torch_state = torch.get_rng_state()
    found = []
    try:
        torch.manual_seed(seed)
        if isinstance(begins, int):
            first = torch.full((count, 1), begins)
        else:
            first = torch.randint(sizes["tokens"], (count, 1))
        settings = GenerationConfig(
            do_sample=True,
            top_k=0,
            top_p=1.0,
            temperature=1.0,
            max_new_tokens=length - 1,
            min_new_tokens=length - 1,
            eos_token_id=None,
            pad_token_id=None,
            use_cache=True,
        )
        parts = first.split(TOGETHER)
        for number, rows in enumerate(parts):
            tell = _Tell(progress, number / len(parts), (number + 1) / len(parts), length)
            rows = rows.to(device)
            written = module.generate(  # type: ignore[operator]
                rows,
                attention_mask=torch.ones_like(rows),
                generation_config=settings,
                stopping_criteria=StoppingCriteriaList([tell]),
            )
            found.append(cast(Tensor, written).cpu())
    finally:
        torch.set_rng_state(torch_state)
    return torch.cat(found)
