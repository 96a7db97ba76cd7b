"""Is one commit slower than another, or does it do more? The engine of `aat compare`.

Two long-lived processes, one a commit, take turns: base, head, head, base. A drift of the machine that is slow against
one turn cancels within such a round; its ratio is one sample, and the bootstrap interval of the samples' median is the
answer. HEAD is slower if the lower end of the 95 % interval of HEAD / BASE passes LIMIT in two repeats. Base against
itself, the second half of each round over the first, is the control that shows the machine's own noise.

Counts are exact, so any growth counts, unless the change declares it in a commit message:

    Counts-grow: launches causal-2048: the second pass joins the parts
"""
import contextlib
import json
import logging
import re
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aat import env
from aat.validation import statistics

_log = logging.getLogger("aat")
COUNTS = ("multiply_adds", "tiles", "launches", "bytes", "peak_bytes")
LIMIT = 1.05        # of HEAD / BASE
REPEATS = 2         # a single interval lies beyond by chance once in 40 times
ROUNDS = 12         # of base, head, head, base, before an interval is looked at
WIDTH = 0.04        # an interval that is wider asks for as many rounds again,
MOST_BATCHES = 6    # so many times at most: the width, unlike the ratio, says nothing of who wins,
SECONDS = 15.0      # and only while a repeat has not lasted this long: the table takes minutes, not an hour
TURN_SECONDS = 0.1  # one turn calls until it has lasted this long
FEWEST_CALLS, MOST_CALLS = 3, 200
MEMORY_SLACK = 1 << 15  # bytes: Python's own objects come and go by a few kilobytes
TRAILER = "Counts-grow"
ANSWER_SECONDS = 1200


class CompareError(ValueError):
    """A comparison that cannot be made: one clear line."""


class Process:
    """A worker (aat/validation/worker.py) that runs one built commit."""

    def __init__(self, built):
        self.role = built.revision.role
        script = Path(__file__).with_name("worker.py")
        # -I: neither this script's folder nor PYTHONPATH may shadow what the commit imports.
        # A session of its own: Ctrl-C reaches the parent alone, which then ends the workers.
        self._errors = open(built.folder / "worker.log", "w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        # AAT_TUNE: what a user has tuned belongs to one kernel source, and the sides may have two.
        self._child = subprocess.Popen([str(built.python), "-I", str(script)], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=self._errors, text=True, cwd=built.folder,
                                       start_new_session=True, env=env.child_environment(AAT_TUNE="never"))
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._requests, self._answers = self._child.stdin, self._child.stdout
        try:
            self.hello = self._answer()
            if not Path(self.hello["path"]).resolve().is_relative_to(built.folder.resolve()):
                raise CompareError(f"{self.role}: expected to import aat from {built.folder}, got {self.hello['path']}")
        except BaseException:
            self.close()
            raise
        self.cases = self.hello["cases"]

    def ask(self, do, **request):
        """The answer to one request; CompareError if it failed or the worker died."""
        try:
            self._requests.write(json.dumps({"do": do, **request}) + "\n")
            self._requests.flush()
        except BrokenPipeError:
            raise CompareError(self._died()) from None
        return self._answer()

    def _answer(self):
        timer = threading.Timer(ANSWER_SECONDS, self._child.kill)
        timer.start()
        try:
            line = self._answers.readline()
        finally:
            timer.cancel()
        if not line:
            raise CompareError(self._died())
        answer = json.loads(line)
        if "failed" in answer:
            raise CompareError(f"{self.role}: {answer['failed']}")
        return answer

    def _died(self):
        status = self._child.wait()
        self._errors.seek(0)
        said = [line.strip() for line in self._errors if line.strip()]
        return f"{self.role}: its process ended with status {status}: {said[-1] if said else 'without a word'}"

    def check(self, case, backend):
        """The verdict as a dict."""
        return self.ask("check", case=case, backend=backend)

    def count(self, case, backend):
        """The exact counts as a dict."""
        return self.ask("count", case=case, backend=backend)

    def time(self, case, backend, calls):
        """Seconds of `calls` calls."""
        return self.ask("time", case=case, backend=backend, calls=calls)["seconds"]

    def close(self):
        """End the process. Safe to call twice."""
        self._child.kill()
        self._child.wait()
        for stream in (self._requests, self._answers, self._errors):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@dataclass(frozen=True)
class Declaration:
    """A growth that a commit message owns up to."""

    count: str
    case: str
    reason: str


@dataclass
class Comparison:
    """What came out for one case.

    ratios are (low, median, high) of HEAD / BASE seconds, one a repeat, control those of BASE / BASE; percentiles the
    10th, 50th and 90th of "base" and "head" seconds of the last repeat, over `rounds` rounds.
    """

    case: str
    backend: str = ""
    verdicts: dict = field(default_factory=dict)
    percentiles: dict = field(default_factory=dict)
    ratios: list = field(default_factory=list)
    control: tuple = ()
    rounds: int = 0
    counts: dict = field(default_factory=dict)
    failures: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    skipped: str = ""

    @property
    def ok(self):
        """Whether nothing speaks against HEAD; a skipped case does not."""
        return not self.failures


def declarations(lines):
    """The Declarations of the values of `Counts-grow:` trailers; CompareError for one that cannot be read."""
    found = []
    for line in lines:
        match = re.fullmatch(r"(\S+)\s+(\S+?)\s*:\s*(\S.*)", line)
        count = match[1].replace("-", "_") if match else ""
        if match is None or count not in COUNTS:
            raise CompareError(f"trailer {TRAILER}: expected 'COUNT CASE: reason' with a COUNT of {', '.join(COUNTS)}, "
                               f"got {line!r}")
        found.append(Declaration(count, match[2], match[3]))
    return found


def choose_cases(base, head, names):
    """[(name, reason to skip it or "")] of the cases to run: `names`, else the benchmark cases of both.

    Raises CompareError for a named case that one side does not have or that is another problem there.
    """
    chosen = []
    for name in names or default_cases():
        reason = _objection(base, head, name)
        if reason and names:
            raise CompareError(f"case {name!r}: {reason}")
        chosen.append((name, reason))
    return chosen


def default_cases():
    """The names of the table's benchmark cases."""
    from aat.validation import cases

    return [case.name for case in cases.tagged("bench")]


def _objection(base, head, name):
    for side in (base, head):
        if name not in side.cases:
            return f"{side.role} does not have it; `aat compare` runs cases that both commits have"
    if base.cases[name] != head.cases[name]:
        return "it is not the same problem in both commits, so their times cannot be compared"
    return ""


def compare(base, head, case, backend, declared=(), *, rounds=ROUNDS, seconds=SECONDS,
            turn_seconds=TURN_SECONDS):
    """The Comparison of two workers (`check`, `count`, `time`) on one case; nothing is timed unless both pass."""
    result = Comparison(case)
    for name, side in (("base", base), ("head", head)):
        verdict = result.verdicts[name] = side.check(case, backend)
        if not verdict["ok"]:
            reasons = "; ".join(verdict["reasons"])
            result.failures.append(f"{name.upper()} fails the check, so nothing was timed: {reasons}")
        if result.backend and verdict["backend"] != result.backend:
            raise CompareError(f"case {case!r}: BASE runs on {result.backend}, HEAD on {verdict['backend']}; "
                               "name one with --backend")
        result.backend = verdict["backend"]
    if result.failures:
        return result
    result.counts = {name: (before, after) for name, before, after in _paired(
        base.count(case, backend), head.count(case, backend))}
    judge_counts(result, declared)
    judge_time(result, base, head, case, backend, rounds, seconds, turn_seconds)
    return result


def _paired(before, after):
    return [(name, before.get(name), after.get(name)) for name in COUNTS]


def judge_counts(result, declared):
    """Enter every growth of a count as a failure, or as a note if it is declared."""
    for name, (before, after) in result.counts.items():
        if before is None or after is None:
            result.notes.append(f"{name}: not counted by {'BASE' if before is None else 'HEAD'}")
        elif after > before + (MEMORY_SLACK if name == "peak_bytes" else 0):
            said = [d.reason for d in declared if d.count == name and d.case in (result.case, "*")]
            if said:
                result.notes.append(f"{name}: {before} -> {after}, declared: {said[0]}")
            else:
                result.failures.append(f"{name} grew from {before} to {after}; if that is meant, say so in the commit "
                                       f"message: '{TRAILER}: {name} {result.case}: reason'")


def judge_time(result, base, head, case, backend, rounds, seconds, turn_seconds):
    """Time both in turns; a second repeat follows where the first one says that HEAD is slower."""
    once = max(base.time(case, backend, 1)[0], 1e-7)
    calls = max(FEWEST_CALLS, min(MOST_CALLS, round(turn_seconds / once)))
    told = _ToldClock()

    def turn(side):
        # the fastest call of a turn: whatever else the machine does can only add to it
        return lambda: told.advance(min(side.time(case, backend, calls)))

    for _ in range(REPEATS):
        times = _time({"base": turn(base), "head": turn(head)}, rounds, seconds, told.now)
        result.ratios.append(tuple(times.ratio("head", "base")))
        result.percentiles = {name: tuple(times.percentiles(name)) for name in ("base", "head")}
        result.rounds = times.rounds
        mine = times.seconds["base"]
        result.control = tuple(statistics.interval(mine[:, 1] / mine[:, 0]))
        if result.ratios[-1][0] <= LIMIT:
            return
    low, median, high = result.ratios[-1]
    result.failures.append(f"slower: HEAD / BASE is {median:.3f} (95 % {low:.3f} to {high:.3f}); the lower bound "
                           f"passed {LIMIT} in {REPEATS} repeats")


def _time(turns, rounds, seconds, clock):
    """Times of rounds, batch after batch until the interval of head / base is narrow enough or `seconds` are gone."""
    end = time.monotonic() + seconds
    times = statistics.interleave(turns, fewest=rounds, most=rounds, clock=clock)
    for _ in range(MOST_BATCHES - 1):
        low, _, high = times.ratio("head", "base")
        if high - low <= WIDTH or time.monotonic() >= end:
            break
        more = statistics.interleave(turns, fewest=rounds, most=rounds, clock=clock)
        times = statistics.Times({name: np.concatenate((seconds, more.seconds[name]))
                                  for name, seconds in times.seconds.items()})
    return times


class _ToldClock:
    """A clock that the workers' own seconds move: what the pipes between the processes cost is not in it."""

    def __init__(self):
        self._seconds = 0.0

    def now(self):
        return self._seconds

    def advance(self, seconds):
        self._seconds += seconds


def records(result, pair):
    """The Records of both sides of a timed Comparison, `pair` their Revisions."""
    from aat.report.record import Record
    from aat.validation import cases, environment, measure

    case = cases.CASES[result.case]
    shared = {**environment.facts(), **measure.work(case, cases.make(case))}
    found = []
    for place, (name, revision) in enumerate(zip(("base", "head"), pair, strict=True)):
        verdict = result.verdicts[name]
        low, median, high = result.percentiles[name]
        counts = {count: values[place] for count, values in result.counts.items()}
        facts = {**shared, "commit": revision.commit, "dirty": not revision.committed}
        found.append(Record(
            case.name, result.backend, dtype=case.dtype, device=verdict["device"], config=verdict["config"],
            device_kind=verdict["device_kind"], driver=verdict["driver"],
            error=verdict["error"], budget=verdict["budget"], multiply_adds=counts["multiply_adds"],
            launches=counts["launches"], tiles={"visited": counts["tiles"]}, peak_bytes=counts["peak_bytes"],
            seconds_p10=low, seconds_median=median, seconds_p90=high, rounds=2 * result.rounds,
            gflops=2 * shared["multiply_adds_useful"] / median / 1e9, aa_control=list(result.control),
            started=environment.now(), **facts))
    return found
