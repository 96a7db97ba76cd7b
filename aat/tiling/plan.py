"""Which tiles of keys does a query tile have to visit, before any of its scores is computed?

The rule, for every row of a query tile, J_t <= Z_t <= U_t the bounds of aat.tiling.bounds, P what is left out:

    sum over P of U_t  <=  rho sum over all t of J_t        =>  error <= rho spread <= tolerance largest          (1)

since the share of the mass in P is at most that quotient. In mixed mode a tile of P may be replaced by its mean,
with its error E_t / (1 - rho) (bounds.replacement) in place of U_t, whichever is smaller. Let T be the row's sum. What
the run computes and replaces has the mass l, l + (mass left out) >= sum of J, and (1) gives T <= kappa l with
kappa = rho / (1 - rho). Hence the one number ln T that a plan hands on, `log_omitted`, serves three ends: the gate
after QK may leave out a further tile while T + (its bound) <= kappa l; spread T / (l + T) is the row's certificate;
and it does not matter which tiles were replaced.

Sums are taken over buckets: a bound is rounded up to a multiple of 1/16 of a power of two, so that float32 sums of
them are exact in any order up to rho, and 2^x needs no exponential: bucket << 19 are the bits of the number. The
lower sums are rounded down the same way. Rows of a query tile share |q| (its largest) in delta and w^2.
"""
import math
from dataclasses import dataclass, field

import numpy as np

from aat.errors import value_error
from aat.tiling import bounds, launch
from aat.tiling.moments import NAMES, TileMoments
from aat.tiling.visible import ALL, NOTHING, tile_visibility

STEPS = 16                              # buckets an octave
LOG = STEPS / math.log(2)               # buckets a unit of the natural logarithm
ZERO = 127 * STEPS                      # bucket of 1
LOWER = np.float32(1 / 1.0616 * (1 - 1e-4))      # (1 + f) / 2^f <= 1.06148: the line between powers of two
RANGE = 19                              # octaves below rho that are told apart: 24 bits less 4 and a carry
CHUNK = 2**18                           # rows x tiles handled at once
CANDIDATES = np.array([1, 1.5, 2.3, 3.5, 6, 12])      # budgets tried, over rho, for the sums of the rows' maxima


@dataclass(frozen=True)
class TilePlan:
    """The tiles that each query tile visits.

    Query tiles are numbered (b Hq + h) Q + i. The list of query tile j are the counts[j] numbers of `indices` from
    starts[j] on; those of different query tiles need not touch, and `replaced` may be the same array as `indices`.

    block, rows: keys of a tile, query rows of a query tile. tolerance: what was asked for.
    counts (B, Hq, Q) int32, starts (B Hq Q + 1) int32, indices int32: tiles to visit, in the order of the visit.
    replaced_counts, replaced_starts, replaced: the same for tiles whose mean stands in for them.
    seen (B, Hq, Q) int32: tiles that a dense run visits.
    log_omitted (B, Hq, L) float32: ln T of each row, -inf where nothing is left out.
    rho, kappa (B, Hq) float64: the share that may be left out, and its ratio to what is kept.
    spread (B, Hq) float32: the range of the values.
    """

    block: int
    rows: int
    tolerance: float
    counts: np.ndarray
    starts: np.ndarray
    indices: np.ndarray
    replaced_counts: np.ndarray
    replaced_starts: np.ndarray
    replaced: np.ndarray
    seen: np.ndarray
    log_omitted: np.ndarray
    rho: np.ndarray
    kappa: np.ndarray
    spread: np.ndarray
    notes: dict = field(default_factory=dict)

    def tiles(self, b, h, i):
        """The tiles that query tile i of head (b, h) visits, in order."""
        at = np.ravel_multi_index((b, h, i), self.counts.shape)
        return self.indices[self.starts[at]:self.starts[at] + self.counts[b, h, i]]

    def replaced_tiles(self, b, h, i):
        """The tiles whose mean stands in for them."""
        at = np.ravel_multi_index((b, h, i), self.counts.shape)
        return self.replaced[self.replaced_starts[at]:self.replaced_starts[at] + self.replaced_counts[b, h, i]]

    @property
    def skipped(self):
        """The share of the tiles of a dense run that are neither visited nor replaced, of all query tiles."""
        return 1 - (self.counts.sum() + self.replaced_counts.sum()) / max(self.seen.sum(), 1)


def make_plan(summary, q, scale, tolerance, rows, *, mixed=False, part=1.0, form="range", visible=None,
              bias_high=None, bias_low=None, local=None, reach=None, session=None):
    """The TilePlan of queries q (B, Hq, L, D) over a KeySummary.

    With a `session` on the CPU, kernels/tile_plan.py makes it where neither `visible` nor a bias is given and `rows` is
    one to four vectors of lanes; NumPy makes it elsewhere. The two may differ where bounds round to neighbouring
    buckets, and both keep the rule.

    Args:
        tolerance: bound on the error over max |v| of a head; <= 0 visits everything.
        rows: query rows of a query tile.
        mixed: tiles may be replaced by their means. With a bias none is: the mean key's score says nothing of it.
        part: share of the tolerance that the plan may use, in [0, 1]; the rest is left to the gate after QK.
        form: "range" for the range of the values in the certificate, "largest" for twice the largest.
        visible: visible.tile_visibility for these rows, or None: everything.
        bias_high, bias_low: (B or 1, Hq or 1, L or 1, T), visible.bias_range of the bias, or None.
        local: (B or 1, Q) int, a tile that each query tile visits first, or None.
        reach: in place of `visible`, (offset, left, right) as in visible.tile_visibility, or None.
        session: an open aat.backends.session.Session, or None.

    Raises:
        ValueError: tolerance is NaN, rows < 1, part outside [0, 1], or heads of q and summary that do not fit.
    """
    _check(summary, q, tolerance, rows, part, form)
    B, Hq = q.shape[:2]
    group = Hq // summary.heads
    spread = summary.spread if form == "range" else 2 * summary.largest
    rho, kappa = bounds.share(tolerance, summary.largest, spread)
    if visible is None and bias_high is None and launch.suits(session, summary, q, rows):
        arrays = launch.plan_arrays(session, summary, q, scale, rho * part, spread, rows, mixed=mixed, reach=reach,
                                    local=local)
        return _from_kernel(summary, rows, tolerance, arrays, *(np.repeat(x, group, 1) for x in (rho, kappa, spread)))
    if reach is not None and visible is None:
        offset, left, right = reach
        visible = tile_visibility(summary, q.shape[2], rows, offset=offset, left=left, right=right)
    job = _Job(summary, q, scale, rows, mixed and bias_high is None, visible, bias_high, bias_low, local)
    Q = job.blocks

    for b, h in np.ndindex(B, Hq):
        job.head(b, h, h // group, float(rho[b, h // group] * part))
    parts, counts = job.lists("visited", B, Hq)
    replaced, replaced_counts = job.lists("replaced", B, Hq)
    seen = np.full((B, Hq, Q), summary.tiles, np.int32)
    if visible is not None:
        seen = np.broadcast_to((visible != NOTHING).sum(-1, dtype=np.int32), (B, Hq, Q))
    return TilePlan(summary.block, rows, float(tolerance), counts, _starts(counts), parts, replaced_counts,
                    _starts(replaced_counts), replaced, seen, job.log_omitted,
                    np.repeat(rho, group, 1), np.repeat(kappa, group, 1), np.repeat(spread, group, 1))


def _from_kernel(summary, rows, tolerance, arrays, rho, kappa, spread):
    """The TilePlan over the lists of kernels/tile_plan.py: a row of `tiles` places for each query tile."""
    lists, numbers, log_omitted = arrays
    B, Hq = log_omitted.shape[:2]
    visited, replaced, seen = numbers.reshape(3, B, Hq, -1)
    starts = np.arange(len(lists) + 1, dtype=np.int32) * np.int32(summary.tiles)
    indices = lists.reshape(-1)
    behind = starts + np.append(visited.reshape(-1), np.int32(0))
    return TilePlan(summary.block, rows, float(tolerance), visited, starts, indices, replaced, behind, indices, seen,
                    log_omitted, rho, kappa, spread)


def plan_of(summary, q, tolerance, rows, keep, level, log_omitted, visible=None, form="range", notes=None):
    """The TilePlan that visits exactly the tiles `keep` (B, Hq, Q, T), those of a high `level` first.

    log_omitted (B, Hq, L) must bound the mass of the tiles that are seen and not kept; the certificate rests on it.
    """
    B, Hq, Q = keep.shape[:3]
    spread = summary.spread if form == "range" else 2 * summary.largest
    rho, kappa = (np.repeat(x, Hq // summary.heads, 1) for x in bounds.share(tolerance, summary.largest, spread))
    there = np.broadcast_to((summary.moments.count > 0).any(1)[:, None, None], keep.shape)
    seen = there if visible is None else there & (visible != NOTHING)
    keep = keep & seen
    order = np.argsort(np.where(keep, -level, np.inf), 3, kind="stable")
    indices = order[np.take_along_axis(keep, order, 3)].astype(np.int32)
    counts, none = keep.sum(3, dtype=np.int32), np.zeros((B, Hq, Q), np.int32)
    return TilePlan(summary.block, rows, float(tolerance), counts, _starts(counts), indices, none, _starts(none),
                    np.zeros(0, np.int32), seen.sum(3, dtype=np.int32), log_omitted.astype(np.float32), rho, kappa,
                    np.repeat(spread, Hq // summary.heads, 1), notes or {})


class _Job:
    """One call of make_plan: the arrays of all heads, and what comes out for each."""

    def __init__(self, summary, q, scale, rows, mixed, visible, bias_high, bias_low, local):
        self.m, self.q, self.scale, self.rows, self.mixed = summary.moments, q, scale, rows, mixed
        self.tiles, self.spread = summary.tiles, summary.spread
        self.visible, self.bias_high, self.bias_low, self.local = visible, bias_high, bias_low, local
        self.blocks = -(-q.shape[2] // rows)
        self.log_omitted = np.full(q.shape[:3], -np.inf, np.float32)
        self.found: dict[str, dict] = {"visited": {}, "replaced": {}}

    def lists(self, kind, B, Hq):
        """(indices, counts) over all heads of what `head` found."""
        found = [part for index in np.ndindex(B, Hq) for part in self.found[kind][index]]
        counts = np.concatenate([c for _, c in found]) if found else np.zeros(0, np.int32)
        indices = np.concatenate([i for i, _ in found]) if found else np.zeros(0, np.int32)
        return indices.astype(np.int32), counts.astype(np.int32).reshape(B, Hq, self.blocks)

    def head(self, b, h, g, rho):
        m, rows, L = self.m, self.rows, self.q.shape[2]
        one = {name: getattr(m, name)[b, g] for name in NAMES}
        one["slack"] = bounds.tile_slack(TileMoments(**one), self.q.shape[3])
        one["size"] = np.log(np.maximum(one["count"], 1)).astype(np.float32)
        one["spread"] = self.spread[b, g]
        centres = np.ascontiguousarray(one["key"].T)
        self.found["visited"][b, h], self.found["replaced"][b, h] = [], []
        step = max(1, CHUNK // (rows * max(self.tiles, 1)))
        for first in range(0, self.blocks, step):
            part = slice(first, min(first + step, self.blocks))
            at = np.arange(part.start * rows, part.stop * rows)
            q = self.q[b, h, part.start * rows:part.stop * rows].astype(np.float32)
            q = q if len(q) == len(at) else q[np.minimum(at, L - 1) - at[0]]    # the last row stands in
            seen = None if self.visible is None else _of(self.visible, b, h)[part]
            high, low = (None if x is None else self._bias(x, b, h, at) for x in (self.bias_high, self.bias_low))
            local = None if self.local is None else self.local[b if len(self.local) > 1 else 0, part]
            if rho > 0 and self.tiles:
                visit, swap, omitted = _choose(q, centres, one, rho, self, seen, high, low, local)
                end = min(at[-1] + 1, L)
                self.log_omitted[b, h, at[0]:end] = omitted.reshape(-1)[:end - at[0]]
            else:
                visit, swap = _everything(part.stop - part.start, self.tiles, one["count"], seen)
            self.found["visited"][b, h].append(visit)
            self.found["replaced"][b, h].append(swap)

    def _bias(self, x, b, h, at):
        x = _of(x, b, h)
        x = x[np.minimum(at, len(x) - 1)] if len(x) > 1 else np.broadcast_to(x, (len(at), x.shape[1]))
        return x.reshape(-1, self.rows, x.shape[1])


def _choose(q, centres, one, rho, job, seen, high, low, local):
    """The tiles of some query tiles of a head: (visited, counts), (replaced, counts), ln T (tiles, rows)."""
    rows, T = job.rows, job.tiles
    n = len(q) // rows
    scale = np.float32(job.scale * LOG)
    with np.errstate(all="ignore"):
        x = np.matmul(q * scale, centres).reshape(n, rows, T)
        norm = bounds.row_norms(q, job.scale).reshape(n, rows).max(1)[:, None] * (1 + bounds.UNIT)
        slack = norm * one["slack"]
        usable = (slack < bounds.FAR) & (one["count"] > 0)
        reach = np.where(usable, slack, 0).max(1)[:, None]
        if not np.isfinite(x).all():
            usable = usable & np.isfinite(x).all(1)
            x = np.where(usable[:, None], x, np.float32(0))
        delta, w2 = norm * one["radius"], norm * norm * one["eigenvalue"] * np.float32(1 + 1e-6)
        factor = bounds.excess(delta, w2) + slack
        swap = np.zeros((n, T), bool)
        if job.mixed:
            factor, swap = _cheaper(factor, delta, w2, slack, one, rho, seen)
        # rounding of x, of the sums below and of ln n: relative to the scores, hence part of the slack; and a bucket's
        factor = np.where(usable, (factor + one["size"]) * LOG + 0.01, np.inf).astype(np.float32)
        whole = usable if seen is None else usable & (seen == ALL)
        lower = _lower(x, one["size"] * np.float32(LOG), whole, low, high)
        lower -= reach * np.float32(LOG) + 0.01
        level, omitted = _buckets(x, factor, lower, rho, high)
    hidden = (one["count"] == 0) if seen is None else (seen == NOTHING) | (one["count"] == 0)
    hidden = np.broadcast_to(hidden, (n, T))
    order, length, total = _prefix(level, omitted, hidden, rho)
    rank_from_top = order[:, ::-1]
    keep = np.arange(T) < (T - length)[:, None]
    left = np.ones((n, T), bool)
    np.put_along_axis(left, rank_from_top, ~keep, 1)
    swap = swap & left & ~hidden
    with np.errstate(divide="ignore", invalid="ignore"):
        log_total = np.where(total > 0, lower / LOG + np.log(total), -np.inf)
        log_total = log_total + 4 * bounds.UNIT * (np.abs(lower) / LOG + 32)
    visited = _in_order(rank_from_top, keep, local)
    return (visited, keep.sum(1)), (np.nonzero(swap)[1], swap.sum(1)), np.where(total > 0, log_total, -np.inf)


def _cheaper(factor, delta, w2, slack, one, rho, seen):
    """Per tile the smaller of skipping's and replacing's log error, and where that is replacing."""
    error = bounds.replacement(delta, w2, slack, one["value_spread"], one["value_shift"], one["spread"])
    error = error - math.log1p(-rho)
    swap = error < factor
    if seen is not None:
        swap &= seen == ALL                 # a mean stands for all of its keys or for none
    return np.where(swap, error, factor), swap


def _lower(x, size, whole, low, high):
    """16 log2 of the sum of J over the tiles (n, rows), rounded down; -inf where no tile is seen whole."""
    y = x + size
    if high is not None:
        y = y + low * np.float32(LOG) if low is not None else np.full_like(y, -np.inf)
    if not whole.all():
        y[~np.broadcast_to(whole[:, None], y.shape)] = -np.inf
    top = y.max(2)
    dead = ~np.isfinite(top)
    np.subtract(y, np.where(dead, 0, top - ZERO)[..., None], out=y)
    np.maximum(y, STEPS, out=y)
    bits = y.astype(np.int32)               # y > 0: rounds down
    bits <<= 19
    total = bits.view(np.float32).sum(2) * LOWER
    result = (top + STEPS * np.log2(total)).astype(np.float32)
    result[dead] = -np.inf
    return result


def _buckets(x, factor, lower, rho, high):
    """For each tile its largest bucket over the rows (n, T), and U over the sum of J (n, rows, T), rounded up."""
    lowest = (math.floor(math.log2(rho)) - RANGE) * STEPS + ZERO
    np.subtract(x, lower[..., None] - (ZERO + 1), out=x)            # + 1: rounds up below
    x += factor[:, None]
    if high is not None:
        x += high * np.float32(LOG)
        x[np.isnan(x)] = np.inf
    np.clip(x, lowest, ZERO + 8 * STEPS, out=x)
    bits = x.astype(np.int32)
    level = bits.max(1)
    bits <<= 19
    return level, bits.view(np.float32)


def _prefix(level, omitted, hidden, rho):
    """The longest prefix of the tiles by bucket that all rows can leave out.

    Returns the ascending order (n, T), the prefix's length (n,), hidden tiles included, which come first, and each
    row's sum over it (n, rows). The sums are exact up to rho, so the order of the additions does not matter.
    """
    n, rows, T = omitted.shape
    level = np.where(hidden, 0, level)
    order = np.argsort(level.astype(np.int16), 1, kind="stable")
    largest = (np.take_along_axis(level, order, 1).astype(np.int32) << 19).view(np.float32)
    upper = np.cumsum(largest, 1, dtype=np.float64)                # of the rows' maxima: at least every row's sum
    budgets = rho * CANDIDATES[max(rows, 1) >= CANDIDATES]
    lengths = np.stack([(upper <= budget).sum(1) for budget in budgets], 1)
    rank = np.empty((n, T), np.int32)
    np.put_along_axis(rank, order, np.arange(T, dtype=np.int32)[None], 1)
    left = ((rank[:, :, None] < lengths[:, None]) & ~hidden[:, :, None]).astype(np.float32)
    sums = np.matmul(omitted, left)                                # (n, rows, candidates)
    fits = (sums <= rho).all(1)
    best = np.where(fits, np.arange(len(budgets)), 0).max(1)
    some = fits.any(1)
    length = np.where(some, np.take_along_axis(lengths, best[:, None], 1)[:, 0], hidden.sum(1))
    total = np.take_along_axis(sums, best[:, None, None], 2)[:, :, 0]
    return order, length, np.where(some[:, None], total, 0)


def _in_order(tiles, keep, local):
    """The kept tiles of each row of `tiles`, one after the other; tile 0 and the local one before all others."""
    front = tiles == 0
    if local is not None:
        front |= tiles == local[:, None]
    front &= keep
    if local is None and not front.any():
        return tiles[keep]
    turn = np.argsort(~front, 1, kind="stable")
    return np.take_along_axis(tiles, turn, 1)[np.take_along_axis(keep, turn, 1)]


def _everything(n, T, count, seen):
    """All visible tiles in the order of memory; nothing is replaced."""
    there = np.broadcast_to(count > 0, (n, T)) if seen is None else (seen != NOTHING) & (count > 0)
    return (np.nonzero(there)[1], there.sum(1)), (np.zeros(0, np.int64), np.zeros(n, np.int64))


def _of(x, b, h):
    """Head (b, h) of an array whose first two axes may be of size 1."""
    return x[b if x.shape[0] > 1 else 0, h if x.shape[1] > 1 else 0]


def _starts(counts):
    return np.concatenate([[0], np.cumsum(counts.reshape(-1))]).astype(np.int32)


def _check(summary, q, tolerance, rows, part, form):
    if math.isnan(tolerance):
        raise value_error("tolerance", "a number", "nan", "0 asks for the exact result")
    if rows < 1:
        raise value_error("rows", "a positive number of query rows", str(rows), "16 is a good size")
    if not 0 <= part <= 1:
        raise value_error("part", "a share of the tolerance in [0, 1]", str(part), "1 gives the plan all of it")
    if form not in ("range", "largest"):
        raise value_error("form", '"range" or "largest"', repr(form), '"range" is never worse')
    if q.shape[0] != summary.batch or q.shape[1] % max(summary.heads, 1) or q.shape[3] != summary.d:
        raise value_error("q", f"(B, Hq, L, D) with B = {summary.batch}, Hq a multiple of {summary.heads} and D = "
                          f"{summary.d}", str(q.shape), "the summary is of other keys")
