"""Budget: a number of multiply-adds instead of a tolerance; the certificate says what it costs."""
from typing import ClassVar

import numpy as np

from aat.tiling import bounds
from aat.tiling.plan import NOTHING, plan_of
from aat.tiling.strategies.base import TilingStrategy, by_query_tile, full_norm


class Budget(TilingStrategy):
    """Visits the tiles that may weigh most, over all query tiles together, until the multiply-adds are spent.

    The order is that of `certified`. Every query tile that sees anything visits at least one tile, so a budget below
    that is exceeded.
    """

    name = "budget"
    options: ClassVar = {"multiply_adds": (None, "multiply-adds of QK and PV over all heads; None does not limit")}
    keeps_tolerance = False

    def problems(self):
        """See base.TilingStrategy."""
        limit = self.multiply_adds
        return [] if limit is None or (isinstance(limit, (int, np.integer)) and limit >= 0) else [
            "multiply_adds an integer >= 0 or None"]

    def cut(self, region, share):
        """See base.TilingStrategy; parts share the multiply-adds by their rows."""
        whole = super().cut(region, share)
        if self.multiply_adds is None:
            return whole
        return type(self)(**(whole.chosen | {"multiply_adds": int(share * int(self.multiply_adds))}))

    def plan(self, request):
        """The TilePlan; see base.TilingStrategy."""
        summary, rows, L = request.summary, request.rows, request.q.shape[2]
        row_seen = None if request.seen is None else request.seen[:, :, np.arange(L) // rows]
        got = bounds.tile_bounds(summary, request.q, request.scale, visible=row_seen, bias_high=request.bias_high,
                                 bias_low=request.bias_low)
        upper = got.upper.astype(np.float64)
        mass = full_norm(got.jensen)
        mass = np.where(np.isneginf(mass), upper.max(3, keepdims=True, initial=-np.inf), mass)
        with np.errstate(invalid="ignore"):
            relative = upper - mass             # a row that sees nothing has no opinion
        level = by_query_tile(np.where(np.isnan(relative), np.where(upper > 0, np.inf, -np.inf), relative), rows)
        wanted = ~np.isneginf(level)
        if request.seen is not None:
            wanted &= request.seen != NOTHING
        keep = np.zeros(level.shape, bool)
        order = np.argsort(np.where(wanted, -level, np.inf), None, kind="stable")
        first = np.argmax(np.where(wanted, level, -np.inf), 3)[..., None]
        np.put_along_axis(keep, first, np.take_along_axis(wanted, first, 3), 3)
        if self.multiply_adds is None:
            keep |= wanted
        else:
            tile = rows * summary.block * (summary.d + summary.dv)
            room = max(0, int(self.multiply_adds) // tile - int(keep.sum()))
            rest = order[~keep.reshape(-1)[order] & wanted.reshape(-1)[order]]
            keep.reshape(-1)[rest[:room]] = True
        lost = ~keep[:, :, np.arange(L) // rows]
        omitted = np.logaddexp.reduce(np.where(lost, upper, -np.inf), 3) + 1e-6
        return plan_of(summary, request.q, request.tolerance, rows, keep, level, omitted, request.seen,
                       form=request.form)
