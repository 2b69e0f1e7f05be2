"""Linear assignment of many units from a few candidates for every row, with a proof.

    maximise  sum_i M[i, p(i)]   over permutations p.

Numbers u, v with u[i] + v[j] >= M[i, j] everywhere and equality on p prove p optimal (duality of
linear programmes). So p is found among the largest entries of every row alone, where it is quick
(the successive shortest paths of Jonker and Volgenant 1987 on a sparse graph), then u and v are
found from p, and every entry of M that breaks the inequality becomes a candidate, until none is
left: p is then the optimum of the whole. Two independent models are no exception: of 8192 rows of
independent normal numbers the best order uses none but the 48 largest of every row. Where the
largest entries of all rows stand in different columns, they are the optimum and nothing is solved.

Entries are rounded to whole multiples of 2^-24 of their range, so that all of this is exact (the
solver for sparse graphs does not end on ties that rounding errors break), and the total is the
largest possible to 2^-24 of the range for every row.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from torch import Tensor

SMALL = 3000  # units; so few are solved at once
# Share of columns that are the largest of some row, below which all entries are solved at once: of
# independent rows it is 1 - 1/e = 0.63, while a similarity of low rank has few such columns, and
# the solver for sparse graphs takes two to five times as long as that for all entries.
SPREAD = 0.58
CANDIDATES = 48  # of a row at first
SOLVED = 4  # times the candidates are added to before all entries are looked at together
PIECE = 2**18  # entries that are looked at together: 1 MB, which stays in a core's own memory
STEPS = 2**24  # from the smallest entry to the largest


def assignment(similarity: Tensor) -> Tensor:
    """Indices p that maximise sum_i M[i, p[i]], int64 `[..., n]`, one for each matrix.

    Ties fall to the identity: a pull far below rounding of the entries is added to the diagonal.
    All matrices come to the CPU in one copy, and all indices go back in one.

    Args:
        similarity: M, float32 or float64 `[..., n, n]`.
    """
    values = similarity.cpu()
    found = torch.empty(values.shape[:-1], dtype=torch.int64)
    for place in np.ndindex(values.shape[:-2]):
        value = values[place]
        order = _from_candidates(value) if len(value) > SMALL else None
        found[place] = _from_all(value) if order is None else order
    return found.to(similarity.device)


def _from_all(similarity: Tensor) -> Tensor:
    """The best order for one matrix."""
    # a copy, in the type that SciPy works in; it would make one more to maximise
    cost = similarity.to(torch.float64, copy=True).neg_().numpy()
    if cost.size:
        np.fill_diagonal(cost, cost.diagonal() - float(np.abs(cost).max()) * 1e-14)
    return torch.from_numpy(linear_sum_assignment(cost)[1].astype(np.int64))


def _from_candidates(similarity: Tensor) -> Tensor | None:
    """The same from candidates; None where these had to be added to too often, or would be."""
    n = len(similarity)
    low, high = similarity.aminmax()
    unit = float(high - low) / STEPS
    if not (unit > 0 and np.isfinite(unit)):
        return None
    order = similarity.max(1).indices  # half the time of argmax
    distinct = len(order.unique())
    if distinct < SPREAD * n:
        return None
    if distinct < n:
        found = _solve_until_proved(similarity, float(low), unit)
        if found is None:
            return None
        order = found
    places = torch.arange(n)
    gained = similarity[places, order].double() - similarity.diagonal().double()
    return order if float(gained.sum()) > 2 * n * unit else places


def _solve_until_proved(similarity: Tensor, low: float, unit: float) -> Tensor | None:
    n = len(similarity)
    rows, columns = _candidates(similarity)
    v = torch.zeros(n, dtype=torch.float64)
    for _ in range(SOLVED):
        values = ((similarity[rows, columns].double() - low) / unit).round()
        order = _solve(rows, columns, values, n)
        u, v = _potentials(rows, columns, values, order, v)
        more = _broken(similarity, u, v, low, unit)
        if not len(more):
            return order
        both = torch.cat([rows * n + columns, more]).unique()
        rows, columns = both // n, both % n
    return None


def _candidates(similarity: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the largest entries of every row, of the largest of every column, and of
    the diagonal, which makes sure that there is an order among them.

    Of a row these are all that exceed what so many of as many normal numbers of its mean and
    standard deviation exceed; where that gives far too few or too many, it is searched.
    """
    n = len(similarity)
    beyond = float(torch.special.ndtri(torch.tensor(1 - CANDIDATES / n, dtype=torch.float64)))
    step = max(1, PIECE // n)
    found: list[Tensor] = []
    largest, of_column = torch.full((n,), -torch.inf), torch.zeros(n, dtype=torch.int64)
    for start in range(0, n, step):
        part = similarity[start : start + step]
        values, rows = part.max(0)
        of_column = torch.where(values > largest, rows + start, of_column)
        largest = torch.maximum(largest, values)
        found.append(_largest_of_rows(part, beyond) + start * n)
    places = torch.arange(n)
    found += [of_column * n + places, places * (n + 1)]
    every = torch.cat(found).sort().values.unique_consecutive()
    return every // n, every % n


def _largest_of_rows(part: Tensor, beyond: float) -> Tensor:
    """Flat numbers of the largest entries of some rows; for `beyond` standard deviations above the
    mean see `_candidates`.
    """
    n = part.shape[1]
    mean = part.mean(1, keepdim=True)
    spread = (part - mean).norm(dim=1, keepdim=True) / n**0.5
    places = _where_above(part, mean + beyond * spread)
    counts = torch.bincount(places // n, minlength=len(part))
    odd = (counts < CANDIDATES // 4) | (counts > CANDIDATES * 4)
    if not odd.any():
        return places
    rows = odd.nonzero()
    most = part[rows[:, 0]].topk(CANDIDATES, 1, sorted=False).indices
    return torch.cat([places[~odd[places // n]], (rows * n + most).flatten()])


def _where_above(part: Tensor, limits: Tensor) -> Tensor:
    """Flat numbers of the entries above the limit of their row, by NumPy, which compares and finds
    a few of many several times faster than torch.
    """
    return torch.from_numpy(np.flatnonzero(part.numpy() > limits.numpy()))


def _solve(rows: Tensor, columns: Tensor, values: Tensor, n: int) -> Tensor:
    """The best order among candidates, which are sorted by row."""
    # no entry may be zero, which the solver takes for one that is missing
    cost = (values.max() - values + 1).numpy()
    graph = csr_matrix((cost, (rows.numpy(), columns.numpy())), shape=(n, n))
    left, right = min_weight_full_bipartite_matching(graph)
    order = torch.empty(n, dtype=torch.int64)
    order[torch.from_numpy(left.astype(np.int64))] = torch.from_numpy(right.astype(np.int64))
    return order


def _potentials(
    rows: Tensor, columns: Tensor, values: Tensor, order: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    """U and v for the candidates: v[j] is the longest path to column j, whose steps lead from the
    column of row i to column j and are M[i, j] - M[i, p(i)] long (Bellman 1958). Any first v will
    do. As p is the best among the candidates, no path leads back to where it began and is longer
    than 0, and n steps are enough.
    """
    own = order[rows] == columns
    taken = torch.empty_like(v)
    taken[rows[own]] = values[own]
    # column by column, each of which has its entry on the diagonal
    sorted_ = columns.argsort(stable=True)
    begins = torch.searchsorted(columns[sorted_], torch.arange(len(order))).numpy()
    step, start = ((values - taken[rows])[sorted_].numpy(), order[rows][sorted_].numpy())
    longest = v.numpy()
    for _ in range(len(order)):
        longer = np.maximum(np.maximum.reduceat(longest[start] + step, begins), longest)
        if np.array_equal(longer, longest):
            break
        longest = longer
    v = torch.from_numpy(longest)
    return taken - v[order], v


def _broken(similarity: Tensor, u: Tensor, v: Tensor, low: float, unit: float) -> Tensor:
    """Flat numbers of entries with u[i] + v[j] < M[i, j]. All are looked at in float32, those that
    may be in float64; of very many a part is enough, as they are looked at again.
    """
    n = len(similarity)
    found = []
    step = max(1, PIECE // n)
    left, right = (u * unit + low).float(), (v * unit).float()
    largest = max(-low, low + STEPS * unit)
    near = 1e-6 * (largest + float(left.abs().max() + right.abs().max()))
    for start in range(0, n, step):
        part = similarity[start : start + step].float() - right
        places = _where_above(part, left[start : start + step, None] - near)
        rows, columns = places // n + start, places % n
        values = ((similarity[rows, columns].double() - low) / unit).round() - u[rows] - v[columns]
        broken = (values > 0).nonzero()[:, 0]
        broken = broken[values[broken].argsort(descending=True)[: CANDIDATES * step]]
        found.append(rows[broken] * n + columns[broken])
    return torch.cat(found)
