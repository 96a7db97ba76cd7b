"""Which tiles does a block of query rows see: nothing of it, a part, or all of it?"""
import numpy as np

from aat.tiling.base import key_ranges

NOTHING, PART, ALL = 0, 1, 2


def tile_visibility(summary, queries, rows, *, offset=0, left=None, right=None, mask=None):
    """What each block of `rows` query rows sees of each tile.

    Args:
        summary: the KeySummary, for the tiles and the keys that exist.
        queries: query rows L; the last block may be shorter.
        offset, left, right: position of row 0 (int or (B,)) and the keys visible from a position, as in key_ranges.
        mask: None or bool (B or 1, H or 1, L or 1, Lk or 1), True = may attend.

    Returns:
        int8 (B, H or 1, blocks, tiles): 0 no row sees an existing key of it, 2 all rows see all of them, else 1.
    """
    blocks, tiles, block = -(-queries // rows), summary.tiles, summary.block
    first = np.arange(blocks, dtype=np.int64) * rows
    last = np.minimum(first + rows, queries) - 1
    begin = np.arange(tiles, dtype=np.int64) * block
    seen = np.zeros((summary.batch, 1, blocks, tiles), np.int8)
    for b, at in enumerate(np.broadcast_to(offset, (summary.batch,)).tolist()):
        end = np.minimum(begin + block, summary.lens[b])
        some, most, all_from, all_to = (
            x[:, None] for x in key_ranges(first, last, at, left, right, int(summary.lens[b])))
        part = (np.maximum(begin, some) < np.minimum(end, most))
        whole = (begin >= all_from) & (end <= all_to) & (end > begin)
        seen[b, 0] = np.where(whole, ALL, np.where(part, PART, NOTHING))
    if mask is None:
        return seen
    some, every = _reduced(np.asarray(mask), summary, queries, rows)
    return np.where(some & (seen > 0), np.where(every, seen, PART), NOTHING).astype(np.int8)


def _reduced(mask, summary, queries, rows):
    """Whether any, and whether every entry of each (rows x block) part of the mask is True."""
    edges = np.arange(0, queries, rows), np.arange(0, summary.length, summary.block)
    sizes = queries, summary.length
    some = every = mask
    for axis, edge, size in zip((2, 3), edges, sizes, strict=True):
        if mask.shape[axis] == 1 and size != 1:     # the same for all: no axis is expanded in memory
            continue
        some = np.logical_or.reduceat(some, edge, axis)
        every = np.logical_and.reduceat(every, edge, axis)
    return some, every


def bias_range(bias, block):
    """The least and the largest bias of each tile for each row: bias (.., L or 1, Lk) to two arrays (.., L or 1, T).

    NaN counts as +inf above and as -inf below. A bias without a key axis (Lk = 1) moves all scores alike and is
    its own range.
    """
    edge = np.arange(0, bias.shape[-1], block)
    high, low = np.maximum.reduceat(bias, edge, -1), np.minimum.reduceat(bias, edge, -1)
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
