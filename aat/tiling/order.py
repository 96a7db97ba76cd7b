"""In which order do keys make tight tiles? Key sorts of KeySummary: orders of the keys of a head, by whole tiles.

A sort only proposes an order: the summary measures the tiles that come out, so no bound depends on how good it is.
"""
from functools import partial

import numpy as np

from aat.tiling.threads import share

SAMPLE = 256                 # keys of a node by which `bisect` chooses its direction
CHUNK = 8192                 # keys that are sorted together
STEPS = 6                    # of its power iteration


def balls(k, block):
    """Tiles of the `block` keys nearest to a centre, one after the other: (n,) places of the n = T block keys (n, D).

    A centre is the mean of the keys nearest to the mean of the keys nearest to a seed; the next seed is the key left
    that is nearest to the last centre. The work is n^2 D / block / 2 multiply-adds, three times.
    """
    left, x, found = np.arange(len(k)), k, []
    squares = np.einsum("nd,nd->n", x, x)
    seed = int(np.argmax(squares - 2 * (x @ x.mean(0)))) if len(x) else 0
    while len(left) > block:
        centre = x[seed]
        for _ in range(3):
            near = np.argpartition(squares - 2 * (x @ centre), block - 1)
            centre = x[near[:block]].mean(0)
        found.append(left[near[:block]])
        rest = near[block:]
        left, x, squares = left[rest], x[rest], squares[rest]
        seed = int(np.argmin(squares - 2 * (x @ centre)))
    return np.concatenate([*found, left])


def bisect(k, block):
    """Keys (n, D), n = T block, halved again and again across their longest axis: (n,) places.

    Nodes of as many tiles are halved together, so there are two batches a level. The work is n log T.
    """
    order, nodes = np.arange(len(k)), [(0, len(k) // block)]
    while any(size > 1 for _, size in nodes):
        halves = [node for node in nodes if node[1] == 1]
        for size in {size for _, size in nodes if size > 1}:
            first = np.array([start for start, tiles in nodes if tiles == size])
            at = first[:, None] * block + np.arange(size * block)
            half = -(-size // 2)
            order[at] = _halved(k, order[at], half * block)
            halves += [(start, half) for start in first.tolist()]
            halves += [(start + half, size - half) for start in first.tolist()]
        nodes = halves
    return order


def _halved(k, order, cut):
    """Each row of `order` with its `cut` keys on one side of the longest axis first."""
    x = k[order]
    some = x[:, ::max(1, x.shape[1] // SAMPLE)]
    some = some - some.mean(1, keepdims=True)
    covariance = np.matmul(some.swapaxes(1, 2), some)
    every = np.arange(len(x))
    axis = covariance[every, np.diagonal(covariance, axis1=1, axis2=2).argmax(1)]
    for _ in range(STEPS):
        axis = np.matmul(covariance, axis[..., None])[..., 0]
        axis /= np.linalg.norm(axis, axis=1, keepdims=True) + 1e-30
    side = np.argpartition(np.matmul(x, axis[..., None])[..., 0], cut - 1, 1)
    return np.take_along_axis(order, side, 1)


SORTS = {"balls": balls, "bisect": bisect}


def sorted_places(k, block, sort):
    """(n,) places of the keys k (n, D) in their new order, n any number.

    What is less than a tile stays behind, and so do keys that are not finite: nothing is known of their tiles.
    """
    k = np.asarray(k, np.float32)
    with np.errstate(all="ignore"):
        size = np.einsum("nd,nd->n", k, k)
    fine = np.flatnonzero(np.isfinite(size) & (size < 1e30))
    whole = fine[:len(fine) // block * block]
    behind = np.setdiff1d(np.arange(len(k)), whole)
    return np.concatenate([whole[SORTS[sort](k[whole], block)], behind]) if len(whole) else np.arange(len(k))


class Sorted:
    """Copies of the keys and values of a summary, sorted piece by piece, and where each of them came from.

    k (B, Hk, L, D), v (B, Hk, L, Dv), order (B, Hk, L) int32: row i is the order[i]-th key that was added. Pieces are
    sealed when they are `chunk` keys long; what came since stands behind as it came.
    """

    def __init__(self, sort, chunk, block, k, v):
        self.sort, self.chunk, self.block = sort, chunk, block
        self._room = [np.empty((*x.shape[:2], 0, *x.shape[3:]), x.dtype) for x in (k, v)]
        self._room.append(np.empty((*k.shape[:2], 0), np.int32))
        self.length, self.sealed = 0, [0]      # where pieces end

    @property
    def k(self):
        """Keys in their order: a view."""
        return self._room[0][:, :, :self.length]

    @property
    def v(self):
        """Their values: a view."""
        return self._room[1][:, :, :self.length]

    @property
    def order(self):
        """Where they came from: a view."""
        return self._room[2][:, :, :self.length]

    def add(self, k, v):
        """Put keys and values behind the others."""
        first, self.length = self.length, self.length + k.shape[2]
        have = self._room[0].shape[2]
        if self.length > have:
            more = max(self.length, 2 * have) - have if have else self.length
            self._room = [np.concatenate([x, np.empty((*x.shape[:2], more, *x.shape[3:]), x.dtype)], 2)
                          for x in self._room]
        self.k[:, :, first:], self.v[:, :, first:] = k, v
        self.order[:, :, first:] = np.arange(first, self.length)

    def seal(self, lens, least):
        """Sort what is not sealed, by whole tiles, from `least` keys on; the first row that moved, or None.

        lens (B,): keys that exist.
        """
        first, end = self.sealed[-1], self.length // self.block * self.block
        if end - first < max(least, self.block):
            return None
        for start in range(first, end, self.chunk):
            stop = min(start + self.chunk, end)
            heads = list(np.ndindex(self.k.shape[:2]))
            share(partial(self._sort, start, np.minimum(stop, lens)), heads, (stop - start) * len(heads))
            self.sealed.append(stop)
        return first

    def _sort(self, start, ends, heads):
        for b, h in heads:
            part = np.s_[b, h, start:max(ends[b], start)]
            places = sorted_places(self.k[part], self.block, self.sort)
            for x in (self.k, self.v, self.order):
                x[part] = x[part][places]

    def cut_back(self, length):
        """Keep the first `length` keys that were added; the first row that may have changed."""
        pieces = [end for end in self.sealed if end <= length]
        first, end = pieces[-1], self.length
        if len(pieces) < len(self.sealed):       # into a sorted piece, whose keys go back to where they were
            for b, h in np.ndindex(self.k.shape[:2]):
                places = np.argsort(self.order[b, h, first:end], kind="stable")
                for x in (self.k, self.v, self.order):
                    x[b, h, first:end] = x[b, h, first:end][places]
        self.sealed, self.length = pieces, length
        return first
