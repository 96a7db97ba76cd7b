"""What is known about tiles of keys before a query comes: KeySummary."""
import copy
import operator

import numpy as np

from aat.errors import type_error, value_error
from aat.tiling import launch_summary, moments
from aat.tiling.moments import NAMES, TINY, UNIT, TileMoments
from aat.tiling.order import CHUNK, SORTS, Sorted
from aat.tiling.threads import share

DTYPES = ("float16", "bfloat16", "float32", "float64")


class KeySummary:
    """Per (batch, KV head, tile of `block` keys): count, centre, radius, largest eigenvalue, value spread.

    About (2 D + 4) / (2 D block) of the memory of keys and values. From it aat.tiling.bounds says how much a tile can
    weigh for a query, and how wrong its mean would be in its place; the meaning of each number is TileMoments'.

    Args:
        k: (B, Hk, L, D) or (Hk, L, D), float16, bfloat16, float32 or float64 NumPy array.
        v: the same but for the last axis, Dv.
        block: keys of a tile; tiles start at multiples of it.
        kv_lens: (B,) ints or None; keys at or past it do not exist.
        session: an open aat.backends.session.Session or None. On a CPU with the intrinsics kernels/tile_summary.py
            computes the numbers; NumPy does elsewhere.
        sort: None, "balls" or "bisect" (aat/tiling/order.py): order the keys of each head so that tiles get tight. The
            summary then keeps keys and values in that order, which costs their memory once more, and a call that uses
            it attends to those. Such a call may not tell keys apart by their position: no causal, window, and no mask
            or bias with an axis of keys. Results differ by rounding alone.
        chunk: with a sort, how many keys are ordered together; appended ones are when so many have come.

    Raises:
        TypeError: k or v is not an array of a known float dtype, or they differ; block is not an integer.
        ValueError: shapes that do not fit, block < 1, kv_lens outside 0 .. L, another sort, a chunk below block.

    Attributes:
        block, length, d, dv: ints; length is L, appended keys included.
        lens: (B,) keys that exist. largest: (B, Hk) max |v|, inf where a value is not finite.
        spread: (B, Hk), the range of the widest column of the values, rounded up; inf likewise.
        sorted: None, or the aat.tiling.order.Sorted with the keys, the values, and the order that they are in.
    """

    def __init__(self, k, v, block, kv_lens=None, session=None, sort=None, chunk=CHUNK):
        k, v = _arrays(k, v)
        self._session = session
        self.block = _block(block)
        self.batch, self.heads, _, self.d = k.shape
        self.dv, self.dtype = v.shape[3], k.dtype
        self.length = 0
        self.lens = np.zeros(self.batch, np.int64)
        self._ragged = kv_lens is not None
        self._moments = moments.empty((self.batch, self.heads), 0, self.d, self.dv)
        self._open = tuple(np.zeros((self.batch, self.heads, 0, n), np.float32) for n in (self.d, self.dv))
        self._low, self._high = (np.full((self.batch, self.heads, self.dv), end, np.float32)
                                 for end in (np.inf, -np.inf))
        self.sorted = _sorted(sort, chunk, self.block, k, v)
        lens = _lengths(kv_lens, self.batch, k.shape[2])
        if self.sorted is not None:
            self.sorted.add(k, v)
            self.sorted.seal(lens, 0)
            k, v = self.sorted.k, self.sorted.v
        self._extend(k, v, lens)

    def __repr__(self):
        return (f"KeySummary({self.batch} x {self.heads} heads, {self.length} keys in tiles of {self.block}, "
                f"D {self.d}, Dv {self.dv})")

    @property
    def tiles(self):
        """How many tiles there are, the open one included."""
        return -(-self.length // self.block)

    @property
    def moments(self):
        """TileMoments of all tiles: arrays (B, Hk, tiles) and (B, Hk, tiles, D or Dv), views."""
        return TileMoments(**{name: getattr(self._moments, name)[:, :, :self.tiles] for name in NAMES})

    @property
    def largest(self):
        """(B, Hk) float32, >= max |v| and no more than its rounding; 0 where there are no keys."""
        top = np.maximum(np.abs(self._low), np.abs(self._high)).max(2, initial=0)
        return self._outwards(np.where(self.lens[:, None] > 0, top, 0))

    @property
    def spread(self):
        """(B, Hk) float32, >= max over columns of (largest - smallest value)."""
        with np.errstate(invalid="ignore"):
            width = np.where(self.lens[:, None, None] > 0, self._high - self._low, 0).max(2, initial=0)
        return self._outwards(width + 2 * UNIT * np.where(np.isfinite(self.largest), self.largest, 0))

    @property
    def nbytes(self):
        """Bytes of the numbers of all tiles."""
        return sum(getattr(self.moments, name).nbytes for name in NAMES)

    def append(self, k, v):
        """Add keys (B, Hk, n, D) and values behind the last ones; only the open tile is computed again (with a sort,
        once in `chunk` keys, those that came since they were last ordered).

        Raises what the constructor raises, and ValueError where kv_lens was given: the place of the new keys would
        differ from batch to batch.
        """
        k, v = _arrays(k, v)
        want = (self.batch, self.heads)
        if k.shape[:2] != want or (k.shape[3], v.shape[3]) != (self.d, self.dv):
            raise value_error("k, v", f"(B, Hk, n, D) = ({want[0]}, {want[1]}, n, {self.d}) and Dv = {self.dv}",
                              f"{k.shape} and {v.shape}", "append keys of the same heads")
        if k.dtype != self.dtype:
            raise type_error("k", f"dtype {self.dtype}, as before", str(k.dtype), "cast the new keys")
        if self._ragged:
            raise value_error("append", "a summary without kv_lens", "one with kv_lens",
                              "build a summary of the whole cache")
        lens = np.full(self.batch, self.length + k.shape[2])
        if self.sorted is not None:
            self.sorted.add(k, v)
            first = self.sorted.seal(lens, self.sorted.chunk)
            if first is not None:
                self._rewind(first)
                k, v = self.sorted.k[:, :, first:], self.sorted.v[:, :, first:]
        self._extend(k, v, lens)

    def truncate(self, length, k=None, v=None):
        """Keep the first `length` keys that were given or appended.

        k, v: those keys (B, Hk, length, D) and their values, of which the tile that is cut and the range of the values
        are read; not needed with a sort, which keeps them.

        Raises what the constructor raises, and ValueError for a length beyond what there is or with kv_lens.
        """
        if self._ragged:
            raise value_error("truncate", "a summary without kv_lens", "one with kv_lens", "build it anew")
        if isinstance(length, bool) or not isinstance(length, int | np.integer) or not 0 <= length <= self.length:
            raise value_error("length", f"a whole number from 0 to {self.length}", repr(length))
        first = length // self.block * self.block
        if self.sorted is not None:
            first = self.sorted.cut_back(length)
            k, v = self.sorted.k, self.sorted.v
        elif k is None or v is None:
            raise value_error("k, v", f"the {length} keys that stay, and their values", "none",
                              "the summary does not keep them")
        else:
            k, v = _arrays(k, v)
            want = (self.batch, self.heads, length, self.d)
            if k.shape != want or v.shape[3] != self.dv or k.dtype != self.dtype:
                raise value_error("k, v", f"{self.dtype} {want} and Dv = {self.dv}, the keys that stay",
                                  f"{k.dtype} {k.shape} and {v.shape}")
        self._rewind(first)
        with np.errstate(invalid="ignore", over="ignore"):
            kept = v[:, :, :first].astype(np.float32, copy=False)
            self._low, self._high = kept.min(2, initial=np.inf), kept.max(2, initial=-np.inf)
        self._extend(k[:, :, first:], v[:, :, first:], np.full(self.batch, length))

    def _rewind(self, first):
        """Forget the tiles from key `first` on, where one begins."""
        self.length = first
        self._open = tuple(x[:, :, :0] for x in self._open)

    def part(self, batch, heads):
        """The KeySummary of some batch entries and KV heads, two slices; a copy, to which nothing of this one is tied.
        """
        own = copy.copy(self)
        own.lens = self.lens[batch].copy()
        own._moments = TileMoments(**{name: getattr(self.moments, name)[batch, heads].copy() for name in NAMES})
        own._open = tuple(x[batch, heads].copy() for x in self._open)
        own._low, own._high = self._low[batch, heads].copy(), self._high[batch, heads].copy()
        own.batch, own.heads = own._low.shape[:2]
        return own

    def check(self, k_shape, block=None, dv=None, lens=None):
        """Raise ValueError unless the summary fits keys (B, Hk, L, D), tiles of `block`, values of size `dv` and the
        lengths `lens` (B,), None: any."""
        have = (self.batch, self.heads, self.length, self.d)
        if tuple(k_shape) != have:
            raise value_error("summary", f"a summary of keys {tuple(k_shape)}", f"one of keys {have}",
                              "build it from the keys of this call")
        if block is not None and block != self.block:
            raise value_error("summary", f"tiles of {block} keys", f"tiles of {self.block}",
                              "build it with the block of the call's tiling")
        if dv is not None and dv != self.dv:
            raise value_error("summary", f"one of values of size {dv}", f"one of size {self.dv}",
                              "build it from the values of this call")
        if lens is not None and not np.array_equal(lens, self.lens):
            raise value_error("summary", f"kv_lens {np.asarray(lens).tolist()}", f"{self.lens.tolist()}",
                              "build it with the kv_lens of this call")

    def _extend(self, k, v, lens):
        """Append, where lens are the keys that exist afterwards."""
        start = self.length - self._open[0].shape[2]
        session = self._session
        by_kernel = session is not None and session.alive and launch_summary.suits(session, self.block, k, v)
        stored = by_kernel and self.dtype != np.float64         # a kernel reads 16 bits as they are
        k, v = (np.concatenate([old, new.astype(np.float32)], 2) if old.shape[2] else new if stored else _float32(new)
                for old, new in zip(self._open, (k, v), strict=True))
        self.length, self.lens = start + k.shape[2], lens
        first, tiles = start // self.block, self.tiles
        self._reserve(tiles)
        count = np.clip(lens[:, None] - np.arange(first, tiles) * self.block, 0, self.block)
        rounded = UNIT if self.dtype == np.float64 else 0
        whole = k.shape[2] // self.block * self.block
        if by_kernel:
            self._moments.count[:, :, first:tiles] = count[:, None]
            low, high = launch_summary.summarize(session, k, v, lens - start, self.block, self._moments, first,
                                                 float(rounded))
            self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
            self._open = tuple(np.array(x[:, :, whole:], np.float32) for x in (k, v))
            return

        def some(heads):
            work = moments.Workspace()
            for index in heads:
                for part, begin in ((slice(0, whole), 0), (slice(whole, None), whole // self.block)):
                    self._measure(k[index][part], v[index][part], count[index[0], begin:], first + begin, rounded,
                                  index, work)

        share(some, list(np.ndindex(self.batch, self.heads)), k.shape[2] * k.shape[0] * k.shape[1])
        self._open = tuple(np.array(x[:, :, whole:]) for x in (k, v))

    def _measure(self, k, v, count, first, rounded, head, work):
        n = len(k)
        if not n:
            return
        block = self.block if n % self.block == 0 else n        # an open tile stands alone
        tiles = n // block
        count = count[:tiles]
        k, v = (x.reshape(tiles, block, -1) for x in (k, v))
        if (count < block).any():
            gone = (np.arange(block) >= count[:, None])[..., None]
            k, v = (np.where(gone, np.float32(0), x) for x in (k, v))
        part = slice(first, first + tiles)
        out = TileMoments(**{name: getattr(self._moments, name)[head][part] for name in NAMES})
        low, high = moments.measure(k, v, count, rounded, out, work)
        self._low[head], self._high[head] = np.minimum(self._low[head], low), np.maximum(self._high[head], high)

    def _reserve(self, tiles):
        have = self._moments.count.shape[2]
        if tiles <= have:
            return
        grown = moments.empty((self.batch, self.heads), tiles if not have else max(tiles, 2 * have), self.d, self.dv)
        for name in NAMES:
            getattr(grown, name)[:, :, :have] = getattr(self._moments, name)
        self._moments = grown

    def _outwards(self, x):
        rounded = 4 * UNIT if self.dtype == np.float64 else UNIT
        x = np.where(np.isfinite(x), x, np.inf).astype(np.float32)
        return np.where(x > 0, x * (1 + 2 * rounded) + TINY, x).astype(np.float32)


def _sorted(sort, chunk, block, k, v):
    if sort is None:
        return None
    if sort not in SORTS:
        raise value_error("sort", f"None or one of {', '.join(map(repr, SORTS))}", repr(sort))
    if isinstance(chunk, bool) or not isinstance(chunk, int | np.integer) or chunk < block:
        raise value_error("chunk", f"at least the {block} keys of a tile", repr(chunk))
    return Sorted(sort, int(chunk) // block * block, block, k, v)


def _float32(x):
    with np.errstate(over="ignore"):
        return x if x.dtype == np.float32 else x.astype(np.float32)


def _arrays(k, v):
    for name, x in (("k", k), ("v", v)):
        if not isinstance(x, np.ndarray) or x.dtype.name not in DTYPES:
            got = f"dtype {x.dtype}" if isinstance(x, np.ndarray) else f"a {type(x).__name__}"
            raise type_error(name, f"a NumPy array of {', '.join(DTYPES)}", got, "convert it first")
    if k.dtype != v.dtype:
        raise type_error("v", f"dtype {k.dtype}, as k has", str(v.dtype), "cast one of them")
    if k.ndim not in (3, 4) or v.ndim != k.ndim or k.shape[:-1] != v.shape[:-1] or 0 in (k.shape[-1], v.shape[-1]):
        raise value_error("k, v", "(B, Hk, L, D) and (B, Hk, L, Dv), or both without B", f"{k.shape} and {v.shape}",
                          "they hold the same keys")
    return (k[None], v[None]) if k.ndim == 3 else (k, v)


def _block(block):
    try:
        if isinstance(block, (bool, np.bool_)):
            raise TypeError
        block = operator.index(block)
    except TypeError:
        raise type_error("block", "a positive integer", repr(block), "64 is a good size") from None
    if block < 1:
        raise value_error("block", "a positive integer", str(block), "64 is a good size")
    return block


def _lengths(kv_lens, batch, length):
    if kv_lens is None:
        return np.full(batch, length, np.int64)
    lens = np.asarray(kv_lens)
    if lens.shape != (batch,) or not np.issubdtype(lens.dtype, np.integer):
        raise value_error("kv_lens", f"{batch} integers", f"shape {lens.shape} of {lens.dtype}", "one a batch entry")
    if ((lens < 0) | (lens > length)).any():
        raise value_error("kv_lens", f"0 .. {length}", str(lens.tolist()), "lengths lie within the keys")
    return lens.astype(np.int64)
