"""Which figures are drawn from the records? Each is one function; one without data says what to run."""

import math
from dataclasses import dataclass
from importlib.util import find_spec

from aat.report import tiles, view
from aat.report.style import INK, LINE, MARKERS, PALETTE, looks, new_figure, speed_over_error, svg

__all__ = ["INSTALL", "Figure", "figures"]

INSTALL = "pip install 'adaptive-attention-tiling[report]'"
MOST_COLUMNS = 3
MOST_SERIES = 12  # more lines than markers cannot be told apart
ZEROS = 1e-30  # the budget of a result that is zero is a subnormal number
FLOOR = 1e-3  # a share of the budget below this is drawn on the edge


@dataclass(frozen=True)
class Figure:
    """One figure: svg is "" where it is left out, and `text` then says why; else `text` is its caption."""

    name: str
    title: str
    svg: str
    text: str


def figures(records):
    """Every figure of some records, in the order of the page; without matplotlib all are left out."""
    shown = view.latest(records)
    full = view.at_full_width(shown)
    theirs = [record for record in shown if record.provider != "aat"]
    # a backend that was checked and never timed, the reference or a software device, has no speed to draw
    names = view.backends([record for record in shown if record.timed]) or ["cpu"]
    recipes = [
        *((f"speed-{name}", f"Speed against sequence length, {name}", lambda name=name: _speed(full, name))
          for name in names),
        *((f"roofline-{name}", f"Roofline of {name}", lambda name=name: _roofline(full, name))
          for name in names),
        ("error", "Error against budget", lambda: _error(view.checks(records) + theirs)),
        ("scaling", "Scaling in threads", lambda: _scaling(shown)),
        ("tiles", "What a launch visits", lambda: tiles.draw(shown)),
        ("history", "History over commits", lambda: _history(records)),
    ]
    if find_spec("matplotlib") is None:
        return [Figure(name, title, "", f"Left out: matplotlib is not installed; {INSTALL}")
                for name, title, _ in recipes]
    return [Figure(name, title, *recipe()) for name, title, recipe in recipes]


def _speed(records, backend):
    """Columns of case families, lines of providers."""
    groups: dict = {}
    for record in records:
        name, size = view.family(record)
        if record.backend == backend and size and view.speed(record) is not None:
            groups.setdefault(name, {}).setdefault(record.provider, []).append((size, record))
    groups = {name: lines for name, lines in groups.items() if any(len(points) > 1 for points in lines.values())}
    if not groups:
        return "", f"Left out: no case on {backend} was timed at two lengths; run `aat bench`."
    columns = dict(list(groups.items())[:MOST_COLUMNS])
    with new_figure(3.2 * max(2, len(columns)), 4.8) as figure:
        grid = speed_over_error(figure, len(columns))
        for column, (name, lines) in enumerate(columns.items()):
            above, below = grid[0][column], grid[1][column]
            for provider in sorted(lines, key=view.order_of_providers):
                _line(above, below, lines[provider], label=provider, **looks(view.order_of_providers(provider)[0]))
            above.set_title(name)
            above.set_ylim(bottom=0)
            _log_axis(below, sorted({size for points in lines.values() for size, _ in points}))
            below.set_xlabel("keys")
        grid[0][0].set_ylabel("GFLOP/s")
        handles = {label: handle for axes in grid[0]
                   for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles, loc="outside upper center", ncols=len(handles))
        picture = svg(figure, f"speed-{backend}", f"Speed on {backend} against the number of keys, error below")
    return picture, ("Median of the rounds, bars from the 10th to the 90th percentile. The same work is counted for "
                     "every provider: the multiply-adds that causal, window and kv_lens leave. Below, the worst "
                     "element's error as a part of its budget (dotted: the limit)."
                     + _rest(groups, columns, "families"))


def _line(above, below, points, **style):
    """A line of (x, record) with its spread in the upper axes, and its errors in the lower."""
    points = sorted(points, key=lambda point: point[0])
    x, speeds = [p[0] for p in points], [view.speed(p[1]) for p in points]
    low = [_spread(r, r.seconds_p90) for _, r in points]
    high = [_spread(r, r.seconds_p10) for _, r in points]
    above.errorbar(x, speeds, yerr=(low, high), elinewidth=0.8, **style)
    below.plot(x, [view.share(r) for _, r in points], **style)


def _spread(record, seconds):
    if not seconds:
        return 0.0
    return abs(view.speed(record) * record.seconds_median / seconds - view.speed(record))


def _log_axis(axes, values):
    axes.set_xscale("log", base=2)
    axes.set_xticks(values, [f"{value:g}" for value in values], minor=False)
    axes.minorticks_off()


def _rest(everything, drawn, what):
    left = len(everything) - len(drawn)
    return f" {left} more {what} are in the table of every number." if left > 0 else ""


def _roofline(records, backend):
    """Roofs that were measured in the same run, and a point a case."""
    mine = [r for r in records if r.backend == backend and r.provider == "aat" and view.speed(r) is not None
            and r.arithmetic_intensity]
    runs: dict = {}
    for record in mine:
        if record.peak_gflops and record.bandwidth_gbs:
            runs.setdefault((record.peak_gflops, record.bandwidth_gbs, record.sgemm_gflops), []).append(record)
    if not runs:
        return "", f"Left out: no timed case on {backend} has measured roofs; run `aat bench`."
    # a point belongs under the roofs of its own run: on a busy machine another run's are elsewhere
    within = max(runs.values(), key=lambda run: (len(run), max(record.started for record in run)))
    roof = within[0]
    drawn = within[:2 * MOST_SERIES]
    with new_figure(8, 5) as figure:
        grid = speed_over_error(figure)
        above, below = grid[0][0], grid[1][0]
        for number, record in enumerate(drawn):
            style = dict(color=PALETTE[number % len(PALETTE)], marker=MARKERS[number % len(MARKERS)], linestyle="none",
                         markerfacecolor="none" if number >= MOST_SERIES else PALETTE[number % len(PALETTE)])
            above.plot(record.arithmetic_intensity, view.speed(record), label=record.case, **style)
            below.plot(record.arithmetic_intensity, view.share(record), **style)
        _roofs(above, roof, [record.arithmetic_intensity for record in drawn])
        above.set_ylabel("GFLOP/s")
        below.set_xlabel("useful FLOP per byte of compulsory traffic")
        above.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        picture = svg(figure, f"roofline-{backend}", f"Roofline of the {backend} backend: speed against intensity")
    product = f", {roof.sgemm_gflops:.0f} GFLOP/s in a matrix product" if roof.sgemm_gflops else ""
    return picture, (f"{roof.device or roof.cpu_model or backend}. Roofs measured in the same run: "
                     f"{roof.bandwidth_gbs:.1f} GB/s read, {roof.peak_gflops:.0f} GFLOP/s of multiply-adds{product}. "
                     "A case to the left of the bend is bound by memory."
                     + _rest(mine, drawn, "cases, some of other runs,"))


def _roofs(axes, roof, intensities):
    bend = roof.peak_gflops / roof.bandwidth_gbs
    low, high = min(*intensities, bend) / 2, max(*intensities, bend) * 2
    axes.plot([low, bend, high], [low * roof.bandwidth_gbs, roof.peak_gflops, roof.peak_gflops], color=INK,
              linewidth=LINE, zorder=1)
    above = dict(xytext=(4, 3), textcoords="offset points")
    below = dict(xytext=(4, -11), textcoords="offset points")
    lower = bool(roof.sgemm_gflops) and roof.sgemm_gflops > roof.peak_gflops
    axes.annotate("multiply-add peak", (bend, roof.peak_gflops), **(below if lower else above))
    if roof.sgemm_gflops:
        start = min(roof.sgemm_gflops / roof.bandwidth_gbs, high)
        axes.plot([start, high], [roof.sgemm_gflops] * 2, color=INK, linewidth=1, linestyle="--", zorder=1)
        axes.annotate("matrix product", (max(start, bend), roof.sgemm_gflops), **(above if lower else below))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")


def _error(records):
    """A point a record: how much of its budget an error takes, at or below 1."""
    known = [r for r in records if view.share(r) is not None and math.isfinite(view.share(r)) and r.budget > 0]
    checked = [r for r in known if r.budget > ZEROS]
    if not checked:
        return "", "Left out: no record has an error; run `aat bench`."
    kinds = sorted({(r.provider, r.backend) for r in checked},
                   key=lambda kind: (*view.order_of_providers(kind[0]), kind[1]))
    with new_figure(7, 5) as figure:
        axes = figure.subplots()
        for number, kind in enumerate(kinds):
            mine = [r for r in checked if (r.provider, r.backend) == kind]
            label = kind[1] if kind[0] == "aat" else f"{kind[0]}, beside {kind[1]}"
            look = {**looks(view.order_of_providers(kind[0])[0]), "marker": MARKERS[number % len(MARKERS)],
                    "linestyle": "none"}
            if number and kinds[number - 1][0] == kind[0]:
                look["markerfacecolor"] = "none"
            axes.plot([r.budget for r in mine], [max(view.share(r), FLOOR) for r in mine], label=label,
                      alpha=0.8, **look)
        axes.axhline(1, color=INK, linewidth=1, zorder=1)
        axes.annotate("the budget", (1, 1), (-2, 3), textcoords="offset points", ha="right",
                      xycoords=axes.get_yaxis_transform())
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(FLOOR / 2, 2 * max(1, *map(view.share, checked)))
        axes.xaxis.set_major_formatter("{x:.0e}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.set_xlabel("error budget of the worst element, absolute")
        axes.set_ylabel("its error against float64 / budget")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        picture = svg(figure, "error", "Error against error budget, one point a case, backend and provider")
    exact = sum(view.share(r) < FLOOR for r in checked)
    zeros = len(known) - len(checked)
    over = sum(view.share(r) > 1 for r in checked)
    return picture, (f"{len(checked)} results against the float64 reference; {over} above the line, which is where a "
                     "result is wrong and its time is withheld."
                     + (f" {exact} with less than a thousandth of their budget are drawn at a thousandth." if exact
                        else "") + (f" {zeros} of nothing but zeros are left out." if zeros else ""))


def _scaling(records):
    """Speed against threads for every case that was timed at two counts or more."""
    lines: dict = {}
    for record in records:
        if record.provider == "aat" and record.threads and view.speed(record) is not None:
            lines.setdefault((record.case, record.backend), []).append((record.threads, record))
    lines = {key: points for key, points in lines.items() if len({x for x, _ in points}) > 1}
    if not lines:
        return "", ("Left out: no case was timed with two numbers of threads; run "
                    "`AAT_NUM_THREADS=1 aat bench causal-2048`, then with more.")
    drawn = dict(list(lines.items())[:MOST_SERIES])
    with new_figure(7.5, 4.6) as figure:
        grid = speed_over_error(figure)
        above, below = grid[0][0], grid[1][0]
        for number, ((case, backend), points) in enumerate(drawn.items()):
            _line(above, below, points, label=f"{case}, {backend}", **looks(number))
            first, record = min(points, key=lambda point: point[0])
            last = max(x for x, _ in points)
            above.plot([first, last], [view.speed(record), view.speed(record) * last / first], color=INK,
                       linewidth=0.8, linestyle=":", label="each thread as fast as the first" if not number else None)
        above.set_ylim(bottom=0)
        above.set_ylabel("GFLOP/s")
        _log_axis(below, sorted({x for points in drawn.values() for x, _ in points}))
        below.set_xlabel("threads")
        above.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        picture = svg(figure, "scaling", "Speed in GFLOP/s against the number of threads, with the error below")
    return picture, "Dotted: what perfect scaling from the smallest number would give." + _rest(lines, drawn, "cases")


def _history(records):
    """Time of each case at each commit, as a part of its time at the first."""
    commits, series = view.history(records)
    if not series:
        return "", "Left out: no case was timed at two commits; run `aat bench` again after the next one."
    drawn = dict(sorted(series.items(), key=lambda item: -len(item[1]))[:MOST_SERIES])
    with new_figure(8, 4.8) as figure:
        grid = speed_over_error(figure)
        above, below = grid[0][0], grid[1][0]
        for number, ((case, backend), points) in enumerate(drawn.items()):
            at = sorted(points)
            start = points[at[0]].seconds_median
            above.plot(at, [points[i].seconds_median / start for i in at], label=f"{case}, {backend}", **looks(number))
            below.plot(at, [view.share(points[i]) for i in at], **looks(number))
        above.axhline(1, color=INK, linewidth=0.8, zorder=1)
        above.set_ylabel("time / time at first")
        below.set_xticks(range(len(commits)), commits, rotation=45 if len(commits) > 6 else 0)
        below.set_xlabel("commit, * with changes")
        above.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        picture = svg(figure, "history", "Time of each case over commits, with the error below")
    return picture, ("Medians of separate runs, which on a shared machine differ by tens of per cent without cause: "
                     "`aat compare` measures two commits interleaved." + _rest(series, drawn, "cases"))
