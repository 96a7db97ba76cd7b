"""How mixed is a weighted set of states? rho = sum p_j |phi_j><phi_j|.

For a row of attention weights p over keys phi_j these say how many distinct states the row looks at: orthogonal keys
give the entropy of p, equal keys give 0.
"""
import numpy as np

from aat.states.checks import real_type, states, weights


def entropy(p, phi):
    """Von Neumann entropy -tr rho ln rho in nats, (...), of weights p (..., n) and states phi (..., n, m).

    At most min(H(p), ln m). The spectrum of rho is that of the Gram matrix sqrt(p_j p_k) <phi_j|phi_k>; the smaller of
    the two is diagonalised.
    """
    rows, dtype = _weighted("entropy", p, phi)
    n, m = rows.shape[-2:]
    small = np.swapaxes(rows, -1, -2) @ rows.conj() if m <= n else rows @ np.swapaxes(rows.conj(), -1, -2)
    spectrum = np.clip(np.linalg.eigvalsh(small), 0.0, 1.0)
    terms = np.where(spectrum > 0, -spectrum * np.log(np.where(spectrum > 0, spectrum, 1.0)), 0.0)
    return terms.sum(-1).astype(real_type(dtype))


def purity(p, phi):
    """tr rho^2 = sum_jk p_j p_k F_jk, (...), in [1 / min(n, m), 1]."""
    rows, dtype = _weighted("purity", p, phi)
    n, m = rows.shape[-2:]
    small = np.swapaxes(rows, -1, -2) @ rows.conj() if m <= n else rows @ np.swapaxes(rows.conj(), -1, -2)
    return np.minimum((np.abs(small) ** 2).sum((-1, -2)), 1.0).astype(real_type(dtype))


def _weighted(function, p, phi):
    """sqrt(p_j) phi_j, (..., n, m), in double precision, and the dtype of the states."""
    full, dtype = states(f"states.{function}: phi", phi, 2)
    p = weights(function, p, full.shape[:-1])
    return np.sqrt(p)[..., None] * full, dtype
