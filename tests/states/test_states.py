"""States: fidelity, angle, entropy, purity, the geometric tensor and Berry's phase, by the laws they obey.

Budgets are roundings: e = (4 m + 32) 2^-53 for a complex sum over m columns, times the size of what is summed.
"""
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aat import states

U = 2.0**-53
DIMS = (2, 3, 16, 64)


def e(m):
    return (4 * m + 32) * U


def some(rng, *shape, real=False):
    x = rng.standard_normal(shape)
    return states.encode(x if real else x + 1j * rng.standard_normal(shape))


def unitary(rng, m):
    q, r = np.linalg.qr(rng.standard_normal((m, m)) + 1j * rng.standard_normal((m, m)))
    return q * (np.diag(r) / np.abs(np.diag(r)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_encode_gives_unit_vectors_of_the_same_direction(dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 6)).astype(dtype)
    psi = states.encode(x)
    u = np.finfo(dtype).eps / 2
    assert psi.dtype == dtype and psi.shape == x.shape
    size = np.linalg.norm(psi.astype(np.complex128), axis=-1)
    assert (np.abs(size - 1) <= 8 * u).all()
    want = x / np.linalg.norm(x.astype(np.complex128), axis=-1, keepdims=True)
    assert (np.abs(psi - want) <= 2 * u + e(6)).all()
    planes = states.encode(rng.standard_normal((5, 6)).astype(np.float32), planes=True)
    assert planes.dtype == np.complex64 and planes.shape == (5, 3)


def test_encode_by_a_matrix_and_at_the_ends_of_the_range():
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((4, 5)), rng.standard_normal((3, 5)) + 1j * rng.standard_normal((3, 5))
    want = x @ w.T
    want /= np.linalg.norm(want, axis=-1, keepdims=True)
    assert np.abs(states.encode(x, w) - want).max() <= 16 * e(5)
    for size in (1e-300, 1e300):
        assert np.abs(states.encode(size * x) - states.encode(x)).max() <= e(5)


@settings(max_examples=60, deadline=None)
@given(m=st.sampled_from(DIMS), seed=st.integers(0, 2**20))
def test_fidelity_does_not_see_phases_or_a_common_unitary(m, seed):
    rng = np.random.default_rng(seed)
    a, b = some(rng, 30, m), some(rng, 30, m)
    F = states.fidelity(a, b)
    phases = np.exp(1j * rng.uniform(0, 6.3, (2, 30, 1)))
    W = unitary(rng, m)
    # W is unitary to the rounding of a QR, m^(3/2) u; |z| <= 1
    room = 8 * e(m) + 16 * m**1.5 * U
    assert (np.abs(states.fidelity(a * phases[0], b * phases[1]) - F) <= room).all()
    assert (np.abs(states.fidelity(states.encode(a @ W.T), states.encode(b @ W.T)) - F) <= room).all()
    assert ((F >= 0) & (F <= 1)).all()
    assert (np.abs(states.fidelity(b, a) - F) <= 2 * e(m)).all()
    assert (1 - states.fidelity(a, a * phases[0]) <= 4 * e(m)).all()
    assert (np.abs(np.abs(states.overlap(a, b)) ** 2 - F) <= 4 * e(m)).all()


@pytest.mark.parametrize("m", DIMS)
def test_a_gram_matrix_of_fidelities_is_positive_semidefinite_and_of_moduli_is_not(m):
    rng = np.random.default_rng(m)
    phi = some(rng, 40, m)
    F = states.fidelity(phi[:, None], phi)
    # eigenvalues move by at most the norm of the error, 40 times that of an entry
    assert np.linalg.eigvalsh(F).min() >= -40 * 8 * e(m)
    # |z| = cos(angle / 2) of four states around a circle of the qubit sphere is no kernel
    t = np.arange(4) * np.pi / 2
    ring = states.encode(np.stack([np.ones(4), np.exp(1j * t)], -1))
    assert np.linalg.eigvalsh(np.sqrt(states.fidelity(ring[:, None], ring))).min() < -0.1


@pytest.mark.parametrize("m", DIMS)
def test_angle_is_a_metric_and_keeps_the_digits_of_near_states(m):
    rng = np.random.default_rng(m)
    a, b, c = (some(rng, 50, m) for _ in range(3))
    ab, bc, ac = states.angle(a, b), states.angle(b, c), states.angle(a, c)
    assert (ac <= ab + bc + 4 * e(m)).all() and (np.abs(states.angle(b, a) - ab) <= 4 * e(m)).all()
    assert (np.abs(np.cos(ab) ** 2 - states.fidelity(a, b)) <= 4 * e(m)).all()
    # (cos t, e^ig sin t) against (1, 0)
    for t in (1e-9, 1e-5, 0.3, 1.5):
        psi = np.array([np.cos(t), np.exp(1j) * np.sin(t)])
        assert abs(states.angle(np.array([1, 0j]), psi) - t) <= e(2) * t + 2 * U * (t > 0.1)
    assert np.arccos(np.sqrt(states.fidelity(np.array([1, 0j]), [np.cos(1e-9), np.sin(1e-9)]))) != 1e-9


def spectrum(p, phi):
    """Of rho, the large way."""
    rho = np.einsum("...n,...na,...nb->...ab", p, phi, phi.conj())
    return np.linalg.eigvalsh(rho)


@pytest.mark.parametrize(("n", "m"), [(1, 4), (3, 8), (8, 3), (30, 16), (16, 64)])
def test_entropy_and_purity(n, m):
    rng = np.random.default_rng(n)
    p, phi = rng.dirichlet(np.ones(n), 20), some(rng, 20, n, m)
    S, P = states.entropy(p, phi), states.purity(p, phi)
    lam = np.clip(spectrum(p, phi), 0, 1)
    # an eigenvalue is off by up to (n + m) e; -x ln x at 0 turns that into -x ln x of it, for each of min(n, m)
    off = (n + m) * e(m)
    room = min(n, m) * -off * np.log(off) * 2
    assert (np.abs(S - np.where(lam > 0, -lam * np.log(np.maximum(lam, 1e-300)), 0).sum(-1)) <= room).all()
    assert (np.abs(P - (lam**2).sum(-1)) <= 2 * min(n, m) * off).all()
    F = states.fidelity(phi[..., :, None, :], phi[..., None, :, :])
    assert (np.abs(P - np.einsum("...j,...k,...jk", p, p, F)) <= 8 * off).all()
    H = -(p * np.log(p)).sum(-1)
    assert (np.minimum(H, np.log(m)) + room >= S).all() and (S >= 0).all()
    assert (1 / min(n, m) - off <= P).all() and (P <= 1).all()
    assert (-np.log(P) <= S + room).all()                     # Renyi: H2 <= H1


def test_entropy_at_its_ends():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(6), 10)
    same = np.broadcast_to(some(rng, 1, 8), (10, 6, 8)) * np.exp(1j * rng.uniform(0, 6, (10, 6, 1)))
    tiny = 8 * e(8)
    assert (states.entropy(p, same) <= -8 * tiny * np.log(tiny)).all()
    assert (1 - states.purity(p, same) <= 4 * tiny).all()
    apart = np.eye(8)[:6]
    H = -(p * np.log(p)).sum(-1)
    assert (np.abs(states.entropy(p, apart) - H) <= -8 * tiny * np.log(tiny)).all()
    assert states.entropy(p.astype(np.float32), apart.astype(np.float32)).dtype == np.float32
    assert (np.abs(states.entropy(7 * p, apart) - H) <= -8 * tiny * np.log(tiny)).all()


def qubit(t, f):
    """A state, and its derivatives by t and f."""
    c, s, w = np.cos(t / 2), np.sin(t / 2), np.exp(1j * f)
    zero = 0 * w
    return (np.stack([c + zero, w * s], -1),
            np.stack([np.stack([-s / 2 + zero, w * c / 2], -1), np.stack([zero, 1j * w * s], -1)], -2))


def test_the_tensor_of_a_qubit():
    t, f = np.linspace(0.1, 3.0, 20), np.linspace(-3, 3, 20)
    psi, d = qubit(t, f)
    Q = states.geometric_tensor(psi, d)
    metric = np.zeros((20, 2, 2))
    metric[:, 0, 0], metric[:, 1, 1] = 0.25, np.sin(t) ** 2 / 4
    room = 4 * e(2)
    assert np.abs(Q.real - metric).max() <= room
    assert np.abs(-2 * Q.imag[:, 0, 1] + np.sin(t) / 2).max() <= room
    assert np.abs(Q - np.swapaxes(Q.conj(), -1, -2)).max() <= room


@pytest.mark.parametrize("m", DIMS)
def test_the_tensor_does_not_see_the_gauge(m):
    rng = np.random.default_rng(m)
    psi = some(rng, 20, m)
    d = rng.standard_normal((20, 3, m)) + 1j * rng.standard_normal((20, 3, m))
    d -= np.einsum("nm,npm->np", psi.conj(), d).real[..., None] * psi[:, None]      # |psi| stays 1
    a, slope = rng.uniform(0, 6, (20, 1)), rng.standard_normal((20, 3, 1))
    w = np.exp(1j * a)
    Q = states.geometric_tensor(psi, d)
    moved = states.geometric_tensor(w * psi, w[:, None] * (d + 1j * slope * psi[:, None]))
    size = (np.linalg.norm(d, axis=-1) + np.abs(slope[..., 0])).max() ** 2
    assert np.abs(moved - Q).max() <= 8 * e(m) * size
    assert np.linalg.eigvalsh(Q).min() >= -8 * e(m) * size
    # without the projection it is not gauge-invariant
    plain = d.conj() @ np.swapaxes(d, -1, -2)
    g = d + 1j * slope * psi[:, None]
    assert np.abs(g.conj() @ np.swapaxes(g, -1, -2) - plain).max() > 0.1


@pytest.mark.parametrize("n", [3, 10, 1000])
@pytest.mark.parametrize("t", [0.2, 1.0, 2.0, 3.0])
def test_the_phase_of_a_loop_of_qubits(n, t):
    loop, _ = qubit(np.full(n, t), np.arange(n) * 2 * np.pi / n)
    # the product of n equal overlaps cos^2 + sin^2 e^(2 pi i / n), in closed form
    z = np.cos(t / 2) ** 2 + np.sin(t / 2) ** 2 * np.exp(2j * np.pi / n)
    exact = -n * np.angle(z)
    got = states.berry_phase(loop)
    assert abs(np.angle(np.exp(1j * (got - exact)))) <= n * e(2) / abs(z)
    phases = np.exp(1j * np.random.default_rng(n).uniform(0, 6, (n, 1)))
    assert abs(np.angle(np.exp(1j * (states.berry_phase(loop * phases) - got)))) <= 2 * n * e(2) / abs(z)
    assert abs(np.angle(np.exp(1j * (states.berry_phase(loop[::-1]) + got)))) <= 2 * n * e(2) / abs(z)


def test_the_phase_tends_to_half_the_solid_angle_as_one_over_n_squared():
    t = 1.0
    want = -np.pi * (1 - np.cos(t))
    error = []
    for n in (50, 100, 200):
        loop, _ = qubit(np.full(n, t), np.arange(n) * 2 * np.pi / n)
        error.append(abs(states.berry_phase(loop) - want))
    # arg z = sin^2 x (1 + O(x^2)), x = 2 pi / n: the next term is x^4 of it, 1 / n^2 of the error
    assert all(abs(a / b - 4) < 4 * (2 * np.pi / 50) ** 2 for a, b in pairwise(error))
    assert error[0] > 1e-5


X = np.array([[0.6, 0.8], [1.0, 0.0]])


@pytest.mark.parametrize(("call", "kind", "message"), [
    (lambda: states.encode(np.array([[1.0, 0], [0, 0]])), ValueError,
     r"states\.encode: x: expected finite vectors other than zero, got largest component 0 at \(1,\); a zero vector"),
    (lambda: states.encode(np.array([np.inf, 1.0])), ValueError, r"states\.encode: x: .*got largest component inf"),
    (lambda: states.encode(np.ones(3), planes=True), ValueError, r"states\.encode: x: expected real vectors of an"),
    (lambda: states.encode(np.ones(2, bool)), TypeError, r"states\.encode: x: expected float32.*got bool; convert"),
    (lambda: states.encode(X, np.ones((3, 4))), ValueError, r"states\.encode: weight: expected shape \(m, 2\), got"),
    (lambda: states.fidelity(X, 2 * X), ValueError,
     r"states\.fidelity: phi: expected unit vectors.*got length 2 at \(0,\); make them with states\.encode"),
    (lambda: states.fidelity(X, np.ones((1, 1))), ValueError, r"states\.fidelity: phi: expected a shape that bro"),
    (lambda: states.angle(0 * X, X), ValueError, r"states\.angle: psi: expected unit vectors.*length 0"),
    (lambda: states.entropy([1.0, -1.0], X), ValueError, r"states\.entropy: weights: expected finite.*got -1"),
    (lambda: states.entropy([0.0, 0.0], X), ValueError, r"states\.entropy: weights: expected a weight above 0"),
    (lambda: states.purity(np.ones(3), X), ValueError, r"states\.purity: weights: expected a shape that broadcasts"),
    (lambda: states.geometric_tensor(X[0], X[0]), ValueError, r"states\.geometric_tensor: derivatives: expected at"),
    (lambda: states.geometric_tensor(X[0], np.ones((2, 3))), ValueError, r"geometric_tensor: derivatives: .*\(2, 3\)"),
    (lambda: states.berry_phase(np.eye(3)), ValueError,
     r"states\.berry_phase: loop: expected neighbours that overlap, got orthogonal ones at \(0,\); take more points"),
])
def test_message(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
