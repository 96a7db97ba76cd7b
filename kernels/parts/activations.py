"""Elementwise functions that end a kernel, on lanes; docs/kernels/linear.md has the formulas."""
import math

from aat.kernels.lanes.base import assign, inline, local
from taichi.lang import impl

NAMES = ("relu", "gelu", "gelu_tanh", "silu")
# erfc(z) = e^(-z^2) p(t) / (1 + 2 z), t = (z - c) / (z + c), for z >= 0: the substitution of Shepherd & Laframboise
# (Math. Comp. 36, 1981). p is a Chebyshev fit with 50 digits (mpmath.chebyfit), lowest power first.
CENTRE = 2.75
ERFC = {
    "f32": (1.2588036261500648, -0.13046242792795423, -0.07130625452759258, 0.1449043002820765,
            -0.11449302149936862, 0.05234051859984584, -0.010491431828141096, -0.0027055433067375645,
            0.0018640506259916308, 0.00015697121947227054, -0.00014315443769631836),   # z <= 9.5, error 4.4e-9
    "f64": (1.2588036258139463, -0.1304624837229404, -0.0713062100089854, 0.14490634075192843,
            -0.11449313228546291, 0.05231957978607077, -0.01050072071596403, -0.0026222804792129474,
            0.001934481529259978, 4.0152373105275284e-05, -0.00028905217980566296, 8.596360341537976e-06,
            4.797275846327395e-05, 3.8154380724341996e-07, -8.73490820083098e-06, -1.068840228953382e-06,
            1.5630486246059651e-06, 4.819984491703069e-07, -2.2583355667558706e-07,
            -1.3842465764147504e-07, 1.4468299711459764e-08, 2.3371779450243157e-08,
            1.8737530817319724e-09, -1.1580704152994723e-09),   # z <= 27, error 1.7e-17
}
FAR = 30.0             # erfc is 0 from here on, in f64 too


def number(lanes, value):
    """A number in the lanes' precision: Taichi takes a Python float for an f32."""
    return impl.Expr(float(value), dtype=lanes.scalar)


@inline
def erfc(lanes, z):
    """erfc(z) for lanes z >= 0."""
    def n(value):
        return number(lanes, value)

    one = lanes.splat(n(1))
    t = local((z - n(CENTRE)) / (z + n(CENTRE)))
    p = lanes.splat(n(ERFC[lanes.scalar_name][-1]))
    for c in reversed(ERFC[lanes.scalar_name][:-1]):
        assign(p, p * t + n(c))
    return local(lanes.exp(local(z * z * n(-1))) * p / (one + z + z))


@inline
def activate(lanes, name, x):
    """activation(x) of lanes; name is "" for none, or one of NAMES."""
    def n(value):
        return number(lanes, value)

    # Taichi's unary minus takes no vectors: times -1
    x = local(x)
    if name == "relu":
        return local(lanes.maximum(lanes.splat(n(0)), x))
    if name == "silu":
        return local(x / (lanes.splat(n(1)) + lanes.exp(local(x * n(-1)))))
    if name == "gelu_tanh":
        inner = local(x * n(math.sqrt(2 / math.pi)) * (lanes.splat(n(1)) + x * x * n(0.044715)))
        return local(x * n(0.5) * (lanes.splat(n(1)) + lanes.tanh(inner)))
    if name == "gelu":
        # a maximum keeps a NaN that stands second
        size = lanes.maximum(local(x * n(-1)), x)
        z = local(lanes.maximum(lanes.splat(n(-FAR)), local(size * n(-math.sqrt(0.5)))) * n(-1))
        tail = local(x * n(0.5) * erfc(lanes, z))
        tail = lanes.where_equal(z, FAR, lanes.splat(n(0)), tail)
        # x - x erfc / 2 above 0 and x erfc / 2 below: the larger one, as they are x/2 +- |x| (1 - erfc) / 2
        return local(lanes.maximum(local(x - tail), tail))
    return x
