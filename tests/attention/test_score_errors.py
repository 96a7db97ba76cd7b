"""Bad parameters and rows of scores: the message names the score, the argument, what came and what to do."""
import numpy as np
import pytest

from aat.attention.scores import Dot, Euclidean, Fidelity, Hyperbolic, Spherical

Q = np.ones((1, 4, 3, 6))


@pytest.mark.parametrize(("call", "kind", "message"), [
    (lambda: Hyperbolic(curvature=1.0), ValueError,
     r"hyperbolic: curvature: expected numbers below 0, got 1; Euclidean is curvature 0, Spherical is above"),
    (lambda: Hyperbolic(curvature=0.0), ValueError, r"hyperbolic: curvature: expected numbers below 0, got 0"),
    (lambda: Hyperbolic(curvature=[-1.0, 2.0]), ValueError, r"hyperbolic: curvature: .*got 2"),
    (lambda: Hyperbolic(curvature=-np.inf), ValueError, r"hyperbolic: curvature: .*got -inf"),
    (lambda: Spherical(curvature=-1.0), ValueError, r"spherical: curvature: expected numbers above 0, got -1; Eucl"),
    (lambda: Hyperbolic(curvature="-1"), TypeError, r"hyperbolic: curvature: expected a real number"),
    (lambda: Euclidean(beta=0.0), ValueError, r"euclidean: beta: expected numbers above 0, got 0; a nearer key must"),
    (lambda: Hyperbolic(beta=-2.0), ValueError, r"hyperbolic: beta: expected numbers above 0, got -2"),
    (lambda: Spherical(beta=np.nan), ValueError, r"spherical: beta: expected numbers above 0, got nan"),
    (lambda: Fidelity(beta=[1.0, 0.0]), ValueError, r"fidelity: beta: expected numbers above 0, got 0"),
    (lambda: Fidelity(beta=np.ones((2, 2))), ValueError, r"fidelity: beta: expected a number, or shape \(heads,\)"),
    (lambda: Fidelity(floor=0.0), ValueError, r"fidelity: floor: expected a number above 0, got 0; ln 0 would"),
    (lambda: Dot(np.inf), ValueError, r"dot: scale: expected finite numbers, got inf"),
    (lambda: Euclidean(form="inner"), ValueError, r'euclidean: form: expected "squared" or "distance", got \'inner\''),
    (lambda: Fidelity(form="born"), ValueError, r'fidelity: form: expected "fidelity" or "log" or "angle"'),
    (lambda: Hyperbolic(product="haversine"), ValueError, r'hyperbolic: product: expected "dot" or "difference", got'),
    (lambda: Hyperbolic(chart="poincare"), ValueError, r'hyperbolic: chart: expected "lift" or "exp", got'),
    (lambda: Euclidean(np.ones(3)).score(Q, Q), ValueError,
     r"euclidean: beta: expected one number, or one for each of the 4 heads of q, got 3 numbers"),
    (lambda: Hyperbolic(1.0, -np.ones(3)).prepare_k(Q), ValueError,
     r"hyperbolic: curvature: expected one number, or one for each of the 4 heads of k, got 3 numbers"),
    (lambda: Spherical(chart="lift").score(2 * Q, Q), ValueError,
     r"geometry\.lift: s: expected \|s\|\^2 <= 1 / curvature on a sphere, got .*24; scale s down"),
    (lambda: Spherical(chart="lift").prepare_q(2 * Q), ValueError, r"geometry\.lift: s: expected \|s\|\^2 <= 1 / curv"),
    (lambda: Fidelity().prepare_q(0 * Q), ValueError,
     r"states\.encode: x: expected finite vectors other than zero, got largest component 0 at \(0, 0, 0\)"),
    (lambda: Fidelity().prepare_k(Q[..., :5]), ValueError, r"fidelity: k: expected shape .*, D a multiple of 2, got"),
    (lambda: Dot().prepare_q(Q[0, 0, 0]), ValueError, r"dot: q: expected shape \(\.\.\., L, D\), got shape \(6,\)"),
    (lambda: Dot().prepare_q(Q.astype(complex)), TypeError, r"dot: q: expected real numbers, got complex128"),
    (lambda: Dot().score(Q, Q[:, :3]), ValueError,
     r"dot: k: expected a number of heads that divides the 4 of q, got 3 heads"),
    (lambda: Dot().evaluate(Q, Q[..., :5]), ValueError, r"dot: k: expected shape .*, 6\) as q has, got .* 5\)"),
    (lambda: Hyperbolic().score(Q, Q[0, 0]), ValueError, r"hyperbolic: k: expected shape .*, 6\) as q has, got"),
    (lambda: Fidelity().score(Q, Q[..., :4]), ValueError, r"fidelity: k: expected shape .*, 6\) as q has, got"),
])
def test_message(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
