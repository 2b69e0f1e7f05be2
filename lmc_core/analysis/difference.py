"""How two checkpoints differ, from their weights alone: by tensor, by layer, and in one sentence.

    distance        |a - b| / |a|
    cosine          <a, b> / (|a| |b|)
    effective rank  exp(-sum_i p_i log p_i), p_i = s_i / sum_j s_j, of the singular values s of a
                    matrix (Roy, Vetterli 2007): n for n equal ones, 1 for one alone

Norms are Frobenius norms. Singular values are the roots of the eigenvalues of the Gram matrix of
the shorter side, in float64: one that is below 1e-8 of the largest counts as zero. Everything is
added up over pieces of one tensor of each model, so that models may be larger than memory
(`load(..., lazy=True)`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from lmc_core.models.common import untied
from lmc_core.models.lazy import PIECE, shapes
from lmc_core.models.model import Model, token_tables
from lmc_core.models.rows import TOKENS
from lmc_core.models.settings import unequal_settings, without_effect
from lmc_core.numbers import number
from lmc_core.progress import Progress, ignore

RANKS = 1024  # shorter side of the matrices whose rank is found; the time grows with its cube
LISTED = 5  # names in a sentence
# Cosines of matrices with their counterparts (the median over all) by which verdicts are given. Of
# 26 pairs of other seeds in the zoo it is within 0.004 of zero; of a model fine-tuned on another
# book 0.9996 to 0.97 at learning rates from 1e-4 to 1e-3, and 0.69 at 1e-2, where it unlearns; of
# one initialisation trained on two books 0.12. What lies between is said to lie between.
APART, NEAR = 0.05, 0.7
SAME_NORMS = 1e-3  # relative difference of norms, of a model and a copy with units in another order


class TensorDifference(TypedDict):
    """How one tensor differs; each pair of numbers is of the first model and of the second."""

    name: str
    layer: str
    shape: list[int]
    types: list[str]
    equal: bool  # bit for bit
    equal_rounded: bool  # once both are rounded to the coarser of their types
    distance: float | None  # None where the first is zero and the second is not
    cosine: float | None  # None where either is zero
    norms: list[float]
    rank: NotRequired[int]  # the largest there could be; of matrices whose ranks were found
    ranks: NotRequired[list[float]]
    rank_difference: NotRequired[float]  # of a - b; 0 where they are equal


class LayerDifference(TypedDict):
    """The same of all tensors of a layer, as one vector."""

    name: str
    tensors: int
    equal: int
    # means over its matrices of the effective rank by the largest there could be, of a, b and a - b
    rank_shares: NotRequired[list[float]]
    distance: float | None
    cosine: float | None
    norms: list[float]


class Difference(TypedDict):
    """How two models differ."""

    models: list[str]
    families: list[str]
    parameters: list[int]
    verdict: str  # same, rounded, fine-tuned, between, independent, moved, architecture
    sentence: str
    matrix_cosine: float | None  # the median over matrices
    equal: int  # tensors
    equal_rounded: int
    rows: int | None  # of token tables that are compared, where not all have as many
    only_first: list[str]
    only_second: list[str]
    reshaped: list[str]  # names of tensors of other shapes, which were not compared
    settings: list[str]  # that compute otherwise, "NAME: a, b"
    distance: float | None  # of all tensors, as one vector
    cosine: float | None
    norms: list[float]
    layers: list[LayerDifference]
    tensors: list[TensorDifference]


@dataclass
class Sums:
    """Sums of squares of two vectors and of their difference, and of their product."""

    first: float = 0.0
    second: float = 0.0
    between: float = 0.0
    product: float = 0.0

    def add(self, other: Sums) -> None:
        """Take in what was added up elsewhere."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def distance(self) -> float | None:
        """|a - b| / |a|."""
        if not self.first:
            return None if self.between else 0.0
        return math.sqrt(self.between / self.first)

    @property
    def cosine(self) -> float | None:
        """<a, b> / (|a| |b|)."""
        lengths = math.sqrt(self.first) * math.sqrt(self.second)
        return max(-1.0, min(1.0, self.product / lengths)) if lengths else None

    @property
    def norms(self) -> list[float]:
        """|a| and |b|."""
        return [math.sqrt(self.first), math.sqrt(self.second)]


@dataclass
class _Layer:
    """What is known of a layer."""

    sums: Sums = field(default_factory=Sums)
    tensors: int = 0
    equal: int = 0
    shares: list[list[float]] = field(default_factory=list)

    def take(self, found: TensorDifference, sums: Sums) -> None:
        """Count a tensor in."""
        self.sums.add(sums)
        self.tensors += 1
        self.equal += found["equal"]
        if "rank" in found and "ranks" in found and "rank_difference" in found:
            values = [*found["ranks"], found["rank_difference"]]
            self.shares.append([value / found["rank"] for value in values])

    def describe(self, name: str) -> LayerDifference:
        """The entries of a result."""
        result: LayerDifference = {
            "name": name,
            "tensors": self.tensors,
            "equal": self.equal,
            "distance": self.sums.distance,
            "cosine": self.sums.cosine,
            "norms": self.sums.norms,
        }
        if self.shares:
            result["rank_shares"] = [mean(column) for column in zip(*self.shares, strict=True)]
        return result


def compare_weights(
    a: Model, b: Model, ranks: int = RANKS, progress: Progress = ignore
) -> Difference:
    """Compare the weights of two models.

    Args:
        a: the first, to whose norms distances are relative; both may be lazy.
        b: the second, of any family.
        ranks: shorter side up to which the effective ranks of matrices are found; 0 for none.
        progress: told the share done and a few words; may raise to stop.

    Returns:
        What differs, and a verdict. Parameters of one name and shape are compared; of tables with a
        row for each token the rows that both have.
    """
    names, parameters = [a.name, b.name], [a.parameters, b.parameters]
    kin = a.family.name == b.family.name
    if kin and len({model.family.rewrite(model.config).tied is None for model in (a, b)}) == 2:
        a, b = untied(a), untied(b)
    left, right = shapes(a.state), shapes(b.state)
    tables = set(token_tables(a)) & set(token_tables(b)) if kin and a.family.takes == "text" else ()
    common = [name for name in left if name in right and kin]
    reshaped = [name for name in common if not _fits(left[name], right[name], name in tables)]
    todo = [name for name in common if name not in reshaped]
    cut = [name for name in todo if left[name].shape != right[name].shape]
    tensors, layers, whole = _compare_all(a.state, b.state, todo, ranks, progress)
    cosines = [
        each["cosine"] for each in tensors if _is_matrix(each) and each["cosine"] is not None
    ]
    result: Difference = {
        "models": names,
        "families": [a.family.name, b.family.name],
        "parameters": parameters,
        "verdict": "",
        "sentence": "",
        "matrix_cosine": median(cosines) if cosines else None,
        "equal": sum(each["equal"] for each in tensors),
        "equal_rounded": sum(each["equal_rounded"] for each in tensors),
        "rows": min((len(each[name]) for name in cut for each in (left, right)), default=None),
        "only_first": [name for name in left if name not in right] if kin else [],
        "only_second": [name for name in right if name not in left] if kin else [],
        "reshaped": reshaped,
        "settings": _settings(a, b) if kin else [],
        "distance": whole.distance if tensors else None,
        "cosine": whole.cosine,
        "norms": whole.norms,
        "layers": [layer.describe(name) for name, layer in layers.items()],
        "tensors": tensors,
    }
    result["verdict"], sentence = judge(result)
    rows = result["rows"]
    more = "" if rows is None else f" Of tables of tokens the first {rows:,} rows are compared."
    result["sentence"] = sentence + more
    return result


def _compare_all(
    left: Mapping[str, Tensor],
    right: Mapping[str, Tensor],
    names: Sequence[str],
    ranks: int,
    progress: Progress,
) -> tuple[list[TensorDifference], dict[str, _Layer], Sums]:
    """The differences of all parameters, of the layers that they are in, and of the whole."""
    parameters = shapes(left)
    size, done = sum(parameters[name].numel() for name in names), 0
    tensors: list[TensorDifference] = []
    layers: dict[str, _Layer] = {}
    whole = Sums()
    for name in names:
        found, sums = _compare(name, left[name], right[name], ranks)
        tensors.append(found)
        layers.setdefault(found["layer"], _Layer()).take(found, sums)
        whole.add(sums)
        done += parameters[name].numel()
        progress(done / max(1, size), f"comparing {name}")
    return tensors, layers, whole


def _fits(one: Tensor, other: Tensor, table: bool) -> bool:
    """Whether two parameters can be compared, at least in the rows that both have."""
    return one.shape == other.shape or (table and one.shape[1:] == other.shape[1:])


def _settings(a: Model, b: Model) -> list[str]:
    """The settings in which two models of one family compute otherwise, but for the number of their
    tokens.
    """
    ignored = without_effect(a, b) | {TOKENS}
    found = unequal_settings(a.config, b.config, ignored)
    return [f"{key}: {one}, {other}" for key, one, other in found]


def name_layer(parameter: str) -> str:
    """The layer of a parameter: its name up to the first number, or else its module's."""
    match = re.match(r"(?:[^.]+\.)*?\d+(?=\.)", parameter)
    return match[0] if match else parameter.rpartition(".")[0] or parameter


def _compare(name: str, one: Tensor, other: Tensor, ranks: int) -> tuple[TensorDifference, Sums]:
    rows = min(one.shape[0], other.shape[0]) if one.ndim else 0
    if one.shape != other.shape:
        one, other = one[:rows], other[:rows]
    coarser = max(one.dtype, other.dtype, key=lambda dtype: torch.finfo(dtype).eps)
    sums, equal, rounded = Sums(), one.dtype == other.dtype, True
    for x, y in zip(one.flatten().split(PIECE), other.flatten().split(PIECE), strict=True):
        equal = equal and torch.equal(x.view(_INTEGERS[x.itemsize]), y.view(_INTEGERS[y.itemsize]))
        rounded = rounded and (equal or torch.equal(x.to(coarser), y.to(coarser)))
        u, v = x.double(), y.double()
        gap = u - v
        sums.add(Sums(*(float(p @ q) for p, q in ((u, u), (v, v), (gap, gap), (u, v)))))
    found: TensorDifference = {
        "name": name,
        "layer": name_layer(name),
        "shape": list(one.shape),
        "types": [str(each.dtype).removeprefix("torch.") for each in (one, other)],
        "equal": equal,
        "equal_rounded": rounded,
        "distance": sums.distance,
        "cosine": sums.cosine,
        "norms": sums.norms,
    }
    if _is_matrix(found) and 1 < (side := min(_sides(one))) <= ranks:
        first, second, gap_rank = _ranks(one, other, equal)
        found["rank"], found["ranks"] = side, [first, second]
        found["rank_difference"] = gap_rank
    return found, sums


_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _is_matrix(found: TensorDifference) -> bool:
    return sum(side > 1 for side in found["shape"]) > 1


def _sides(tensor: Tensor) -> tuple[int, int]:
    """Rows and columns of a tensor as matrices: of three axes one for each of the first, such as an
    expert; of more, kernels of a convolution, all but the first as one.
    """
    if tensor.ndim == 3:
        return tensor.shape[1], tensor.shape[2]
    return tensor.shape[0], math.prod(tensor.shape[1:])


def _ranks(one: Tensor, other: Tensor, equal: bool) -> tuple[float, float, float]:
    """Effective ranks of two matrices and of their difference; of stacked ones the means."""
    stacks = [each if each.ndim == 3 else each.flatten(1)[None] for each in (one, other)]
    rows = []
    for x, y in zip(*stacks, strict=True):
        first = effective_rank([x])
        rows.append((first, first if equal else effective_rank([y]), 0.0))
        if not equal:
            rows[-1] = (*rows[-1][:2], effective_rank([x, y]))
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return means[0], means[1], means[2]


def effective_rank(matrices: Sequence[Tensor]) -> float:
    """The effective rank of a matrix, or of the difference of two, as in the module's docstring; 0
    of one that is zero.

    Args:
        matrices: one or two of one shape, `[rows, columns]`, in any precision.
    """
    short = min(matrices[0].shape)
    gram = torch.zeros(short, short, dtype=torch.float64)
    for piece in _strips(matrices):
        gram.addmm_(piece.t(), piece)
    squares = torch.linalg.eigvalsh(gram)
    top = float(squares[-1])
    if top <= 0:
        return 0.0
    values = squares[squares > 1e-16 * top].sqrt()
    shares = values / values.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


def _strips(matrices: Sequence[Tensor]) -> Iterator[Tensor]:
    """A matrix, or the difference of two, in float64 with its longer side first, some rows at a
    time.
    """
    tall = [each if each.shape[0] >= each.shape[1] else each.t() for each in matrices]
    step = max(1, PIECE // tall[0].shape[1])
    for parts in zip(*(each.split(step) for each in tall), strict=True):
        first = parts[0].double()
        yield first if len(parts) == 1 else first - parts[1].double()


def judge(found: Difference) -> tuple[str, str]:
    """A verdict and a sentence that gives its reason.

    Args:
        found: what was found of two models; its verdict is not looked at.
    """
    one, other = found["models"]
    if reason := _architecture(found):
        return "architecture", f"{one} and {other} are of other architectures: {reason}."
    count, equal = len(found["tensors"]), found["equal"]
    if equal == count:
        return "same", f"{one} and {other} have the same weights: all {count} tensors are equal."
    if found["equal_rounded"] == count:
        return (
            "rounded",
            f"{one} and {other} have the same weights in another precision: all {count} tensors "
            "are equal once they are rounded to the coarser type.",
        )
    cosine, distance = found["matrix_cosine"], number(found["distance"], digits=2)
    if cosine is None:
        return "between", f"{one} and {other} have no matrices by which they could be told apart."
    reason = f"the cosine of a matrix with its counterpart is {cosine:.3f} in the median"
    alike = f", and {equal} of {count} tensors are equal" if equal else ""
    if cosine >= NEAR:
        return (
            "fine-tuned",
            f"{one} and {other} come from one another, or from one model, by training: {reason}, "
            f"the distance {distance} of the norm{alike}.",
        )
    if cosine <= APART and _same_norms(found):
        return (
            "moved",
            f"{one} and {other} may be one model with its units in another order: {reason}, but "
            "the norms of all matrices agree; `lmc align` tells.",
        )
    if cosine <= APART:
        return ("independent", f"{one} and {other} were trained independently: {reason}{alike}.")
    return (
        "between",
        f"{one} and {other} lie between fine-tuned and independent models, as models of one "
        f"initialisation do that saw other data, or one that was trained on for long: {reason}"
        f"{alike}.",
    )


def _architecture(found: Difference) -> str:
    """What differs of two architectures, as a clause; "" where nothing does."""
    one, other = found["families"]
    if one != other:
        return f"{one} and {other}"
    parts = []
    for names, words in (
        (found["only_first"], f"only {found['models'][0]} has"),
        (found["only_second"], f"only {found['models'][1]} has"),
        (found["reshaped"], "of other shapes are"),
    ):
        if names:
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            parts.append(f"{words} {', '.join(names[:LISTED])}{more}")
    return "; ".join([*parts, *found["settings"][:LISTED]])


def _same_norms(found: Difference) -> bool:
    """Whether the norms of all matrices agree, as permutations of units leave them."""
    pairs = [each["norms"] for each in found["tensors"] if _is_matrix(each)]
    return all(abs(x - y) <= SAME_NORMS * max(x, y) for x, y in pairs)
