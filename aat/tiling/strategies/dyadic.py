"""Dyadic: a binary tree over the tiles, whose nodes are left out whole where their share is small enough.

Node i of level l covers tiles i 2^l .. (i + 1) 2^l - 1: the blocks of an ultrametric, |i - j| by the highest bit in
which they differ. A query tile starts at the root. A node t of n_t keys is admissible if for all rows

    U_t  <=  rho (n_t / N) Z        Z: the largest sum of lower bounds J over a level's nodes so far

and is left out then; otherwise its two children are asked. The shares n_t / N add up to at most 1 and Z only grows,
so the sum of U over all nodes left out is at most rho times the mass: the certificate of plan.py. Where scores fall
with distance the nodes asked are few, and planning costs less than a bound for every tile.
"""
from dataclasses import dataclass

import numpy as np

from aat.errors import value_error
from aat.tiling import bounds
from aat.tiling.moments import UNIT
from aat.tiling.plan import plan_of
from aat.tiling.strategies.base import TilingStrategy
from aat.tiling.visible import ALL, NOTHING, PART


@dataclass(frozen=True)
class Level:
    """The nodes of one level for one KV head, float64: what bounds need of them (moments.TileMoments)."""

    count: np.ndarray
    key: np.ndarray
    key_norm: np.ndarray
    radius: np.ndarray
    eigenvalue: np.ndarray
    shift: np.ndarray


def levels(leaf):
    """The levels of the tree, leaves first, from the leaves' Level. A node without a sibling is its own parent."""
    tree = [leaf]
    while len(tree[-1].count) > 1:
        tree.append(_parents(tree[-1]))
    return tree


def _parents(child):
    n = len(child.count)
    a, b = (Level(*(_padded(getattr(child, name), n)[side::2] for name in Level.__dataclass_fields__))
            for side in (0, 1))
    total = a.count + b.count
    wa, wb = (np.where(total > 0, x.count / np.maximum(total, 1), 0) for x in (a, b))
    key = wa[:, None] * a.key + wb[:, None] * b.key
    grow = 1 + 16 * UNIT
    with np.errstate(invalid="ignore"):
        # centres are float64 here: their own rounding is far below the leaves' shift
        shift = np.maximum(a.shift, b.shift) * grow
        apart = (np.linalg.norm(a.key - b.key, axis=1) + a.shift + b.shift) * grow
        far = [np.where(x.count > 0, x.radius + np.linalg.norm(x.key - key, axis=1) + x.shift + shift, 0)
               for x in (a, b)]
        # within plus between the halves; the largest eigenvalue of a sum is at most the sum of the largest
        eigenvalue = (wa * a.eigenvalue + wb * b.eigenvalue + wa * wb * apart**2) * grow
    norm = np.linalg.norm(key, axis=1) * grow
    return Level(total, key, np.where(np.isfinite(norm), norm, 0), np.maximum(*far) * grow,
                 np.where(np.isnan(eigenvalue), np.inf, eigenvalue), shift)


def _padded(x, n):
    return np.concatenate([x, np.zeros_like(x[:1])]) if n % 2 else x


class Dyadic(TilingStrategy):
    """Leaves out whole nodes of the dyadic tree; `notes["bounds"]` of the plan counts the nodes asked."""

    name = "dyadic"

    def plan(self, request):
        """The TilePlan; see base.TilingStrategy."""
        summary, q, rows = request.summary, request.q, request.rows
        if request.bias_high is not None:
            raise value_error("bias", "none with the strategy 'dyadic'", "one", "use the strategy 'certified'")
        B, Hq, L, _ = q.shape
        Q, T, group = -(-L // rows), summary.tiles, Hq // summary.heads
        keep = np.ones((B, Hq, Q, T), bool)
        level = np.zeros((B, Hq, Q, T))
        omitted = np.full((B, Hq, L), -np.inf)
        spread = summary.spread if request.form == "range" else 2 * summary.largest
        rho, _ = bounds.share(request.tolerance, summary.largest, spread)
        asked = 0
        for b, g in np.ndindex(B, summary.heads):
            if rho[b, g] <= 0 or not T or not L:
                continue
            m = summary.moments
            tree = levels(Level(*(getattr(m, name)[b, g].astype(np.float64) for name in Level.__dataclass_fields__)))
            for h in range(g * group, (g + 1) * group):
                seen = None
                if request.seen is not None:
                    seen = np.broadcast_to(request.seen, keep.shape)[b, h]
                last = np.minimum(np.arange(Q * rows), L - 1)
                walk = _Walk(tree, q[b, h, last].astype(np.float32).reshape(Q, rows, -1), request.scale, rho[b, g],
                             seen, keep[b, h], level[b, h])
                omitted[b, h] = walk.run().reshape(-1)[:L]
                asked += walk.asked
        return plan_of(summary, q, request.tolerance, rows, keep, level, omitted, request.seen,
                       form=request.form, notes={"bounds": asked})


class _Walk:
    """The descent of all query tiles of one head, level by level; the frontier is a list of (query tile, node)."""

    def __init__(self, tree, q, scale, rho, seen, keep, level):
        self.tree, self.q, self.scale, self.rho = tree, q, scale, rho
        self.keep, self.level, self.asked = keep, level, 0
        self.norm = bounds.row_norms(q, scale)
        self.seen = [seen]
        for _ in tree[1:]:
            self.seen.append(None if seen is None else _merged(self.seen[-1]))

    def run(self):
        Q, rows, d = self.q.shape
        N = self.tree[0].count.sum()
        lost = np.full((Q, rows), -np.inf)      # ln of the sum of U of the nodes left out
        floor = np.full((Q, rows), -np.inf)     # ln Z
        done = np.full((Q, rows), -np.inf)      # ln of the sum of J of the nodes left out
        tile, node = np.arange(Q), np.zeros(Q, np.int64)
        for depth in range(len(self.tree) - 1, -1, -1):
            at, seen = self.tree[depth], self.seen[depth]
            view = None if seen is None else seen[tile, node]
            if view is not None:
                tile, node, view = (x[view != NOTHING] for x in (tile, node, view))
            upper, lower = self._bounds(at, tile, node, view, d)
            self.asked += len(tile)
            here = np.logaddexp(done, _scattered(lower, tile, Q))
            floor = np.maximum(floor, here)
            with np.errstate(divide="ignore"):
                fair = np.log(self.rho * at.count[node] / max(N, 1))[:, None] + floor[tile] - 1e-6
            small = (upper <= fair).all(1) & (at.count[node] > 0)
            lost = np.logaddexp(lost, _scattered(upper[small], tile[small], Q))
            done = np.logaddexp(done, _scattered(lower[small], tile[small], Q))
            for t, i in zip(tile[small].tolist(), node[small].tolist(), strict=True):
                self.keep[t, i << depth:(i + 1) << depth] = False
            tile, node, upper = tile[~small], node[~small], upper[~small]
            if depth:
                tile, node = np.repeat(tile, 2), np.stack([2 * node, 2 * node + 1], 1).reshape(-1)
                there = node < len(self.tree[depth - 1].count)
                tile, node = tile[there], node[there]
            else:
                with np.errstate(invalid="ignore"):
                    self.level[tile, node] = np.nan_to_num((upper - floor[tile]).max(1), nan=np.inf)
        return lost + 1e-6

    def _bounds(self, at, tile, node, view, d):
        """ln of U and of J for pairs: (pairs, rows)."""
        with np.errstate(all="ignore"):
            mu = np.einsum("prd,pd->pr", self.q[tile].astype(np.float64) * self.scale, at.key[node])
            norm = self.norm[tile].astype(np.float64)
            slack = norm * bounds.tile_slack(at, d)[node][:, None]
            excess = bounds.excess(norm * at.radius[node][:, None], norm**2 * at.eigenvalue[node][:, None])
            size = np.log(at.count[node])[:, None]
            lost = ~(slack < bounds.FAR) | ~np.isfinite(mu) | np.isnan(excess)
            upper = np.where(lost, np.inf, size + mu + slack + excess)
            lower = np.where(lost, -np.inf, size + mu - slack)
        if view is not None:
            lower = np.where(view[:, None] == ALL, lower, -np.inf)
        return upper, lower


def _scattered(x, tile, Q):
    """ln of the sums of e^x over the pairs of each query tile: (pairs, rows) to (Q, rows)."""
    out = np.full((Q, x.shape[1]), -np.inf)
    top = np.full((Q, x.shape[1]), -np.inf)
    np.maximum.at(top, tile, x)
    safe = np.where(np.isfinite(top), top, 0)
    total = np.zeros_like(out)
    with np.errstate(over="ignore"):
        np.add.at(total, tile, np.exp(x - safe[tile]))
    with np.errstate(divide="ignore"):
        return np.where(total > 0, safe + np.log(total), -np.inf)


def _merged(seen):
    """What query tiles see of the parents: all, nothing, or a part of their tiles."""
    if seen.shape[1] % 2:
        seen = np.concatenate([seen, seen[:, -1:]], 1)
    a, b = seen[:, ::2], seen[:, 1::2]
    return np.where(a == b, a, PART)
