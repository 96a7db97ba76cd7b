"""log1p, sinh and arcsin of single numbers in plain Taichi: for GPU lanes and for CPU lanes without intrinsics.

Drivers may compute exp and log with errors of many units in the last place, and lose the relative accuracy near 0
(Vulkan's precision table): here are the formulas of generate_functions.py in + - * /, sqrt and bits.
"""
import taichi as ti
from aat.kernels.lanes.base import assign, inline, local
from aat.kernels.lanes.generate import EXP_TAIL, LN2, LN2_HIGH, LN2_LOW
from aat.kernels.lanes.generate_functions import ARCSIN, ARTANH_F64, FAR, HALF_PI, LOG1P_F32, SINH
from taichi.lang import impl

KINDS = {"f32": (ti.f32, ti.i32, 23, 127, "float"), "f64": (ti.f64, ti.i64, 52, 1023, "double")}


class _Numbers:
    """Constants of a precision: a Python float alone is an f32 to Taichi."""

    def __init__(self, name):
        self.kind, self.integer, self.mantissa, self.bias, self.scalar = KINDS[name]

    def number(self, x):
        return impl.Expr(float(x), dtype=self.kind)

    def whole(self, x):
        return impl.Expr(int(x), dtype=self.integer)

    def bits(self, x):
        return local(ti.bit_cast(local(x), self.integer))

    def float(self, bits):
        return local(ti.bit_cast(local(bits), self.kind))

    def horner(self, x, coefficients):
        total = local(self.number(coefficients[-1]))
        for c in reversed(coefficients[:-1]):
            assign(total, total * x + self.number(c))
        return total


@inline
def log1p(name, x):
    """ln(1 + x); name is "f32" or "f64"."""
    p, x = _Numbers(name), local(x)
    one = local(p.number(1))
    bits, shift = p.bits(x + one), p.whole(p.mantissa)
    n = local((bits - p.bits(p.number(0.5**0.5))) >> shift)
    exponent = local(n << shift)
    scale = p.float(p.whole(p.bias << p.mantissa) - exponent)
    near = local(x * scale + (scale - one))
    f = local(ti.select(x > p.number(FAR[name]), p.float(bits - exponent) - one, near))
    n = local(ti.cast(n, p.kind))
    if name == "f32":
        log_m = local(f * f * (f * p.horner(f, LOG1P_F32) - p.number(0.5)) + f)
    else:
        s = local(f / (f + p.number(2)))
        square = local(s * s)
        log_m = local(square * s * p.horner(square, ARTANH_F64) + (s + s))
    value = local(n * p.number(LN2_HIGH[p.scalar]) + (n * p.number(LN2_LOW[p.scalar]) + log_m))
    value = local(ti.select(x == p.number(-1), p.number(float("-inf")), value))
    value = local(ti.select(x < p.number(-1), p.number(float("nan")), value))
    top = p.whole(((1 << (63 if name == "f64" else 31)) - 1) & -(1 << p.mantissa))
    return local(ti.select((p.bits(x) & top) == top, ti.select(x < p.number(0), p.number(float("nan")), x), value))


@inline
def arccosh1p(name, z):
    """arcosh(1 + z) for z >= 0."""
    p, z = _Numbers(name), local(z)
    root = local(ti.sqrt(z * (z + p.number(2))))
    return log1p(name, local(z + ti.select(z > p.number(2.0**60), z, root)))


@inline
def half_exp(name, x):
    """e^x / 2 for x >= 0; infinite where e^x is."""
    p, x = _Numbers(name), local(x)
    limit = p.number(89.4 if name == "f32" else 710.4)
    inside = local(ti.select(x < limit, x, limit))
    n = local(ti.cast(inside * p.number(1 / LN2) + p.number(0.5), p.integer))       # >= 0: cut is floor
    whole = local(ti.cast(n, p.kind))
    f = local(inside - whole * p.number(LN2_HIGH[p.scalar]) - whole * p.number(LN2_LOW[p.scalar]))
    power = p.horner(f, (1.0, 1.0, *EXP_TAIL[p.scalar]))
    value = local(power * p.float((n + p.whole(p.bias - 1)) << p.whole(p.mantissa)))
    return local(ti.select(x < limit, value, x + p.number(float("inf"))))       # a NaN stays one


@inline
def sinh(name, x):
    """sinh x."""
    p, x = _Numbers(name), local(x)
    size, z = local(ti.abs(x)), local(x * x)
    small = local(z * x * p.horner(z, SINH[name]) + x)
    half = half_exp(name, size)
    far = local(half - p.number(0.25) / half)
    return local(ti.select(size < p.number(1), small, ti.select(x < p.number(0), p.number(-1) * far, far)))


@inline
def arcsin(name, x):
    """arcsin x; NaN past 1."""
    p, x = _Numbers(name), local(x)
    size = local(ti.abs(x))
    large = local(ti.cast(size > p.number(0.5), ti.i32))
    z = local(ti.select(large == 1, (p.number(1) - size) * p.number(0.5), x * x))
    root = local(ti.select(large == 1, ti.sqrt(z), size))
    value = local(root * z * p.horner(z, ARCSIN[name]) + root)
    high, low = HALF_PI[name]
    value = local(ti.select(large == 1, p.number(high) - (value + value - p.number(low)), value))
    value = local(ti.select(size > p.number(1), p.number(float("nan")), value))
    return local(ti.select(x < p.number(0), p.number(-1) * value, value))
