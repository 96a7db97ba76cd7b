"""How does every figure look? One style, made for both page colours, for colour-blind readers and for grey print."""

import io
import re
from contextlib import contextmanager
from typing import Any

__all__ = ["DASHES", "GRID", "INK", "LINE", "MARKERS", "PALETTE", "looks", "new_figure", "speed_over_error", "svg"]

# Okabe and Ito's colours without black, which a dark page hides, and yellow, which a light one does.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "p", "*")
DASHES = ("-", "--", "-.", ":", (0, (7, 2)), (0, (5, 1, 1, 1, 1, 1)))

# Stand-ins: `svg` puts the page's own colours in their place, so that one picture serves light and dark.
INK, GRID = "#0a0b0c", "#0d0e0f"
LINE = 1.6

STYLE: Any = {
    "text.parse_math": False,  # a name with a dollar sign is a name
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": LINE,
    "lines.markersize": 6,
    "lines.markeredgecolor": INK,
    "lines.markeredgewidth": 0.6,
    "errorbar.capsize": 2.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def looks(number):
    """Keyword arguments of a line: a colour, a marker and a dash that, taken together, tell it apart."""
    return dict(color=PALETTE[number % len(PALETTE)], marker=MARKERS[number % len(MARKERS)],
                linestyle=DASHES[number % len(DASHES)])


@contextmanager
def new_figure(width=8.0, height=4.6):
    """Yield an empty matplotlib Figure in this style; `svg` must be called inside of the block."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def speed_over_error(figure, columns=1):
    """Rows of axes that share x: speed above, error / budget below, so that no speed stands without its error."""
    grid = figure.subplots(2, columns, sharex="col", squeeze=False, gridspec_kw=dict(height_ratios=(3, 1.2)))
    for below in grid[1]:
        below.axhline(1, color=INK, linewidth=1, linestyle=":")
        below.set_ylim(0, 1.15)
    grid[1][0].set_ylabel("error / budget")
    return grid


def svg(figure, name, label):
    """The figure as an SVG element to be put into a page: `label` is what a screen reader says."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):  # the same picture gives the same bytes, ids differ by figure
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", text, flags=re.DOTALL)  # its rule is for "*"
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r' id="(?:figure|axes|patch|text|line2d|matplotlib\.axis|xtick|ytick|legend|LineCollection|'
                  r'PathCollection|PatchCollection|FillBetweenPolyCollection|PolyCollection|QuadMesh)_\d+"', "", text)
    text = text.replace(INK, "currentColor").replace(GRID, "var(--rule, #999)")
    label = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip()
