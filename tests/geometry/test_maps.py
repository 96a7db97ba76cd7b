"""exp, log, transport, inner products: inverse to each other, isometries, each within its derived budget."""
import numpy as np
import pytest
from curved import (
    CURVATURES,
    DIMS,
    REACH,
    distance_budget,
    exp_budget,
    inner_budget,
    lengths,
    log_budget,
    points,
    steps,
    transport_budget,
    trig,
    upright,
    vectors,
)

from aat import geometry

EVERY = pytest.mark.parametrize(("K", "d"), [(K, d) for K in CURVATURES for d in DIMS])


def apart(rng, n, d, K, reach):
    """Points and partners: half of them anywhere, half of them within a unit of the curvature."""
    x, y = points(rng, n, d, K, reach), points(rng, n, d, K, reach)
    near = vectors(rng, x, K, 1 / max(1.0, np.sqrt(abs(K))))
    return x, np.where(np.arange(n)[:, None] % 2, y, geometry.exp(x, near, K))


def reached(K, v):
    """Vectors v (..., D + 1) shorter than the way to the antipodes."""
    return v if K <= 0 else v * np.minimum(1, 0.9 * np.pi / np.sqrt(K) / np.linalg.norm(v, axis=-1, keepdims=True))


@EVERY
def test_exp_of_log_is_the_point(K, d):
    rng = np.random.default_rng(d)
    for reach in REACH:
        x, y = apart(rng, 60, d, K, reach)
        v = geometry.log(x, y, K)
        t = geometry.norm(x, v, K)
        grows = np.maximum(1, trig(K, t)[1])                # what exp makes of an error of v
        got = geometry.distance(geometry.exp(x, v, K), y, K)
        assert (got <= exp_budget(x, v, K) + grows * log_budget(x, y, K) + distance_budget(x, y, 0 * t, K)).all()


@EVERY
def test_log_of_exp_is_the_vector(K, d):
    rng = np.random.default_rng(d)
    for reach in REACH:
        x = points(rng, 60, d, K, reach)
        v = reached(K, vectors(rng, x, K, reach / max(1.0, np.sqrt(abs(K)))))
        y = geometry.exp(x, v, K)
        shrinks = 1 / np.minimum(1, trig(K, geometry.norm(x, v, K))[1]) if K > 0 else 1.0
        error = geometry.norm(x, geometry.log(x, y, K) - v, K)
        assert (error <= log_budget(x, y, K) + shrinks * exp_budget(x, v, K)).all()


@pytest.mark.parametrize("K", CURVATURES)
@pytest.mark.parametrize("d", DIMS)
def test_from_the_origin_the_inverse_is_good_at_every_radius(K, d):
    # no condition number here: relative errors of a few roundings, to 20 units of curvature
    rng = np.random.default_rng(d)
    o = geometry.origin(d, K)
    for reach in REACH:
        v = reached(K, vectors(rng, np.broadcast_to(o, (60, d + 1)), K, reach / max(1.0, np.sqrt(abs(K)))))
        x = geometry.exp(o, v, K)
        size = np.linalg.norm(v, axis=-1)
        bent = 1.0 if K <= 0 else np.sqrt(K) * size / np.abs(np.sin(np.sqrt(K) * size))
        relative = np.linalg.norm(geometry.log(o, x, K) - v, axis=-1) / size
        assert (relative <= 4 * steps(x) * 2.0**-53 * (1 + np.sqrt(abs(K)) * size) * bent).all()
        assert (np.abs(geometry.radius(x, K) - size) <= 4 * steps(x) * 2.0**-53 * size).all()


@EVERY
def test_the_length_of_log_is_the_distance(K, d):
    rng = np.random.default_rng(d)
    for reach in REACH:
        x, y = apart(rng, 60, d, K, reach)
        v, far = geometry.log(x, y, K), geometry.distance(x, y, K)
        t = geometry.norm(x, v, K)
        budget = log_budget(x, y, K) + distance_budget(x, y, far, K) + steps(x) * 2.0**-53 * lengths(v)
        assert (np.abs(t - far) <= budget).all()


@EVERY
def test_transport_keeps_inner_products_of_pairs(K, d):
    rng = np.random.default_rng(d)
    for reach in REACH:
        x, y = apart(rng, 60, d, K, reach)
        v, w = vectors(rng, x, K, 1.0), vectors(rng, x, K, 1.0)
        a, b = geometry.transport(x, y, v, K), geometry.transport(x, y, w, K)
        before, after = geometry.inner(x, v, w, K), geometry.inner(y, a, b, K)
        e, f = transport_budget(x, y, v, K), transport_budget(x, y, w, K)
        budget = (e * geometry.norm(x, w, K) + f * geometry.norm(x, v, K) + e * f
                  + inner_budget(x, v, w, K) + inner_budget(y, a, b, K))
        assert (np.abs(after - before) <= budget).all()


@EVERY
def test_transport_takes_log_to_minus_log(K, d):
    rng = np.random.default_rng(d)
    for reach in REACH:
        x, y = apart(rng, 60, d, K, reach)
        v = geometry.log(x, y, K)
        moved, back = geometry.transport(x, y, v, K), geometry.log(y, x, K)
        error = geometry.norm(y, moved + back, K)
        budget = transport_budget(x, y, v, K) + log_budget(x, y, K) + log_budget(y, x, K)
        assert (error <= budget + steps(x) * 2.0**-53 * lengths(back)).all()


@pytest.mark.parametrize("K", CURVATURES)
def test_transport_is_linear_and_undone_by_the_way_back(K):
    rng = np.random.default_rng(5)
    for reach in REACH[:4]:
        x, y = apart(rng, 60, 6, K, reach)
        v, w = vectors(rng, x, K, 1.0), vectors(rng, x, K, 1.0)
        both = geometry.transport(x, y, upright(x, 2 * v - 3 * w, K), K)
        apart_ = 2 * geometry.transport(x, y, v, K) - 3 * geometry.transport(x, y, w, K)
        budget = 6 * (transport_budget(x, y, v, K) + transport_budget(x, y, w, K))
        assert (geometry.norm(y, both - apart_, K) <= budget).all()
        there = geometry.transport(x, y, v, K)
        again = geometry.transport(y, x, there, K)
        budget = transport_budget(x, y, v, K) + transport_budget(y, x, there, K)
        assert (geometry.norm(x, again - v, K) <= budget + steps(x) * 2.0**-53 * lengths(v)).all()


@pytest.mark.parametrize("K", CURVATURES)
def test_tangent_is_the_projection(K):
    rng = np.random.default_rng(6)
    for reach in (1e-6, 1e-2, 1.0, 4.0):
        x = points(rng, 40, 5, K, reach)
        raw = rng.standard_normal(x.shape)
        v = geometry.tangent(x, raw, K)
        sign = np.array([np.sign(K), *[1.0] * 5])
        form = (sign * x * v).sum(-1) if K else v[..., 0]
        plain = raw - K * (sign * x * raw).sum(-1, keepdims=True) * x
        # the formula itself: K <x, v> is off by u |K| |x||v|, and x carries that
        size = np.linalg.norm(x, axis=-1)
        e = 4 * steps(x) * 2.0**-53 * np.linalg.norm(raw, axis=-1) * (1 + abs(K) * size * size)
        if K == 0:
            plain[..., 0] = 0
        assert (np.linalg.norm(v - plain, axis=-1) <= e).all()
        assert (np.abs(form) <= size * e).all()
        assert (np.linalg.norm(geometry.tangent(x, v, K) - v, axis=-1) <= 2 * e * (1 + abs(K) * size * size)).all()


def test_inner_is_the_lorentz_form_near_the_origin_and_better_far_out():
    rng = np.random.default_rng(7)
    x = points(rng, 40, 5, -1.0, 1.0)
    v, w = vectors(rng, x, -1.0, 1.0), vectors(rng, x, -1.0, 1.0)
    form = (v * w).sum(-1) - 2 * v[:, 0] * w[:, 0]
    assert (np.abs(geometry.inner(x, v, w, -1.0) - form) <= 4 * inner_budget(x, v, w, -1.0) * x[:, 0] ** 2).all()
    o, r = geometry.origin(5, -1.0), 19.0
    x = geometry.exp(o, np.array([0, r, 0, 0, 0, 0]), -1.0)
    outward = geometry.log(x, geometry.exp(o, np.array([0, r + 0.5, 0, 0, 0, 0]), -1.0), -1.0)
    assert abs(geometry.norm(x, outward, -1.0) - 0.5) < 0.5e-6
    lorentz = (outward**2).sum() - 2 * outward[0] ** 2
    assert abs(lorentz - 0.25) > 1e-3                    # no digit of it is right


@pytest.mark.parametrize("wrong", ["sign", "constant", "no division"])
def test_a_wrong_formula_is_caught(wrong):
    rng = np.random.default_rng(8)
    x, y = apart(rng, 60, 4, -1.0, 1.0)
    v, w = vectors(rng, x, -1.0, 1.0), vectors(rng, x, -1.0, 1.0)

    def transport(v):
        right = geometry.transport(x, y, v, -1.0)
        if wrong == "sign":
            return upright(y, 2 * v - right, -1.0)
        return upright(y, v + (right - v) * (1 + 1e-9) if wrong == "constant" else v, -1.0)

    before, after = geometry.inner(x, v, w, -1.0), geometry.inner(y, transport(v), transport(w), -1.0)
    e = transport_budget(x, y, v, -1.0) + transport_budget(x, y, w, -1.0)
    assert (np.abs(after - before) > 4 * e).mean() > 0.5


@pytest.mark.parametrize("K", CURVATURES)
def test_float32_is_the_result_rounded_once(K):
    rng = np.random.default_rng(9)
    x, y = (p.astype(np.float32) for p in apart(rng, 40, 5, K, 1.0))
    wide = [geometry.lift(p[:, 1:].astype(np.float64), K) if K <= 0 else p.astype(np.float64) for p in (x, y)]
    v = upright(wide[0], 0.1 * rng.standard_normal(x.shape), K).astype(np.float32)
    for got, want in ((geometry.log(x, y, K), None if K > 0 else geometry.log(*wide, K)),
                      (geometry.exp(x, v, K), None if K > 0 else geometry.exp(
                          wide[0], upright(wide[0], v.astype(np.float64), K), K))):
        assert got.dtype == np.float32 and np.isfinite(got).all()
        if want is not None:
            np.testing.assert_array_equal(got, want.astype(np.float32))


def test_each_head_has_its_own_curvature():
    rng = np.random.default_rng(10)
    K = np.array(CURVATURES)[:, None]
    x, y = (np.stack([points(rng, 7, 5, k, 1.0) for k in K[:, 0]]) for _ in range(2))
    v = geometry.log(x, y, K)
    far = geometry.norm(x, v, K)
    moved = geometry.transport(x, y, v, K)
    for h, k in enumerate(K[:, 0]):
        budget = log_budget(x[h], y[h], k)
        assert (geometry.norm(x[h], v[h] - geometry.log(x[h], y[h], k), k) <= 2 * budget).all()
        assert (np.abs(far[h] - geometry.distance(x[h], y[h], k)) <= 2 * budget).all()
        alone = geometry.transport(x[h], y[h], v[h], k)
        assert (geometry.norm(y[h], moved[h] - alone, k) <= 2 * transport_budget(x[h], y[h], v[h], k)).all()
        assert (geometry.distance(geometry.exp(x, v, K)[h], y[h], k) <= 4 * budget + exp_budget(x[h], v[h], k)).all()
