"""Alignments are a group: inverse, composition, identity; elements keep what their class keeps; files round-trip."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmc_core.errors import BadCheckpoint, BadInput, Inadmissible, Incompatible, UnknownName
from lmc_core.matching.pair import canonical
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Invertible, ones_complement, random_element
from lmc_core.symmetry.spaces import Space, SymmetryClass, choose_classes, permutations_only
from tests.networks import random_model

LARGEST = {
    "residual": SymmetryClass.ORTHOGONAL,
    "units": SymmetryClass.PERMUTATION,
    "heads": SymmetryClass.PERMUTATION,
    "query-key": SymmetryClass.INVERTIBLE,
    "value-output": SymmetryClass.INVERTIBLE,
}
MODEL = canonical(random_model("gpt2"), LARGEST)
seeds = st.integers(0, 2**20)


def draw(seed: int, classes: dict[str, SymmetryClass] = LARGEST) -> Alignment:
    return Alignment.random(MODEL.layout.spaces, classes, torch.Generator().manual_seed(seed))


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max(float((a[n] - b[n]).abs().max()) for n in a)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seeds, seeds)
def test_composition_is_one_after_the_other(first: int, second: int) -> None:
    one, two = draw(first), draw(second + 1)
    step_by_step = two.apply(MODEL.layout, one.apply(MODEL.layout, MODEL.state))
    assert largest_difference(step_by_step, two.compose(one).apply(MODEL.layout, MODEL.state)) < 1e-11


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seeds)
def test_inverse_undoes(seed: int) -> None:
    one = draw(seed)
    back = one.inverse().apply(MODEL.layout, one.apply(MODEL.layout, MODEL.state))
    assert largest_difference(back, dict(MODEL.state)) < 1e-11
    nothing = Alignment.of(MODEL.layout.spaces)
    assert nothing.distance(one.compose(one.inverse())) < 1e-11
    assert nothing.distance(one.inverse().compose(one)) < 1e-11


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seeds)
def test_composition_is_associative_and_not_commutative(seed: int) -> None:
    a, b, c = draw(seed), draw(seed + 1), draw(seed + 2)
    assert a.compose(b).compose(c).distance(a.compose(b.compose(c))) < 1e-11
    assert a.compose(b).distance(b.compose(a)) > 0.1


@pytest.mark.parametrize("classes", [LARGEST, permutations_only(MODEL.layout.spaces)], ids=["largest", "permutations"])
def test_saved_and_loaded(tmp_path: Path, classes: dict[str, SymmetryClass]) -> None:
    one = draw(4, classes)
    one.save(tmp_path / "alignment.safetensors")
    again = Alignment.load(tmp_path / "alignment.safetensors")
    assert one.distance(again) == 0
    moved, expected = (x.apply(MODEL.layout, MODEL.state) for x in (again, one))
    assert largest_difference(moved, expected) < 1e-13
    assert {n: e.kind for n, e in again.elements.items()} == {n: e.kind for n, e in one.elements.items()}


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", None], ids=["empty", "foreign", "cut"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "alignment.safetensors"
    draw(4).save(path)
    path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    with pytest.raises(BadCheckpoint, match="not a readable alignment"):
        Alignment.load(path)
    with pytest.raises(BadCheckpoint):
        Alignment.load(tmp_path / "missing.safetensors")


def test_an_alignment_of_other_spaces_is_refused() -> None:
    with pytest.raises(Incompatible):
        draw(1).apply(random_model("gpt2-one-head").layout, random_model("gpt2-one-head").state)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(2, 12), seeds)
def test_elements_keep_what_their_class_keeps(size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    space = Space("s", "residual", size, SymmetryClass.INVERTIBLE, "", fixes_ones=True)
    ones = torch.ones(size, 1, dtype=torch.float64)
    for chosen in (SymmetryClass.PERMUTATION, SymmetryClass.ORTHOGONAL):
        matrix = random_element(space, chosen, generator).matrix()
        torch.testing.assert_close(matrix.mT @ matrix, torch.eye(size, dtype=torch.float64), atol=1e-12, rtol=0)
        torch.testing.assert_close(matrix @ ones, ones, atol=1e-12, rtol=0)
    element = random_element(space, SymmetryClass.INVERTIBLE, generator)
    product = element.matrix() @ element.inverse().matrix()
    torch.testing.assert_close(product, torch.eye(size, dtype=torch.float64), atol=1e-11, rtol=0)
    x = torch.randn(size, 3, generator=generator, dtype=torch.float64)
    y = torch.randn(size, 3, generator=generator, dtype=torch.float64)
    before, after = y.mT @ x, element.act(y, "reads").mT @ element.act(x, "writes")
    torch.testing.assert_close(after, before, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("size", [2, 3, 24])
def test_complement_of_the_ones_vector(size: int) -> None:
    basis = ones_complement(size)
    assert basis.shape == (size, size - 1)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(size - 1, dtype=torch.float64), atol=1e-13, rtol=0)
    assert float(basis.sum(0).abs().max()) < 1e-13


def test_singular_maps_are_refused() -> None:
    with pytest.raises(BadInput, match="singular"):
        Invertible.of(torch.ones(3, 3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("chosen", "error", "words"),
    [
        ({"units": "orthogonal"}, Inadmissible, "largest class of units here is permutation, because the activation"),
        ({"heads": "invertible"}, Inadmissible, "largest class of heads here is permutation, because each head"),
        ({"residual": "invertible"}, Inadmissible, "largest class of residual here is orthogonal, because LayerNorm"),
        ({"residuals": "none"}, UnknownName, "Did you mean 'residual'"),
        ({"residual": "rotation"}, UnknownName, "symmetry class 'rotation'"),
    ],
)
def test_inadmissible_classes_name_the_largest_and_the_reason(chosen: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        choose_classes(MODEL.layout.spaces, chosen)
