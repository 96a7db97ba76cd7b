"""Scores of states: beta F, beta ln(F + floor) or -beta arccos(sqrt F)^2, F = |<q|k>|^2.

A complex product is two real ones, Re = (q_re, q_im).(k_re, k_im) and Im = (-q_im, q_re).(k_re, k_im): two sums for
each key column that is read. beta F is a positive semidefinite kernel. F errs by about u, so ln F is good above the
floor only.
"""
import numpy as np

from aat import states
from aat.attention.scores.base import (
    UNIT,
    Prepared,
    Score,
    Tile,
    beta_of,
    choice,
    filled,
    paired,
    parameter,
    per_head,
    rows_of,
    squares,
)
from aat.states.pure import between

TINY = 1e-250


class Fidelity(Score):
    """Rows are real and then imaginary parts of D / 2 complex numbers (`real`: D real numbers), normalised.

    beta > 0: a number or one a query head (Hq,). form: "fidelity", "log", "angle". floor > 0: what "log" adds to F.
    """

    name = "fidelity"
    q_scalars = ("beta",)
    forms = ("fidelity", "log", "angle")

    def __init__(self, beta=1.0, form="fidelity", real=False, floor=1e-6):
        self.beta = beta_of(self.name, beta)
        self.form = choice(self.name, "form", form, self.forms)
        self.floor = float(parameter(self.name, "floor", floor, lambda x: x > 0, "a number above 0",
                                     "ln 0 would mask a key for ever"))
        self.real = bool(real)
        self.products = 1 if self.real else 2

    def states(self, x, argument="k"):
        """The unit vectors that rows (..., D) stand for, complex (..., D / 2) or real."""
        x = rows_of(self.name, argument, x, 1 if self.real else 2)
        return states.encode(x, planes=not self.real)

    def prepare_q(self, q):
        """Unit columns (q_re, q_im) and (-q_im, q_re); beta."""
        parts = np.empty((self.products, *np.shape(q)))
        psi = self._unit(q, "q", parts[0])
        beta = filled(per_head(self.name, "beta", self.beta, psi, "q"), psi)
        if self.real:
            return Prepared(parts, beta[None])
        half = psi.shape[-1] // 2
        np.negative(psi[..., half:], out=parts[1, ..., :half])
        parts[1, ..., half:] = psi[..., :half]
        return Prepared(parts, beta[None])

    def prepare_k(self, k):
        """Unit columns (k_re, k_im)."""
        columns = self._unit(k, "k")
        return Prepared(columns, np.empty((0, *columns.shape[:-1])))

    def _unit(self, x, argument, out=None):
        """The states of rows (..., D) as D real columns, (re, im), in `out` if that is given."""
        x = rows_of(self.name, argument, x, 1 if self.real else 2)
        square = squares(x)
        if ((square > TINY) & (square < 1 / TINY)).all():
            return np.multiply(x, (1 / np.sqrt(square))[..., None], out=out)
        psi = self.states(x, argument)      # squares leave the range, or a row is no state
        psi = psi if self.real else np.concatenate([psi.real, psi.imag], -1)
        return np.multiply(psi, 1.0, out=out)

    def _F(self, u, ops):
        square = u[0] * u[0] if self.real else u[0] * u[0] + u[1] * u[1]
        return ops.minimum(square, 1.0)

    def apply(self, u, q, k, ops=np):
        """A function of F = sum u^2."""
        F = self._F(u, ops)
        if self.form == "fidelity":
            return q[0] * F
        if self.form == "log":
            return q[0] * ops.log(F + self.floor)
        # arccos(sqrt F) by the smaller of sqrt F and sqrt(1 - F): 1 - F has lost what a small F was
        near = F > 0.5
        a = ops.arcsin(ops.sqrt(ops.where(near, 1 - F, F)))
        a = ops.where(near, a, np.pi / 2 - a)
        return -(q[0] * (a * a))

    def derivative(self, u, q, k, ops=np):
        """f'(F) 2 u_p; d(arccos(sqrt F)^2) / dF = -a / (sin a cos a), -1 at F = 1; at F = 0 there is a kink: 0."""
        F = self._F(u, ops)
        if self.form == "fidelity":
            slope = q[0]
        elif self.form == "log":
            slope = q[0] / (F + self.floor)
        else:
            sine, cosine = ops.sqrt(1 - F), ops.sqrt(F)
            both = sine * cosine
            inside = both > 0
            ratio = ops.where(inside, ops.arcsin(sine) / ops.where(inside, both, 1.0), ops.where(F > 0.5, 1.0, 0.0))
            slope = q[0] * ratio
        return tuple(slope * 2 * part for part in u)

    def domain(self, q, k, ops=np):
        """Each product of unit vectors lies in [-1, 1], and the sum of their squares is at most 1."""
        return ((-1.0, 1.0),) * self.products

    def of_angle(self, a, q, pairs=False):
        """The score at Fubini-Study angles a: (..., Lq), or (..., Lq, Lk) for `pairs`."""
        beta = per_head(self.name, "beta", self.beta, q, "q")
        beta = beta[..., None] if pairs else beta
        if self.form == "angle":
            return -beta * a * a
        F = np.cos(a) ** 2
        return beta * F if self.form == "fidelity" else beta * np.log(F + self.floor)

    def score(self, q, k):
        """`of_angle` of every pair's angle."""
        q = np.asarray(q)
        psi, phi = self.states(q, "q"), self.states(paired(self.name, q, np.asarray(k)))
        return self.of_angle(between(psi[..., :, None, :], phi[..., None, :, :]), q, pairs=True)

    def tile(self, k):
        """The largest direction of the keys (the top singular vector), and the largest angle from it."""
        phi = self.states(k)
        centre = np.linalg.svd(phi, full_matrices=False)[2][..., 0, :]
        a = between(centre[..., None, :], phi)
        return Tile(centre, (a + self._slack(phi)).max(-1))

    def tile_bound(self, q, tile):
        """The score at the angles a_c + r (at most pi / 2) and a_c - r (at least 0): the triangle inequality."""
        psi = self.states(q, "q")
        a, r = between(psi, tile.centre[..., None, :]), tile.radius[..., None]
        give = 2 * self._slack(psi)
        far, near = np.minimum(a + r + give, np.pi / 2), np.maximum(a - r - give, 0)
        q = np.asarray(q)
        low, high = self.of_angle(far, q), self.of_angle(near, q)
        turn = 16 * UNIT * (np.abs(self.of_angle(near * 0 + np.pi / 2, q)) + np.abs(high) + np.abs(low))
        return low - turn, high + turn

    def _slack(self, x):
        """How far the angle of two states may be off: sums of m terms, normalised, through atan2."""
        return 2 * (2 * x.shape[-1] + 16) * UNIT
