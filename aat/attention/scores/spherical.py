"""Scores of points of a sphere: -beta d^2, -beta d or -beta (1 - cos(c d)) / K.

As dot products, z = h_q + h_k - h_q h_k - u with h = 1 - cos(c r) and u = K-scaled q.k; as differences
z = |x - y|^2 / 2 of unit vectors of D + 1 columns. The derivative of d^2 is unbounded at antipodes.
"""
import numpy as np

from aat import geometry
from aat.attention.scores.base import Prepared, choice, parameter, rows_of, squares
from aat.attention.scores.metric import MetricScore
from aat.geometry.curved import sinc


class Spherical(MetricScore):
    """Rows stand for points of the sphere of `curvature` > 0; arguments as of Hyperbolic.

    chart "lift" takes rows with |s|^2 <= 1 / K and reaches half the sphere; "exp" (the default) takes any row and
    wraps around.
    """

    name = "spherical"

    def __init__(self, beta=1.0, curvature=1.0, form="squared", product="dot", chart="exp"):
        curvature = parameter(self.name, "curvature", curvature, lambda x: x > 0, "numbers above 0",
                              "Euclidean is curvature 0, Hyperbolic is below")
        super().__init__(beta, curvature, form, product)
        self.chart = choice(self.name, "chart", chart, ("lift", "exp"))
        dot = product == "dot"
        self.q_scalars = ("height", "weight") if dot else ("weight",)
        self.k_scalars = ("height",) if dot else ()

    def columns(self, d):
        """D for "dot", D + 1 for "difference"."""
        return d + (self.product == "difference")

    def points(self, x, argument="k"):
        """Points (..., D + 1) of rows (..., D)."""
        K = self._K(argument, x)
        if self.chart == "lift":
            return geometry.lift(x, K)
        unit = self._unit(x, argument)
        return unit / np.sqrt(K)[..., None]

    def prepare_q(self, q):
        """Columns c s and 1 - cos(c r) for "dot"; c (x0, s) for "difference"; then the weight."""
        q = rows_of(self.name, "q", q)
        columns, rows = self._prepare(q, "q")
        return Prepared(columns[None], np.stack([*rows, self._weight(q)]))

    def prepare_k(self, k):
        """The same without the weight."""
        k = rows_of(self.name, "k", k)
        columns, rows = self._prepare(k, "k")
        return Prepared(columns, np.stack(rows) if rows else np.empty((0, *k.shape[:-1])))

    def domain(self, q, k, ops=np):
        """0 <= z <= 2."""
        if self.product == "difference":
            return ((0.0, 4.0),)
        top = q[0] + k[0] - q[0] * k[0]
        return ((top - 2, top),)

    def _unit(self, x, argument):
        """c times the point, a unit vector of D + 1 columns."""
        K = self._K(argument, x)
        c = np.sqrt(K)
        if self.chart == "lift":
            return self.points(x, argument) * c[..., None]
        r = np.sqrt((x * x).sum(-1))
        spatial = x * (c * sinc(K, r))[..., None]
        return np.concatenate([np.cos(c * r)[..., None], spatial], -1)

    def _prepare(self, x, argument):
        unit = self._unit(x, argument)
        if self.product == "difference":
            return unit, []
        square = squares(unit[..., 1:])
        above = square / (1 + np.sqrt(np.maximum(1 - square, 0)))       # no cancellation near the pole
        return unit[..., 1:], [np.where(unit[..., 0] > 0, above, 1 - unit[..., 0])]

    def _z(self, u, q, k, ops):
        z = u * 0.5 if self.product == "difference" else ops.maximum((q[0] + k[0] - q[0] * k[0]) - u, 0.0)
        return ops.minimum(z, 2.0)

    def _dz(self, u, q, k, ops):
        return 0.5 if self.product == "difference" else -1.0

    def _angle(self, z, ops):
        slope = ops.sqrt(z * (2 - z))                       # sin(c d)
        return 2 * ops.arcsin(ops.sqrt(z * 0.5)), slope     # arccos(1 - z)
