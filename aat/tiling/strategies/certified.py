"""Certified: the longest list of tiles that the tolerance allows to leave out, from their bounds (plan.py)."""
from typing import ClassVar

from aat.tiling.plan import make_plan
from aat.tiling.strategies.base import TilingStrategy


class Certified(TilingStrategy):
    """make_plan with the whole tolerance; `part` leaves some of it to the gate after QK."""

    name = "certified"
    options: ClassVar = {
        "mixed": (False, "whether the mean of a tile may stand in for it"),
        "part": (1.0, "share of the tolerance that the plan may use, 0 to 1; the gate after QK has the rest"),
        "form": ("range", '"range" of the values or twice the "largest" in the certificate')}

    def problems(self):
        """See base.TilingStrategy."""
        return ([] if 0 <= self.part <= 1 else ["part between 0 and 1"]) + (
            [] if self.form in ("range", "largest") else ['form "range" or "largest"'])

    def plan(self, request):
        """The TilePlan; see base.TilingStrategy."""
        masks = request.masks | ({"form": "largest"} if self.form == "largest" else {})
        return make_plan(request.summary, request.q, request.scale, request.tolerance, request.rows, mixed=self.mixed,
                         part=self.part, **masks)
