"""The centroid: against decimal arithmetic, and what a mean has to satisfy."""
import numpy as np
import pytest
from curved import CURVATURES, REACH, U, boosted, lengths, off_centroid, points, steps, vectors

from aat import geometry


def budget(p, w, found, K):
    """How far a centroid may be off: its direction across, its radius along (the terms of S0 - |S_s|)."""
    e = steps(p) * U
    n = lengths(p)
    mean = lengths(found)
    w = w / w.sum(-1, keepdims=True)
    S = np.einsum("...n,...nd->...d", w, p)
    if K > 0:
        return e * ((w * n).sum(-1) + mean) / (np.sqrt(K) * np.linalg.norm(S, axis=-1)) * 2
    m = lengths(S)
    c = np.sqrt(-K)
    eta = e * (1 + (w * n).sum(-1) / m)
    apart = np.linalg.norm(p[..., 1:] / n[..., None] - (S[..., 1:] / m[..., None])[..., None, :], axis=-1)
    # the same sum as in the code, to find its size
    a = np.sqrt(1 + (c * n) ** 2)
    low = (w * (1 / (a + c * n) + c * n * apart**2 / 2)).sum(-1)
    moved = (w * c * n * (apart * eta[..., None] + eta[..., None] ** 2)).sum(-1) / (2 * low)
    outward = mean / np.sqrt(1 + (c * mean) ** 2)
    return mean * eta + outward * (e + moved)


@pytest.mark.parametrize("K", CURVATURES)
@pytest.mark.parametrize("reach", REACH)
def test_centroid_against_decimal_arithmetic(K, reach):
    rng = np.random.default_rng(3)
    for d, spread in ((2, None), (7, None), (7, 0.5), (3, 1e-3)):
        for _ in range(4):
            p = points(rng, 6, d, K, reach)
            if spread is not None:            # points about one that may be far out
                x = np.broadcast_to(p[:1], p.shape)
                p = geometry.exp(x, vectors(rng, x, K, spread / max(1.0, np.sqrt(abs(K)))), K)
            w = rng.uniform(0, 1, 6)
            found = geometry.centroid(p, w, K)
            assert off_centroid(found, p, w, K) <= budget(p, w, found, K)


def test_the_textbook_form_is_caught():
    rng = np.random.default_rng(4)
    o = points(rng, 1, 5, -1.0, 20.0)
    x = np.broadcast_to(o, (6, 6))
    p, w = geometry.exp(x, vectors(rng, x, -1.0, 0.5), -1.0), rng.uniform(0, 1, 6)
    S = w @ p
    with np.errstate(invalid="ignore"):
        size = np.sqrt(S[0] ** 2 - S[1:] @ S[1:])
    found = geometry.centroid(p, w, -1.0)
    textbook = geometry.lift(np.nan_to_num(S[1:] / size, nan=1.0, posinf=1.0), -1.0)
    assert off_centroid(textbook, p, w, -1.0) > 1e3 * budget(p, w, found, -1.0)


@pytest.mark.parametrize("K", CURVATURES)
def test_laws_of_a_mean(K):
    rng = np.random.default_rng(5)
    for reach in REACH[:4]:
        x, y = points(rng, 30, 5, K, reach), points(rng, 30, 5, K, reach)
        near = geometry.exp(x, vectors(rng, x, K, 0.5 / max(1.0, np.sqrt(abs(K)))), K)
        two = np.stack([x, near], -2)
        mid = geometry.centroid(two, None, K)
        ones = np.ones(2)
        b = budget(two, np.broadcast_to(ones, (30, 2)), mid, K)
        room = b + steps(x) * U * (lengths(x) + lengths(near) + lengths(mid))
        # the middle of a geodesic; permuted, scaled and doubled weights; equal points
        assert (np.abs(geometry.distance(x, mid, K) - geometry.distance(near, mid, K)) <= 2 * room).all()
        assert (np.abs(geometry.distance(x, mid, K) * 2 - geometry.distance(x, near, K)) <= 4 * room).all()
        for other in (two[:, ::-1], two):
            assert (geometry.distance(geometry.centroid(other, 7 * ones, K), mid, K) <= 2 * room).all()
        assert (geometry.distance(geometry.centroid(np.stack([x, x, x], -2), None, K), x, K)
                <= 2 * budget(np.stack([x, x, x], -2), np.ones((30, 3)), x, K) + steps(x) * U * lengths(x)).all()
        w = np.array([0.0, 1.0])
        assert (geometry.distance(geometry.centroid(np.stack([y, x], -2), w, K), x, K)
                <= 2 * budget(np.stack([y, x], -2), np.broadcast_to(w, (30, 2)), x, K)).all()


@pytest.mark.parametrize("K", CURVATURES)
def test_isometries_move_the_centroid_along(K):
    rng = np.random.default_rng(6)
    p, w = np.stack([points(rng, 8, 4, K, 1.0) for _ in range(20)]), rng.uniform(0, 1, (20, 8))
    moved, e = boosted(p, K, 0.7, 1.0)
    before, after = geometry.centroid(p, w, K), geometry.centroid(moved, w, K)
    there, f = boosted(before, K, 0.7, 1.0)
    # a centroid moves at most as far as R times the relative error of S: its terms' over |S|
    S = np.linalg.norm(np.einsum("...n,...nd->...d", w / w.sum(-1, keepdims=True), moved), axis=-1)
    gain = 4 * np.linalg.norm(after, axis=-1) / S if K else 4.0
    room = budget(p, w, before, K) + budget(moved, w, after, K) + e.max(-1) * gain + f
    assert (geometry.distance(there, after, K) <= room).all()


def test_attention_weights_aggregate_points_of_every_curvature_at_once():
    rng = np.random.default_rng(7)
    K = np.array(CURVATURES)
    p = np.stack([points(rng, 9, 4, k, 1.0) for k in K])
    w = rng.uniform(0, 1, (len(K), 5, 9))
    got = geometry.centroid(p[:, None], w, K[:, None])
    assert got.shape == (len(K), 5, 5)
    for h, k in enumerate(K):
        for row in range(5):
            alone = geometry.centroid(p[h], w[h, row], k)
            assert geometry.distance(got[h, row], alone, k) <= 2 * budget(p[h], w[h, row], alone, k)
    flat = list(K).index(0.0)
    np.testing.assert_allclose(got[flat, :, 1:], (w[flat] / w[flat].sum(-1, keepdims=True)) @ p[flat, :, 1:],
                               rtol=0, atol=16 * U * lengths(p[flat]).max())


def test_small_curvature_is_the_plain_mean():
    rng = np.random.default_rng(8)
    s, w = rng.standard_normal((9, 4)), rng.uniform(0, 1, 9)
    w /= w.sum()
    plain = w @ s
    for K in (-1e-8, 1e-8):
        bent = geometry.centroid(geometry.lift(s, K), w, K)[1:]
        # S / sqrt(1 +- K var): relative 1 - |K| |s|^2 / 2 at most
        assert 0 < np.linalg.norm(bent - plain) <= abs(K) * (s**2).sum(-1).max() * np.linalg.norm(plain)
