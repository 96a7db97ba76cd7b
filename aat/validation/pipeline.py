"""Where validation and benchmark meet: `check(case, backend)` gives a Verdict, and nothing is timed without one."""
from dataclasses import dataclass
from functools import cache

import numpy as np

from aat.validation import budget, metrics
from aat.validation.cases import make
from aat.validation.reading import canonical, canonical_output

CACHED_ELEMENTS = 2**20  # larger expectations are computed anew: a benchmark case's would hold 100 MB each


@dataclass(frozen=True)
class Verdict:
    """Whether one case passed on one backend; error, budget and ratio are those of the worst element of out or lse.

    ratio above 1 breaks the contract; it is inf where shapes or NaN positions are wrong.  metrics holds every metric of
    `aat.validation.metrics` for out, and for lse with the prefix "lse_".
    """

    ok: bool
    case: str
    backend: str
    error: float
    budget: float
    ratio: float
    reasons: tuple[str, ...]
    metrics: dict[str, float]

    def __bool__(self):
        return self.ok

    def __str__(self):
        numbers = f"error {self.error:.3g}, budget {self.budget:.3g}, ratio {self.ratio:.3g}"
        return "\n  ".join((f"{self.case} on {self.backend}: {numbers}", *self.reasons))


def check(case, backend, *, poison=True, want=None, **overrides):
    """Run a case on a backend and judge out and lse by the error budget.

    `overrides` go to `aat.attention` (`tiling=`, ...).  The output is handed over full of NaN, so an element that is
    not written cannot pass.  With `poison`, a first call on other queries and values leaves wrong numbers in whatever
    memory the backend reuses, which does the same for lse and for scratch.  `want` is the case's `expectation`, for a
    caller that has it.  Exceptions of the call propagate.
    """
    call = make(case)
    want = expectation(case) if want is None else want
    out, lse = _run(call, backend, poison, overrides)
    return judge(call, out, lse, want, case=case.name, backend=backend)


def measure(case, backend, **options):
    """The Records of a case, which refuses to time unless `check` passed: see aat/validation/measure.py."""
    from aat.validation import measure as timing

    return timing.measure(case, backend, **options)


def judge(call, out, lse, want, *, case="", backend=""):
    """Return the Verdict on one result: `call` its arguments, `want` the Expected of their canonical form."""
    reasons = []
    if np.asarray(out).dtype != call["q"].dtype:
        reasons.append(f"out: expected dtype {call['q'].dtype}, got {np.asarray(out).dtype}")
    wide = np.float64 if call["q"].dtype == np.float64 else np.float32
    if np.asarray(lse).dtype != wide:
        reasons.append(f"lse: expected dtype {np.dtype(wide)}, got {np.asarray(lse).dtype}")
    out, lse = canonical_output(out, lse, call["q"].ndim, call.get("layout", "bhsd"))
    parts = (budget.compare("out", out, want.out, want.out_budget),
             budget.compare("lse", lse, want.lse, want.lse_budget))
    reasons += [reason for part in parts for reason in part.reasons]
    worst = max(parts, key=lambda part: part.ratio)
    numbers = {}
    if not np.isinf(worst.ratio):
        numbers = metrics.measure_errors(out, want.out, want.out_budget)
        numbers |= {f"lse_{k}": x for k, x in metrics.measure_errors(lse, want.lse, want.lse_budget).items()}
    return Verdict(not reasons, case, backend, worst.error, worst.budget, worst.ratio, tuple(reasons), numbers)


def expected(call):
    """The Expected of a call's arguments."""
    return budget.expected(canonical(**call), call["q"].dtype)


def blank_output(call):
    """An array of NaN in the shape, dtype and layout of the call's output."""
    q, v = call["q"], call["v"]
    return np.full((*q.shape[:-1], v.shape[-1]), np.nan, np.float32).astype(q.dtype)


@cache
def _remembered(case):
    return expected(make(case))


def expectation(case):
    """The Expected of a case; kept for the next time if it is small."""
    if case.B * case.Hq * case.Lq * case.Dv > CACHED_ELEMENTS:
        return expected(make(case))
    return _remembered(case)


def _run(call, backend, poison, overrides):
    # late: the API loads the backends, and a validation of arrays at hand needs none
    from aat.functional import attention
    if poison:
        # finite: NaN would send every masked call through a second kernel, the one for NaN in masked values
        lost = dict(call, q=np.full_like(call["q"], 3), v=np.full_like(call["v"], 1e4))
        attention(**lost, backend=backend, return_lse=True, out=blank_output(call), **overrides)
    blank = blank_output(call)
    out, lse = attention(**call, backend=backend, return_lse=True, out=blank, **overrides)
    return out, lse
