"""How is the map of a call's tiles drawn? `save(told.tiles, "tiles.svg")`, told = aat.explain(..., tile_map=True)."""
from pathlib import Path

import numpy as np

from aat.attention.tile_map import AFTER, BEFORE, COMPUTED, MEANING, OUT_OF_REACH, REPLACED
from aat.errors import value_error
from aat.report.style import GRID, INK, PALETTE, new_figure, svg

__all__ = ["draw", "save"]

LOOKS = {COMPUTED: PALETTE[0], AFTER: PALETTE[5], REPLACED: PALETTE[3], BEFORE: "#f2ead8", OUT_OF_REACH: "none"}
MOST = 4                # heads of one figure
# What svg() leaves to the page that a picture is put into, for one that stands alone.
PAGE = {"currentColor": "#222222", "var(--rule, #999)": "#999999"}


def draw(tile_map, heads=None, batch=0):
    """The map as an SVG element: a panel a head, a rectangle a run of tiles of one kind.

    heads: numbers of heads; None: the first four at most. Needs matplotlib.
    """
    B, Hq = tile_map.states.shape[:2]
    heads = list(range(min(Hq, MOST))) if heads is None else list(heads)
    if not heads or not all(0 <= h < Hq for h in heads) or not 0 <= batch < B:
        raise value_error("heads", f"some of 0 .. {Hq - 1}, of a batch entry in 0 .. {B - 1}",
                          f"heads {heads} of entry {batch}", "choose heads of the call")
    with new_figure(2.6 * max(2, len(heads)) + 0.6, 3.4) as figure:
        for axes, head in zip(figure.subplots(1, len(heads), squeeze=False)[0], heads, strict=True):
            _panel(axes, tile_map, tile_map.states[batch, head])
            axes.set_title(f"head {head}", fontsize=9.5)
            axes.set_ylabel("query row" if head == heads[0] else "")
        figure.legend(handles=list(_legend(tile_map.states[batch, heads])), loc="outside upper center", ncols=2)
        return svg(figure, "tile-map", f"Tiles of a call with a tolerance, {tile_map.tiling}")


def save(tile_map, path, heads=None, batch=0):
    """Write the map as an SVG file that stands alone; see `draw`. OSError as the system gave it."""
    path = Path(path)
    if path.suffix != ".svg":
        raise value_error("path", "a name that ends in .svg", repr(str(path)), "a browser shows it")
    path.write_text(standing_alone(draw(tile_map, heads, batch)), encoding="utf-8")


def standing_alone(picture):
    """An SVG element of `aat.report.style.svg` as the text of a file."""
    for name, colour in PAGE.items():
        picture = picture.replace(name, colour)
    return picture


def _legend(states):
    from matplotlib.patches import Patch

    for state, look in LOOKS.items():
        found = int((states == state).sum())
        if found:
            yield Patch(facecolor=look, edgecolor=INK, linewidth=0.4, label=f"{MEANING[state]} ({found})")


def _panel(axes, tile_map, found):
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    for state, look in LOOKS.items():
        row, first, last = _runs(found == state)
        left, right = first * tile_map.keys, np.minimum(last * tile_map.keys, tile_map.length)
        top = row * tile_map.rows
        bottom = np.minimum(top + tile_map.rows, tile_map.queries)
        corners = np.stack([np.stack(pair, -1) for pair in ((left, top), (right, top), (right, bottom), (left, bottom),
                                                            (left, top))], 1)
        if len(corners) and state != OUT_OF_REACH:
            axes.add_patch(PathPatch(Outline.make_compound_path_from_polys(corners.astype(float)), facecolor=look,
                                     edgecolor="none"))
    axes.set(xlim=(0, tile_map.length), ylim=(tile_map.queries, 0), xlabel="key")
    for side in axes.spines.values():
        side.set(visible=True, color=GRID)
    axes.grid(False)


def _runs(marks):
    """(row, first, end) of each run of True in the rows of a bool array."""
    edge = np.diff(np.pad(marks.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    row, first = np.nonzero(edge == 1)
    return row, first, np.nonzero(edge == -1)[1]
