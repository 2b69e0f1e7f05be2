"""What is predicted in a window, and the losses of it, against slow loops."""

from __future__ import annotations

import hashlib

import pytest
import torch
import torch.nn.functional as F

from lmc_core.errors import BadInput
from lmc_core.tasks import losses
from lmc_core.tasks.task import IGNORED
from lmc_core.tasks.windows import Marks, Windows, mask

STREAM = torch.arange(10, 113)  # 103 tokens, each its place + 10
MARKS = Marks(mask=4, first=2, last=3, vocabulary=200)


def everything(windows: Windows, seed: int = 0):  # type: ignore[no-untyped-def]
    return windows.take(torch.arange(len(windows)), seed)


def test_next_tokens() -> None:
    windows = Windows(STREAM, 6)
    assert len(windows) == 17
    found = everything(windows)
    for i in range(17):
        assert found.inputs[i].tolist() == list(range(10 + 6 * i, 16 + 6 * i))
        assert found.targets[i].tolist() == list(range(11 + 6 * i, 17 + 6 * i))
    some = windows.take(torch.tensor([3, 11]), 0)
    assert torch.equal(some.inputs, found.inputs[[3, 11]]) and torch.equal(
        some.targets, found.targets[[3, 11]]
    )


def test_the_last_window_needs_a_token_after_it() -> None:
    assert [len(Windows(STREAM[:n], 6)) for n in (0, 6, 7, 12, 13)] == [0, 0, 1, 1, 2]
    assert [len(Windows(STREAM[:n], 6, "continuation")) for n in (5, 6, 12)] == [0, 1, 2]


@pytest.mark.parametrize("begins", [(1,), (1, 5)])
def test_windows_that_begin_as_texts_do(begins: tuple[int, ...]) -> None:
    """Every token of text is in one window and is a target once; what begins the windows is
    none.
    """
    windows = Windows(STREAM, 8, begins=begins)
    text = 8 - len(begins)
    assert windows.step == text and len(windows) == 103 // text
    found = everything(windows)
    assert found.inputs.shape == found.targets.shape == (len(windows), 8)
    assert (found.inputs[:, : len(begins)] == torch.tensor(begins)).all()
    for i in range(len(windows)):
        own = list(range(10 + text * i, 10 + text * (i + 1)))
        assert found.inputs[i].tolist() == [*begins, *own]
        assert found.targets[i].tolist() == [IGNORED] * (len(begins) - 1) + own + [IGNORED]
    assert [len(Windows(STREAM[:n], 6, begins=(1,))) for n in (0, 4, 5, 9, 10)] == [0, 0, 1, 1, 2]
    with pytest.raises(BadInput, match="no room"):
        Windows(STREAM, len(begins), begins=begins)


def test_what_begins_windows_is_only_of_next_tokens_and_in_their_digest_alone() -> None:
    indices = torch.arange(5)
    for predicts in ("continuation", "features", "masked"):
        one, two = (Windows(STREAM, 12, predicts, MARKS, begins) for begins in ((), (1,)))
        assert torch.equal(everything(one).inputs, everything(two).inputs)
    without, begun, other = (
        Windows(STREAM, 12, begins=begins).digest(indices) for begins in ((), (1,), (7,))
    )
    assert len({without, begun, other}) == 3
    content = repr(("next", 12, None)).encode() + STREAM[:60].numpy().tobytes()
    assert without == hashlib.sha256(content).hexdigest()  # as it was, so that keys stay


def test_continuation_is_the_second_half() -> None:
    for length in (6, 7):
        found = everything(Windows(STREAM, length, "continuation"))
        assert found.inputs.shape == (17, 6) and torch.equal(found.targets, found.inputs[:, 3:])


def test_masked_windows() -> None:
    windows = Windows(STREAM, 12, "masked", MARKS)
    assert windows.step == 10 and len(windows) == 10
    found = everything(windows)
    assert found.inputs.shape == found.targets.shape == (10, 12)
    assert (found.inputs[:, 0] == 2).all() and (found.inputs[:, -1] == 3).all()
    assert (found.targets[:, [0, -1]] == IGNORED).all()
    chosen = found.targets != IGNORED
    assert (chosen.sum(1) == 2).all()  # 15 % of 10
    original = STREAM[:100].view(10, 10)
    assert torch.equal(found.targets[:, 1:-1][chosen[:, 1:-1]], original[chosen[:, 1:-1]])
    assert torch.equal(found.inputs[:, 1:-1][~chosen[:, 1:-1]], original[~chosen[:, 1:-1]])
    assert torch.equal(everything(windows).inputs, found.inputs)
    assert not torch.equal(everything(windows, seed=1).targets, found.targets)


def test_shares_of_masks_random_and_same_tokens() -> None:
    tokens = torch.randint(1000, 1100, (400, 100), generator=torch.Generator().manual_seed(0))
    inputs, targets = mask(tokens, Marks(4, None, None, 50), seed=3)
    chosen = targets != IGNORED
    assert (chosen.sum(1) == 15).all()
    assert torch.equal(inputs[~chosen], tokens[~chosen]) and torch.equal(
        targets[chosen], tokens[chosen]
    )
    total = int(chosen.sum())
    shares = [
        float((inputs[chosen] == 4).sum()) / total,
        float((inputs[chosen] == tokens[chosen]).sum()) / total,
    ]
    other = inputs[chosen & (inputs != 4) & (inputs != tokens)]
    assert shares == pytest.approx([0.8, 0.1], abs=0.03) and len(other) / total == pytest.approx(
        0.1, abs=0.03
    )
    assert int(other.max()) < 50 and len(other.unique()) > 30
    assert chosen.float().mean(0).std() < 0.03  # no place is preferred


def test_at_least_one_token_is_masked() -> None:
    _, targets = mask(torch.full((5, 2), 9), MARKS, seed=0)
    assert ((targets != IGNORED).sum(1) == 1).all()


def test_windows_that_cannot_be() -> None:
    with pytest.raises(BadInput, match="no mask"):
        Windows(STREAM, 12, "masked")
    with pytest.raises(BadInput, match="no room"):
        Windows(STREAM, 2, "masked", MARKS)


def test_features_have_windows_and_no_targets() -> None:
    found = everything(Windows(STREAM, 12, "features", MARKS))
    assert (
        found.inputs.shape == (10, 12)
        and (found.targets == IGNORED).all()
        and (found.inputs != 4).all()
    )


def test_losses_count_only_what_is_predicted() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 9, 7, generator=generator)
    targets = torch.randint(7, (4, 9), generator=generator)
    targets[torch.rand(4, 9, generator=generator) < 0.7] = IGNORED
    targets[:, 0] = 3
    found, correct = losses(logits, targets)
    for i in range(4):
        places = [j for j in range(9) if targets[i, j] != IGNORED]
        assert 1 <= len(places) < 9
        each = [float(logits[i, j].logsumexp(0) - logits[i, j, targets[i, j]]) for j in places]
        assert float(found[i]) == pytest.approx(sum(each) / len(each), rel=1e-5)
        right = [int(logits[i, j].argmax() == targets[i, j]) for j in places]
        assert float(correct[i]) == pytest.approx(sum(right) / len(right))
    other = targets.clone()
    other[targets == IGNORED] = 0  # a negative control: the ignored places would have counted
    assert not torch.allclose(losses(logits, other)[0], found, atol=1e-2)


def test_continuation_and_label_losses() -> None:
    logits, targets = torch.randn(3, 5, 11), torch.randint(11, (3, 5))
    by_hand = torch.stack([F.cross_entropy(logits[i], targets[i]) for i in range(3)])
    assert torch.allclose(losses(logits, targets)[0], by_hand, atol=1e-6)
    labels = torch.randint(5, (3,))
    by_hand = -logits[:, :, 0].log_softmax(1)[torch.arange(3), labels]
    assert torch.allclose(losses(logits[:, :, 0], labels)[0], by_hand, atol=1e-6)


def test_digests_depend_on_tokens_and_use() -> None:
    indices = torch.arange(5)
    base = Windows(STREAM, 12, "masked", MARKS).digest(indices)
    assert base == Windows(STREAM.clone(), 12, "masked", MARKS).digest(indices)
    changed = STREAM.clone()
    changed[3] += 1
    others = [
        Windows(changed, 12, "masked", MARKS).digest(indices),
        Windows(STREAM, 12, "masked", MARKS).digest(indices[1:]),
        Windows(STREAM, 10).digest(indices),
        Windows(STREAM, 10, "continuation").digest(indices),
    ]
    assert len({base, *others}) == 5


def test_the_same_tokens_in_windows_of_another_length_are_other_data() -> None:
    long, short = Windows(STREAM, 10), Windows(STREAM, 5)
    assert torch.equal(
        long.take(torch.arange(2), 0).inputs.flatten(),
        short.take(torch.arange(4), 0).inputs.flatten(),
    )
    assert long.digest(torch.arange(2)) != short.digest(torch.arange(4))
