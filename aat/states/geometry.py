"""How do states that depend on parameters bend? The quantum geometric tensor and Berry's phase."""
import numpy as np

from aat.errors import value_error
from aat.states.checks import numbers, real_type, states, wide


def geometric_tensor(psi, derivatives):
    """Q_ab = <d_a psi|(1 - |psi><psi|)|d_b psi>, (..., p, p), Hermitian and positive semidefinite.

    psi: states (..., m); derivatives: (..., p, m), d psi / d parameter_a. Re Q is the Fubini-Study metric, -2 Im Q
    the Berry curvature; neither changes when psi is multiplied by a phase that depends on the parameters (Provost &
    Vallee 1980).
    """
    full, dtype = states("states.geometric_tensor: psi", psi)
    d = numbers("states.geometric_tensor: derivatives", derivatives, 2)
    try:
        np.broadcast_shapes(d.shape[:-2], full.shape[:-1])
        fits = d.shape[-1] == full.shape[-1]
    except ValueError:
        fits = False
    if not fits:
        raise value_error("states.geometric_tensor: derivatives", f"shape (..., p, {full.shape[-1]})",
                          f"shape {d.shape} for states of shape {full.shape}", "one row a parameter")
    dtype = np.result_type(dtype, d.dtype)
    d = wide(d)
    # projecting first: <d_a|d_b> - <d_a|psi><psi|d_b> would lose what a large gauge part shares
    along = (full.conj()[..., None, :] * d).sum(-1)
    across = d - along[..., None] * full[..., None, :]
    return (across.conj() @ np.swapaxes(across, -1, -2)).astype(dtype)


def berry_phase(loop):
    """-arg of the product of <psi_j|psi_{j+1}> around a closed loop of states (..., n, m): (...), in (-pi, pi].

    The last state is followed by the first: do not repeat it. Independent of every state's phase; the phase of the
    continuous loop, modulo 2 pi, up to a term of order 1 / n^2. Raises ValueError where neighbours are orthogonal.
    """
    full, dtype = states("states.berry_phase: loop", loop, 2)
    z = (full.conj() * np.roll(full, -1, -2)).sum(-1)
    size = np.abs(z)
    smallest = (full.shape[-1] + 16) * 2.0**-53
    if (size <= smallest).any():
        at = tuple(int(i) for i in np.argwhere(size <= smallest)[0])
        raise value_error("states.berry_phase: loop", "neighbours that overlap", f"orthogonal ones at {at}",
                          "take more points on the loop")
    phase = -np.angle(np.prod(z / size, -1))
    # -angle lies in [-pi, pi)
    return np.where(phase <= -np.pi, np.pi, phase).astype(real_type(dtype))
