"""How much faster is a call for its tolerance? `figure_tolerances.py CASE ... [--records FILE] [--svg FILE]`.

Whole calls, summary and plan included, in interleaved rounds beside our own dense kernel; the oracle's plan alone is
made before. Nothing is timed before it kept to the law: error <= certificate + rounding budget on each head's first
and last rows, certificate <= tolerance max|v| on all. Records are appended as JSON lines, table and figure are made of
them. CASE: names of aat/validation/generators.py (SYNTHETIC, 4 heads, 2048 x 4096, D 64) and of captured.py.
"""
import argparse
import json
import pathlib

import numpy as np

import aat
from aat.attention import quality
from aat.attention.arguments import check
from aat.tiling import bounds
from aat.tiling.plan import plan_of
from aat.tiling.strategies.base import TilingStrategy
from aat.tiling.strategies.certified import Certified
from aat.tiling.summary import KeySummary
from aat.validation import captured, environment, pipeline, statistics
from aat.validation.generators import make_call

TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4)
DENSE, ORACLE = "dense", "oracle"
WAYS = ("auto", "mixed", ORACLE)
ROWS = 16               # of each head, first and last, that are held against the reference


class Shares:
    """The exact weight of each tile of `block` keys for each row of a call, float64: what an oracle knows."""

    def __init__(self, call, block):
        self.problem, self.block = check(**call).problem, block
        problem, edges = self.problem, np.arange(0, self.problem.Lk, block)
        shape = (problem.B, problem.Hq, problem.Lq)
        self.mass, self.lse = np.zeros((*shape, len(edges))), np.full(shape, -np.inf)
        for b, h in np.ndindex(*shape[:2]):
            for first in range(0, problem.Lq, 256):
                row = np.arange(first, min(first + 256, problem.Lq))
                s, seen = quality.scores(problem, b, h, row)
                s = np.where(seen, s, -np.inf)
                top = s.max(1, keepdims=True)
                p = np.exp(s - np.where(np.isneginf(top), 0, top))
                total = p.sum(1)
                with np.errstate(divide="ignore"):
                    self.lse[b, h, row] = top[:, 0] + np.log(total)
                self.mass[b, h, row] = np.add.reduceat(p, edges, 1) / np.maximum(total, 1e-300)[:, None]
        self.summary = KeySummary(*(np.asarray(call[x], np.float32) for x in "kv"), block)
        self.seen = self.mass.any(2, keepdims=True)     # everything is in reach in these cases

    def share(self, tolerance):
        """(B, Hq) rho of a tolerance, by the range of the values."""
        rho, _ = bounds.share(tolerance, self.summary.largest, self.summary.spread)
        return np.repeat(rho, self.problem.group, 1)


class Oracle(TilingStrategy):
    """Leaves tiles out by their exact mass, which nobody knows beforehand: a roof for plans, made once and kept.

    The longest list in the order of the rows' largest shares that all rows of a query tile can leave out.
    """

    name = ORACLE

    def __init__(self, shares):
        super().__init__(block=shares.block, summary=shares.summary)
        self.shares, self.made = shares, {}

    def plan(self, request):
        """The TilePlan; see base.TilingStrategy."""
        key = request.rows, request.tolerance
        if key not in self.made:
            self.made[key] = self._make(request)
        return self.made[key]

    def _make(self, request):
        mass, rows = self.shares.mass, request.rows
        first = np.arange(0, mass.shape[2], rows)
        level = np.maximum.reduceat(mass, first, 2)
        rho = self.shares.share(request.tolerance)[..., None, None] * (1 - 1e-5)
        lost = np.zeros(mass.shape, bool)
        keep = np.ones(level.shape, bool)
        for i, begin in enumerate(first):
            part = slice(begin, begin + rows)
            order = np.argsort(level[:, :, i], 2, kind="stable")[:, :, None]
            sums = np.cumsum(np.take_along_axis(mass[:, :, part], order, 3), 3)
            length = (sums <= rho).all(2).sum(2)[..., None]
            gone = np.empty(level.shape[:2] + level.shape[3:], bool)
            np.put_along_axis(gone, order[:, :, 0], np.arange(level.shape[3]) < length, 2)
            keep[:, :, i], lost[:, :, part] = ~gone, gone[:, :, None]
        with np.errstate(divide="ignore"):
            omitted = np.log(np.where(lost, mass, 0).sum(3)) + self.shares.lse + 1e-5
        return plan_of(request.summary, request.q, request.tolerance, rows, keep, level, omitted)


def tiling_of(way, shares):
    """The `tiling` argument of a way."""
    return {"auto": lambda: "auto", "mixed": lambda: Certified(mixed=True), ORACLE: lambda: Oracle(shares)}[way]()


def measure(name, call, tolerances=TOLERANCES, seconds=0.5):
    """The records of one input: speed-up over dense [low, median, high] of each tolerance and way, or the reason."""
    shares, judge = Shares(call, 64), _Judge(call)
    out = pipeline.blank_output(call)
    runs, found = {}, {}
    for key in [(0.0, DENSE), *((eps, way) for eps in tolerances for way in WAYS)]:
        options = {} if key[1] == DENSE else dict(tolerance=key[0], tiling=tiling_of(key[1], shares))
        found[key] = judge.of(options)
        if not found[key]["reason"]:
            runs[key] = lambda options=options: aat.attention(**call, **options, backend="cpu", out=out)
    if (0.0, DENSE) not in runs:
        raise RuntimeError(f"{name}: dense: {found[0.0, DENSE]['reason']}")
    times, shared = statistics.interleave(runs, seconds=seconds), dict(started=environment.now(), **environment.facts())
    return [dict(case=name, tolerance=key[0], tiling=key[1], **found[key], **shared,
                 seconds=times.percentiles(key)[1] if key in runs else None,
                 speedup=list(times.ratio((0.0, DENSE), key)) if key in runs else None) for key in found]


class _Judge:
    """The law, on the first and the last rows of each head."""

    def __init__(self, call):
        self.call = call
        self.rows = [slice(ROWS), slice(-ROWS, None)]
        self.want = [pipeline.expected(_some(call, rows)) for rows in self.rows]
        self.largest = np.abs(call["v"]).max((2, 3))[..., None]

    def of(self, options):
        out, info = aat.attention(**self.call, **options, backend="cpu", return_info=True,
                              out=pipeline.blank_output(self.call))
        bound = np.zeros(out.shape[:3]) if info.error_bound is None else info.error_bound
        worst = (-1.0, 0.0, 0.0)
        for rows, want in zip(self.rows, self.want, strict=True):
            error = np.abs(out[:, :, rows] - want.out)
            allowed = bound[:, :, rows, None] + want.out_budget
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.where(np.isnan(error), np.inf, np.where(error > 0, error / allowed, 0))
            at = np.unravel_index(share.argmax(), share.shape)
            worst = max(worst, (float(share[at]), float(error[at]), float(allowed[at])))
        allowed = options.get("tolerance", 0) * self.largest
        reason = "" if worst[0] <= 1 else f"error {worst[1]:.3g} exceeds certificate and budget {worst[2]:.3g}"
        if not (bound <= allowed).all():
            reason = f"certificate {float(bound.max()):.3g} exceeds the tolerance"
        return dict(error=worst[1], allowed=worst[2], reason=reason, bound=float(bound.max(initial=0)),
                    tiles=dict(info.tiles), chosen_by=str(info.tiling))


def _some(call, rows):
    """A call of some query rows."""
    part = dict(call, q=call["q"][:, :, rows])
    if "bias" in call and call["bias"].shape[-2] > 1:
        part["bias"] = call["bias"][..., rows, :]
    return part


def table(records):
    """Markdown: a line for each input, for each way its speed-up at 1e-1 / 1e-2 / 1e-3 / 1e-4; "-" broke the law."""
    newest = {(r["case"], r["tiling"], r["tolerance"]): r["speedup"] for r in records}

    def cell(case, way):
        return " / ".join(f"{at[1]:.2f}" if (at := newest.get((case, way, eps))) else "-" for eps in TOLERANCES)
    lines = [f"| Input | {' | '.join(f'`{way}`' for way in WAYS)} |", "|---|" + "---|" * len(WAYS)]
    return "\n".join(lines + [f"| `{case}` | {' | '.join(cell(case, way) for way in WAYS)} |"
                              for case in dict.fromkeys(r["case"] for r in records)])


def figure(records, path):
    """Draw speed-up over tolerance, a panel for each input, dense = 1, to an SVG at `path`."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(r["case"] for r in records))
    newest = {(r["case"], r["tiling"], r["tolerance"]): r["speedup"] for r in records if r["speedup"]}
    drawn = Figure(figsize=(10, 2.2 * -(-len(names) // 5)), layout="constrained")
    panels = drawn.subplots(-(-len(names) // 5), 5, sharex=True, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        for way in WAYS:
            at = [(eps, newest[name, way, eps][1]) for eps in TOLERANCES if (name, way, eps) in newest]
            panel.plot(*zip(*at, strict=True), "--" if way == ORACLE else "-", marker=".", label=way) if at else None
        panel.axhline(1, color="black", lw=0.8)
        panel.set(xscale="log", yscale="log", title=name)
    for panel in panels[len(names):]:
        panel.set_axis_off()
    drawn.supxlabel("tolerance"), drawn.supylabel("speed-up, dense = 1")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(WAYS))
    drawn.savefig(path, metadata=dict(Date=None))


def main():
    """Measure the named inputs; with --svg draw the whole file; print its table."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("cases", nargs="*")
    p.add_argument("--records", default="tolerances.jsonl", type=pathlib.Path)
    p.add_argument("--svg")
    given = p.parse_args()
    for name in given.cases:
        call = (captured.make_call(name) if name in captured.LAYERS
                else make_call(name, 0, queries=2048, keys=4096, Hq=4, D=64))
        with given.records.open("a") as file:
            file.writelines(json.dumps(record) + "\n" for record in measure(name, call))
    records = [json.loads(text) for text in given.records.read_text().splitlines()]
    print(table(records))
    if given.svg:
        figure(records, given.svg)


if __name__ == "__main__":
    main()
