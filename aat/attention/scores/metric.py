"""What do the scores that are functions of a distance share?

Their epilogues first find z, half the squared chord in units of the curvature: z = cosh(c d) - 1 for K < 0,
1 - cos(c d) for K > 0, d^2 / 2 for K = 0. Then

    "squared"   -beta d^2        smooth, also where a query meets a key; the default
    "distance"  -beta d          a kink there
    "inner"     -beta z / |K|    beta (1 + <x, y>) at K = -1: no transcendental function; -beta d^2 / 2 as K -> 0
"""
from typing import ClassVar

import numpy as np

from aat import geometry
from aat.attention.scores.base import UNIT, Score, Tile, beta_of, choice, filled, paired, per_head, rows_of
from aat.geometry.curved import cosine_less_one, sinc

FAR = 300.0      # c r from which a slack of u e^(c r) is as good as infinite


class MetricScore(Score):
    """A score that falls with the distance of the points that q and k stand for.

    Subclasses: `_spatial` (what point a row is), `_z`, `_dz`, and the distance as a function of z.
    """

    forms: ClassVar[tuple[str, ...]] = ("squared", "distance", "inner")
    products_of_rows = ("dot", "difference")

    def __init__(self, beta, curvature, form, product):
        self.beta = beta_of(self.name, beta)
        self.curvature = curvature
        self.form = choice(self.name, "form", form, self.forms)
        self.product = choice(self.name, "product", product, self.products_of_rows)

    def points(self, x, argument="k"):
        """The points (..., D + 1) on the sheet that rows (..., L, D) stand for, float64."""
        raise NotImplementedError

    def _z(self, u, q, k, ops):
        raise NotImplementedError

    def _dz(self, u, q, k, ops):
        """d z / d u."""
        raise NotImplementedError

    def _angle(self, z, ops):
        """c d and its derivative's inverse, d z / d (c d): arcosh(1 + z) and sinh, for example."""
        raise NotImplementedError

    def _length(self, z, ops):
        """c d alone."""
        return self._angle(z, ops)[0]

    def _weight(self, rows):
        """The factor of a query row: beta over the power of |K| that the form divides by."""
        K = np.abs(self._K("q", rows))
        K = np.where(K == 0, 1.0, K)
        beta = per_head(self.name, "beta", self.beta, rows, "q")
        return filled(beta / (np.sqrt(K) if self.form == "distance" else K), rows)

    def _K(self, argument, rows):
        return per_head(self.name, "curvature", self.curvature, rows, argument)

    def apply(self, u, q, k, ops=np):
        """-weight times (c d)^2, c d or z."""
        z, weight = self._z(u[0], q, k, ops), -q[-1]
        if self.form == "inner":
            return weight * z
        a = self._length(z, ops)
        return weight * (a * a) if self.form == "squared" else weight * a

    def derivative(self, u, q, k, ops=np):
        """Chain rule through z: (c d)^2 has 2 c d / (dz / d(c d)), which is 2 at 0."""
        z = self._z(u[0], q, k, ops)
        step = self._dz(u[0], q, k, ops)
        if self.form == "inner":
            return (-(q[-1] * step),)
        a, slope = self._angle(z, ops)
        away = slope > 0
        safe = ops.where(away, slope, 1.0)
        if self.form == "squared":
            return (-(q[-1] * step * 2 * ops.where(away, a / safe, 1.0)),)
        return (-(q[-1] * step * ops.where(away, 1 / safe, 0.0)),)

    def of_distance(self, d, q, pairs=False):
        """The definition: the score of queries q at distances d, (..., Lq), or (..., Lq, Lk) for `pairs`."""
        K, beta = self._K("q", q), per_head(self.name, "beta", self.beta, q, "q")
        if pairs:
            K, beta = K[..., None], beta[..., None]
        if self.form == "squared":
            return -beta * d * d
        if self.form == "distance":
            return -beta * d
        return -beta * (np.abs(cosine_less_one(K, d)) / np.abs(K))

    def score(self, q, k):
        """`of_distance` of every pair."""
        q = rows_of(self.name, "q", q)
        x, y = self.points(q, "q"), self.points(paired(self.name, q, rows_of(self.name, "k", k)), "k")
        K = self._K("q", q)
        d = geometry.distance(x[..., :, None, :], y[..., None, :, :], K[..., None] if K.ndim else K)
        return self.of_distance(d, q, pairs=True)

    def tile(self, k):
        """Centroid, and the largest distance from it, rounded up."""
        k = rows_of(self.name, "k", k)
        y = self.points(k, "k")
        K = self._K("k", k)
        centre = geometry.centroid(y, None, K[..., 0] if K.ndim else K)
        d = geometry.distance(centre[..., None, :], y, K)
        return Tile(centre, (d + slack(lengths(centre)[..., None] + lengths(y), y, d)).max(-1))

    def tile_bound(self, q, tile):
        """The score at d_c + r and at max(0, d_c - r), d_c the distance of the centre: the triangle inequality.

        Sound at any radius, and wide beyond about 30 units of curvature, where a distance has no digits left.
        """
        q = rows_of(self.name, "q", q)
        x, y = self.points(q, "q"), tile.centre[..., None, :]
        K = self._K("q", q)
        d, r = geometry.distance(x, y, K), tile.radius[..., None]
        # a key's own distance is rounded too: it lies at most n cosh(c r) + x0 sinh(c r) / c from the axis
        bent = np.minimum(K, 0)
        c = np.sqrt(-bent)
        short = np.minimum(r, FAR / np.where(c == 0, 1.0, c)) if (c > 0).any() else r
        size = lengths(y) * np.exp(c * short) + r * sinc(bent, short)
        reach = slack(lengths(x) + lengths(y), x, d) + slack(lengths(x) + size, x, d + r)
        far, near = d + r + reach, np.maximum(d - r - reach, 0)
        if self.name == "spherical":
            far = np.minimum(far, np.pi / np.sqrt(K))
        with np.errstate(over="ignore"):        # an infinite bound says nothing, and is one
            low, high = self.of_distance(far, q), self.of_distance(near, q)
        turn = 32 * UNIT        # the rounding of the formulas behind d, relative to their result
        return low * (1 + turn), high * (1 - turn)


def lengths(x):
    """|s| of points (x0, s)."""
    return np.sqrt((x[..., 1:] ** 2).sum(-1))


def slack(size, x, d):
    """How far a computed distance may be off: the bound of geometry.distance, twice for the points' own rounding."""
    return 2 * (x.shape[-1] + 31) * UNIT * (size + d)
