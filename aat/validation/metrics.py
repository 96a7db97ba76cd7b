"""Which number says what?

Each metric has one name, one unit and one formula, here and nowhere else; a record, a plot and a page take all three
from `METRICS`. What a call tells about itself, IFQ, CER and AE, is in aat/attention/quality.py.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A measured quantity: `compute(got, want, budget)` on float64 arrays of one shape gives one float."""

    name: str
    unit: str
    formula: str
    compute: Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def _finite_error(got, want):
    """|got - want| of the elements that are finite in both."""
    both = np.isfinite(got) & np.isfinite(want)
    return np.abs(got[both] - want[both]), both


def max_abs_error(got, want, budget=None):
    """Largest |got - want| over the elements that are finite in both; 0 for none."""
    return float(_finite_error(got, want)[0].max(initial=0.0))


def rms_error(got, want, budget=None):
    """Root of the mean of |got - want|^2 over the elements that are finite in both; 0 for none."""
    error = _finite_error(got, want)[0]
    return float(np.sqrt(np.mean(error**2))) if error.size else 0.0


def budget_ratio(got, want, budget):
    """Largest |got - want| / budget, element by element; above 1 the contract is broken."""
    error, both = _finite_error(got, want)
    return float(np.max(error / budget[both], initial=0.0))


def wrong_nonfinite(got, want, budget=None):
    """How many elements differ in being NaN, +inf or -inf."""
    same = (got == want) | (np.isnan(got) & np.isnan(want)) | (np.isfinite(got) & np.isfinite(want))
    return float(np.count_nonzero(~same))


METRICS = {metric.name: metric for metric in (
    Metric("max_abs_error", "output units", "max |out - reference|", max_abs_error),
    Metric("rms_error", "output units", "sqrt(mean (out - reference)^2)", rms_error),
    Metric("budget_ratio", "1", "max |out - reference| / budget", budget_ratio),
    Metric("wrong_nonfinite", "elements", "count of NaN or inf where the reference has none, and the reverse",
           wrong_nonfinite),
)}


def measure_errors(got, want, budget):
    """Return {metric name: value} of all METRICS for one array."""
    got, want, budget = (np.asarray(x).astype(np.float64) for x in (got, want, budget))
    return {name: metric.compute(got, want, budget) for name, metric in METRICS.items()}
