"""Which windows belong together: works, or blocks of few works; the groups go wherever the rows
go.
"""

from __future__ import annotations

import pytest
import torch

from lmc_core.intervals.errors import freedom
from lmc_core.tasks import get_task
from lmc_core.tasks.characters import begins, part
from lmc_core.tasks.plays import plays
from lmc_core.tasks.prediction import in_its_way
from lmc_core.tasks.task import Examples, InMemory
from lmc_core.tasks.windows import BLOCKS, FEW, Windows
from tests.networks import random_model

STREAM = torch.arange(1000)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_windows_of_the_plays_belong_to_the_play_their_middle_is_in(split: str) -> None:
    source = get_task("plays").source(split, 128)
    assert isinstance(source, Windows)
    found, ends = (
        source.groups().tolist(),
        torch.tensor([len(part(play, split)) for play in plays()]).cumsum(0).tolist(),
    )
    for window in range(0, len(source), 7):
        assert found[window] == next(k for k, end in enumerate(ends) if window * 128 + 64 < end)
    assert sorted(set(found)) == list(range(8)) and begins(plays(), split)[1:] == tuple(ends[:-1])


def test_few_works_are_cut_into_blocks_of_neighbours() -> None:
    windows = Windows(STREAM, 5, works=(0, 300))  # 199 windows, 60 of them in the first work
    groups = windows.groups()
    assert (
        len(windows) == 199 and len(groups.unique()) == BLOCKS and bool((groups.diff() >= 0).all())
    )
    assert int(groups[59]) < int(groups[60])  # no block is of two works
    sizes = groups.bincount()
    assert set(sizes[:8].tolist()) <= {7, 8} and set(sizes[8:].tolist()) <= {17, 18}


def test_one_text_is_cut_into_blocks_and_a_short_one_into_windows() -> None:
    groups = Windows(STREAM, 5).groups()
    assert len(groups.unique()) == BLOCKS and set(groups.bincount().tolist()) == {12, 13}
    assert Windows(STREAM[:30], 5).groups().unique().numel() == 5
    assert Windows(STREAM[:3], 5).groups().tolist() == []


def test_many_works_stay_whole_and_those_without_a_window_do_not_count() -> None:
    works = tuple(range(0, 1000, 100))
    groups = Windows(STREAM, 5, works=works).groups()
    assert torch.equal(groups, (torch.arange(199) * 5 + 2) // 100)
    # three works begin within the first window
    short = Windows(STREAM, 5, works=(0, 1, 2, *works[1:])).groups()
    assert torch.equal(short, groups)
    assert len(works) >= FEW


def test_groups_go_where_the_rows_go() -> None:
    source = get_task("plays").source("test", 128)
    chosen = torch.tensor([700, 3, 410])
    assert isinstance(source, Windows)
    expected = source.groups()[chosen]
    taken = source.take(chosen, 0)
    assert taken.groups is not None and torch.equal(taken.groups, expected)
    for rows in (
        taken.first(2),
        taken.rows(0, 2),
        next(taken.batches(2)),
        InMemory(taken).take(torch.tensor([0, 1]), 0),
    ):
        assert rows.groups is not None and torch.equal(rows.groups, expected[:2])
    images = get_task("fashion-mnist").examples("test", 4)
    assert images.groups is None and images.first(2).groups is None
    assert Examples(taken.inputs, taken.targets).rows(0, 2).groups is None


def test_what_is_drawn_and_its_digest_do_not_depend_on_works() -> None:
    one, other = Windows(STREAM, 5), Windows(STREAM, 5, works=(0, 300))
    chosen = torch.tensor([3, 80])
    assert one.digest(chosen) == other.digest(chosen)
    assert torch.equal(one.take(chosen, 0).inputs, other.take(chosen, 0).inputs)


def test_models_that_predict_otherwise_keep_the_works() -> None:
    task = get_task("plays")
    other = in_its_way(task, [random_model("t5")])
    assert other is not task
    source = other.source("test", 128)
    assert isinstance(source, Windows) and source.predicts == "continuation"
    assert freedom(len(source), source.groups()) == 7
