"""Which tiles of (query, key) pairs does a mask_mod leave empty, full or partial? Found without evaluating every pair.

Tiles are bounded by interval arithmetic, coarse ones first, and only those are cut into FACTOR x FACTOR smaller ones of
which nothing could be proven.
"""

import numpy as np

from aat.mods.intervals import evaluate

EMPTY, PARTIAL, FULL = 0, 1, 2
FACTOR = 4              # tiles along each side of the next coarser tile
COARSE = 1 << 10        # coarse tiles to begin with, about
CHUNK = 1 << 14         # tiles bounded at once: their intervals stay in the second-level cache
_OPEN = 3


def classify(graph, tables, rows, keys, queries, number, offsets, batches, heads):
    """uint8 (B', H', tiles of rows, tiles of keys) of EMPTY, PARTIAL and FULL; only what is proven is EMPTY or FULL.

    graph, tables: of a mask_mod, as `intervals.evaluate` takes them. rows, keys: sizes of a tile. queries, number: how
    many queries and keys there are. offsets: positions of query 0, int (B,). batches, heads: the values of b and h.
    B' is 1 where sequences do not differ, H' likewise.
    """
    one_batch = "b" not in graph.variables and (len(set(offsets.tolist())) < 2 or "q" not in graph.variables)
    b = np.asarray(batches[:1] if one_batch else batches, np.int64)
    h = np.asarray(heads if "h" in graph.variables else heads[:1], np.int64)
    offsets = np.asarray(offsets[:len(b)], np.int64)
    levels = 0
    while levels < 12 and _count(len(b), len(h), queries, number, rows, keys, levels) > COARSE:
        levels += 1
    kinds = None
    for level in range(levels, -1, -1):
        r, c = rows * FACTOR**level, keys * FACTOR**level
        shape = (len(b), len(h), -(-queries // r), -(-number // c))
        if kinds is None:
            kinds = np.full(shape, _OPEN, np.uint8)
        else:
            kinds = np.repeat(np.repeat(kinds, FACTOR, 2)[:, :, :shape[2]], FACTOR, 3)[:, :, :, :shape[3]]
        flat = kinds.reshape(-1)
        pending = np.flatnonzero(flat == _OPEN)
        for start in range(0, len(pending), CHUNK):
            some = pending[start:start + CHUNK]
            bi, hi, i, j = np.unravel_index(some, shape)
            first, last = i * r + offsets[bi], np.minimum((i + 1) * r, queries) - 1 + offsets[bi]
            box = {"b": (b[bi],) * 2, "h": (h[hi],) * 2, "q": (first, last),
                   "k": (j * c, np.minimum((j + 1) * c, number) - 1)}
            certain, possible = evaluate(graph, tables, box)[graph.result]
            flat[some] = np.where(certain, FULL, np.where(possible, _OPEN if level else PARTIAL, EMPTY))
        kinds = flat.reshape(shape)
    return kinds


def _count(batches, heads, queries, number, rows, keys, level):
    return batches * heads * -(-queries // (rows * FACTOR**level)) * -(-number // (keys * FACTOR**level))


def lists(kinds):
    """(counts, starts, entries) of the tiles that are not EMPTY, query tile by query tile in the order of the keys:
    int32, counts (B', H', tiles of rows), starts one more than there are query tiles, entries 2 tile + PARTIAL."""
    _, tile = np.nonzero(kinds.reshape(-1, kinds.shape[3]))
    found = kinds[kinds != EMPTY]
    counts = np.count_nonzero(kinds, axis=3).astype(np.int32)
    starts = np.zeros(counts.size + 1, np.int32)
    np.cumsum(counts.reshape(-1), out=starts[1:])
    return counts, starts, (2 * tile + (found == PARTIAL)).astype(np.int32)
