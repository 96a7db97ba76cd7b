"""Which configs are worth measuring on a device? Every one that it can hold, on a grid."""

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass

from aat.tiling.base import TileConfig

# Values of each field, the fields that matter most first: a search that runs out of time has moved along those.
# A field that is not named keeps the default's value; fields that follow from others are set by `_settle`.
CPU_AXES = {
    "lane_vectors": (1, 2, 3, 4, 5, 6),
    "lane_width": (16, 8, 4),
    "keys_per_block": (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14),
    "keys_per_group": (16, 32, 48, 64, 96, 128, 192, 256),
    "columns_per_block": (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14),
    "packed": (False, True),
}
GPU_AXES = {
    "lane_vectors": (1, 2, 3, 4),
    "threads": (32, 64, 128, 256, 512),
    "keys_per_tile": (8, 16, 32, 64, 128),
    "keys_per_block": (2, 4, 8, 16),
    "registers": (True, False),
    "columns_per_block": (4, 8, 16, 32),
    "keys_per_group": (4, 8, 16, 32, 64),
    "team": (1, 2, 4, 8),
    "pairs": (False, True),
}


@dataclass(frozen=True)
class Space:
    """Configs on a grid: `axes` has the values of each field, `settle` makes the rest of a config follow them.

    valid(config) says whether the device can hold a config; default is one that it can.
    """

    axes: dict[str, tuple]
    default: TileConfig
    settle: Callable[[dict], TileConfig]
    valid: Callable[[TileConfig], bool]

    def configs(self):
        """Every valid config once, the default first."""
        fixed = asdict(self.default)
        points = (self.settle(fixed | dict(zip(self.axes, values, strict=True)))
                  for values in itertools.product(*self.axes.values()))
        return list(dict.fromkeys([self.default, *(config for config in points if self.valid(config))]))

    def line(self, config, axis, reach=None):
        """The valid configs that differ from `config` along one axis, and what follows from it.

        reach: how many steps of the axis away at most; None for all of them.
        """
        on_grid = asdict(config) | {name: _nearest(values, getattr(config, name)) for name, values in self.axes.items()}
        values = self.axes[axis]
        if reach is not None:
            here = values.index(on_grid[axis])
            values = values[max(0, here - reach):here + reach + 1]
        points = (self.settle(on_grid | {axis: value}) for value in values)
        return list(dict.fromkeys(point for point in points if point != config and self.valid(point)))


def space(backend, lane_width, d, dv, limits, axes=None, queries=None):
    """The Space of a device: `lane_width` of its session, `limits` its Limits; `axes` may narrow the grid;
    the default is that for so many `queries`."""
    default = TileConfig.default(lane_width, d, dv, limits.shared_bytes, queries, pairs=limits.pairs)
    grid = dict(axes or (CPU_AXES if backend == "cpu" else GPU_AXES))
    if "lane_width" in grid:  # never wider than the session was opened for
        grid["lane_width"] = tuple(width for width in grid["lane_width"] if width <= lane_width)

    def valid(config):
        return not config.problems(backend=backend, d=d, dv=dv, **limits.of_tiles())

    return Space(grid, default, lambda values: _settle(values, backend, dv), valid)


def _settle(values, backend, dv):
    """The TileConfig of these values, with the sizes that must divide each other made to."""
    values = dict(values)
    if values["registers"]:
        values["keys_per_group"], values["columns_per_block"] = values["keys_per_block"], dv
    values["keys_per_group"] = _multiple(values["keys_per_group"], values["keys_per_block"])
    values["columns_per_block"] = min(values["columns_per_block"], dv)
    values["keys_per_tile"] = (values["keys_per_group"] if backend == "cpu" else
                               _multiple(values["keys_per_tile"], values["keys_per_group"]))
    return TileConfig(**values)


def _nearest(values, value):
    """The value of an axis that a settled one came from, or nearly: else small steps would drift off the grid."""
    return min(values, key=lambda x: abs(x - value))


def _multiple(n, unit):
    """The multiple of `unit` nearest to n, at least one."""
    return max(1, (n + unit // 2) // unit) * unit
