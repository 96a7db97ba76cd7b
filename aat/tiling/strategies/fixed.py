"""Fixed: every visible tile, in the order of memory; the exact result."""
from aat.tiling.plan import make_plan
from aat.tiling.strategies.base import TilingStrategy


class Fixed(TilingStrategy):
    """Nothing is left out before QK, whatever the tolerance; the gate after QK may still use it."""

    name = "fixed"
    plans = False

    def plan(self, request):
        """The TilePlan; see base.TilingStrategy."""
        return make_plan(request.summary, request.q, request.scale, request.tolerance, request.rows, part=0.0,
                         **request.masks)
