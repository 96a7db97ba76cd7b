"""Which space do points live in? Hyperboloid, plane and sphere as one family, by the sign of the curvature.

    from aat import geometry
    x = geometry.lift(s, -1.0)                              # (..., D) -> (..., D + 1) on the sheet
    v = geometry.log(x, y, -1.0)                            # geometry.exp(x, v, -1.0) is y
    mean = geometry.centroid(points, weights, -1.0)         # a value aggregation that stays on the sheet

Everything takes a curvature K that broadcasts against the leading axes: one of shape (H, 1) gives each head of points
(B, H, L, D + 1) its own, of any sign. Results are computed in float64 and rounded once to the type of the points.
Formulas, limits and references: docs/geometry.md.
"""
from aat.geometry.maps import exp, inner, log, norm, tangent, transport
from aat.geometry.means import centroid
from aat.geometry.points import distance, lift, origin, radius

__all__ = ["centroid", "distance", "exp", "inner", "lift", "log", "norm", "origin", "radius", "tangent", "transport"]
