"""How are weights kept that many calls of aat.linear use? PackedWeights: the panels of its kernel, made once."""

import numpy as np

from aat.errors import type_error, value_error
from aat.operations.base import taken

ALIGNMENT = 64  # bytes of the widest vector


class PackedWeights:
    """Weights in the order in which the kernel of `aat.linear` reads them: pass it there as `w`.

    A call that packs w itself reads 16 rows of it side by side, which for few rows of x takes longer than the
    products. A result has the same bits either way. Costs the memory of w once more, from the first call on a CPU on;
    elsewhere w itself is used. w is not copied before that call, and may not change as long as this is used.

    Args:
        w: array (F, E), float32 or float64, on the host; row f holds the weights of output feature f.

    Raises:
        TypeError: w is no such array (16-bit weights would grow to float32, and be read no faster). ValueError: not two
        axes.
    """

    def __init__(self, w):
        self.taken = taken("w", w)
        if self.taken.dtype not in ("f32", "f64"):
            raise type_error("w", "float32 or float64", self.taken.dtype,
                             "pass 16-bit weights to aat.linear as they are")
        if self.taken.view.ndim != 2:
            raise value_error("w", "shape (F, E)", f"shape {self.taken.view.shape}")
        self._panels = {}

    def __repr__(self):
        shape, kept = self.taken.view.shape, sum(x.nbytes for x in self._panels.values())
        return f"PackedWeights({shape[0]} x {shape[1]}, {self.taken.dtype}, {kept} bytes packed)"

    def panels(self, heads, width, vectors):
        """The panels for vectors of `width` numbers, `vectors` of them side by side: (lane variables, width), aligned.

        Panel after panel; in each, for every column of w, lane variables of that column of `vectors` x `width` of its
        rows. The rows of a head fill whole vectors: what is over repeats its last row.
        """
        key = (heads, width, vectors)
        if key not in self._panels:
            w = self.taken.view
            head = w.shape[0] // heads
            within = np.minimum(np.arange(-(-head // width) * width), head - 1)
            rows = (np.arange(heads)[:, None] * head + within).reshape(-1)
            across = vectors * width
            rows = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % across)])
            kept = _aligned(max(rows.size * w.shape[1], across), w.dtype)
            for n in range(rows.size // across if w.shape[1] else 0):
                part = kept[n * across * w.shape[1]:(n + 1) * across * w.shape[1]].reshape(-1, across)
                part[...] = w[rows[n * across:(n + 1) * across]].T
            self._panels[key] = kept.reshape(-1, width)
        return self._panels[key]


def _aligned(size, dtype):
    raw = np.empty(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start:start + size * dtype.itemsize].view(dtype)
