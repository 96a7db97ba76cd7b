"""Flow: each tile has a resolution that follows what the queries made of it; for streams of similar queries.

A tile's resolution R in [least, 1] moves towards a target that grows with the density of attention on it,

    target = clip(g(density / theta), least, 1)        R <- R + rate (target - R), if they differ by more than `dead`

then diffuses to its neighbours, R <- R + smooth (mean of the two neighbours - R), both of which keep R in [least, 1].
The next plan visits the tiles with R >= `visit` besides those that the tolerance does not allow to leave out: R only
takes tiles back that `certified` would have dropped, and its certificate holds. So flow never does less work than
`certified` at the same tolerance, on any input; it is a memory of where attention was, not a saving.
"""
from typing import ClassVar

import numpy as np

from aat.errors import value_error
from aat.tiling.plan import make_plan, plan_of
from aat.tiling.strategies.base import TilingStrategy

GROWTH = {
    "linear": lambda x: x,
    "exponential": lambda x: -np.expm1(-x),
    "threshold": lambda x: (x >= 1).astype(np.float64),
}


class Resolution:
    """The field R (.., T): `step(density)` moves it once.

    Constant density: the distance to the target shrinks by 1 - rate a step until it is within `dead` (smooth = 0), so
    there is no limit cycle. A larger density never gives a smaller R.

    Raises:
        ValueError: an option out of its range, or a density that is negative or not finite.
    """

    def __init__(self, shape, *, theta=0.02, least=0.05, rate=0.5, dead=0.02, smooth=0.0, growth="linear"):
        ranges = {"theta": (theta, theta > 0), "least": (least, 0 <= least <= 1), "rate": (rate, 0 < rate <= 1),
                  "dead": (dead, 0 <= dead < 1), "smooth": (smooth, 0 <= smooth <= 1)}
        for name, (value, fine) in ranges.items():
            if not fine:
                raise value_error(name, "theta > 0, 0 <= least <= 1, 0 < rate <= 1, 0 <= dead < 1, 0 <= smooth <= 1",
                                  repr(value), "see Resolution")
        if growth not in GROWTH:
            raise value_error("growth", " or ".join(map(repr, GROWTH)), repr(growth), "see Resolution")
        self.theta, self.least, self.rate, self.dead, self.smooth = theta, least, rate, dead, smooth
        self.growth = GROWTH[growth]
        self.value = np.ones(shape)             # everything at full resolution until something is known

    def target(self, density):
        """Where a density (.., T) wants the field."""
        return np.clip(self.growth(np.asarray(density, np.float64) / self.theta), self.least, 1)

    def step(self, density):
        """Move once; returns the largest change."""
        density = np.asarray(density, np.float64)
        if not (np.isfinite(density) & (density >= 0)).all():
            raise value_error("density", "finite numbers >= 0", "others among them", "it is a share of attention")
        gap = self.target(density) - self.value
        moved = self.value + self.rate * np.where(np.abs(gap) > self.dead, gap, 0)
        if self.smooth and moved.shape[-1] > 1:
            ends = np.concatenate([moved[..., :1], moved, moved[..., -1:]], -1)
            moved = moved + self.smooth * ((ends[..., :-2] + ends[..., 2:]) / 2 - moved)
        moved = np.clip(moved, self.least, 1)   # rounding alone could leave the range
        change = float(np.abs(moved - self.value).max(initial=0))
        self.value = moved
        return change


class Flow(TilingStrategy):
    """`certified`, with tiles kept that were attended to lately. Carries a Resolution from call to call."""

    name = "flow"
    options: ClassVar = {
        "theta": (0.02, "share of attention at which a tile gets full resolution"),
        "least": (0.05, "smallest resolution"),
        "rate": (0.5, "share of the way to the target that a step goes"),
        "dead": (0.02, "differences up to it are not followed"),
        "smooth": (0.0, "share of the difference to the neighbours that is evened out"),
        "growth": ("linear", "target from density: linear, exponential or threshold"),
        "visit": (0.5, "resolution from which on a tile is visited in any case")}

    def __init__(self, **options):
        super().__init__(**options)
        self.field = None
        self._new(())                           # checks the options

    def _new(self, shape):
        return Resolution(shape, **{name: self.chosen[name] for name in self.options if name != "visit"})

    def cut(self, region, share):
        """See base.TilingStrategy; the part remembers what the whole was told about its heads."""
        own = super().cut(region, share)
        if self.field is not None:
            own = type(self)(**own.chosen) if own is self else own
            value = self.field.value[region[0], region[1]]
            own.field = own._new(value.shape)
            own.field.value = value.copy()
        return own

    def plan(self, request):
        """The TilePlan; see base.TilingStrategy."""
        base = make_plan(request.summary, request.q, request.scale, request.tolerance, request.rows, **request.masks)
        keep = np.zeros((*base.counts.shape, request.summary.tiles), bool)
        level = np.zeros(keep.shape)
        counts = base.counts.reshape(-1)
        at = np.repeat(np.arange(counts.size), counts)
        # the order of the plan: the last of its list is the least
        place = np.arange(len(at)) - (np.cumsum(counts) - counts)[at]
        chosen = base.indices[base.starts[at] + place]          # the lists need not touch
        keep.reshape(-1, keep.shape[3])[at, chosen] = True
        level.reshape(-1, keep.shape[3])[at, chosen] = -place
        shape = (*keep.shape[:2], 1, keep.shape[3])
        if self.field is not None and self.field.value.shape == shape:
            extra = (self.field.value >= self.visit) & ~keep
            level[extra] = -keep.shape[3]
            keep |= extra
        return plan_of(request.summary, request.q, request.tolerance, request.rows, keep, level, base.log_omitted,
                       request.seen, form=request.form)

    def observe(self, density):
        """Tell the share of attention (B, Hq, T) that each tile got; returns the largest change of the field."""
        density = np.asarray(density, np.float64)[:, :, None]
        if self.field is None or self.field.value.shape != density.shape:
            self.field = self._new(density.shape)
        return self.field.step(density)
