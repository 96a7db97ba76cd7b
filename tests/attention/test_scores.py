"""Scores as epilogues: against their definitions, central differences, decimal arithmetic, and lanes' operations.

Budget of a metric score: z is a sum of D products and of the row numbers, so it is off by e times their sizes, e = (D +
32) u; the score is -weight g(z), so it is off by weight (g(z + dz) - g(z - dz)) + e |score|.
"""
from types import SimpleNamespace

import numpy as np
import pytest
from curved import U, exact_distance, lengths

from aat.attention.scores import Dot, Euclidean, Fidelity, Hyperbolic, Spherical
from aat.attention.scores.base import OPERATIONS
from aat.attention.scores.metric import MetricScore

CURVED = (1e-8, 1e-3, 1.0, 10.0)
METRIC = [
    *(Euclidean(0.7, form, product) for form in Euclidean.forms for product in ("dot", "difference")),
    *(Hyperbolic(0.7, -K, form, product, chart) for K in CURVED for form in Hyperbolic.forms
      for product in ("dot", "difference") for chart in ("lift", "exp")),
    *(Spherical(0.7, K, form, product, "exp") for K in CURVED for form in Spherical.forms
      for product in ("dot", "difference")),
    *(Spherical(0.7, K, form, product, "lift") for K in (1e-8, 1e-3) for form in Spherical.forms
      for product in ("dot", "difference")),
]
STATES = [Fidelity(0.7, form, real) for form in Fidelity.forms for real in (False, True)]
EVERY = [Dot(), Dot(-2.0), *METRIC, *STATES]


def name(score):
    rest = [getattr(score, x, "") for x in ("curvature", "form", "product", "chart", "real")]
    return "-".join(str(x) for x in (score.name, *rest) if x != "")


def reach(score):
    """Lengths of rows: up to 8 units of curvature where that is far, half a turn of a sphere, 3 elsewhere."""
    c = np.sqrt(abs(getattr(score, "curvature", 0.0)))
    if score.name == "hyperbolic":
        return 3.0 if c < 1 else (8.0 if score.chart == "exp" else 30.0) / c
    return 3.0 if score.name != "spherical" or c * 3 < 2.8 else 2.8 / c / 2


def rows(score, seed, *shape):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True) * reach(score) * rng.uniform(0.05, 1, (*shape[:-1], 1))


def near(score, q, seed):
    """Keys close to queries, 1e-6 to 0.3 of their length away."""
    rng = np.random.default_rng(seed)
    away = 10.0 ** rng.uniform(-6, -0.5, (*q.shape[:-1], 1)) * np.linalg.norm(q, axis=-1, keepdims=True)
    return q + away * rng.standard_normal(q.shape) / np.sqrt(q.shape[-1])


def off_z(score, q, k):
    """How far z may be off, (Lq, Lk): e times the size of what is summed, and of the errors of prepared rows."""
    e = (q.shape[-1] + 32) * U
    P, Q = score.prepare_q(q), score.prepare_k(k)
    u, a, b = score.rows(P, Q)
    z = score._z(u[0], a, b, np)
    n = np.linalg.norm(P.columns[0], axis=-1)[:, None]
    m = np.linalg.norm(Q.columns, axis=-1)
    if score.product == "dot":
        return e * (a[0] + b[0] + a[0] * b[0] + n * m), z
    if score.name == "hyperbolic":
        # unit vectors to e, c r to e (1 + c r): arsinh has slope <= 1 / sinh in ln |s|
        slope = np.abs(np.sinh(a[0] - b[0])) * (a[0] + b[0] + 2)
        return e * (slope + a[1] * b[1] * (u[0] + 2 * np.sqrt(u[0]) + e) + z), z
    return e * (n + m) * (np.sqrt(2 * z) + e * (n + m)), z


def budget(score, q, k):
    """How far the epilogue may be from the definition, which is itself off by the rounding of a distance."""
    e = (q.shape[-1] + 32) * U
    if isinstance(score, Dot):
        size = np.abs(score._scale(q)) * np.linalg.norm(q, axis=-1)
        return 2 * e * size[:, None] * np.linalg.norm(k, axis=-1)
    s = np.abs(score.score(q, k))
    if isinstance(score, Fidelity):
        F = score._F(score.rows(score.prepare_q(q), score.prepare_k(k))[0], np)
        if score.form == "fidelity":
            return 8 * e * score.beta + e * s
        if score.form == "log":
            return 8 * e * score.beta / (F + score.floor) + e * s
        # a^2 over F: slope a / (sin a cos a) up to where rounding ends it, at cos a = 4 e
        slope = np.minimum(np.pi / np.sqrt(np.maximum(F, 1e-300)), 1 / e)
        return score.beta * np.minimum(8 * e * slope, 16 * np.pi * np.sqrt(e)) + e * s
    dz, z = off_z(score, q, k)
    weight = score.beta / (abs(score.curvature) or 1.0) ** (0.5 if score.form == "distance" else 1)
    x, y = score.points(q), score.points(k)
    off_d = e * (lengths(x)[:, None] + lengths(y) + np.sqrt(s / score.beta) + np.sqrt(dz))
    K, c = score.curvature, np.sqrt(abs(score.curvature)) or 1.0
    slope_d = {"squared": lambda d: 2 * d, "distance": lambda d: 1 + 0 * d,
               "inner": lambda d: np.sinh(c * d) / c if K < 0 else d + off_d}[score.form]
    d = score._angle(z, np)[0] / c
    definition = score.beta * slope_d(d + off_d) * off_d
    if score.form == "inner":
        return weight * dz + definition + e * s
    top = score._angle(z + dz if K <= 0 else np.minimum(z + dz, 2), np)[0]
    bottom = score._angle(np.maximum(z - dz, 0), np)[0]
    power = 2 if score.form == "squared" else 1
    return weight * (top**power - bottom**power) + definition + e * s


@pytest.mark.parametrize("score", EVERY, ids=name)
@pytest.mark.parametrize("d", [2, 16, 128])
def test_the_epilogue_is_the_definition(score, d):
    d = max(d, 4) if isinstance(score, Fidelity) else d         # one complex number is one state
    q = rows(score, d, 24, d)
    k = np.concatenate([rows(score, d + 1, 24, d), near(score, q, 3)])
    if getattr(score, "chart", "") == "lift" and score.name == "spherical":
        k *= min(1.0, 0.99 / np.sqrt(score.curvature) / np.linalg.norm(k, axis=-1).max())
    error = np.abs(score.evaluate(q, k) - score.score(q, k))
    assert (error <= budget(score, q, k)).all()
    # a rounding of the epilogue in float32 would not pass
    assert (np.abs(score.score(q, k).astype(np.float32) - score.score(q, k)) > budget(score, q, k)).any()


@pytest.mark.parametrize("score", [x for x in METRIC if x.form == "squared" and x.product == "difference"], ids=name)
def test_the_definition_against_decimal_arithmetic(score):
    q, k = rows(score, 5, 4, 3), rows(score, 6, 4, 3)
    x, y = score.points(q), score.points(k)
    exact = np.array([[exact_distance(a, b, float(score.curvature)) for b in y] for a in x])
    off_d = 2 * 35 * U * (lengths(x)[:, None] + lengths(y) + exact)
    assert (np.abs(score.score(q, k) + score.beta * exact**2) <= score.beta * (2 * exact * off_d + off_d**2)).all()


@pytest.mark.parametrize("d", [2, 128])
def test_differences_reach_twenty_units_of_curvature_in_float32(d):
    # the same epilogue in float32: only "difference" keeps its digits far out
    rng = np.random.default_rng(d)
    u = rng.standard_normal((40, d))
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    q, k = 20 * u, rng.uniform(10, 20, (40, 1)) * u
    wrong = {}
    for product in ("dot", "difference"):
        score = Hyperbolic(1.0, -1.0, "squared", product, "exp")
        P, Q = score.prepare_q(q), score.prepare_k(k)
        narrow = [type(P)(x.columns.astype(np.float32), x.scalars.astype(np.float32)) for x in (P, Q)]
        with np.errstate(all="ignore"):
            got = score.apply(*score.rows(*narrow))
        assert got.dtype == np.float32
        want = score.score(q, k)
        wrong[product] = (np.abs(got - want) / np.abs(want)).diagonal().max()
    # pairs on one ray: c r to 2^-24 (r <= 20) of a difference that may be small, but never cosh^2 of it
    assert wrong["dot"] > 0.1
    error = 20 * 2 * 2.0**-24 / np.abs(20 - np.linalg.norm(k, axis=-1))
    assert wrong["difference"] <= 2 * (error + 16 * 2.0**-24).max() * 2


@pytest.mark.parametrize("score", EVERY, ids=name)
def test_derivatives_match_central_differences(score):
    q, k = rows(score, 7, 12, 5 if not isinstance(score, Fidelity) else 6), None
    k = rows(score, 8, 12, q.shape[-1])
    u, a, b = score.rows(score.prepare_q(q), score.prepare_k(k))
    got = score.derivative(u, a, b)
    assert len(got) == len(u) == score.products
    for p in range(score.products):
        slopes = []
        for h in (2e-4, 1e-4):
            span = h * _span(score, u[p], a, b)
            high, low = (score.apply(tuple(x + sign * span * (i == p) for i, x in enumerate(u)), a, b)
                         for sign in (1, -1))
            slopes.append((high - low) / (2 * span))
        # Richardson: the step's error is that of h^2, which the two slopes show; then their rounding
        best = (4 * slopes[1] - slopes[0]) / 3
        rounding = 64 * U * (np.abs(score.apply(u, a, b)) + _span(score, u[p], a, b) * np.abs(best)) / (
            1e-4 * _span(score, u[p], a, b))
        assert (np.abs(got[p] - best) <= np.abs(slopes[1] - slopes[0]) + rounding).all()
        assert (np.abs(1.001 * got[p] - best) > np.abs(slopes[1] - slopes[0]) + rounding).any()


def _span(score, u, a, b):
    """How far u may be moved: a part of its way to where the score bends sharply."""
    if isinstance(score, Fidelity):
        F = np.minimum(u * u, 1)
        return 0.05 * np.maximum(np.abs(u), 1e-3) * np.minimum(1, 1 - F) + 1e-5
    if not isinstance(score, MetricScore):
        return np.ones_like(u)
    z = score._z(u, a, b, np)
    room = np.minimum(z, 2 - z) if score.name == "spherical" else z
    return room / np.abs(score._dz(u, a, b, np))


@pytest.mark.parametrize("score", EVERY, ids=name)
def test_equal_rows_and_what_rounding_adds_stay_inside(score):
    q = rows(score, 9, 20, 6)
    u, a, b = score.rows(score.prepare_q(q), score.prepare_k(q))
    bounds = score.domain(a, b)
    for (low, high), x in zip(bounds, u, strict=True):
        beyond = [np.where(np.isfinite(end), end, x) for end in (low, high)]
        for moved in (x, *(y + step * (1 + np.abs(y)) for y in beyond for step in (-1e-9, 0, 1e-9))):
            if score.product == "difference":
                moved = np.maximum(moved, 0)        # a sum of squares
            every = tuple(moved for _ in u)
            for got in (score.apply(every, a, b), *score.derivative(every, a, b)):
                assert np.isfinite(got).all()
    same = score.evaluate(q, q).diagonal()
    if isinstance(score, MetricScore):
        assert (np.abs(same) <= budget(score, q, q).diagonal()).all()


@pytest.mark.parametrize("score", EVERY, ids=name)
def test_an_epilogue_needs_the_listed_operations_only(score):
    used = set()

    def of(operation):
        def run(*arguments):
            used.add(operation)
            return getattr(np, operation)(*arguments)
        return run

    ops = SimpleNamespace(**{operation: of(operation) for operation in OPERATIONS})
    q = rows(score, 10, 3, 4)
    u, a, b = score.rows(score.prepare_q(q), score.prepare_k(q[::-1] * 0.5))
    assert len(a) == len(score.q_scalars) and len(b) == len(score.k_scalars)
    np.testing.assert_array_equal(score.apply(u, a, b, ops), score.apply(u, a, b))
    for got, want in zip(score.derivative(u, a, b, ops), score.derivative(u, a, b), strict=True):
        np.testing.assert_array_equal(got, want)
    # numbers alone are enough: on a GPU a lane is a scalar
    one = score.apply(tuple(float(x[0, 1]) for x in u), tuple(float(x[0, 0]) for x in a),
                      tuple(float(x[0, 1]) for x in b))
    assert np.isclose(one, score.apply(u, a, b)[0, 1], rtol=1e-12, atol=0)
    assert used <= set(OPERATIONS)


def test_heads_have_their_own_beta_and_groups_of_heads_their_own_curvature():
    rng = np.random.default_rng(11)
    q, k = 0.3 * rng.standard_normal((2, 4, 5, 6)), 0.3 * rng.standard_normal((2, 2, 7, 6))
    beta, K = np.array([0.5, 1.0, 2.0, 3.0]), np.array([0.5, 2.0])
    made = [lambda b, c: Euclidean(b), lambda b, c: Hyperbolic(b, -c), lambda b, c: Spherical(b, c),
            lambda b, c: Spherical(b, c, product="difference"), lambda b, c: Hyperbolic(b, -c, product="difference"),
            lambda b, c: Hyperbolic(b, -c, "inner"), lambda b, c: Fidelity(b), lambda b, c: Fidelity(b, real=True),
            lambda b, c: Dot(b)]
    for make in made:
        whole = make(beta, K)
        for got in (whole.score(q, k), whole.evaluate(q, k)):
            for h in range(4):
                alone = make(beta[h], K[h // 2]).score(q[:, h], k[:, h // 2])
                np.testing.assert_allclose(got[:, h], alone, rtol=1e-11, atol=1e-13)


def test_euclidean_squared_is_dot_with_a_bias_of_the_keys():
    # softmax drops what a row shares: -beta |q|^2
    rng = np.random.default_rng(12)
    q, k = rng.standard_normal((6, 5)), rng.standard_normal((9, 5))
    s, t = Euclidean(0.7).evaluate(q, k), Dot(1.4).evaluate(q, k) - 0.7 * (k * k).sum(-1)
    shared = s - t
    assert np.ptp(shared, axis=-1).max() <= 64 * U * np.abs(t).max()


@pytest.mark.parametrize("K", [1e-8, 1e-6, 1e-4])
def test_small_curvatures_are_euclidean(K):
    rng = np.random.default_rng(13)
    q, k = rng.standard_normal((6, 5)), rng.standard_normal((9, 5))
    flat = Euclidean(0.7).score(q, k)
    size = np.maximum((q * q).sum(-1)[:, None], (k * k).sum(-1))
    for score in (Hyperbolic(0.7, -K, chart="lift"), Spherical(0.7, K, chart="lift")):
        # d^2 and |s - t|^2 differ by a factor within [1 / (1 + |K| |s|^2), 1 / (1 - |K| |s|^2)]
        room = np.abs(flat) * K * size * 1.01 + budget(score, q, k)
        assert (np.abs(score.evaluate(q, k) - flat) <= room).all()
        inner = type(score)(0.7, score.curvature, "inner", chart="lift").evaluate(q, k)
        far = np.sqrt(-flat / 0.7)
        assert (np.abs(2 * inner - flat) <= np.abs(flat) * K * (size + far**2 / 6) + 2 * budget(score, q, k)).all()
