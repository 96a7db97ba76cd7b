"""The resolution field obeys its laws, and flow's certificate is that of the plan."""
import numpy as np
import pytest

from aat.tiling.strategies.base import Request
from aat.tiling.strategies.certified import Certified
from aat.tiling.strategies.flow import GROWTH, Flow, Resolution
from aat.tiling.summary import KeySummary
from aat.validation.adaptive import judge, run_plan, scores
from aat.validation.generators import make_call


@pytest.mark.parametrize("growth", GROWTH)
@pytest.mark.parametrize("smooth", [0, 0.3, 1])
def test_the_field_stays_in_its_range_and_grows_with_density(growth, smooth):
    rng = np.random.default_rng(0)
    low, high = (Resolution((3, 40), growth=growth, smooth=smooth, dead=0) for _ in range(2))
    for _ in range(50):
        density = rng.exponential(0.02, (3, 40))
        low.step(density)
        high.step(density + rng.exponential(0.01, (3, 40)))
        assert (low.value >= low.least).all() and (high.value <= 1).all()
        assert (high.value >= low.value - 1e-15).all()


def test_the_field_converges_at_its_rate_and_stops():
    for rate in (0.2, 0.5, 1.0):
        field = Resolution((1, 5), rate=rate, dead=0.01)
        density = np.array([[0, 0.004, 0.01, 0.02, 1.0]])
        gap = np.abs(field.target(density) - field.value)
        for _ in range(40):
            field.step(density)
            now = np.abs(field.target(density) - field.value)
            moving = gap > 0.01
            assert np.allclose(now[moving], (1 - rate) * gap[moving], atol=1e-12)
            assert (now[~moving] == gap[~moving]).all()
            gap = now
        assert field.step(density) == 0 and (gap <= 0.01).all()


def test_small_changes_are_not_followed():
    field = Resolution((4,), dead=0.1, theta=1.0, rate=1.0)
    field.step(np.full(4, 0.5))
    assert field.step(np.full(4, 0.55)) == 0 and field.step(np.full(4, 0.7)) > 0


def test_flow_is_certified_and_never_visits_less_than_certified():
    flow, certified = Flow(), Certified()
    for seed in range(3):
        call = make_call("g4-rotary-tight", 0, queries=64 + 16 * seed, keys=640, Hq=2, D=16, Dv=8)
        summary = KeySummary(call["k"], call["v"], 32)
        request = Request(summary, call["q"], 0.25, 0.05, 16)
        plan, least = flow.plan(request), certified.plan(request)
        assert (plan.counts >= least.counts).all() and (seed == 0) == (plan.counts.sum() == least.counts.sum())
        result = run_plan(plan, summary, call["q"], call["k"], call["v"], 0.25)
        s = scores(call["q"], call["k"], 0.25)
        got = judge(result, s, call["v"], 0.05)
        assert (got.over_bound, got.over_tolerance) == (0, 0)
        p = np.exp(s - s.max(3, keepdims=True))
        share = (p / p.sum(3, keepdims=True)).mean(2).reshape(1, 2, 20, 32).sum(3)
        flow.observe(share)


def test_bad_options_are_named():
    for name, bad in (("theta", 0), ("least", 2), ("rate", 0), ("dead", 1), ("smooth", -1), ("growth", "cubic")):
        with pytest.raises(ValueError, match=f"{name}: expected"):
            Flow(**{name: bad})
    with pytest.raises(ValueError, match="density: expected finite numbers"):
        Resolution((2,)).step([0.1, np.nan])
