"""`aat.block_mask`: what a mask_mod leaves of each tile, for callers and for kernels that take lists of tiles."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from aat.errors import type_error, value_error
from aat.mods.blocks import EMPTY, FULL, PARTIAL, classify
from aat.mods.call import Traced

EXACT = 1 << 18         # pairs that are evaluated at once where tiles are looked into


def block_mask(mask_mod, B, H, Lq, Lk, *, block=128, q_offset=0, exact=False):
    """The BlockMask of a mask_mod: which tiles of queries and keys it leaves empty, partial or full.

    Parameters
    ----------
    mask_mod : function (b, h, q, k) -> bool
        As `aat.attention` takes it (docs/score_mod.md).
    B, H, Lq, Lk : int
        Sequences, query heads, queries and keys.
    block : int or (int, int), default 128
        Queries and keys of a tile; the last ones may be smaller.
    q_offset : int or integer array (B,), default 0
        Position of query 0.
    exact : bool, default False
        Evaluate the mod on the pairs of tiles of which interval arithmetic proves nothing, so that no full or empty one
        is left among the partial ones. Takes as long as there are such pairs.

    Notes
    -----
    Without `exact` tiles are bounded and no pair is evaluated: 65,536 x 65,536 with a sliding window takes milliseconds
    and some MB. A tile is empty or full only where that is proven.

    Raises
    ------
    TypeError, ValueError
        The function cannot be compiled, an index leaves its array, or sizes that are none.
    """
    rows, keys = (block, block) if isinstance(block, (int, np.integer)) else block
    for name, n, least in (("B", B, 0), ("H", H, 0), ("Lq", Lq, 0), ("Lk", Lk, 0), ("block", rows, 1),
                           ("block", keys, 1)):
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
            raise type_error(name, "a whole number", f"a {type(n).__name__}")
        if not least <= n < 2**30:
            raise value_error(name, f"a whole number from {least} to 2**30", str(n))
    offsets = np.broadcast_to(np.asarray(q_offset), (B,))
    if offsets.dtype.kind not in "iu":
        raise type_error("q_offset", "an integer or integers of shape (B,)", f"dtype {offsets.dtype}")
    traced = Traced.of(mask_mod, "mask_mod")
    shape = (int(B), int(H), int(Lq), int(Lk))
    if min(shape) == 0:
        kinds = np.zeros((B, H, -(-Lq // rows), -(-Lk // keys)), np.uint8)
        return BlockMask(kinds, shape, (int(rows), int(keys)), mask_mod)
    traced.check({"b": (0, B - 1), "h": (0, H - 1), "q": (int(offsets.min()), int(offsets.max()) + Lq - 1),
                  "k": (0, Lk - 1)})
    kinds = classify(traced.graph, traced.tables(), rows, keys, Lq, Lk, offsets, range(B), range(H))
    found = BlockMask(kinds, shape, (int(rows), int(keys)), mask_mod)
    return _looked_into(found, traced, offsets) if exact else found


@dataclass(frozen=True, eq=False)
class BlockMask:
    """Tiles of (query, key) pairs by what a mask leaves of them.

    kinds : uint8 array (B or 1, H or 1, tiles of queries, tiles of keys)
        0 empty, 1 partial, 2 full; an axis of size 1 stands for all sequences or heads.
    shape : (B, H, Lq, Lk)
    block : (queries, keys) of a tile
    mask_mod : the function, or None
    """

    kinds: np.ndarray
    shape: tuple
    block: tuple
    mask_mod: Any = None

    @property
    def sparsity(self):
        """The share of the tiles that are empty."""
        return float(np.mean(self.kinds == EMPTY)) if self.kinds.size else 0.0

    def __repr__(self):
        partial, full = (int(np.count_nonzero(self.kinds == kind)) for kind in (PARTIAL, FULL))
        return (f"BlockMask(shape={self.shape}, block={self.block}: {full} tiles full, {partial} partial of "
                f"{self.kinds.size}, {self.sparsity:.1%} empty)")

    def tensors(self):
        """The mask as FlexAttention has it: {name: int32 array}.

        kv_num_blocks (B, H, tiles of queries) and kv_indices (B, H, tiles of queries, tiles of keys) list the partial
        tiles, full_kv_num_blocks and full_kv_indices the full ones; behind its count a list goes on with the others.
        """
        kinds = np.broadcast_to(self.kinds, (*self.shape[:2], *self.kinds.shape[2:]))
        found = {}
        for prefix, kind in (("", PARTIAL), ("full_", FULL)):
            here = kinds == kind
            found[f"{prefix}kv_num_blocks"] = np.count_nonzero(here, axis=3).astype(np.int32)
            found[f"{prefix}kv_indices"] = np.argsort(~here, axis=3, kind="stable").astype(np.int32)
        return found

    @classmethod
    def of_tensors(cls, kv_num_blocks, kv_indices, full_kv_num_blocks=None, full_kv_indices=None, *, shape, block=128,
                   mask_mod=None):
        """The BlockMask of FlexAttention's arrays; shape is (B, H, Lq, Lk).

        Raises ValueError for arrays that do not fit `shape` and `block`, or that list a tile twice.
        """
        block = (block, block) if isinstance(block, (int, np.integer)) else tuple(block)
        B, H, Lq, Lk = shape
        tiles = (-(-Lq // block[0]), -(-Lk // block[1]))
        kinds = np.zeros((*np.shape(kv_num_blocks)[:2], *tiles), np.uint8)
        for prefix, given, listed, kind in (("", kv_num_blocks, kv_indices, PARTIAL),
                                            ("full_", full_kv_num_blocks, full_kv_indices, FULL)):
            if given is None:
                continue
            counts, lists = np.asarray(given), np.asarray(listed)
            if counts.ndim != 3 or counts.shape[2] != tiles[0] or counts.shape[0] not in (1, B) or (
                    counts.shape[1] not in (1, H)) or counts.shape[:2] != kinds.shape[:2]:
                raise value_error(f"{prefix}kv_num_blocks",
                                  f"shape ({B}, {H}, {tiles[0]}), or 1 in place of {B} and {H}",
                                  f"shape {counts.shape}", f"block is {block}")
            if lists.shape[:3] != counts.shape or counts.min(initial=0) < 0 or counts.max(initial=0) > lists.shape[3]:
                raise value_error(f"{prefix}kv_indices", f"lists of shape {(*counts.shape, tiles[1])}",
                                  f"shape {lists.shape} with up to {counts.max(initial=0)} entries")
            b, h, i, place = np.nonzero(np.arange(lists.shape[3]) < counts[..., None])
            j = lists[b, h, i, place]
            if j.size and not (j.min() >= 0 and j.max() < tiles[1]):
                raise value_error(f"{prefix}kv_indices", f"tiles of keys from 0 to {tiles[1] - 1}",
                                  f"{j.min()} to {j.max()}")
            np.add.at(kinds, (b, h, i, j), np.uint8(kind if kind == PARTIAL else 16))
        if not np.isin(kinds, (EMPTY, PARTIAL, 16)).all():
            raise value_error("kv_indices", "tiles that are listed once", "a tile that is listed twice")
        kinds[kinds == 16] = FULL
        return cls(kinds, tuple(shape), block, mask_mod)


def _looked_into(found, traced, offsets):
    """The BlockMask with its partial tiles decided by their pairs."""
    rows, keys = found.block
    _, _, Lq, Lk = found.shape
    mask = traced.mod.function
    for b, h, i, j in np.argwhere(found.kinds == PARTIAL).tolist():
        certain, possible = True, False
        step = max(1, EXACT // keys)
        last = min((i + 1) * rows, Lq)
        k = np.arange(j * keys, min((j + 1) * keys, Lk))[None]
        for start in range(i * rows, last, step):
            q = offsets[b] + np.arange(start, min(start + step, last))[:, None]
            with np.errstate(all="ignore"):
                seen = np.asarray(mask(b, h, q, k))
            certain, possible = certain and bool(seen.all()), possible or bool(seen.any())
        found.kinds[b, h, i, j] = FULL if certain else PARTIAL if possible else EMPTY
    return found
