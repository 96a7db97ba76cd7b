"""What is kept of a tile of keys and values, and how large is the rounding error of each number?

Everything is float32; every bound is rounded outwards. u = 2^-24 is half a unit in the last place of 1.
"""
from dataclasses import dataclass, fields

import numpy as np

UNIT = np.float32(2.0**-24)
TINY = np.float32(2.0**-120)        # covers gradual underflow: a product of two numbers below it is not missed
CHUNK = 2**18                       # keys x columns handled at once


@dataclass(frozen=True)
class TileMoments:
    """The numbers of tiles, arrays over any leading axes (T tiles last); D, Dv behind for the vectors.

    count        keys of the tile
    key          the centre c, a float32 vector near the mean key
    key_norm     >= |c|
    radius       >= |k_j - mean key| for every key
    eigenvalue   >= the largest eigenvalue of the covariance of the keys
    shift        >= |c - mean key|, the rounding error of the centre
    value        vbar, a float32 vector near the mean value
    value_spread >= the standard deviation of any column of the values
    value_shift  >= |vbar - mean value| in any column
    """

    count: np.ndarray
    key: np.ndarray
    key_norm: np.ndarray
    radius: np.ndarray
    eigenvalue: np.ndarray
    shift: np.ndarray
    value: np.ndarray
    value_spread: np.ndarray
    value_shift: np.ndarray


VECTORS = {"key": "D", "value": "Dv"}
NAMES = tuple(field.name for field in fields(TileMoments))


def empty(lead, tiles, d, dv):
    """Room for the moments of `tiles` tiles."""
    width = {"D": d, "Dv": dv}
    return TileMoments(**{
        name: np.zeros((*lead, tiles, *([width[VECTORS[name]]] if name in VECTORS else [])),
                       np.int32 if name == "count" else np.float32) for name in NAMES})


class Workspace:
    """Arrays that are used again from chunk to chunk: fresh ones cost more in page faults than their arithmetic."""

    def __init__(self):
        self._arrays = {}

    def __call__(self, name, shape):
        """A float32 array of that shape, which holds whatever it held."""
        size = int(np.prod(shape))
        if self._arrays.get(name, np.empty(0)).size < size:
            self._arrays[name] = np.empty(size, np.float32)
        return self._arrays[name][:size].reshape(shape)


def measure(k, v, count, rounded, into, work):
    """Fill `into` (moments over (T,)) from keys (T, n, D) and values (T, n, Dv), of which count (T,) exist.

    `rounded`: relative error of the float32 numbers k and v (0, or 2^-24 where they were float64).
    Keys that do not exist must hold zeros. A tile with a NaN or an infinity gets infinite bounds and centre 0.

    Returns:
        (low, high): (Dv,) the range of the values that exist.
    """
    T, n, d = k.shape
    low, high = (np.full(v.shape[2], end, np.float32) for end in (np.inf, -np.inf))
    step = max(1, CHUNK // max(1, n * max(d, v.shape[2])))
    with np.errstate(all="ignore"):      # overflow is an answer here: the bound is infinite
        for a in range(0, T, step):
            part = slice(a, a + step)
            some = TileMoments(**{name: getattr(into, name)[part] for name in NAMES})
            some.count[...] = count[part]
            full = bool((count[part] == n).all())
            _keys(k[part], np.float32(rounded), full, some, work)
            least, most = _values(v[part], np.float32(rounded), full, some, work)
            low, high = np.minimum(low, least), np.maximum(high, most)
    return low, high


def _keys(k, rounded, full, out, work):
    n, d = k.shape[1:]
    size = np.maximum(out.count, 1).astype(np.float32)
    c = _sum(k) / size[:, None]
    x = np.subtract(k, c[:, None], out=work("x", k.shape))
    if not full:
        x[np.arange(n) >= out.count[:, None]] = 0
    squares = np.einsum("tnd,tnd->tn", x, x)
    norm = np.sqrt(np.einsum("td,td->t", c, c)) * (1 + d * UNIT) + TINY
    far = np.sqrt(squares.max(1)) * (1 + (d + 4) * UNIT)
    # the float32 sum of n terms errs by n u times the sum of their sizes, each at most norm + far
    shift = (n + 4) * UNIT * (norm + far) + TINY
    moved = rounded * (norm + far)
    largest = np.sqrt(largest_eigenvalue(x, squares.sum(1), size, work)) + moved
    radius, shift = (far + shift + moved) * (1 + 4 * UNIT), shift + moved
    bad = ~(np.isfinite(radius) & np.isfinite(largest) & np.isfinite(norm))
    for array, value in ((c, 0), (norm, 0), (radius, np.inf), (largest, np.inf), (shift, np.inf)):
        array[bad] = value
    out.key[...], out.key_norm[...], out.radius[...], out.shift[...] = c, norm, radius, shift
    out.eigenvalue[...] = largest * largest * (1 + 4 * UNIT)


def largest_eigenvalue(x, squares, size, work):
    """An upper bound (T,) on the largest eigenvalue of x^T x / size, x (T, n, D), `squares` the sum of x^2.

    |A^4|_F^(1/4) with A the second moment over its trace: at most D^(1/8) too large, in practice 5 % (two squarings).
    Power iteration would give a lower bound. Where there are fewer keys than columns, x x^T, which has the same
    eigenvalues, is smaller. Each matrix product errs by at most D u |A|_F |B|_F, and that is added.
    """
    n, d = x.shape[1:]
    m = min(n, d)
    t = np.swapaxes(x, 1, 2)
    a, b, c = (work(name, (len(x), m, m)) for name in "abc")
    np.matmul(*((t, x) if d <= n else (x, t)), out=a)       # x against its own transpose: exactly symmetric
    trace = squares * (1 + (n + d) * UNIT)
    a /= np.where(trace > TINY, trace, 1)[:, None, None]
    np.matmul(a, a, out=b)
    np.matmul(b, b, out=c)
    fa, fb, fc = (np.einsum("tij,tij->t", y, y) for y in (a, b, c))      # squared Frobenius norms
    error = (m + 4) * UNIT
    # b = A^2 + E with |E| <= error fa, hence A^4 = b b - b E - E b + E E
    fourth = np.sqrt(fc) * (1 + m * error) + error * (fb + 2 * fa * np.sqrt(fb) + fa * fa)
    relative = np.sqrt(np.sqrt(fourth)) * (1 + 8 * UNIT) + 2 * (n + d + 4) * UNIT
    # |A|_F <= trace: the ratio is at most 1, and a trace that is itself tiny or infinite is the bound
    return np.where(trace > TINY, np.minimum(relative, 1) * trace, trace + TINY) / size


def _values(v, rounded, full, out, work):
    n = v.shape[1]
    size = np.maximum(out.count, 1).astype(np.float32)[:, None]
    mean = _sum(v) / size
    x = np.subtract(v, mean[:, None], out=work("x", v.shape))
    low, high = v, v
    if not full:
        gone = np.arange(n) >= out.count[:, None]
        x[gone] = 0
        low, high = (np.where(gone[..., None], np.float32(end), v) for end in (np.inf, -np.inf))
    spread = np.sqrt(np.einsum("tnc,tnc->tc", x, x).max(1) / size[:, 0]) * (1 + (n + 8) * UNIT)
    low, high = _over_tiles(np.min, low), _over_tiles(np.max, high)
    # the mean size of a column's values is at most that of the mean and a standard deviation
    top = np.abs(mean).max(1) + spread + TINY
    spread += rounded * top
    bad = ~(np.isfinite(spread) & np.isfinite(mean).all(1))
    mean[bad] = 0
    out.value[...] = mean
    out.value_spread[...] = np.where(bad, np.inf, spread + TINY)
    out.value_shift[...] = np.where(bad, np.inf, ((n + 4) * UNIT + rounded) * top)
    return low, high


def _over_tiles(reduce, v):
    """min or max of v (T, n, Dv) over the first two axes; long rows first, which is several times faster."""
    return reduce(reduce(v.reshape(len(v), -1), 0).reshape(v.shape[1:]), 0)


def _sum(x):
    """The sum over axis 1 as a product with ones: three times as fast as sum(1)."""
    return np.matmul(np.ones((1, x.shape[1]), x.dtype), x)[:, 0]
