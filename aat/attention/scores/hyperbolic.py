"""Scores of points of a hyperboloid: -beta d^2, -beta d or -beta (cosh(c d) - 1) / |K|.

As dot products, z = h_q + h_k + h_q h_k - u with h = cosh(c r) - 1 and u = K-scaled q.k errs by about
u cosh(c r_q) cosh(c r_k): float32 rows may be 3 to 4 units of curvature from the origin. As differences of unit
vectors, z / 2 = sinh^2((r_q - r_k) / 2) + sinh r_q sinh r_k u / 4, r in units of the curvature, is as good as the unit
vectors: along a ray at any radius, across it to u sinh r units (docs/geometry.md has the figures).
"""
import numpy as np

from aat import geometry
from aat.attention.scores.base import Prepared, choice, parameter, rows_of, squares
from aat.attention.scores.metric import MetricScore
from aat.geometry.curved import sinc


class Hyperbolic(MetricScore):
    """Rows stand for points of the hyperboloid of `curvature` < 0.

    beta > 0: a number or one a query head (Hq,). curvature: a number or one a KV head (Hk,). form: "squared",
    "distance", "inner". product: "dot" (near the origin), "difference" (anywhere). chart: what point a row s is, "lift"
    (sqrt(1 / |K| + |s|^2), s) or "exp" (the point at distance |s| from the origin in the direction of s).
    """

    name = "hyperbolic"

    def __init__(self, beta=1.0, curvature=-1.0, form="squared", product="dot", chart="lift"):
        curvature = parameter(self.name, "curvature", curvature, lambda x: x < 0, "numbers below 0",
                              "Euclidean is curvature 0, Spherical is above")
        super().__init__(beta, curvature, form, product)
        self.chart = choice(self.name, "chart", chart, ("lift", "exp"))
        dot = product == "dot"
        self.q_scalars = ("height", "weight") if dot else ("radius", "sinh", "weight")
        self.k_scalars = ("height",) if dot else ("radius", "sinh")

    def points(self, x, argument="k"):
        """Points (..., D + 1) of rows (..., D)."""
        return geometry.lift(self._spatial(x, argument), self._K(argument, x))

    def prepare_q(self, q):
        """Columns c s and cosh(c r) - 1 for "dot"; s / |s|, c r and sinh(c r) for "difference"; then the weight."""
        wide = rows_of(self.name, "q", q)
        columns, rows = self._prepare(wide, q, "q")
        return Prepared(columns[None], np.stack([*rows, self._weight(wide)]))

    def prepare_k(self, k):
        """The same without the weight."""
        columns, rows = self._prepare(rows_of(self.name, "k", k), k, "k")
        return Prepared(columns, np.stack(rows))

    def domain(self, q, k, ops=np):
        """u <= h_q + h_k + h_q h_k as z >= 0; a squared difference of unit vectors lies in [0, 4]."""
        if self.product == "difference":
            return ((0.0, 4.0),)
        return ((-np.inf, q[0] + k[0] + q[0] * k[0]),)

    def _spatial(self, x, argument):
        if self.chart == "lift":
            return x
        r = np.sqrt((x * x).sum(-1))
        return x * sinc(self._K(argument, x), r)[..., None]

    def _prepare(self, x, given, argument):
        c = np.sqrt(-self._K(argument, x))
        plain = self.chart == "lift" and (c == 1).all()
        a = x if plain else self._spatial(x, argument) * c[..., None]
        square = squares(a)
        if self.product == "dot":
            return np.asarray(given) if plain else a, [square / (1 + np.sqrt(1 + square))]
        n = np.sqrt(square)
        return a / np.where(n == 0, 1.0, n)[..., None], [np.arcsinh(n), n]

    def _z(self, u, q, k, ops):
        if self.product == "dot":
            return ops.maximum((k[0] + q[0] * (1 + k[0])) - u, 0.0)
        half = ops.sinh((q[0] - k[0]) * 0.5)
        return (half * half + q[1] * k[1] * u * 0.25) * 2

    def _dz(self, u, q, k, ops):
        return -1.0 if self.product == "dot" else q[1] * k[1] * 0.5

    def _length(self, z, ops):
        whole = getattr(ops, "arccosh1p", None)     # lanes have it in one
        return self._angle(z, ops)[0] if whole is None else whole(z)

    def _angle(self, z, ops):
        slope = ops.sqrt(z * (z + 2))           # sinh(c d)
        return ops.log1p(z + slope), slope      # arcosh(1 + z)
