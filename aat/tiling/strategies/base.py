"""What is a tiling strategy? Options, and a plan for queries over a KeySummary."""
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from aat.errors import value_error
from aat.tiling.visible import tile_visibility


@dataclass(frozen=True)
class Request:
    """What a strategy is asked: the arguments of plan.make_plan that belong to the problem, not to the strategy.

    summary: KeySummary. q: (B, Hq, L, D). scale, tolerance: floats. rows: query rows of a query tile. visible,
    bias_high, bias_low, local: as in make_plan. form: "range" or "largest", which a certificate has to use.
    reach: (offset, left, right) in place of `visible`. session: an open Session whose kernels make plans, or None.
    """

    summary: Any
    q: np.ndarray
    scale: float
    tolerance: float
    rows: int
    visible: Any = None
    bias_high: Any = None
    bias_low: Any = None
    local: Any = None
    form: str = "range"
    reach: Any = None
    session: Any = None

    @property
    def seen(self):
        """What each query tile sees of each tile, as `visible`; None: everything."""
        if self.reach is None or self.visible is not None:
            return self.visible
        offset, left, right = self.reach
        return tile_visibility(self.summary, self.q.shape[2], self.rows, offset=offset, left=left, right=right)

    @property
    def masks(self):
        """The arguments of make_plan on what may be seen, and by what it may be made."""
        return dict(visible=self.visible, bias_high=self.bias_high, bias_low=self.bias_low, local=self.local,
                    form=self.form, reach=self.reach, session=self.session)


class TilingStrategy(ABC):
    """A way to choose tiles. Subclasses name their `options`, {name: (default, help)}; unknown ones raise.

    Raises:
        ValueError: an option that the strategy does not have, or a value that `problems` objects to.
    """

    name: ClassVar[str]
    options: ClassVar[dict[str, tuple[Any, str]]] = {}
    common: ClassVar[dict[str, tuple[Any, str]]] = {
        "block": (None, "keys of a tile; None is what suits the device"),
        "summary": (None, "an aat.KeySummary of the call's keys, to use it again; None makes one")}
    plans: ClassVar[bool] = True            # whether anything is decided before scores are known

    def __init__(self, **options):
        known = self.options | self.common
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise value_error(", ".join(unknown), f"options of the strategy {self.name!r}: {', '.join(known)}",
                              "others", "see the strategy's `options`")
        self.chosen = {name: options.get(name, default) for name, (default, _) in known.items()}
        reasons = self._common_problems() + self.problems()
        if reasons:
            raise value_error(f"strategy {self.name!r}", "; ".join(reasons), repr(self.chosen), "change the options")

    def __getattr__(self, name):
        if name != "chosen" and name in self.chosen:
            return self.chosen[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.chosen.items())})"

    def tile_size(self, backend):
        """Keys of a tile: the summary's, or `block`, or what suits the backend."""
        if self.summary is not None:
            return self.summary.block
        return self.block or (64 if backend == "cpu" else 32)

    def cut(self, region, share):
        """The strategy for a part of a call that is cut (aat.attention.split): the same, of the part's keys.

        region: slices of (batch, query heads, rows, KV heads). share: the part's share of the rows, 0 to 1.
        """
        if self.summary is None:
            return self
        return type(self)(**(self.chosen | {"summary": self.summary.part(region[0], region[3])}))

    def _common_problems(self):
        from aat.tiling.summary import KeySummary

        reasons, block, summary = [], self.chosen["block"], self.chosen["summary"]
        if block is not None and not (isinstance(block, int) and block > 0):
            reasons.append("block a positive integer or None")
        if not (summary is None or isinstance(summary, KeySummary)):
            reasons.append("summary an aat.KeySummary or None")
        elif summary is not None and block not in (None, summary.block):
            reasons.append(f"block {summary.block}, the summary's, or None")
        return reasons

    def problems(self):
        """What should be otherwise about the options, each a phrase that says what is expected."""
        return []

    @abstractmethod
    def plan(self, request):
        """The TilePlan for a Request. Its certificate holds whatever the strategy; whether it keeps the tolerance
        is `keeps_tolerance`."""

    keeps_tolerance: ClassVar[bool] = True


def by_query_tile(x, rows):
    """The largest of each query tile: x (B, H, L, T) to (B, H, Q, T)."""
    if not x.shape[2]:
        return x
    return np.maximum.reduceat(x, np.arange(0, x.shape[2], rows), 2)


def full_norm(jensen):
    """ln of the sum over tiles of the lower bounds (B, H, L, 1); -inf where there are none."""
    return np.logaddexp.reduce(jensen.astype(np.float64), 3, initial=-np.inf)[..., None]
