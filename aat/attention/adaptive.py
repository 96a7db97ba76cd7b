"""How does attention with a tolerance run? What may be left out, a launch of the forward kernel, and the certificate.

docs/tiling.md has the theorem. A strategy (aat.tiling.strategies) says which tiles are visited; the kernel's gate
leaves out more of them once their scores are known (kernels/parts/gate.py); what is missing in the end bounds the
error.
"""
from dataclasses import replace

import numpy as np

from aat.attention import dot, request, scored
from aat.attention.allowance import Allowance, Tiles
from aat.attention.positions import sees_nothing
from aat.attention.split import part_of
from aat.attention.tile_map import of_run
from aat.attention.values import Values, finite_heads
from aat.tiling import bounds
from aat.tiling.base import TileConfig

SMALL = 1 << 28        # multiply-adds below which "auto" does not look for something to leave out
WIN = 0.1              # share of its groups that a sample has to leave out for "auto" to go on
SAMPLE = 0.004         # share of all query rows that a sample takes; at least one query tile of two heads
SLACK = 1 + 1e-3       # of the tolerance that no plan gets: its sums are rounded, and rows above it are computed again
LEFT_OUT = ("skipped_before", "skipped_after", "replaced", "redone")


def run(problem, session, tiling=None, counted=True):
    """The Result of a Problem with a tolerance > 0; its `bound` (B, Hq, Lq) is the certificate of each row.

    tiling: None ("auto"), a TilingStrategy or a TileConfig. counted: as `aat.attention.dot.run`.
    """
    return _Job(problem, session, tiling, counted).run()


def run_and_map(problem, session, tiling=None):
    """(Result, TileMap) of `run`; the TileMap is None where nothing may be left out."""
    job = _Job(problem, session, tiling, trace=True)
    return job.run(), job.map


def facts(problem, session, tiling=None):
    """What `run` would do, as a dict of facts for people; nothing is run."""
    job = _Job(problem, session, tiling)
    config = job._tiles_of()
    who = repr(job.strategy) if job.config is None else "the gate after QK alone"
    if job.auto:
        who += f" where a sample of the queries can leave out {WIN:.0%} of its tiles, else nothing is left out"
    return {"kernel": "kernels/attention_forward.py", "tiles": str(config), "tiling": who}


class _Job:
    """One call."""

    map = None              # the TileMap of a traced run

    def __init__(self, problem, session, tiling, counted=True, trace=False):
        from aat.tiling.strategies.certified import Certified
        from aat.tiling.strategies.fixed import Fixed

        self.problem, self.session, self.auto = problem, session, tiling is None
        self.counted, self.trace = counted, trace
        self.config = tiling if isinstance(tiling, TileConfig) else None
        self.strategy = tiling
        if self.auto or self.config is not None:
            # Plans are made on the host: on a GPU they take longer than what they save (2026-11, H100).
            self.strategy = Certified() if session.backend == "cpu" else Fixed()
        summary = getattr(self.strategy, "summary", None)
        if summary is not None and summary.sorted is not None:
            self.problem = problem = request.in_order(problem, summary)
        self.shape = (problem.B, problem.Hq, problem.Lq)
        # l is a sum of as many terms as there are groups and keys of a group, each rounded once
        self.room = 1 + bounds.PLENTY + 2.0**-22 * (problem.Lk // 16 + 256)
        self.tolerance = problem.tolerance / (self.room * SLACK)

    def run(self):
        if self.auto and self.problem.multiply_adds_dense < SMALL:
            return self._dense("too little work to leave some of it out")
        if self.auto and not isinstance(self.problem.q, np.ndarray):
            return self._dense("arrays on a device are not sampled")
        if self.auto and (found := self._sampled()) < WIN:
            return self._dense(f"a sample of the queries could leave out {found:.1%} of its tiles")
        self.values = Values.of(self.problem)
        config = self._tiles_of()
        plan, means = self._plan(config)
        if means is not None and self.session.backend == "cpu":
            config = replace(config, packed=True)       # means are put where tiles are copied to
        allowance = replace(self._allowance(plan, means), trace=self.trace)
        result = dot.run(self.problem, self.session, config, allowance)
        if self.trace:
            self.map = of_run(self.problem, result.config, result.trace, plan, repr(self.strategy))
        return self._certified(result, plan)

    def _dense(self, why):
        result = dot.run(self.problem, self.session, self.config, counted=self.counted)
        bound = np.where(finite_heads(self.problem), 0.0, np.inf).astype(np.float32)
        result.bound = np.repeat(bound[..., None], self.problem.Lq, 2)
        result.tiling = f"dense: {why}"
        result.counts |= dict.fromkeys(LEFT_OUT, 0)
        return result

    def _tiles_of(self):
        """The TileConfig of the launch; its tiles are those of the strategy."""
        problem, session = self.problem, self.session
        if self.config is not None:
            return self.config
        size, form = self.strategy.tile_size(session.backend), problem.form
        config = TileConfig.adaptive(session.lane_width, problem.D, problem.Dv, size, session.limits.shared_bytes,
                                     problem.Lq, session.limits.pairs and form is None)
        return scored.fitted(config, form, problem.Dv)

    def _plan(self, config):
        """The strategy's TilePlan, and the means of the tiles if it replaces some. None: every visible tile is visited,
        and the gate decides."""
        problem = self.problem
        changed = problem.softcap is not None or problem.mods is not None or problem.form is not None
        if changed or not self.strategy.plans:
            return None, None       # what summaries say of scores, they say of q.k before a softcap or a score_mod
        asked = request.of(replace(problem, tolerance=self.tolerance), self.strategy, config, self.session)
        plan, moments = self.strategy.plan(asked), asked.summary.moments
        if not plan.replaced_counts.any():
            return plan, None
        sizes = np.log(np.maximum(moments.count, 1))
        return plan, (moments.key, moments.value, np.broadcast_to(sizes, moments.radius.shape))

    def _allowance(self, plan, means=None):
        """The kernel's Allowance; nothing may be left out where scores or values may not be finite."""
        values, planned = self.values, np.full(self.shape, -np.inf, np.float32)
        if plan is None:
            kappa = bounds.share(self.tolerance, values.largest, 2 * values.largest)[1]
            return Allowance(np.where(values.tame, kappa, 0.0), planned)
        return Allowance(np.where(values.tame, plan.kappa, 0.0), plan.log_omitted, Tiles.of(plan), means)

    def _certified(self, result, plan):
        """The Result with its certificate; heads that break the tolerance, by rounding alone, are computed again."""
        spread = 2 * self.values.largest if plan is None else plan.spread
        result.bound = self._bound(result.shares, spread)
        dense = dot.count(self.problem, result.config, grouped=False)["visited"]
        visited, counts = result.counts["visited"], result.counts
        replaced = 0 if plan is None else self._replaced(plan, result.config.keys_per_group)
        after = counts.pop("light") + counts.pop("weighed")
        counts |= dict(zip(LEFT_OUT, (dense - visited - replaced, after, replaced, 0), strict=True))
        pairs = result.config.keys_per_group * result.config.rows_per_program(self.problem.dtype)
        counts["multiply_adds"] -= after * pairs * self.problem.Dv
        counts["multiply_adds_exact"] = dense * pairs * (self.problem.D + self.problem.Dv)
        result.tiling = repr(self.strategy) if plan is not None else "the gate after QK alone"
        if self.strategy.keeps_tolerance:
            self._redo(result)
        return result

    def _replaced(self, plan, size):
        """How many groups of `size` keys the tiles hold that means stand in for."""
        counts, problem = plan.replaced_counts.reshape(-1), self.problem
        if plan.block == size:
            return int(counts.sum())
        at = np.repeat(np.arange(counts.size), counts)
        place = np.arange(at.size) - (np.cumsum(counts) - counts)[at]
        first = plan.replaced[plan.replaced_starts[at] + place] * plan.block
        lens = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
        keys = np.minimum(lens[at // (counts.size // problem.B)] - first, plan.block)
        return int((-(-keys // size)).sum())

    def _bound(self, shares, spread):
        """(B, Hq, Lq) float32 from the shares of the mass that may be missing: infinite where values are not finite."""
        spread = np.asarray(spread, np.float64)[..., None]
        with np.errstate(invalid="ignore"):
            # values that are all the same lose nothing
            bound = np.where((shares > 0) & ~(spread == 0), shares * spread * self.room + 1e-37, 0.0)
        bound = np.where(np.isfinite(self.values.largest)[..., None], bound, np.inf).astype(np.float32)
        self._limit(bound, spread)
        return bound

    def _limit(self, bound, spread):
        """Where a row kept next to nothing of its mass, say what still holds: the results of finite scores lie within
        the range of the values, and those of rows that computed nothing are 0, as are those of rows that see nothing.
        """
        lost = np.isinf(bound) & self.values.tame[..., None]
        if not lost.any():
            return
        most = np.maximum(spread, self.values.largest[..., None]) * self.room
        blind = sees_nothing(self.problem, *np.nonzero(lost))
        bound[lost] = np.where(blind, 0, np.broadcast_to(most, bound.shape)[lost])

    def _redo(self, result):
        """Compute heads densely whose bound exceeds the tolerance; count their rows."""
        allowed = (self.problem.tolerance * self.values.largest)[..., None]
        broken = ~(result.bound <= np.where(np.isfinite(allowed), allowed, np.inf))
        if not broken.any():
            return
        whole = replace(self.problem, out=result.out) if isinstance(result.out, np.ndarray) else None
        if whole is None:
            again = dot.run(self.problem, self.session, None)
            result.out, result.lse = again.out, again.lse
            result.bound[np.isfinite(result.bound)] = 0
            result.counts["redone"] = self.problem.rows
            result.counts["multiply_adds"] += again.counts["multiply_adds"]
            return
        for b, h in np.argwhere(broken.any(2)).tolist():
            kv = h // self.problem.group
            part = part_of(whole, (slice(b, b + 1), slice(h, h + 1), slice(0, whole.Lq), slice(kv, kv + 1)))
            again = dot.run(part, self.session, None)
            if again.out is not part.out:
                result.out[b:b + 1, h:h + 1] = again.out
            if result.lse is not None:
                result.lse[b, h] = again.lse[0, 0]
            result.bound[b, h] = 0
            result.counts["redone"] += self.problem.Lq
            result.counts["multiply_adds"] += again.counts["multiply_adds"]

    def _sampled(self):
        """The share of its tiles that a sample of the query tiles leaves out after QK: no plan leaves out many more."""
        problem = self.problem
        config = self._tiles_of()
        rows, group = config.rows_per_program(problem.dtype), problem.group
        tiles = -(-problem.Lq // rows)
        if tiles < 4:
            return 0.0
        # one query tile of some KV heads, the first query head of each, in one launch
        heads = min(problem.Hk, max(2, int(np.ceil(SAMPLE * tiles * problem.Hq))))
        step = -(-problem.Hk // heads)
        first = tiles // 2 * rows
        part = part_of(problem, (slice(0, 1), slice(0, problem.Hq, group * step), slice(first, first + rows),
                                 slice(0, problem.Hk, step)))
        job = _Job(replace(part, out=None, return_lse=False), self.session, config)
        job.values = Values.of(job.problem)
        found = dot.run(job.problem, self.session, config, job._allowance(None)).counts
        return (found["light"] + found["weighed"]) / max(found["visited"], 1)
