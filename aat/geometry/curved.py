"""Which functions make hyperbolic, flat and spherical space one family?

With c = sqrt|K|, the cosine of curvature K is cosh(c t) for K < 0, 1 for K = 0, cos(c t) for K > 0, and so on. Each
function here takes K and t of shapes that broadcast, float64, and is continuous at K = 0.
"""
import numpy as np


def root(K):
    """c = sqrt|K|."""
    return np.sqrt(np.abs(K))


def sinc(K, t):
    """sinh(c t) / (c t), 1 or sin(c t) / (c t); 1 at t = 0."""
    return _by_sign(K, root(K) * t, lambda z: _ratio(np.sinh(z), z), lambda z: _ratio(np.sin(z), z), 1.0)


def cosine_less_one(K, t):
    """cosh(c t) - 1, 0 or cos(c t) - 1 without cancellation: -K t^2 sinc(K, t / 2)^2 / 2."""
    half = t * sinc(K, t / 2)
    return -K * half * half / 2


def from_half_chord(K, h):
    """t of h = (t / 2) sinc(K, t / 2): 2 arsinh(c h) / c, 2 h or 2 arcsin(c h) / c."""
    z = root(K) * h
    return 2 * h * _by_sign(K, z, lambda z: _ratio(np.arcsinh(z), z),
                            lambda z: _ratio(np.arcsin(np.minimum(z, 1)), z), 1.0)


def height(K, square):
    """(x0 - R) R for K < 0 and (R - x0) R for K > 0, R = 1 / c, of the point over s; `square` = |s|^2.

    It tends to |s|^2 / 2 as K -> 0, and loses nothing to cancellation: |s|^2 / (1 + sqrt(1 - K |s|^2)).
    """
    return square / (1 + np.sqrt(np.maximum(1 - K * square, 0)))


def _ratio(a, z):
    """a / z, and 1 where z = 0."""
    return np.divide(a, z, out=np.ones_like(a), where=z != 0)


def _by_sign(K, z, hyperbolic, spherical, flat):
    K, z = np.broadcast_arrays(K, z)
    if (K < 0).all():
        return hyperbolic(z)
    curved = np.where(K > 0, spherical(np.where(K > 0, z, 0.0)), flat)
    return np.where(K < 0, hyperbolic(np.where(K < 0, z, 0.0)), curved) if (K < 0).any() else curved
