"""The IR of log1p, sinh and arcsin on lanes, and their coefficients; the scheme is that of generate.py.

Coefficients without a formula are Chebyshev fits with 50 digits (mpmath.chebyfit); the largest relative error of the
function stands beside them.
"""
from math import factorial, pi

LOG1P_F32 = (0.33333330728190674, -0.25000306422569796, 0.2000104509416068, -0.16641281463106394,
             0.14214495923947962, -0.1299818376365153, 0.12622319849228375, -0.07902743772393442)
# (ln(1 + f) - f + f^2 / 2) / f^3 on [sqrt(1/2) - 1, sqrt 2 - 1], error 3.1e-8 of ln(1 + f)
ARTANH_F64 = tuple(2.0 / (2 * k + 1) for k in range(1, 13))      # 2 artanh(s) = 2 s + s^3 sum, |s| <= 0.1716
SINH = {"f32": tuple(1 / factorial(n) for n in range(3, 11, 2)),     # (sinh x / x - 1) / x^2 on |x| <= 1: the next
        "f64": tuple(1 / factorial(n) for n in range(3, 21, 2))}     # terms are 2.1e-8 and 1.7e-20 of sinh x
ARCSIN = {                                   # (arcsin x / x - 1) / x^2 in x^2 <= 1/4, errors 1.8e-8 and 3.8e-18
    "f32": (0.16666672414795305, 0.07498855072600821, 0.04500138006991017, 0.026554542206161328, 0.038085023561092654),
    "f64": (0.16666666666666669, 0.07499999999998433, 0.04464285714635543, 0.030381944138531247, 0.02237217294214989,
            0.017352392720869973, 0.013971212973552933, 0.011479177415184906, 0.01032281435018578,
            0.005457506718640358, 0.01740087944269402, -0.014851887071247204, 0.028757851367421566),
}
HALF_PI = {"f32": (1.57079637050628662109375, -4.37113900018624283e-8), "f64": (pi / 2, 6.123233995736766e-17)}
FAR = {"f32": 2.0**100, "f64": 2.0**1000}    # of log1p: from here on 1 is nothing, and 2^-n would leave the range


def _kind(e):
    return "f32" if e.scalar == "float" else "f64"


def log1p_core(e, x):
    """ln(1 + x): 1 + x = 2^n (1 + f), f = x 2^-n + (2^-n - 1) exactly but for one rounding, so that f = x near 0."""
    from aat.kernels.lanes.generate import LN2_HIGH, LN2_LOW, MANTISSA

    mantissa, one, far = MANTISSA[e.scalar], e.const(1.0), e.const(FAR[_kind(e)])
    beyond = e.compare("ogt", x, far)
    bits = e.to_int(e.op("fadd", x, one))
    n_int = e.iop("ashr", e.iop("sub", bits, e.to_int(e.const(0.5**0.5))), e.iconst(mantissa))
    exponent = e.iop("shl", n_int, e.iconst(mantissa))
    scale = e.to_float(e.iop("sub", e.to_int(one), exponent))
    f = e.fma(x, scale, e.op("fsub", scale, one))
    f = e.select(beyond, e.op("fsub", e.to_float(e.iop("sub", bits, exponent)), one), f)
    n = e.emit(f"sitofp {e.integer} {n_int} to {e.vector}")
    if e.scalar == "float":
        square = e.op("fmul", f, f)
        log_m = e.fma(square, e.fma(f, e.horner(f, LOG1P_F32), e.const(-0.5)), f)
    else:
        s = e.op("fdiv", f, e.op("fadd", f, e.const(2.0)))
        square = e.op("fmul", s, s)
        log_m = e.fma(e.op("fmul", square, s), e.horner(square, ARTANH_F64), e.op("fadd", s, s))
    result = e.fma(n, e.const(LN2_HIGH[e.scalar]), e.fma(n, e.const(LN2_LOW[e.scalar]), log_m))
    infinite = e.const(float("inf"))
    result = e.select(e.compare("oeq", x, infinite), infinite, result)
    result = e.select(e.compare("oeq", x, e.const(-1.0)), e.const(float("-inf")), result)
    return e.select(e.compare("ult", x, e.const(-1.0)), e.const(float("nan")), result)


def arccosh1p_core(e, z):
    """arcosh(1 + z) = log1p(z + sqrt(z (z + 2))) for z >= 0; floats go without the cases of log1p. Beyond 2^60 the root
    is z; what leaves the range of floats counts as 2^126, 87 and not infinity. A NaN stays one."""
    from aat.kernels.lanes.generate import LN2

    root = e.call("sqrt", e.fma(z, z, e.op("fadd", z, z)))
    y = e.op("fadd", z, e.select(e.compare("ogt", z, e.const(2.0**60)), z, root))
    if e.scalar == "double":
        return log1p_core(e, y)
    far, one = e.const(2.0**126), e.const(1.0)
    y = e.select(e.compare("ogt", y, far), far, y)
    shifted = e.iop("sub", e.to_int(e.op("fadd", y, one)), e.to_int(e.const(0.5**0.5)))
    exponent = e.iop("and", shifted, e.iconst(-(1 << 23)))
    scale = e.to_float(e.iop("sub", e.to_int(one), exponent))
    f = e.fma(y, scale, e.op("fsub", scale, one))
    log_m = e.fma(e.op("fmul", f, f), e.fma(f, e.horner(f, LOG1P_F32), e.const(-0.5)), f)
    n = e.emit(f"sitofp {e.integer} {exponent} to {e.vector}")
    return e.fma(n, e.const(LN2 / 2**23), log_m)


def sinh_core(e, x):
    """Odd polynomial up to 1, (e^|x| - e^-|x|) / 2 beyond; infinite where e^|x| is."""
    from aat.kernels.lanes.generate import exp_core

    size, z, half = e.call("fabs", x), e.op("fmul", x, x), e.const(0.5)
    small = e.fma(e.op("fmul", z, x), e.horner(z, SINH[_kind(e)]), x)
    power = exp_core(e, size)
    far = e.op("fsub", e.op("fmul", power, half), e.op("fdiv", half, power))
    return e.select(e.compare("olt", size, e.const(1.0)), small, e.call("copysign", far, x))


def arcsin_core(e, x):
    """Odd polynomial up to 1/2, pi/2 - 2 arcsin sqrt((1 - |x|) / 2) beyond; NaN past 1."""
    kind, size = _kind(e), e.call("fabs", x)
    large = e.compare("ogt", size, e.const(0.5))
    z = e.select(large, e.op("fmul", e.op("fsub", e.const(1.0), size), e.const(0.5)), e.op("fmul", x, x))
    root = e.select(large, e.call("sqrt", z), size)
    value = e.fma(e.op("fmul", root, z), e.horner(z, ARCSIN[kind]), root)
    high, low = HALF_PI[kind]
    far = e.op("fsub", e.const(high), e.op("fsub", e.op("fadd", value, value), e.const(low)))
    return e.call("copysign", e.select(large, far, value), x)


def table(unary):
    """{name: (argument kinds, result kinds, body)}, as generate.table; unary makes a body of a core."""
    return {
        "log1p": ("v", "v", unary(log1p_core)),
        "sinh": ("v", "v", unary(sinh_core)),
        "arcsin": ("v", "v", unary(arcsin_core)),
        "arccosh1p": ("v", "v", unary(arccosh1p_core)),
        # (lanes - scalar)^2, added
        "square_s": ("svv", "-", _square),
    }


def _square(e, s, b, total):
    apart = e.op("fsub", e.load(b), e.splat(s))
    return e.fma(apart, apart, e.load(total))
