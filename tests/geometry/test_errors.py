"""Bad input: the message names the function, the argument, what came and what to do."""
import numpy as np
import pytest

from aat import geometry

X = geometry.lift(np.array([[0.3, 0.4], [1.0, -2.0]]), -1.0)
V = geometry.log(X, X[::-1], -1.0)
S = geometry.exp(geometry.origin(2, 1.0), np.array([[0, 0.3, 0.4], [0, 1.0, -2.0]]), 1.0)


def off(x, at, by):
    moved = x.copy()
    moved[at] += by
    return moved


@pytest.mark.parametrize(("call", "kind", "message"), [
    (lambda: geometry.lift(np.array([2.0, 0.0]), 1.0), ValueError,
     r"geometry\.lift: s: expected \|s\|\^2 <= 1 / curvature.*got curvature \|s\|\^2 = 4; scale s down, or use exp"),
    (lambda: geometry.lift(np.array([np.nan, 0.0]), -1.0), ValueError, r"geometry\.lift: s: expected finite.*NaN"),
    (lambda: geometry.lift(np.float64(1.0), -1.0), ValueError, r"geometry\.lift: s: expected at least 1 axes"),
    (lambda: geometry.lift(np.ones(2, complex), -1.0), TypeError,
     r"geometry\.lift: s: expected float32 or float64, got"),
    (lambda: geometry.lift(np.ones((3, 2)), np.ones(4)), ValueError,
     r"geometry\.lift: curvature: expected a shape that broadcasts against \(3,\).*got shape \(4,\); one curvature a"),
    (lambda: geometry.lift(np.ones(2), np.inf), ValueError, r"geometry\.lift: curvature: expected finite.*got inf"),
    (lambda: geometry.lift(np.ones(2), "flat"), TypeError, r"geometry\.lift: curvature: expected real numbers"),
    (lambda: geometry.distance(X, X, 1.0), ValueError,
     r"geometry\.distance: x: expected points on the sheet of curvature 1,.*got 0\.2.* at \(0,\); make them with "
     r"geometry\.lift or geometry\.exp"),
    (lambda: geometry.distance(X, off(X, (1, 0), 1e-10), -1.0), ValueError, r"geometry\.distance: y: .* at \(1,\)"),
    (lambda: geometry.distance(S, off(S, (1, 2), 1e-10), 1.0), ValueError, r"geometry\.distance: y: .* at \(1,\)"),
    (lambda: geometry.distance(X, X, 0.0), ValueError, r"geometry\.distance: x: expected points .* curvature 0"),
    (lambda: geometry.distance(off(X, (0, 1), np.nan), X, -1.0), ValueError, r"geometry\.distance: x: .*nan at \(0,\)"),
    (lambda: geometry.distance(X, X[:, :2], -1.0), ValueError, r"geometry\.distance: y: expected a shape that"),
    (lambda: geometry.exp(X, off(V, (0, 0), 0.1), -1.0), ValueError,
     r"geometry\.exp: v: expected vectors tangent at x.*; project them with geometry\.tangent"),
    (lambda: geometry.exp(S, S, 1.0), ValueError, r"geometry\.exp: v: expected vectors tangent at x"),
    (lambda: geometry.exp(X, V[:, 1:], -1.0), ValueError, r"geometry\.exp: v: expected 3 columns as the points have"),
    (lambda: geometry.transport(X, X[::-1], off(V, (0, 0), 0.1), -1.0), ValueError,
     r"geometry\.transport: v: expected"),
    (lambda: geometry.log(S, -S, 1.0), ValueError, r"geometry\.log: y: expected points that are not antipodes.*\(0,\)"),
    (lambda: geometry.transport(S, -S, 0 * S, 1.0), ValueError,
     r"geometry\.transport: y: expected points that are not"),
    (lambda: geometry.centroid(X, [1.0, -1.0]), ValueError, r"geometry\.centroid: weights: expected .*, got -1"),
    (lambda: geometry.centroid(X, [0.0, 0.0]), ValueError, r"geometry\.centroid: weights: expected a weight above 0"),
    (lambda: geometry.centroid(X, [1.0, 1.0, 1.0]), ValueError, r"geometry\.centroid: weights: expected a shape that"),
    (lambda: geometry.centroid(X[0]), ValueError, r"geometry\.centroid: points: expected at least 2 axes"),
    (lambda: geometry.centroid(np.stack([S[0], -S[0]]), None, 1.0), ValueError,
     r"geometry\.centroid: points: expected points of a sphere with a mean direction"),
])
def test_message(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_points_off_by_their_rounding_are_taken():
    u = 2.0**-53
    for x, K in ((X, -1.0), (S, 1.0)):
        assert np.isfinite(geometry.distance(x * (1 + 4 * u), x, K)).all()
    narrow = X.astype(np.float32)
    assert geometry.distance(narrow, narrow, -1.0).dtype == np.float32
    with pytest.raises(ValueError, match=r"geometry\.distance: x"):
        geometry.distance(narrow.astype(np.float64), X, -1.0)          # float64 points have to be as good as that


def test_empty_arrays_work():
    assert geometry.lift(np.empty((0, 3)), -1.0).shape == (0, 4)
    assert geometry.distance(np.empty((0, 3)), np.empty((0, 3)), -1.0).shape == (0,)
