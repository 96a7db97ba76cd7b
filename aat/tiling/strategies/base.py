"""What is a tiling strategy? Options, and a plan for queries over a KeySummary."""
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from aat.errors import value_error


@dataclass(frozen=True)
class Request:
    """What a strategy is asked: the arguments of plan.make_plan that belong to the problem, not to the strategy.

    summary: KeySummary. q: (B, Hq, L, D). scale, tolerance: floats. rows: query rows of a query tile. visible,
    bias_high, bias_low, local: as in make_plan.
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

    @property
    def masks(self):
        """The arguments of make_plan on what may be seen."""
        return dict(visible=self.visible, bias_high=self.bias_high, bias_low=self.bias_low, local=self.local)


class TilingStrategy(ABC):
    """A way to choose tiles. Subclasses name their `options`, {name: (default, help)}; unknown ones raise.

    Raises:
        ValueError: an option that the strategy does not have, or a value that `problems` objects to.
    """

    name: ClassVar[str]
    options: ClassVar[dict[str, tuple[Any, str]]] = {}

    def __init__(self, **options):
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            raise value_error(", ".join(unknown), f"options of the strategy {self.name!r}: "
                              f"{', '.join(self.options) or 'none'}", "others", "see the strategy's `options`")
        self.chosen = {name: options.get(name, default) for name, (default, _) in self.options.items()}
        reasons = self.problems()
        if reasons:
            raise value_error(f"strategy {self.name!r}", "; ".join(reasons), repr(self.chosen), "change the options")

    def __getattr__(self, name):
        if name != "chosen" and name in self.chosen:
            return self.chosen[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.chosen.items())})"

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
