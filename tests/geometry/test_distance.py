"""Distances: against decimal arithmetic, as a metric, under isometries, and as the curvature goes to 0."""
import numpy as np
import pytest
from curved import (
    CURVATURES,
    DIMS,
    REACH,
    U,
    boosted,
    directions,
    distance_budget,
    exact_distance,
    lengths,
    points,
    upright,
    vectors,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from aat import geometry


def pairs(rng, n, d, K, reach):
    """Independent pairs, near ones from 1e-9 apart, pairs on one ray, and (nearly) opposite ones."""
    x = points(rng, n, d, K, reach)
    limit = 1.0 if K <= 0 else min(1.0, 0.5 / np.sqrt(K))
    v = vectors(rng, x, K, limit) * 10.0 ** rng.uniform(-9, 0, (n, 1))
    near = geometry.exp(x, upright(x, v, K), K)
    o = geometry.origin(d, K)
    v = geometry.log(o, x, K)
    ray = geometry.exp(o, v * rng.uniform(0.1, 1, (n, 1)), K)
    back = -x if K > 0 else geometry.exp(o, -v * rng.uniform(0.9, 1, (n, 1)), K)
    return np.concatenate([x, x, x, x]), np.concatenate([points(rng, n, d, K, reach), near, ray, back])


def worst(found, x, y, K):
    exact = np.array([exact_distance(a, b, K) for a, b in zip(x, y, strict=True)])
    return (np.abs(found - exact) / distance_budget(x, y, exact, K)).max()


@pytest.mark.parametrize("K", CURVATURES)
@pytest.mark.parametrize("reach", REACH)
def test_distance_against_decimal_arithmetic(K, reach):
    rng = np.random.default_rng(int(reach * 1e6) % 2**31)
    for d in (2, 5, 128):
        x, y = pairs(rng, 4 if d == 128 else 12, d, K, reach)
        assert worst(geometry.distance(x, y, K), x, y, K) <= 1


def test_the_textbook_form_is_caught():
    rng = np.random.default_rng(0)
    for reach in (1e-2, 1.0, 20.0):
        x, y = pairs(rng, 12, 5, -1.0, reach)
        form = x[:, 0] * y[:, 0] - (x[:, 1:] * y[:, 1:]).sum(-1)
        assert worst(np.arccosh(np.maximum(form, 1)), x, y, -1.0) > 1e4
    x, y = pairs(rng, 12, 5, 1.0, 1.0)
    assert worst(np.arccos(np.clip((x * y).sum(-1), -1, 1)), x, y, 1.0) > 1e4


@pytest.mark.parametrize("K", CURVATURES)
@pytest.mark.parametrize("d", DIMS)
def test_a_metric(K, d):
    rng = np.random.default_rng(d)
    for reach in REACH:
        x, y, z = (points(rng, 50, d, K, reach) for _ in range(3))
        xy, yz, xz = (geometry.distance(a, b, K) for a, b in ((x, y), (y, z), (x, z)))
        budget = [distance_budget(a, b, e, K) for a, b, e in ((x, y, xy), (y, z, yz), (x, z, xz))]
        assert (geometry.distance(x, x, K) == 0).all()
        assert (np.abs(geometry.distance(y, x, K) - xy) <= 2 * budget[0]).all()
        assert (xz <= xy + yz + sum(budget)).all()
        assert (xy > 0).all()


@settings(max_examples=60, deadline=None)
@given(K=st.one_of(st.just(0.0), st.floats(-10, -1e-8), st.floats(1e-8, 10)), reach=st.floats(1e-6, 20),
       d=st.integers(2, 128), rapidity=st.floats(-3, 3), seed=st.integers(0, 2**20))
def test_isometries_keep_distances(K, reach, d, rapidity, seed):
    rng = np.random.default_rng(seed)
    x, y = points(rng, 20, d, K, reach), points(rng, 20, d, K, reach)
    (a, ea), (b, eb) = (boosted(p, K, rapidity, 1.0) for p in (x, y))
    before, after = geometry.distance(x, y, K), geometry.distance(a, b, K)
    budget = ea + eb + distance_budget(x, y, before, K) + distance_budget(a, b, after, K)
    assert (np.abs(after - before) <= budget).all()


def test_something_that_is_no_isometry_is_caught():
    rng = np.random.default_rng(0)
    x, y = points(rng, 20, 4, -1.0, 2.0), points(rng, 20, 4, -1.0, 2.0)
    a, b = (geometry.lift(p[:, 1:] * 1.0001, -1.0) for p in (x, y))
    before, after = geometry.distance(x, y, -1.0), geometry.distance(a, b, -1.0)
    assert (np.abs(after - before) > 1e6 * distance_budget(x, y, before, -1.0)).all()


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("d", DIMS)
def test_small_curvature_is_flat(sign, d):
    # In the columns 1.., lengths on the sheet lie between |ds| and |ds| / sqrt(1 - K |s|^2); geodesics stay in balls
    rng = np.random.default_rng(d)
    for K in sign * np.array([1e-8, 1e-6, 1e-4, 1e-2]):
        s, t = (directions(rng, 50, d) * rng.uniform(0, 4, (50, 1)) for _ in range(2))
        x, y = geometry.lift(s, K), geometry.lift(t, K)
        flat = geometry.distance(geometry.lift(s, 0.0), geometry.lift(t, 0.0), 0.0)
        bent = geometry.distance(x, y, K)
        stretch = 1 / np.sqrt(1 - K * np.maximum(lengths(x), lengths(y)) ** 2)
        low, high = np.minimum(flat, flat * stretch), np.maximum(flat, flat * stretch)
        room = 2 * distance_budget(x, y, flat, K)
        assert (low - room <= bent).all() and (bent <= high + room).all()
        assert (bent != flat).any()


@pytest.mark.parametrize("K", CURVATURES)
def test_radius_is_the_distance_from_the_origin(K):
    rng = np.random.default_rng(1)
    for reach in REACH:
        x = points(rng, 50, 6, K, reach)
        o = np.broadcast_to(geometry.origin(6, K), x.shape)
        r = geometry.radius(x, K)
        assert (np.abs(r - geometry.distance(o, x, K)) <= 2 * distance_budget(o, x, r, K)).all()


@pytest.mark.parametrize("K", CURVATURES)
def test_float32_is_the_rounded_result_of_the_same_points(K):
    rng = np.random.default_rng(2)
    for reach in REACH:
        # what float32 points are is stored: K < 0 by columns 1.., K > 0 by their direction
        x, y = (points(rng, 50, 6, K, reach).astype(np.float32) for _ in range(2))
        wide = [geometry.exp(geometry.origin(6, K), geometry.log(geometry.origin(6, K), p, K), K) if K > 0 else
                geometry.lift(p[:, 1:].astype(np.float64), K) for p in (x, y)]
        got, want = geometry.distance(x, y, K), geometry.distance(*wide, K)
        assert got.dtype == np.float32
        # log and exp of a sphere's points move them by their own roundings
        give = 8 * distance_budget(*wide, want, K)
        assert (np.abs(got - want) <= 2.0**-24 * want + give).all()


def test_each_head_has_its_own_curvature():
    rng = np.random.default_rng(3)
    K = np.array(CURVATURES)
    x = np.stack([[points(rng, 7, 5, k, 1.0) for k in K] for _ in range(2)])
    y = np.stack([[points(rng, 7, 5, k, 1.0) for k in K] for _ in range(2)])
    got = geometry.distance(x, y, K[:, None])
    assert got.shape == (2, len(K), 7)
    for h, k in enumerate(K):
        alone = geometry.distance(x[:, h], y[:, h], k)
        assert (np.abs(got[:, h] - alone) <= 2 * distance_budget(x[:, h], y[:, h], alone, k)).all()
    table = geometry.distance(x[:, :, :, None], y[:, :, None], K[:, None, None])
    assert table.shape == (2, len(K), 7, 7) and np.allclose(np.diagonal(table, 0, -2, -1), got, rtol=64 * U)
