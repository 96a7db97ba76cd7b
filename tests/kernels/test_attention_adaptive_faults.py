"""Mistakes planted in gates, plans and means: the law of attention with a tolerance has to see each of them."""
from dataclasses import replace

import numpy as np
import pytest
from aat.kernels.lanes.base import assign, inline
from aat.kernels.parts.gate import Gate
from adaptive_law import few, held

from aat.attention import adaptive
from aat.backends import select
from aat.tiling import bounds, launch
from aat.tiling.strategies.certified import Certified
from aat.tiling.strategies.fixed import Fixed
from aat.tiling.summary import KeySummary
from aat.validation import pipeline


@pytest.fixture
def anew():
    """Kernels are built anew for a test, and again after it."""
    select.close()
    yield
    select.close()


def broken(name, tolerance, tiling, keys=2048):
    """Rows that break the law over two calls; heads that are computed again count, since they hide it."""
    count = 0
    for seed in range(2):
        call = few(name, seed, keys=keys)
        got = held(call, pipeline.expected(call), tolerance, tiling(call))
        count += got.broken + got.info.tiles["redone"]
    return count


def fixed(call):
    return Fixed()


def certified(call):
    return Certified()


@inline
def charges_nothing(self):
    pass


@inline
def counts_one_key(self, m, top):
    judged = honest_judge(self, m, top)
    for u in range(self.U):
        assign(self.most[u], self.most[u] * (1.0 / self.asm.BG))
    return judged


honest_judge = Gate.judge


@pytest.mark.parametrize("method", [dict(charge=charges_nothing), dict(judge=counts_one_key)],
                         ids=["a fresh budget for each tile", "a tile counted as one key"])
def test_a_gate_that_charges_too_little_is_caught(method, monkeypatch, anew):
    assert broken("g7-small-tails", 0.01, fixed) == 0
    select.close()
    for name, wrong in method.items():
        monkeypatch.setattr(Gate, name, wrong)
    assert broken("g7-small-tails", 0.01, fixed) > 0


def test_a_gate_without_what_the_plan_left_out_is_caught(monkeypatch):
    assert broken("g1-topics-0.3", 0.1, certified) == 0
    honest = adaptive._Job._allowance

    def forgetful(self, plan, means=None):
        allowance = honest(self, plan, means)
        return replace(allowance, planned=np.full_like(allowance.planned, -np.inf))

    monkeypatch.setattr(adaptive._Job, "_allowance", forgetful)
    assert broken("g1-topics-0.3", 0.1, certified) > 0


def test_a_plan_with_too_small_a_second_moment_is_caught():
    def clipped(call):
        summary = KeySummary(call["k"], call["v"], 64)
        summary.moments.eigenvalue[...] = np.minimum(summary.moments.eigenvalue, 1e-3 * summary.moments.radius**2)
        return Certified(summary=summary)

    def honest(call):
        return Certified(summary=KeySummary(call["k"], call["v"], 64))

    assert broken("g7-one-sided", 0.02, honest) == 0
    assert broken("g7-one-sided", 0.02, clipped) > 0


def test_a_mean_without_its_error_is_caught(monkeypatch):
    def mixed(call):
        return Certified(mixed=True)

    assert broken("g7-one-sided", 0.02, mixed) == 0
    monkeypatch.setattr(launch, "suits", lambda *arguments: False)      # a plan by NumPy, whose bounds can be replaced
    assert broken("g7-one-sided", 0.02, mixed) == 0
    monkeypatch.setattr(bounds, "replacement", lambda delta, *rest: np.full_like(delta, -30))
    assert broken("g7-one-sided", 0.02, mixed) > 0


def test_shares_that_forget_what_the_gate_left_out_are_caught(monkeypatch, anew):
    honest = Gate.write

    @inline
    def modest(self, l, shares, meta, x):
        for u in range(self.U):
            assign(self.charged[u], self.L.splat(0.0))
        honest(self, l, shares, meta, x)

    assert broken("g2-smooth", 0.1, fixed) == 0
    select.close()
    monkeypatch.setattr(Gate, "write", modest)
    assert broken("g2-smooth", 0.1, fixed) > 0
