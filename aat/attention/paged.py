"""Where do the keys and values of a growing sequence lie? In pages, which a table lists for each sequence."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from aat.arrays import widen
from aat.attention.int8 import dequantise

ALIGNMENT = 64  # bytes


@dataclass(frozen=True, slots=True, eq=False)
class PagedKV:
    """Keys and values as they lie in memory: what a kernel that reads pages in place is handed.

    Key j of sequence b, counted from the first one that is kept, is row j % page_size of page
    table[b, j // page_size]. Positions of queries count from that key too. Rows at or past lens[b] hold
    anything, NaN included.

    Attributes
    ----------
    k, v : ndarray
        (pages, Hk, page_size, D) and (pages, Hk, page_size, Dv), contiguous; bf16 is its bits in uint16.
    table : ndarray
        (B, columns) int32; entries past the pages of a sequence are 0, a page that exists.
    lens : ndarray
        (B,) int32: keys that are kept.
    k_scales, v_scales : ndarray or None
        (pages, Hk, page_size) float32 for int8: a row is its codes times its scale.
    page_size : int
    dtype : str
        "f32", "f16", "bf16" or "int8".
    """

    k: Any
    v: Any
    table: Any
    lens: Any
    k_scales: Any
    v_scales: Any
    page_size: int
    dtype: str

    @property
    def keys(self):
        """Keys of the longest sequence."""
        return int(self.lens.max())

    @property
    def shapes(self):
        """The shapes (B, Hk, keys, D) and (B, Hk, keys, Dv) of the same without pages."""
        head = (len(self.lens), self.k.shape[1], self.keys)
        return (*head, self.k.shape[3]), (*head, self.v.shape[3])

    def rows(self, which, b, out=None):
        """The kept rows of sequence b, exact in float32, (Hk, lens[b], D); `which` is "k" or "v"."""
        stored, scales = getattr(self, which), getattr(self, f"{which}_scales")
        n, size = int(self.lens[b]), self.page_size
        out = np.empty((stored.shape[1], n, stored.shape[3]), np.float32) if out is None else out
        for start, page in zip(range(0, n, size), self.table[b].tolist(), strict=False):
            m = min(size, n - start)
            part = stored[page, :, :m]
            out[:, start:start + m] = widen(part) if scales is None else dequantise(part, scales[page, :, :m])
        return out

    def scales(self, which, b):
        """The scales of those rows in int8: (Hk, lens[b])."""
        n = int(self.lens[b])
        found = getattr(self, f"{which}_scales")[self.table[b, :-(-n // self.page_size)]]
        return found.swapaxes(0, 1).reshape(found.shape[1], -1)[:, :n]

    def gather(self):
        """Contiguous float32 (k, v) of `shapes`, exact; rows past a sequence's own length are 0."""
        gathered = []
        for which, shape in zip("kv", self.shapes, strict=True):
            out = np.zeros(shape, np.float32)
            for b, n in enumerate(self.lens.tolist()):
                self.rows(which, b, out[b, :, :n])
            gathered.append(out)
        return tuple(gathered)


class PageTable:
    """Which pages hold which sequence, and which are free? Numbers only; the data is elsewhere.

    A page may belong to several sequences. `missing` says beforehand whether changes fit; what follows it
    cannot fail.

    Attributes
    ----------
    table : ndarray
        (B, columns) int32.
    used : ndarray
        (B,) int32: pages of each sequence.
    free : list of int
        Pages that nobody has; the last one is taken first.
    shared : int
        How many owners there are beyond one a page.
    """

    def __init__(self, batch, columns, pages):
        self.table = np.zeros((batch, columns), np.int32)
        self.used = np.zeros(batch, np.int32)
        self.free = list(range(pages - 1, -1, -1))
        self.shared = 0
        self._owners = [0] * pages

    def missing(self, moves):
        """How many pages are missing for all of `moves` together; 0 or less: they fit.

        A move is (sequence, pages that it loses in front, pages that it has then, column of the page that is
        written into and not new, or None).
        """
        lost: Counter = Counter()
        written: Counter = Counter()
        new = 0
        for b, dead, pages, column in moves:
            lost.update(self.table[b, :dead].tolist())
            new += max(0, pages - int(self.used[b]) + dead)
            if column is not None:
                written[int(self.table[b, column])] += 1
        freed = sum(self._owners[page] == n for page, n in lost.items())
        # of the owners that write, the last one may keep the page if no other owner is left
        copies = sum(min(n, self._owners[page] - lost[page] - 1) for page, n in written.items())
        return new + copies - freed - len(self.free)

    def cut_front(self, b, n):
        """Take the first n pages from sequence b."""
        if n:
            rest = self.table[b, n:self.used[b]].copy()
            self._release(self.table[b, :n])
            self.table[b, :len(rest)] = rest
            self._shorten(b, len(rest))

    def cut_back(self, b, n):
        """Leave the first n pages to sequence b."""
        self._release(self.table[b, n:self.used[b]])
        self._shorten(b, min(n, int(self.used[b])))

    def grow(self, b, n):
        """Give free pages to sequence b until it has n."""
        for column in range(self.used[b], n):
            self.table[b, column] = self._take()
        self.used[b] = max(n, self.used[b])

    def unshare(self, b, column):
        """Make the page in that column the sequence's own; (old, new) if that needs a copy, else None."""
        old = int(self.table[b, column])
        if self._owners[old] == 1:
            return None
        new = self.table[b, column] = self._take()
        self._release([old])
        return old, new

    def share(self, source, into):
        """Give the pages of sequence `source` to `into` as well, which loses its own."""
        self.cut_back(into, 0)
        pages = self.table[source, :self.used[source]]
        for page in pages.tolist():
            self._owners[page] += 1
        self.shared += len(pages)
        self.table[into, :len(pages)] = pages
        self.used[into] = len(pages)

    def _take(self):
        page = self.free.pop()
        self._owners[page] = 1
        return page

    def _release(self, pages):
        for page in map(int, pages):
            self._owners[page] -= 1
            if self._owners[page]:
                self.shared -= 1
            else:
                self.free.append(page)

    def _shorten(self, b, n):
        self.table[b, n:] = 0
        self.used[b] = n


def aligned(shape, dtype):
    """Zeros of that shape in memory that begins at a multiple of ALIGNMENT bytes."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.__array_interface__["data"][0] % ALIGNMENT
    return raw[start:start + size].view(dtype).reshape(shape)
