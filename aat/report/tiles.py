"""What does a launch visit? A picture of the tiles that causal and window plans leave."""

import re
from dataclasses import dataclass, replace

import numpy as np

from aat.report.style import GRID, INK, PALETTE, new_figure, svg
from aat.tiling.base import TileConfig, key_ranges

__all__ = ["FULL", "MASKED", "PLANS", "SKIPPED", "Plan", "draw", "tile_map"]

SKIPPED, MASKED, FULL = 0, 1, 2
HEAD = 64
SIZES = ("lane_width", "lane_vectors", "keys_per_block", "keys_per_group", "keys_per_tile", "columns_per_block")


@dataclass(frozen=True)
class Plan:
    """One head of one batch: sizes, and how far a row sees (None: without end), as in `key_ranges`."""

    title: str
    queries: int
    keys: int
    offset: int = 0
    left: int | None = None
    right: int | None = None


PLANS = (
    Plan("causal", 1024, 1024, right=0),
    Plan("window of 256 back", 1024, 1024, left=256, right=0),
    Plan("window of 128 both ways", 1024, 1024, left=128, right=128),
    Plan("causal, 512 new of 1024 keys", 512, 1024, offset=512, right=0),
)


def tile_map(plan, config):
    """An array (programs, groups of keys) of SKIPPED, MASKED and FULL: what the kernel does with each tile."""
    rows, group = config.rows_per_program(), config.keys_per_group
    first = np.arange(0, plan.queries, rows, dtype=np.int64)
    last = np.minimum(first + rows, plan.queries) - 1
    begin, end, full_begin, full_end = key_ranges(first, last, plan.offset, plan.left, plan.right, plan.keys)
    groups = np.arange(-(-plan.keys // group))
    visited = ((groups >= (begin // group)[:, None]) & (groups < (-(-end // group))[:, None])
               & (end > begin)[:, None])
    full = (groups >= (-(-full_begin // group))[:, None]) & (groups < (full_end // group)[:, None])
    return np.where(visited, np.where(full, FULL, MASKED), SKIPPED)


def config_of(records):
    """The TileConfig of the newest record of the CPU backend, or the default for 16 lanes."""
    for record in sorted(records, key=lambda record: record.started, reverse=True):
        if record.backend == "cpu" and record.provider == "aat" and record.config:
            found = dict(re.findall(r"(\w+)=(\d+)\b", record.config))
            if found.keys() >= set(SIZES):
                sizes = {name: int(found[name]) for name in SIZES}
                return replace(TileConfig.default(16, HEAD, HEAD), **sizes)
    return TileConfig.default(16, HEAD, HEAD)


def draw(records):
    """(svg, caption) of every plan under the records' TileConfig."""
    from matplotlib.patches import Patch

    config = config_of(records)
    with new_figure(10, 3.0) as figure:
        row = figure.subplots(1, len(PLANS), squeeze=False)[0]
        for axes, plan in zip(row, PLANS, strict=True):
            _panel(axes, plan, config)
        row[0].set_ylabel("query row")
        figure.legend(handles=[Patch(facecolor=PALETTE[0], edgecolor=INK, label="full: no mask is looked at"),
                               Patch(facecolor=PALETTE[3], edgecolor=INK, hatch="////",
                                     label="masked: some pairs are hidden"),
                               Patch(facecolor="none", edgecolor=GRID, label="skipped: never read")],
                      loc="outside upper center", ncols=3)
        picture = svg(figure, "tiles", "Tiles of causal and window plans: full, masked and skipped")
    counts = "; ".join(f"{plan.title}: {visited} of {total} tiles visited, {full} of them full"
                       for plan in PLANS for visited, full, total in [_counts(tile_map(plan, config))])
    return picture, (f"Tiles of {config.rows_per_program()} queries by {config.keys_per_group} keys, one head. "
                     f"{counts}. What a call with a tolerance "
                     "makes of its tiles: `aat.explain(..., tile_map=True)`, docs/tiling.md.")


def _counts(found):
    return int((found != SKIPPED).sum()), int((found == FULL).sum()), found.size


def _panel(axes, plan, config):
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    rows, group = config.rows_per_program(), config.keys_per_group
    found = tile_map(plan, config)
    for kind, look in ((SKIPPED, dict(facecolor="none", edgecolor=GRID, linewidth=0.3)),
                       (MASKED, dict(facecolor=PALETTE[3], edgecolor=INK, linewidth=0.4, hatch="////")),
                       (FULL, dict(facecolor=PALETTE[0], edgecolor=INK, linewidth=0.4))):
        program, key = np.nonzero(found == kind)
        left, top = key * group, program * rows
        right, bottom = np.minimum(left + group, plan.keys), np.minimum(top + rows, plan.queries)
        corners = np.stack([np.stack([left, top], -1), np.stack([right, top], -1), np.stack([right, bottom], -1),
                            np.stack([left, bottom], -1), np.stack([left, top], -1)], 1)
        if len(corners):
            axes.add_patch(PathPatch(Path.make_compound_path_from_polys(corners.astype(float)), **look))
    axes.set(xlim=(0, plan.keys), ylim=(plan.queries, 0), aspect="equal", xlabel="key")
    axes.set_title(plan.title, fontsize=9.5)
    axes.set_xticks(range(0, plan.keys + 1, 512))
    axes.set_yticks(range(0, plan.queries + 1, 256))
    axes.grid(False)
