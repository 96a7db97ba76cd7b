"""What is a score, so that one attention kernel can run any of them?

A kernel computes, for a query row and a key row, one or two sums u_p over columns, and turns them into a score by an
epilogue that knows nothing else than a few numbers of each row:

    s = apply((u_0, ..), q_row, k_row)       u_p = sum_c q_pc k_c  ("dot")  or  sum_c (q_pc - k_c)^2  ("difference")

`prepare_q` and `prepare_k` make those columns and numbers on the host, in O(L D). Everything per head (beta, curvature)
is folded into them, so an epilogue has no parameters. It is straight-line code of + - * / and the functions OPERATIONS
of `ops`: NumPy here; for a kernel, an object with the same functions on lanes. q_row are lane variables there (a lane
is a query), k_row scalars of the key.

`score` is the definition, float64, written without the epilogue; tests hold the two together. `tile` and `tile_bound`
bound the score of a tile of keys from a centre and a radius.
"""
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aat.errors import type_error, value_error

OPERATIONS = ("sqrt", "log", "log1p", "sinh", "arcsin", "maximum", "minimum", "where")
UNIT = 2.0**-53


@dataclass(frozen=True)
class Prepared:
    """Rows ready for a kernel: columns (products, ..., L, D') for queries and (..., L, D') for keys; rows of scalars.

    scalars: (n, ..., L), in the order of the score's `q_scalars` or `k_scalars`. Both are float64, but for columns that
    are the rows as they came.
    """

    columns: np.ndarray
    scalars: np.ndarray


@dataclass(frozen=True)
class Tile:
    """Keys that lie within `radius` (...) of `centre` (..., width), in the distance that the score is a function of."""

    centre: np.ndarray
    radius: np.ndarray


class Score:
    """Base of the scores. A subclass fills the slots; q is (..., Hq, Lq, D), k is (..., Hk, Lk, D), Hk divides Hq.

    product: "dot" or "difference": what the kernel sums. products: how many sums. q_scalars, k_scalars: the names of
    the row numbers, in the order in which `apply` gets them.
    """

    name = ""
    product = "dot"
    products = 1
    q_scalars: tuple[str, ...] = ()
    k_scalars: tuple[str, ...] = ()
    forms: ClassVar[tuple[str, ...]] = ()
    host_only: ClassVar[tuple[str, ...]] = ("chart",)       # attributes that `apply` does not ask for

    def columns(self, d):
        """How many columns of one product rows of d columns are prepared to."""
        return d

    def key(self):
        """What `apply` depends on, hashable: kernels of scores with equal keys are the same kernel.

        The class and its plain attributes; arrays (beta, curvature) are folded into columns and row numbers.
        """
        plain = ((name, value) for name, value in sorted(vars(self).items()) if name not in self.host_only)
        return type(self), tuple((name, value) for name, value in plain if isinstance(value, (str, int, float)))

    def prepare_q(self, q):
        """Prepared queries."""
        raise NotImplementedError

    def prepare_k(self, k):
        """Prepared keys."""
        raise NotImplementedError

    def apply(self, u, q, k, ops=np):
        """The score, by the sums u (a tuple), row numbers q and k (tuples), and the functions of `ops`."""
        raise NotImplementedError

    def derivative(self, u, q, k, ops=np):
        """d score / d u_p for each p, a tuple. Where the score has a kink (a distance of 0) it is 0."""
        raise NotImplementedError

    def domain(self, q, k, ops=np):
        """(lowest, highest) value of each u_p that exact arithmetic can give; `apply` clamps what rounding adds."""
        raise NotImplementedError

    def score(self, q, k):
        """The definition: scores (..., Hq, Lq, Lk), float64, in O(Lq Lk D) memory."""
        raise NotImplementedError

    def defined(self, q, k):
        """`score`, and NaN for pairs of which a row is not finite."""
        (q, no_q), (k, no_k) = finite_rows(q), finite_rows(k)
        s = self.score(q, k)
        if no_q.any() or no_k.any():
            no_k = grouped(no_k[..., None], s.shape[-3])[..., 0] if s.ndim > 2 else no_k
            s = np.where(no_q[..., :, None] | no_k[..., None, :], np.nan, s)
        return s

    def tile(self, k):
        """The Tile of keys k (..., n, D): its centre, and a radius rounded up. Many tiles: (T, B, H, n, D)."""
        raise NotImplementedError

    def tile_bound(self, q, tile):
        """(lowest, highest) score of queries q (..., Lq, D) over a Tile of leading axes (...): arrays (..., Lq)."""
        raise NotImplementedError

    def rows(self, q, k):
        """The arguments of `apply` for prepared rows: (u, q_row, k_row), each broadcasting to (..., Hq, Lq, Lk)."""
        columns = paired(self.name, q.columns[0], k.columns)
        if self.product == "dot":
            u = tuple(np.matmul(part, np.swapaxes(columns, -1, -2)) for part in q.columns)
        else:
            u = tuple(((part[..., :, None, :] - columns[..., None, :, :]) ** 2).sum(-1) for part in q.columns)
        scalars = k.scalars
        if q.columns.ndim > 3 and len(scalars):
            scalars = grouped(scalars[..., None], q.columns.shape[-3])[..., 0]
        return u, tuple(x[..., :, None] for x in q.scalars), tuple(x[..., None, :] for x in scalars)

    def evaluate(self, q, k):
        """What a kernel computes, in float64: prepare, sum, apply."""
        return self.apply(*self.rows(self.prepare_q(q), self.prepare_k(k)))


def grouped(x, heads):
    """k-side (..., Hk, L, D) as (..., heads, L, D): query head h reads KV head h // (heads / Hk)."""
    have = x.shape[-3]
    if have == heads:
        return x
    return np.repeat(x, heads // have, -3)


def paired(score, q, k):
    """k for the heads of q, after a check that they fit: as many columns, heads that divide those of q."""
    if q.shape[-1] != k.shape[-1] or k.ndim < min(q.ndim, 3):
        raise value_error(f"{score}: k", f"shape (..., Hk, Lk, {q.shape[-1]}) as q has", f"shape {k.shape}")
    if q.ndim < 3:
        return k
    if not k.shape[-3] or q.shape[-3] % k.shape[-3]:
        raise value_error(f"{score}: k", f"a number of heads that divides the {q.shape[-3]} of q",
                          f"{k.shape[-3]} heads")
    return grouped(k, q.shape[-3])


def finite_rows(x):
    """(rows, which of them are not finite): x (..., L, D) with another row, that any score takes, in their places."""
    fine = np.isfinite(x)
    if fine.all():
        return x, np.zeros(x.shape[:-1], bool)
    wrong = ~fine.all(-1)
    if wrong.any():
        other = x[~wrong][0] if not wrong.all() else np.full(x.shape[-1], 1e-3, x.dtype)
        x = np.where(wrong[..., None], other, x)
    return x, wrong


def parameter(score, name, value, condition, expected, remedy=""):
    """A number, or an array of one number a head (H,), as float64; `condition` must hold for each."""
    x = np.asarray(value)
    if x.dtype.kind not in "iuf":
        raise type_error(f"{score}: {name}", "a real number, or an array of one a head", f"{value!r}")
    x = x.astype(np.float64)
    if x.ndim > 1 or x.size == 0:
        raise value_error(f"{score}: {name}", "a number, or shape (heads,)", f"shape {x.shape}")
    wrong = ~(np.isfinite(x) & condition(x))
    if wrong.any():
        raise value_error(f"{score}: {name}", expected, f"{x[wrong].flat[0]:g}", remedy)
    return x


def choice(score, name, value, choices):
    """One of the names in `choices`."""
    if value not in choices:
        raise value_error(f"{score}: {name}", " or ".join(f'"{c}"' for c in choices), repr(value))
    return value


def beta_of(score, beta):
    """beta > 0, a number or (Hq,)."""
    return parameter(score, "beta", beta, lambda x: x > 0, "numbers above 0",
                     "a nearer key must score higher; to repel, negate the values")


def squares(x):
    """sum x^2 of rows (..., D) of float64: a product of matrices, twice as fast as a sum of squares."""
    return np.matmul(x[..., None, :], x[..., :, None])[..., 0, 0]


def rows_of(score, name, x, columns=1):
    """Vectors (..., L, D) as float64, finite or not."""
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise type_error(f"{score}: {name}", "real numbers", str(x.dtype), "bfloat16 comes as float32")
    if x.ndim < 2 or x.shape[-1] % columns or not x.shape[-1]:
        many = "" if columns == 1 else f", D a multiple of {columns}"
        raise value_error(f"{score}: {name}", f"shape (..., L, D){many}", f"shape {x.shape}")
    return x.astype(np.float64)


def per_head(score, name, value, rows, argument):
    """A parameter against the rows of an array (..., H, L, D): () or (H', 1), H a multiple of H'."""
    if value.ndim == 0:
        return value
    heads = rows.shape[-3] if rows.ndim > 2 else 1
    if heads % len(value):
        raise value_error(f"{score}: {name}", f"one number, or one for each of the {heads} heads of {argument}",
                          f"{len(value)} numbers")
    return np.repeat(value, heads // len(value))[:, None]


def filled(value, rows):
    """A value for every row of (..., L, D)."""
    return np.broadcast_to(value, rows.shape[:-1])
