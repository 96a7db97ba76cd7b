"""Attention by a plan, in float64: what a kernel with a tolerance has to do, step by step, and how much work it was.

Every query tile of every head takes its s-th tile at the same time, so the loop is over steps alone. Nothing is shared
with a kernel but the plan; bounds of what is left out after QK come from the exact scores.
"""
from dataclasses import dataclass

import numpy as np

from aat.tiling.bounds import certificate, phi


@dataclass(frozen=True)
class Adaptive:
    """A result of `run_plan`.

    out (B, Hq, L, Dv), lse (B, Hq, L): of what was computed and replaced, float64.
    bound (B, Hq, L): the certificate, >= max over columns of |out - exact|.
    tiles: dict of ints over all query tiles: seen, full, skipped_before, skipped_after, replaced.
    multiply_adds: dict of ints: done (QK and PV of visited tiles, means), dense (of what is seen).
    """

    out: np.ndarray
    lse: np.ndarray
    bound: np.ndarray
    tiles: dict
    multiply_adds: dict


def scores(q, k, scale, bias=None, visible=None):
    """s (B, Hq, L, Lk) in float64, -inf where a key is not visible (bool, broadcast)."""
    q, k = (np.asarray(x, np.float64) for x in (q, k))
    s = np.matmul(q * scale, np.repeat(k, q.shape[1] // k.shape[1], 1).swapaxes(2, 3))
    if bias is not None:
        s = s + np.asarray(bias, np.float64)
    return s if visible is None else np.where(visible, s, -np.inf)


def exact(s, v):
    """softmax(s) v in float64, 0 where a row sees nothing, by the definition."""
    v = np.repeat(np.asarray(v, np.float64), s.shape[1] // v.shape[1], 1)
    top = s.max(-1, keepdims=True, initial=-np.inf)
    p = np.exp(s - np.where(np.isneginf(top), 0, top))
    total = p.sum(-1, keepdims=True)
    return np.matmul(p, v) / np.where(total > 0, total, 1)


def run_plan(plan, summary, q, k, v, scale, *, bias=None, visible=None, gate=True):
    """Compute attention as the plan says; with `gate`, tiles that prove small after QK are left out too.

    Args:
        plan, summary: from aat.tiling, of these arrays. q, k, v: (B, H, L, D or Dv). scale: float.
        bias, visible: broadcast to (B, Hq, L, Lk) or None; hidden keys' values are not read.
    """
    run = _Run(plan, summary, q, k, v, scale, bias, visible)
    run.replace()
    most = int(plan.counts.max(initial=0))
    for step in range(most):
        run.visit(step, gate)
    return run.result()


class _Run:
    """The state of every query tile: arrays (n, rows) with n = B Hq Q."""

    def __init__(self, plan, summary, q, k, v, scale, bias, visible):
        self.plan, self.summary, self.scale = plan, summary, scale
        B, Hq, L, self.d = q.shape
        self.shape, self.dv, rows = (B, Hq, L), v.shape[3], plan.rows
        self.group = Hq // k.shape[1]
        Q, block, tiles = plan.counts.shape[2], plan.block, summary.tiles
        self.n = B * Hq * Q
        self.last = np.minimum(np.arange(Q * rows), L - 1)          # rows behind the last one repeat it
        exists = np.arange(k.shape[2]) < summary.lens[:, None, None, None]
        there = exists if visible is None else exists & visible
        s = scores(q, k, scale, bias, there)[:, :, self.last]
        pad = tiles * block - s.shape[3]
        s = np.pad(s, ((0, 0), (0, 0), (0, 0), (0, pad)), constant_values=-np.inf)
        self.s = s.reshape(self.n, rows, tiles, block).transpose(0, 2, 1, 3)
        seen = np.asarray(np.broadcast_to(there, (B, *np.shape(there)[1:3], k.shape[2])).any((1, 2)))
        values = np.where(seen[:, None, :, None], np.asarray(v, np.float64), 0)
        values = np.pad(values, ((0, 0), (0, 0), (0, pad), (0, 0))).reshape(B, -1, tiles, block, self.dv)
        self.v = np.repeat(values, self.group, 1).reshape(B * Hq, tiles, block, self.dv)
        self.head = np.arange(self.n) // max(Q, 1)
        self.q = np.asarray(q, np.float64)[:, :, self.last].reshape(self.n, rows, self.d)
        self.m = np.full((self.n, rows), -np.inf)
        self.l = np.zeros((self.n, rows))
        self.ub = np.zeros((self.n, rows))
        self.acc = np.zeros((self.n, rows, self.dv))
        self.kappa = plan.kappa.reshape(-1)[self.head][:, None]
        self.log_omitted = plan.log_omitted.astype(np.float64)[:, :, self.last].reshape(self.n, rows)
        self.after = 0

    def replace(self):
        """Add the means of the tiles that are replaced: weight n e^mu, value vbar."""
        plan, m = self.plan, self.summary.moments
        counts = plan.replaced_counts.reshape(-1)
        for step in range(int(counts.max(initial=0))):
            who = np.flatnonzero(counts > step)
            tile = plan.replaced[plan.replaced_starts[who] + step]
            b, h = np.divmod(self.head[who], self.shape[1])
            g = h // self.group
            key, value = (x[b, g, tile].astype(np.float64) for x in (m.key, m.value))
            mu = self.scale * np.einsum("nrd,nd->nr", self.q[who], key)
            self._add(who, mu + np.log(m.count[b, g, tile])[:, None],
                      lambda top, mu=mu, count=m.count[b, g, tile]: (
                          count[:, None] * np.exp(mu - top)), value)

    def _add(self, who, size, weight, value):
        m = np.maximum(self.m[who], size)
        old = np.exp(self.m[who] - m)
        w = weight(m)
        self.l[who] = self.l[who] * old + w
        self.acc[who] = self.acc[who] * old[..., None] + w[..., None] * value[:, None]
        self.ub[who] *= old
        self.m[who] = m

    def visit(self, step, gate):
        """The step-th tile of every query tile that has one: QK, the gate, exp, PV."""
        plan = self.plan
        who = np.flatnonzero(plan.counts.reshape(-1) > step)
        tile = plan.indices[plan.starts[who] + step]
        s = self.s[who, tile]                                        # (w, rows, block)
        mx = s.max(2)
        if gate:
            small = self._gate(who, s, mx)
            self.after += int(small.sum())
            who, tile, s, mx = who[~small], tile[~small], s[~small], mx[~small]
        m = np.maximum(self.m[who], mx)
        safe = np.where(np.isneginf(m), 0, m)
        p = np.exp(s - safe[..., None])
        old = np.where(np.isneginf(self.m[who]), 0, np.exp(self.m[who] - safe))
        self.l[who] = self.l[who] * old + p.sum(2)
        self.acc[who] = self.acc[who] * old[..., None] + np.matmul(p, self.v[self.head[who], tile])
        self.ub[who] *= old
        self.m[who] = m

    def _gate(self, who, s, mx):
        """Which tiles all rows can leave out; their bounds are charged."""
        m, l, ub = self.m[who], self.l[who], self.ub[who]
        size = np.isfinite(s).sum(2)
        n = np.maximum(size, 1)
        mean = np.where(np.isfinite(s), s, 0).sum(2) / n
        var = np.where(np.isfinite(s), (s - mean[..., None])**2, 0).sum(2) / n
        with np.errstate(over="ignore", invalid="ignore"):
            log_u = np.log(n) + np.minimum(mx, mean + np.log1p(phi(np.where(size > 0, mx - mean, 0)) * var))
            u = np.where(size > 0, np.exp(log_u - m), 0) * (1 + 1e-12)
            # rows that see nothing of the tile agree; a row with nothing kept does not
            fits = (size == 0) | ((l > 0) & (np.exp(self.log_omitted[who] - m) + ub + u <= self.kappa[who] * l))
        small = fits.all(1)
        self.ub[who[small]] += u[small]
        return small

    def result(self):
        plan, (B, Hq, L) = self.plan, self.shape
        with np.errstate(divide="ignore"):
            kept = self.m + np.log(self.l)
            omitted = np.logaddexp(self.log_omitted, self.m + np.log(self.ub))
        blind = np.isneginf(self.s).all((1, 3))
        omitted = np.where(blind, -np.inf, omitted)                  # a row that sees nothing leaves nothing out
        spread = plan.spread.astype(np.float64).reshape(-1)[self.head][:, None]
        bound = certificate(omitted, kept, spread)
        out = self.acc / np.where(self.l > 0, self.l, 1)[..., None]

        def rows(x, *rest):
            return x.reshape(B, Hq, -1, *rest)[:, :, :L]

        seen, visited, swapped = (int(x.sum()) for x in (plan.seen, plan.counts, plan.replaced_counts))
        tiles = dict(seen=seen, full=visited - self.after, skipped_before=seen - visited - swapped,
                     skipped_after=self.after, replaced=swapped)
        work = plan.rows * plan.block
        done = work * (visited * self.d + (visited - self.after) * self.dv) + plan.rows * swapped * (self.d + self.dv)
        return Adaptive(rows(out, self.dv), rows(kept), rows(bound), tiles,
                        dict(done=done, dense=work * seen * (self.d + self.dv)))


@dataclass(frozen=True)
class Judged:
    """What the law `error <= bound <= tolerance largest` says about one result: counts of rows that break it.

    rows, over_bound, over_tolerance: ints. tightest: the largest bound over tolerance largest, worst: the largest
    error over bound (of rows where something is left out).
    """

    rows: int
    over_bound: int
    over_tolerance: int
    tightest: float
    worst: float


def judge(result, s, v, tolerance):
    """Hold a result against the float64 softmax of the scores s (B, Hq, L, Lk); see Judged.

    The float64 sums themselves err by at most a few (Lk + D) 2^-53 of the largest value; that much is let pass.
    """
    largest = np.abs(np.asarray(v, np.float64)).max((2, 3), initial=0)
    largest = np.repeat(largest, s.shape[1] // v.shape[1], 1)[..., None]
    error = np.abs(result.out - exact(s, v)).max(3, initial=0)
    rounding = 8 * (s.shape[3] + v.shape[3]) * 2.0**-53 * largest
    omitting = result.bound > 0
    allowed = tolerance * largest
    with np.errstate(invalid="ignore", divide="ignore"):
        worst = np.where(omitting, np.maximum(error - rounding, 0) / result.bound, 0).max(initial=0)
        tightest = np.where(omitting, result.bound / allowed, 0).max(initial=0)
    return Judged(error.size, int((~(error <= result.bound + rounding)).sum()),
                  int((~(result.bound <= allowed)).sum()), float(tightest), float(worst))
