"""Is a commit slower than another, or does it do more? `aat compare BASE [HEAD]`."""

import argparse
import json
import sys
from contextlib import ExitStack, closing
from dataclasses import asdict

from aat.commands.keep import BadInput, Keeper
from aat.commands.progress import Progress
from aat.validation import regression
from aat.validation.regression import LIMIT, REPEATS, CompareError, Comparison, Process, choose_cases, compare
from aat.validation.worktrees import WorktreeError, built, repository, resolve, trailers

EPILOG = f"""\
Both commits are built in temporary worktrees with environments of their own and run in turns: base, head,
head, base. HEAD fails on a case if the lower end of the 95 % interval of HEAD / BASE seconds passes {LIMIT} in
{REPEATS} repeats, or if an exact count ({', '.join(regression.COUNTS)}) grew without a
trailer in a commit message of BASE..HEAD:

  {regression.TRAILER}: launches causal-2048: the second pass joins the parts

examples:
  aat compare main                      the working tree (or HEAD, if nothing is uncommitted) against main
  aat compare v0.1.0 v0.2.0 --cases causal-2048 decode-4096    two commits, two cases, about a minute

All cases take about ten minutes; --cases makes it shorter. Records hold both sides.

exit status: 0 nothing grew or slowed down, 1 something did, 2 the comparison could not be made
"""


def parser():
    """The arguments of `aat compare`."""
    top = argparse.ArgumentParser(prog="aat compare", formatter_class=argparse.RawDescriptionHelpFormatter,
                                  description="Compare the speed and the exact counts of two commits.", epilog=EPILOG)
    top.add_argument("base", metavar="BASE", help="the commit to compare with: a hash, a branch, a tag")
    top.add_argument("head", metavar="HEAD", nargs="?", help="what may be slower (default: the working tree)")
    top.add_argument("--cases", nargs="+", metavar="CASE",
                     help="names of cases, see `aat bench --list` (default: all marked bench)")
    top.add_argument("--backend", default="auto", choices=("auto", "cpu", "vulkan", "cuda"), help="default: auto")
    top.add_argument("--declare", action="append", default=[], metavar="'COUNT CASE: REASON'",
                     help="a growth that is meant, where there is no commit message yet")
    top.add_argument("--rounds", type=_positive, default=regression.ROUNDS, metavar="N",
                     help="the fewest rounds of base, head, head, base of a repeat (default: %(default)s)")
    top.add_argument("--seconds", type=float, default=regression.SECONDS, metavar="S",
                     help="a case's rounds are repeated until its interval is narrow or S seconds are gone "
                          "(default: %(default)g)")
    top.add_argument("--records", metavar="FILE", help="append a record of each side to FILE, as `aat bench` does")
    top.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    return top


def _positive(text):
    value = int(text)
    if value < 3:
        raise argparse.ArgumentTypeError(f"expected at least 3, got {value}: an interval needs samples")
    return value


def run(argv=None):
    """Compare, print, and return the exit status; what was compared before a failure or Ctrl-C is printed and kept."""
    given = parser().parse_args(argv)
    pair, results, status, keeper = (), [], None, None
    try:
        keeper = Keeper("aat compare", given.records, spill=False)
        root = repository()
        pair = resolve(root, given.base, given.head)
        declared = regression.declarations(
            trailers(root, pair[0].commit, pair[1].commit, regression.TRAILER) + given.declare)
        for result in _compared(root, pair, declared, given):
            results.append(result)
            if keeper.path and result.ratios:
                keeper.add(regression.records(result, pair))
    except (BadInput, CompareError, WorktreeError) as error:
        print(f"aat compare: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("aat compare: interrupted; the worktrees are removed", file=sys.stderr)
        status = 130
    if results:
        print(json.dumps(facts(pair, results), indent=2) if given.json else table(pair, results))
    if keeper is not None:
        status = status or keeper.close()
    return status or (0 if all(result.ok for result in results) else 1)


def _compared(root, pair, declared, given):
    """The Comparisons, one after the other."""
    with Progress("aat compare", 1 + len(given.cases or regression.default_cases())) as bar, ExitStack() as stack:
        bar.doing(f"building {pair[0].label} and {pair[1].label}")
        sides = stack.enter_context(built(root, pair))
        before, after = (stack.enter_context(closing(Process(side))) for side in sides)
        bar.step()
        for case, reason in choose_cases(before, after, given.cases):
            bar.doing(case)
            yield (Comparison(case, skipped=reason) if reason else
                   compare(before, after, case, given.backend, declared, rounds=given.rounds,
                           seconds=given.seconds))
            bar.step()


def facts(pair, results):
    """The outcome as plain values."""
    return {"base": asdict(pair[0]), "head": asdict(pair[1]), "limit": LIMIT, "repeats": REPEATS,
            "ok": all(result.ok for result in results),
            "cases": [{**asdict(result), "ok": result.ok} for result in results]}


def table(pair, results):
    """The outcome as text: a line a case, and under it what speaks against it."""
    before, after = (f"{side.label} ({side.commit[:10]})" for side in pair)
    width = 2 + max(len("case"), *(len(result.case) for result in results))
    lines = [f"BASE {before}", f"HEAD {after}", "",
             f"{'case':{width}}{'backend':9}{'error/budget':>13}{'BASE ms':>10}{'HEAD ms':>10}  "
             f"{'HEAD/BASE [95 %]':25}{'BASE/BASE [95 %]':25}"]
    for result in results:
        lines += [line.rstrip() for line in _lines(result, width)]
    failed = [result.case for result in results if not result.ok]
    ran = [result for result in results if not result.skipped]
    lines += ["", f"FAILED: {', '.join(failed)}" if failed else
              f"ok: {len(ran)} cases, none slower beyond {LIMIT}, no undeclared growth of a count"]
    return "\n".join(lines)


def _lines(result, width):
    if result.skipped:
        return [f"{result.case:{width}}skipped: {result.skipped}"]
    head = f"{result.case:{width}}{result.backend:9}{max(side['ratio'] for side in result.verdicts.values()):>13.3f}"
    if result.ratios:
        before, after = (f"{result.percentiles[side][1] * 1e3:10.3f}" for side in ("base", "head"))
        head += f"{before}{after}  {_interval(result.ratios[-1]):25}{_interval(result.control):25}"
    return ([head + ("" if result.ok else "FAILED")] + [f"    {reason}" for reason in result.failures]
            + [f"    {note}" for note in result.notes])


def _interval(ratio):
    low, median, high = ratio
    return f"{median:.3f} [{low:.3f}, {high:.3f}]"
