"""Spaces that touch no common block are visited side by side, with the result of one by one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from lmc_core.matching import objective
from lmc_core.matching.aligned import canonical
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import apart, make_objective, match_weights
from lmc_core.side_by_side import side_by_side
from lmc_core.symmetry.spaces import choose_classes
from tests.networks import random_model

CPU = torch.device("cpu")
NAMES = ("gpt2", "llama", "mixtral", "deepseek_v2-groups", "t5", "swin", "siglip")


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_pieces_run_on_threads_of_one_core_each_and_keep_their_order(three_threads: None) -> None:
    meeting = threading.Barrier(3, timeout=60)

    def piece(number: int) -> tuple[int, int, int]:
        meeting.wait()  # three at a time, or nobody gets past here
        return number, torch.get_num_threads(), threading.get_ident()

    found = list(side_by_side([partial(piece, number) for number in range(6)], CPU))
    assert [number for number, _, _ in found] == list(range(6))
    assert {threads for _, threads, _ in found} == {1} and torch.get_num_threads() == 3
    assert threading.get_ident() not in {thread for _, _, thread in found}


def test_gradients_are_off_where_they_were(three_threads: None) -> None:
    with torch.no_grad():
        assert list(side_by_side([torch.is_grad_enabled] * 4, CPU)) == [False] * 4
    assert list(side_by_side([torch.is_grad_enabled] * 4, CPU)) == [True] * 4


def test_an_error_reaches_whoever_asked(three_threads: None) -> None:
    def fail() -> None:
        raise ValueError("no such layer")

    with pytest.raises(ValueError, match="no such layer"):
        list(side_by_side([fail, lambda: None], CPU))


def test_with_one_thread_nothing_is_started() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert list(side_by_side([threading.get_ident] * 2, CPU)) == [threading.get_ident()] * 2
    finally:
        torch.set_num_threads(before)


def test_one_piece_has_all_threads(three_threads: None) -> None:
    piece = lambda: (torch.get_num_threads(), threading.get_ident())  # noqa: E731
    assert list(side_by_side([piece], CPU)) == [(3, threading.get_ident())]


@pytest.mark.parametrize("name", NAMES)
def test_spaces_that_are_visited_together_share_no_block(name: str) -> None:
    a, b = (random_model(name, seed) for seed in (0, 1))
    classes = choose_classes(a.layout.spaces)
    forms = [canonical(model, classes) for model in (a, b)]
    layout = forms[0].layout
    problem = make_objective(layout, forms[0].state, forms[1].state, classes, WeightSettings())
    roots = sorted(problem.roots, key=lambda space: space.kind == "residual")
    together = apart(problem, roots)
    assert [root.name for each in together for root in each] == [root.name for root in roots]
    for each in together:
        blocks = [
            {b.name for space in problem.tree(root) for b in problem.touching[space.name]}
            for root in each
        ]
        assert sum(map(len, blocks)) == len(set().union(*blocks))
    if name == "gpt2":  # all heads and all units, then the stream
        assert [len(each) for each in together] == [len(roots) - 1, 1]


@pytest.mark.parametrize("name", NAMES)
def test_the_alignment_is_that_of_one_thread(
    name: str, three_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "HELD", 0)
    a, b = (random_model(name, seed) for seed in (0, 1))
    classes = choose_classes(a.layout.spaces)
    forms = [canonical(model, classes) for model in (a, b)]
    settings = WeightSettings(max_rounds=3)
    found = []
    for threads in (3, 1):
        torch.set_num_threads(threads)
        found.append(
            match_weights(forms[0].layout, forms[0].state, forms[1].state, classes, settings)
        )
    (one, first), (two, second) = found
    assert first.objective == pytest.approx(second.objective, abs=1e-6)
    assert one.distance(two) < 1e-3
