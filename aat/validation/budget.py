"""How much error is allowed?

The measuring stick is the float64 reference `o`, evaluated on the inputs as they are stored (f16 and bf16 inputs count
after their rounding).  The contract allows 2 x (error of the same formula run in float32 + one rounding), and that is
what is computed here, for every element:

    budget = 2 (rho * sigma + round)  +  rho * sigma64

sigma    the reach of rounding in this element: u times the steps of `attention_rounding` (the formula is in its
         docstring), u = 2^-24.  It grows with the square root of the number of terms, not with the number, so that a
         long row does not earn a kind budget, and it is small where the values or their spread are small.
rho      the largest |o32 - o| / sigma over the whole call, o32 the float32 run of the same formula.  This is where the
         measured error enters.  Pooling over the call is what makes one row's lucky float32 result harmless; scaling
         by sigma is what keeps the budget of each row its own, so that a wrong tail row cannot hide behind a large one.
round    half a unit in the last place of the output's dtype at `o` (and the smallest normal number of the
         accumulator: hardware may flush what is below).
sigma64  the same reach at 2^-53, the error of the reference itself; it matters for f64 only.

rho <= 1, the cap: at 1 every step rounds as far as the square-root rule lets it.  rho >= RHO_FEW for a single
element, falling with the square root of their number to RHO_MANY: a maximum over few elements can be small by luck, and
one over many cannot, but a kernel may round where the float32 run happens to be exact (weights of exactly 1).
Measured, over normal, equal, constant, positive and +-1e4 inputs with 1 to 4096 keys: rho of the float32 run and of
a blocked float32 kernel lie between 0.02 and 0.7 and within a factor of 2.4 of each other for 300 elements and more.
"""
from dataclasses import dataclass

import numpy as np

from aat.kernels.reference.attention_forward import attention_forward, attention_rounding
from aat.validation.score_rounding import judged, narrowed

RHO_CAP = 1.0
RHO_FEW, RHO_MANY = 1 / 4, 1 / 16
UNIT32, UNIT64 = 2.0**-24, 2.0**-53


@dataclass(frozen=True)
class Expected:
    """The reference's result for one problem and the error that each element may have.

    out, out_budget (B, Hq, Lq, Dv) and lse, lse_budget (B, Hq, Lq) are float64.  A budget of inf marks an element that
    is finite in float64 and not in float32: nothing is required there.
    """

    out: np.ndarray
    lse: np.ndarray
    out_budget: np.ndarray
    lse_budget: np.ndarray
    rho: tuple[float, float]  # of out and of lse, after the clipping


@dataclass(frozen=True)
class Comparison:
    """One array against its expectation: error and budget are those of the element with the largest ratio."""

    error: float
    budget: float
    ratio: float
    reasons: tuple[str, ...]


def expected(problem, dtype):
    """Return the Expected of a canonical `problem`, the keyword arguments of the reference.

    `dtype` is the output's NumPy dtype.  A problem of float64 inputs takes rho from a float32 run on inputs rounded to
    float32, since nothing wider than the reference exists to measure the error of float64.
    """
    dtype = np.dtype(dtype)
    unit = UNIT64 if dtype == np.float64 else UNIT32
    out, lse = attention_forward(**problem)
    steps = attention_rounding(**judged(problem), unit=unit)
    if dtype == np.float64:
        narrow = _rounded(problem)
        exact, steps32 = attention_forward(**narrow), attention_rounding(**judged(narrow), unit=UNIT32)
    else:
        narrow, exact, steps32 = problem, (out, lse), steps
    low = attention_forward(**narrowed(narrow), compute=np.float32)
    accumulator = np.float64 if dtype == np.float64 else np.float32
    rhos, budgets = [], []
    for value, low32, value32, reach, reach32, stored in zip(
            (out, lse), low, exact, steps, steps32, (dtype, np.dtype(accumulator)), strict=True):
        rho = _rho(low32, value32, reach32)
        budgets.append(_budget(rho, value, low32, reach, stored, unit, accumulator))
        rhos.append(rho)
    return Expected(out, lse, budgets[0], budgets[1], (rhos[0], rhos[1]))


def expected_of(reference, rounding, arguments, dtype):
    """(result, budget) of another kernel's reference, by the same rule: both float64, one number an element.

    reference(**arguments, compute=) and rounding(**arguments, unit=), as `aat.operations.base.Operation` has them;
    `dtype` is the output's NumPy dtype.
    """
    dtype = np.dtype(dtype)
    wide = dtype == np.float64
    unit = UNIT64 if wide else UNIT32
    value, reach = reference(**arguments), rounding(**arguments, unit=unit)
    narrow = _rounded(arguments) if wide else arguments
    exact, reach32 = (reference(**narrow), rounding(**narrow, unit=UNIT32)) if wide else (value, reach)
    with np.errstate(over="ignore"):
        low = reference(**narrow, compute=np.float32)
    rho = _rho(low, exact, reach32)
    return value, _budget(rho, value, low, reach, dtype, unit, np.float64 if wide else np.float32)


def _budget(rho, value, low, reach, stored, unit, accumulator):
    """The allowance of each element; inf where it is finite in float64 and not in a float32 run that has to be."""
    with np.errstate(invalid="ignore"):
        budget = 2 * (rho * unit * reach + _half_ulp(value, stored, accumulator)) + rho * UNIT64 * reach
    if accumulator != np.float64:
        budget = np.where(np.isfinite(value) & ~np.isfinite(low), np.inf, budget)
    return budget


def compare(name, got, want, budget):
    """Compare an array with its expectation within `budget`; NaN and infinities must sit at the same places."""
    got = np.asarray(got).astype(np.float64)
    if got.shape != want.shape:
        return Comparison(np.inf, 0.0, np.inf, (f"{name}: expected shape {want.shape}, got {got.shape}",))
    reasons = []
    required = ~(np.isinf(budget) & np.isfinite(want))
    for what, test in (("NaN", np.isnan), ("inf", np.isposinf), ("-inf", np.isneginf)):
        wrong = (test(got) != test(want)) & required
        if wrong.any():
            first = tuple(int(i) for i in np.argwhere(wrong)[0])
            reasons.append(f"{name}: {what} at {wrong.sum()} wrong or missing places, the first at {first}: "
                           f"expected {want[first]:g}, got {got[first]:g}")
    both = np.isfinite(got) & np.isfinite(want) & required
    if not both.any():
        return Comparison(0.0, 0.0, np.inf if reasons else 0.0, tuple(reasons))
    error = np.where(both, np.abs(np.where(both, got, 0) - np.where(both, want, 0)), 0)
    ratio = np.divide(error, budget, out=np.zeros_like(error), where=both)
    worst = tuple(int(i) for i in np.unravel_index(np.argmax(ratio), ratio.shape))
    # not `>`: a budget of NaN must fail
    over = both & ~(ratio <= 1)
    if over.any():
        reasons.append(f"{name}: {over.sum()} of {both.sum()} elements over budget, the worst at {worst}: expected "
                       f"{want[worst]:.9g}, got {got[worst]:.9g}, error {error[worst]:.3g}, budget {budget[worst]:.3g}")
    peak = np.inf if reasons and not over.any() else float(ratio[worst])
    return Comparison(float(error[worst]), float(budget[worst]), peak, tuple(reasons))


def _rho(low, exact, steps):
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.abs(low.astype(np.float64) - exact) / (steps * UNIT32)
    ratio = ratio[np.isfinite(ratio)]
    floor = np.clip(4 / np.sqrt(max(ratio.size, 1)), RHO_MANY, RHO_FEW)
    return float(np.clip(ratio.max(initial=0.0), floor, RHO_CAP))


def _half_ulp(value, dtype, accumulator):
    """Half a unit in the last place of `dtype` at `value`, with the floors of gradual and of flushed underflow."""
    info = _finfo(dtype)
    lowest = max(float(info.smallest_subnormal) / 2, float(np.finfo(accumulator).tiny))
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(value), float(info.eps) / 2 * np.abs(value), 0.0) + lowest


def _finfo(dtype):
    if dtype.name == "bfloat16":
        import ml_dtypes
        return ml_dtypes.finfo(dtype)
    return np.finfo(dtype)


def _rounded(problem):
    """The problem with every float array rounded to float32 (not beyond: the smallest dtype of the two)."""
    def narrow(x):
        wide = isinstance(x, np.ndarray) and x.dtype == np.float64
        with np.errstate(over="ignore", under="ignore"):
            return x.astype(np.float32) if wide else x
    return {name: narrow(x) for name, x in problem.items()}
