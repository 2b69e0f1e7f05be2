"""Alignments are a group: inverse, composition, identity; elements keep what their class keeps;
files round-trip.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmc_core.errors import BadCheckpoint, BadInput, Inadmissible, Incompatible, UnknownName
from lmc_core.matching.pair import canonical
from lmc_core.models.canonical_state import MovedState
from lmc_core.models.lazy import LazyState
from lmc_core.models.model import Model
from lmc_core.symmetry import alignment
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import (
    Invertible,
    Orthogonal,
    compose,
    converted,
    ones_complement,
    random_element,
    rotary_matrix,
)
from lmc_core.symmetry.spaces import (
    LINEAR,
    Pairs,
    Space,
    SymmetryClass,
    choose_classes,
    permutations_only,
)
from tests.networks import random_model

# planes within heads; queries within groups, rotary, scaled
MODELS = {name: random_model(name) for name in ("gpt2", "llama")}
MODELS = {
    name: canonical(model, choose_classes(model.layout.spaces)) for name, model in MODELS.items()
}
MODEL = MODELS["gpt2"]
LARGEST = choose_classes(MODEL.layout.spaces)
seeds = st.integers(0, 2**20)
every = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def draw(
    seed: int, model: Model = MODEL, classes: dict[str, SymmetryClass] | None = None
) -> Alignment:
    chosen = classes or choose_classes(model.layout.spaces)
    return Alignment.random(model.layout.spaces, chosen, torch.Generator().manual_seed(seed))


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max(float((a[n] - b[n]).abs().max()) for n in a)


@every
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seeds, seeds)
def test_composition_is_one_after_the_other(model: Model, first: int, second: int) -> None:
    one, two = draw(first, model), draw(second + 1, model)
    step_by_step = two.apply(model.layout, one.apply(model.layout, model.state))
    assert (
        largest_difference(step_by_step, two.compose(one).apply(model.layout, model.state)) < 1e-11
    )


@every
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seeds)
def test_inverse_undoes(model: Model, seed: int) -> None:
    one = draw(seed, model)
    back = one.inverse().apply(model.layout, one.apply(model.layout, model.state))
    assert largest_difference(back, dict(model.state)) < 1e-11
    nothing = Alignment.of(model.layout.spaces)
    assert nothing.distance(one.compose(one.inverse())) < 1e-11
    assert nothing.distance(one.inverse().compose(one)) < 1e-11


@every
@settings(max_examples=10, deadline=None, derandomize=True)
@given(seeds)
def test_composition_is_associative_and_not_commutative(model: Model, seed: int) -> None:
    a, b, c = draw(seed, model), draw(seed + 1, model), draw(seed + 2, model)
    assert a.compose(b).compose(c).distance(a.compose(b.compose(c))) < 1e-11
    assert a.compose(b).distance(b.compose(a)) > 0.1


def test_in_place_writes_into_the_tensors_it_was_given() -> None:
    state = {name: tensor.clone() for name, tensor in MODEL.state.items()}
    moved = draw(3).apply(MODEL.layout, state, in_place=True)
    assert all(moved[name] is state[name] for name in state)
    assert largest_difference(moved, draw(3).apply(MODEL.layout, MODEL.state)) == 0


def test_large_blocks_are_moved_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw(3).apply(MODEL.layout, MODEL.state)
    monkeypatch.setattr("lmc_core.symmetry.alignment.CHUNK", 64)
    assert largest_difference(whole, draw(3).apply(MODEL.layout, MODEL.state)) < 1e-12


@pytest.mark.parametrize(
    "classes", [LARGEST, permutations_only(MODEL.layout.spaces)], ids=["largest", "permutations"]
)
def test_saved_and_loaded(tmp_path: Path, classes: dict[str, SymmetryClass]) -> None:
    one = draw(4, MODEL, classes)
    one.save(tmp_path / "alignment.safetensors")
    again = Alignment.load(tmp_path / "alignment.safetensors")
    assert one.distance(again) == 0
    moved, expected = (x.apply(MODEL.layout, MODEL.state) for x in (again, one))
    assert largest_difference(moved, expected) < 1e-13
    assert {n: e.kind for n, e in again.elements.items()} == {
        n: e.kind for n, e in one.elements.items()
    }


@pytest.mark.parametrize(
    "content", [b"", b"not safetensors at all", None], ids=["empty", "foreign", "cut"]
)
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


EVERY = tuple(SymmetryClass)


@pytest.mark.parametrize("chosen", [c for c in EVERY if c is not SymmetryClass.NONE])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    size=st.integers(4, 12), seed=seeds, copies=st.sampled_from([1, 3]), interleaved=st.booleans()
)
def test_elements_are_a_group_and_keep_the_pairing(
    chosen: SymmetryClass, size: int, seed: int, copies: int, interleaved: bool
) -> None:
    """Reader times writer stays, T T^-1 = 1, and two elements make one that acts like both in
    turn.
    """
    generator = torch.Generator().manual_seed(seed)
    within = None if copies == 1 else "heads"
    space = Space(
        "s", "units", size, EVERY, "", within, copies, pairs=Pairs(size // 4 * 2, interleaved)
    )
    one, two = (random_element(space, chosen, generator) for _ in range(2))
    eye = torch.eye(size, dtype=torch.float64)
    torch.testing.assert_close(
        one.matrix() @ one.inverse().matrix(), eye.expand(one.matrix().shape), atol=1e-11, rtol=0
    )
    shape = (size, 3) if copies == 1 else (copies, size, 3)
    x, y = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(
        one.act(y, "reads").mT @ one.act(x, "writes"), y.mT @ x, atol=1e-10, rtol=1e-10
    )
    torch.testing.assert_close(one.act(x, "writes"), one.matrix() @ x, atol=1e-11, rtol=1e-11)
    both = compose(two, one)
    torch.testing.assert_close(
        both.act(y, "reads"), two.act(one.act(y, "reads"), "reads"), atol=1e-9, rtol=1e-9
    )
    torch.testing.assert_close(
        both.act(x, "writes"), two.act(one.act(x, "writes"), "writes"), atol=1e-9, rtol=1e-9
    )


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(2, 12), seeds)
def test_orthogonal_maps_that_fix_ones(size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    space = Space("s", "residual", size, LINEAR, "", fixes_ones=True)
    ones = torch.ones(size, 1, dtype=torch.float64)
    for chosen in (SymmetryClass.PERMUTATION, SymmetryClass.ORTHOGONAL):
        matrix = random_element(space, chosen, generator).matrix()
        torch.testing.assert_close(
            matrix.mT @ matrix, torch.eye(size, dtype=torch.float64), atol=1e-12, rtol=0
        )
        torch.testing.assert_close(matrix @ ones, ones, atol=1e-12, rtol=0)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(
    "chosen", [SymmetryClass.ROTATION, SymmetryClass.ROTARY, SymmetryClass.SIGNS]
)
def test_rotary_elements_commute_with_the_position_encoding(
    chosen: SymmetryClass, interleaved: bool
) -> None:
    """And a general rotation of the plane, or an exchange of pairs, does not."""
    space = Space("s", "query-key", 8, EVERY, "", pairs=Pairs(6, interleaved))
    angles = torch.tensor([1.0, 0.3, 0.05], dtype=torch.float64)
    encoding = rotary_matrix(
        Pairs(6, interleaved), torch.polar(torch.ones(3).double(), angles), torch.eye(2).double()
    )
    for seed in range(5):
        matrix = random_element(space, chosen, torch.Generator().manual_seed(seed)).matrix()
        torch.testing.assert_close(matrix @ encoding, encoding @ matrix, atol=1e-12, rtol=0)
    for wrong in (SymmetryClass.ORTHOGONAL, SymmetryClass.PERMUTATION):
        matrix = random_element(space, wrong, torch.Generator().manual_seed(0)).matrix()
        assert float((matrix @ encoding - encoding @ matrix).abs().max()) > 0.05


@pytest.mark.parametrize("larger", EVERY)
def test_what_a_class_is_said_to_contain_it_contains(larger: SymmetryClass) -> None:
    """An element of a contained class satisfies the equations of the larger one."""
    space = Space("s", "query-key", 6, EVERY, "", pairs=Pairs(4))
    eye = torch.eye(6, dtype=torch.float64)
    pattern = (
        random_element(space, SymmetryClass.ROTARY, torch.Generator().manual_seed(0)).matrix() != 0
    )

    def holds(m: torch.Tensor, chosen: SymmetryClass) -> bool:
        one = bool(((m != 0).sum(0) == 1).all() and ((m != 0).sum(1) == 1).all())
        isometry = bool((m.mT @ m - eye).abs().max() < 1e-10)
        paired = bool((m[~pattern] == 0).all()) and all(
            abs(float(m[i, i] - m[i + 2, i + 2])) < 1e-12
            and abs(float(m[i, i + 2] + m[i + 2, i])) < 1e-12
            for i in (0, 1)
        )
        return {
            "none": bool((m == eye).all()),
            "permutation": one and bool(((m == 0) | (m == 1)).all()),
            "signs": one and isometry and bool((m.diagonal() != 0).all()),
            "turns": one and isometry and paired,
            "signed": one and isometry,
            "scales": one and bool((m.diagonal() > 0).all()),
            "scaled": one,
            "rotation": paired and isometry,
            "rotary": paired,
            "orthogonal": isometry,
            "invertible": bool(torch.linalg.det(m).abs() > 1e-9),
        }[chosen.value]

    for smaller in EVERY:
        elements = [
            random_element(space, smaller, torch.Generator().manual_seed(seed)).matrix()
            for seed in range(8)
        ]
        assert larger.contains(smaller) == all(holds(m, larger) for m in elements), (
            larger,
            smaller,
        )


@pytest.mark.parametrize("size", [2, 3, 24])
def test_complement_of_the_ones_vector(size: int) -> None:
    basis = ones_complement(size)
    assert basis.shape == (size, size - 1)
    torch.testing.assert_close(
        basis.mT @ basis, torch.eye(size - 1, dtype=torch.float64), atol=1e-13, rtol=0
    )
    assert float(basis.sum(0).abs().max()) < 1e-13


def test_singular_maps_are_refused() -> None:
    with pytest.raises(BadInput, match="singular"):
        Invertible.of(torch.ones(3, 3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("chosen", "error", "words"),
    [
        (
            {"units": "orthogonal"},
            Inadmissible,
            "units here admits none, permutation, because the activation",
        ),
        (
            {"heads": "invertible"},
            Inadmissible,
            "heads here admits none, permutation, because each head",
        ),
        (
            {"residual": "invertible"},
            Inadmissible,
            "residual here admits none, permutation, orthogonal, because LayerNorm",
        ),
        ({"residuals": "none"}, UnknownName, "Did you mean 'residual'"),
        ({"residual": "spin"}, UnknownName, "symmetry class 'spin'"),
    ],
)
def test_inadmissible_classes_name_the_largest_and_the_reason(
    chosen: dict, error: type, words: str
) -> None:
    with pytest.raises(error, match=words):
        choose_classes(MODEL.layout.spaces, chosen)


def test_a_map_found_in_float32_is_orthogonal_in_float64() -> None:
    """GPUs that are slow in float64 find factors in float32; what is kept is exact."""
    generator = torch.Generator().manual_seed(0)
    exact = torch.linalg.qr(torch.randn(3, 40, 40, dtype=torch.float64, generator=generator))[0]
    found = converted(Orthogonal(exact.float()), "cpu")
    assert isinstance(found, Orthogonal)
    eye = torch.eye(40, dtype=torch.float64)
    assert float((exact.float().double().mT @ exact.float().double() - eye).abs().max()) > 1e-9
    assert float((found.values.mT @ found.values - eye).abs().max()) < 1e-14
    assert float((found.values - exact).abs().max()) < 1e-6
    assert torch.equal(converted(Orthogonal(exact), "cpu").tensors()["values"], exact)


@every
def test_planes_turn_in_heads_that_stay_where_they_are(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large block is cut along no space whose copies have maps of their own, heads that keep
    their places among them.
    """
    drawn = draw(0, model)
    around = set(drawn.within.values())
    others = {n: e for n, e in drawn.elements.items() if n not in around}
    turned = Alignment.of(model.layout.spaces, others)
    whole = turned.apply(model.layout, model.state)
    assert largest_difference(whole, dict(model.state)) > 0.1
    monkeypatch.setattr(alignment, "CHUNK", 40)
    assert largest_difference(turned.apply(model.layout, model.state), whole) < 1e-12
    lazy = LazyState(model.state, lambda name: model.state[name].clone())
    assert largest_difference(dict(MovedState(model.layout, lazy, turned)), whole) < 1e-12
