"""Boundaries and balance against brute force."""
from itertools import combinations_with_replacement, pairwise, product

import numpy as np
import pytest

from aat.tiling.optimization.balance import contiguous, longest_first
from aat.tiling.optimization.boundaries import best_boundaries


def all_cuttings(length, sizes):
    if length == 0:
        yield [0]
    for size in sizes:
        if size <= length:
            for edges in all_cuttings(length - size, sizes):
                yield [*edges, length]


@pytest.mark.parametrize("length", range(15))
@pytest.mark.parametrize("sizes", [(1, 2, 3), (2, 5), (4,), tuple(range(1, 15))])
def test_boundaries_are_the_best_of_all(length, sizes):
    rng = np.random.default_rng(length)
    table = rng.integers(0, 20, (length + 1, length + 1)).astype(float)
    table[rng.random(table.shape) < 0.1] = np.inf
    total, edges = best_boundaries(length, lambda a, b: table[a, b], sizes)
    brute = min((sum(table[a, b] for a, b in pairwise(e)) for e in all_cuttings(length, sizes)),
                default=np.inf)
    assert total == brute
    if np.isfinite(total):
        assert edges[0] == 0 and edges[-1] == length
        assert all(b - a in sizes for a, b in pairwise(edges))
        assert sum(table[a, b] for a, b in pairwise(edges)) == total
    else:
        assert edges == []


def test_bad_boundaries_are_named():
    for changed, what in ((dict(length=-1), "length: expected 0 or more"), (dict(sizes=()), "sizes: expected positive"),
                          (dict(sizes=(0, 2)), "sizes: expected positive"),
                          (dict(cost=lambda a, b: np.nan), r"cost: expected a number, got nan for \(0, 1\)")):
        with pytest.raises(ValueError, match=what):
            best_boundaries(**(dict(length=4, cost=lambda a, b: 1.0, sizes=(1, 2)) | changed))


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [0, 1, 4, 10])
def test_contiguous_shares_are_the_best_of_all(n, parts):
    for seed in range(20):
        rng = np.random.default_rng([n, parts, seed])
        costs = rng.integers(0, 9, n) if seed % 2 else rng.exponential(size=n)
        largest, edges = contiguous(costs, parts)
        brute = min(max((costs[a:b].sum() for a, b in zip((0, *cuts), (*cuts, n), strict=True)), default=0)
                    for cuts in combinations_with_replacement(range(n + 1), parts - 1))
        assert len(edges) == parts + 1 and edges[0] == 0 and edges[-1] == n and edges == sorted(edges)
        assert np.isclose(largest, brute, rtol=1e-12)
        # work is conserved
        assert np.isclose(sum(costs[a:b].sum() for a, b in pairwise(edges)), costs.sum())


def test_longest_first_keeps_grahams_bound():
    worst = 0.0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        parts, n = int(rng.integers(1, 4)), int(rng.integers(0, 8))
        costs = rng.integers(1, 10, n).astype(float)
        largest, owner = longest_first(costs, parts)
        loads = np.bincount(owner, costs, parts)
        assert loads.sum() == costs.sum() and largest == loads.max(initial=0)
        ways = map(list, product(range(parts), repeat=n))
        best = min(np.bincount(who, costs, parts).max() for who in ways) if n else 0
        assert largest <= (4 / 3 - 1 / (3 * parts)) * best + 1e-12
        worst = max(worst, largest / best if best else 0)
    assert worst > 1                            # it is not optimal, and these inputs show it
    assert longest_first([3, 3, 2, 2, 2], 2)[0] == 7         # the bound is met: 7 / 6 = 4/3 - 1/6


def test_bad_shares_are_named():
    for share in (contiguous, longest_first):
        with pytest.raises(ValueError, match="parts: expected at least one worker, got 0"):
            share([1, 2], 0)
        for bad in (-1, np.nan, np.inf):
            with pytest.raises(ValueError, match="costs: expected finite numbers >= 0"):
                share([1, bad], 2)
