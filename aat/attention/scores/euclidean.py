"""-beta |q - k|^2 or -beta |q - k|.

As dot products: |q - k|^2 = |q|^2 + |k|^2 - 2 q.k, which errs by about u (|q| + |k|)^2; as differences, by u |q - k|^2.
"""
import numpy as np

from aat.attention.scores.base import Prepared, filled, rows_of, squares
from aat.attention.scores.metric import MetricScore


class Euclidean(MetricScore):
    """-beta d^2 ("squared") or -beta d ("distance"), d = |q - k|; beta > 0, a number or one a query head (Hq,)."""

    name = "euclidean"
    forms = ("squared", "distance")

    def __init__(self, beta=1.0, form="squared", product="dot"):
        super().__init__(beta, np.float64(0.0), form, product)
        self.q_scalars, self.k_scalars = (("height", "weight"), ("height",)) if product == "dot" else (("weight",), ())

    def points(self, x, argument="k"):
        """(0, x): the plane."""
        return np.concatenate([np.zeros_like(x[..., :1]), x], -1)

    def prepare_q(self, q):
        """Columns q; |q|^2 / 2 for "dot"; beta."""
        wide = rows_of(self.name, "q", q)
        rows = [squares(wide) / 2] if self.product == "dot" else []
        return Prepared(np.asarray(q)[None], np.stack([*rows, filled(self._weight(wide), wide)]))

    def prepare_k(self, k):
        """Columns k; |k|^2 / 2 for "dot"."""
        wide = rows_of(self.name, "k", k)
        rows = (squares(wide) / 2)[None] if self.product == "dot" else np.empty((0, *wide.shape[:-1]))
        return Prepared(np.asarray(k), rows)

    def domain(self, q, k, ops=np):
        """q.k <= (|q|^2 + |k|^2) / 2; a sum of squares is at least 0."""
        return ((-np.inf, q[0] + k[0]),) if self.product == "dot" else ((0.0, np.inf),)

    def _z(self, u, q, k, ops):
        return u / 2 if self.product == "difference" else ops.maximum((q[0] + k[0]) - u, 0.0)

    def _dz(self, u, q, k, ops):
        return 0.5 if self.product == "difference" else -1.0

    def apply(self, u, q, k, ops=np):
        """-2 weight z without a root, or as for every distance."""
        if self.form == "squared":
            return (q[-1] * -2.0) * self._z(u[0], q, k, ops)
        return super().apply(u, q, k, ops)

    def _angle(self, z, ops):
        d = ops.sqrt(z + z)
        return d, d
