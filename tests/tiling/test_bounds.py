"""Bounds of tiles: above and below the exact mass in float64, whatever the keys, and unsound ones are caught."""
import numpy as np
import pytest

from aat.tiling import bounds
from aat.tiling.summary import KeySummary
from aat.tiling.visible import bias_range, tile_visibility
from aat.validation.adaptive import scores


def log_masses(s, block):
    """ln of the mass of each tile, float64."""
    edges = np.arange(0, s.shape[3], block)
    top = np.maximum.reduceat(s, edges, 3)
    wide = np.repeat(np.where(np.isneginf(top), 0, top), block, 3)[..., :s.shape[3]]
    with np.errstate(divide="ignore"):
        return top + np.log(np.add.reduceat(np.exp(s - wide), edges, 3))


def adversarial(count, block, d, seed):
    """Tiles whose keys lie on one line: a few far out on one side, the rest just below the mean; and plain ones."""
    rng = np.random.default_rng(seed)
    tiles = rng.standard_normal((count, block, d)) * 0.02
    height = rng.uniform(0, 14, count)
    few = rng.integers(1, 4, count)
    for t in range(count):
        tiles[t, :, 0] += -few[t] * height[t] / block
        tiles[t, :few[t], 0] += height[t]
    tiles[::2, :, 0] *= -1
    plain = rng.standard_normal((count, block, d)) * rng.choice([1e-3, 0.1, 1, 3], (count, 1, 1))
    keys = np.concatenate([tiles, plain + rng.standard_normal((count, 1, d))]).reshape(1, 1, -1, d)
    q = np.concatenate([np.eye(1, d), -np.eye(1, d), rng.standard_normal((6, d))])
    return q[None, None].astype(np.float32), keys.astype(np.float32)


def violations(bound, s, block):
    exact = log_masses(s, block)
    return int((bound.upper < exact).sum()), int((bound.jensen > exact).sum())


@pytest.mark.parametrize("block", [1, 2, 8, 64])
@pytest.mark.parametrize("scale", [0.3, 1.0, -1.0, 4.0])
def test_bounds_hold_on_random_and_adversarial_tiles(block, scale):
    q, k = adversarial(200, block, 7, block)
    summary = KeySummary(k, k, block)
    got = bounds.tile_bounds(summary, q, scale)
    assert violations(got, scores(q, k, scale), block) == (0, 0)
    assert (got.upper >= got.jensen).all()


def test_a_clipped_second_moment_is_caught(monkeypatch):
    # with a one-sided delta, the largest x, w^2 <= delta^2 need not hold: clipping it is unsound
    q, k = adversarial(400, 64, 7, 3)
    s = scores(q, k, 1.0)
    x = s.reshape(1, 1, 8, -1, 64)
    mean = x.mean(-1)
    n, delta, w2 = 64, x.max(-1) - mean, x.var(-1)
    exact = log_masses(s, 64)

    def upper(w2):
        return np.log(n) + mean + np.log1p(bounds.phi(delta) * w2)

    assert (upper(w2) < exact - 1e-9).sum() == 0
    assert (upper(np.minimum(w2, delta**2)) < exact - 1e-9).sum() > 100


def test_too_small_moments_are_caught():
    q, k = adversarial(200, 64, 7, 5)
    summary = KeySummary(k, k, 64)
    summary.moments.eigenvalue[...] *= 0.5
    summary.moments.radius[...] *= 0.9
    assert violations(bounds.tile_bounds(summary, q, 1.0), scores(q, k, 1.0), 64)[0] > 100


def test_the_second_moment_is_worth_having():
    rng = np.random.default_rng(0)
    k = (0.3 * rng.standard_normal((1, 1, 640, 64))).astype(np.float32)
    q = (1.5 * rng.standard_normal((1, 1, 20, 64))).astype(np.float32)
    got = bounds.tile_bounds(KeySummary(k, k, 64), q, 1 / 8)
    loose = got.upper - log_masses(scores(q, k, 1 / 8), 64)
    ball = got.mu + got.delta + np.log(64) - log_masses(scores(q, k, 1 / 8), 64)
    assert loose.mean() < ball.mean() / 2


def test_partly_visible_tiles_have_no_lower_bound_and_jensen_on_them_is_caught():
    q, k = adversarial(20, 16, 7, 1)
    summary = KeySummary(k, k, 16)
    visible = np.random.default_rng(0).random((1, 1, q.shape[2], k.shape[2])) < 0.5
    visible[:, :, :, :16] = False
    visible[:, :, :, 16:32] = True
    s = scores(q, k, 1.0, visible=visible)
    seen = tile_visibility(summary, q.shape[2], 1, mask=visible)
    assert (seen[..., 0] == 0).all() and (seen[..., 1] == 2).all() and (seen[..., 2:] == 1).mean() > 0.9
    got = bounds.tile_bounds(summary, q, 1.0, visible=seen)
    assert violations(got, s, 16) == (0, 0)
    assert np.isneginf(got.jensen[seen != 2]).all() and np.isneginf(got.upper[..., 0]).all()
    assert violations(bounds.tile_bounds(summary, q, 1.0), s, 16)[1] > 0


@pytest.mark.parametrize("kind", ["row", "key", "full", "infinite"])
def test_a_bias_moves_the_bounds(kind):
    q, k = adversarial(20, 16, 7, 2)
    rng = np.random.default_rng(4)
    shape = {"row": (1, 1, 8, 1), "key": (1, 1, 1, 640), "full": (1, 1, 8, 640), "infinite": (1, 1, 8, 640)}[kind]
    bias = (5 * rng.standard_normal(shape)).astype(np.float32)
    if kind == "infinite":
        bias[rng.random(shape) < 0.2] = -np.inf
    low, high = bias_range(bias, 16)
    summary = KeySummary(k, k, 16)
    got = bounds.tile_bounds(summary, q, 1.0, bias_high=high, bias_low=low)
    s = scores(q, k, 1.0, bias)
    assert violations(got, s, 16) == (0, 0)
    assert violations(bounds.tile_bounds(summary, q, 1.0), s, 16)[0] > 0


@pytest.mark.parametrize("where", ["q", "k"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e38])
def test_what_is_not_finite_is_never_small(where, poison):
    q, k = adversarial(20, 16, 7, 2)
    (q[0, 0, 3] if where == "q" else k[0, 0, 35])[2] = poison
    got = bounds.tile_bounds(KeySummary(k, k, 16), q, 1.0)
    lost = (got.upper[0, 0, 3] if where == "q" else got.upper[0, 0, :, 2]), (
        got.jensen[0, 0, 3] if where == "q" else got.jensen[0, 0, :, 2])
    assert np.isposinf(lost[0]).all() and np.isneginf(lost[1]).all()
    assert not np.isnan(got.upper).any() and not np.isnan(got.jensen).any()


@pytest.mark.parametrize("offset", [0, 100, 1e4])
def test_rounding_is_covered_where_it_is_large(offset):
    # n = 1: upper and lower bound meet but for rounding, which grows with |q||k|
    rng = np.random.default_rng(1)
    k = (offset + rng.standard_normal((1, 1, 500, 64))).astype(np.float32)
    q = (offset / 100 + rng.standard_normal((1, 1, 50, 64))).astype(np.float32)
    got = bounds.tile_bounds(KeySummary(k, k, 1), q, 0.125)
    assert violations(got, scores(q, k, 0.125), 1) == (0, 0)
    assert (got.upper - got.jensen <= 2e-4 * (1 + np.abs(got.mu))).mean() > 0.5


def test_phi_and_excess_are_their_formulas():
    import math
    for x in (-30, -3, -0.25, -0.2, 0.0, 1e-9, 0.249, 0.25, 1, 5, 40):
        series = sum(x**n / math.factorial(n + 2) for n in range(30))
        true = (math.expm1(x) - x) / x**2 if abs(x) > 1 else series
        assert math.isclose(float(bounds.phi(x)), true, rel_tol=1e-9)
    for dtype in (np.float32, np.float64):
        delta = np.linspace(0, 60, 601, dtype=dtype)
        for w2 in (0.0, 1e-4, 0.3, 5.0, 400.0):
            d = delta.astype(np.float64)
            with np.errstate(over="ignore"):
                true = np.minimum(np.log(np.cosh(d)), np.log1p(bounds.phi(d) * w2))
            got = bounds.excess(delta, dtype(w2))
            assert (got >= true).all() and (got <= true * (1 + 2e-5) + 2e-6).all()


def test_the_share_is_never_more_than_asked():
    rho, kappa = bounds.share(0.01, np.array([1.0, 2.0, np.inf, 0.0]), np.array([2.0, 0.5, np.inf, 0.0]))
    assert rho[0] <= 0.005 and np.isclose(rho[0], 0.005, rtol=1e-4) and rho[1] <= 0.04
    assert rho[2] == 0 and 0.4999 < rho[3] <= 0.5 and np.allclose(kappa, rho / (1 - rho))
    assert bounds.share(5.0, 1.0, 1.0)[0] == 0.5
    for eps in (0.0, -1.0):
        assert bounds.share(eps, 1.0, 2.0)[0] == 0


def test_the_certificate_is_the_share_of_what_is_left_out():
    got = bounds.certificate(np.log([0.1, 0.5]), np.log([0.9, 0.5]), np.array([2.0, 2.0]))
    assert (got >= [0.2, 1.0]).all() and np.allclose(got, [0.2, 1.0], rtol=1e-4)
    assert bounds.certificate(-np.inf, 3.0, 2.0) == 0
    assert np.isinf(bounds.certificate(1.0, -np.inf, 2.0))
    assert np.isinf(bounds.certificate(-np.inf, 3.0, np.inf)) and np.isinf(bounds.certificate(0.0, 0.0, np.inf))


def test_replacing_a_tile_by_its_mean_is_bounded():
    # one tile beside a fixed mass: the output moves by at most the bound over the total mass
    rng = np.random.default_rng(6)
    worst = 0.0
    for width in (1e-3, 0.05, 0.5):
        q, k = rng.standard_normal((1, 1, 50, 6)), width * rng.standard_normal((1, 1, 64, 6)) + rng.standard_normal(6)
        v = k @ rng.standard_normal((6, 3)) + 0.1 * rng.standard_normal((1, 1, 64, 3))
        q, k, v = (x.astype(np.float32) for x in (q, k, v))
        summary = KeySummary(k, v, 16)
        m, spread = summary.moments, summary.spread[0, 0]
        got = bounds.tile_bounds(summary, q, 1.0)
        s = scores(q, k, 1.0)[0, 0].reshape(50, 4, 16)
        p, values = np.exp(s), v[0, 0].astype(np.float64).reshape(4, 16, 3)
        Z, N = p.sum(2), np.einsum("rtj,tjc->rtc", p, values)
        mean = 16 * np.exp(got.mu[0, 0].astype(np.float64))
        error = bounds.replacement(got.delta, got.w2, got.slack, m.value_spread[:, :, None], m.value_shift[:, :, None],
                                   spread)[0, 0]
        for t in range(4):
            others = [i for i in range(4) if i != t]
            total = Z[:, others].sum(1) + mean[:, t]
            out = (N[:, others].sum(1) + mean[:, t, None] * m.value[0, 0, t]) / total[:, None]
            moved = np.abs(out - N.sum(1) / Z.sum(1)[:, None]).max(1)
            allowed = mean[:, t] * np.exp(error[:, t]) * spread / Z.sum(1)
            worst = max(worst, (moved / allowed).max())
    assert 0.05 < worst <= 1
