"""Which tiles are fastest for a case, and is that more than noise? What `aat tune` does with one case.

The search of `aat.tiling.optimization` gets its measure from here: a config is checked against the error budget, then
timed in turns with the default (A, B, B, A). What it finds best is timed anew, and replaces the default only if the
lower end of the 95 % interval of its gain passes 3 %, twice.
"""

import math
import time
from dataclasses import dataclass, field, fields, replace

from aat.errors import BackendError
from aat.tiling import store
from aat.tiling.bucket import bucket, device_facts, device_key, kernel_key
from aat.tiling.optimization.search import gains_enough, search
from aat.tiling.optimization.space import space
from aat.validation import environment, pipeline, statistics
from aat.validation.cases import Case, make
from aat.validation.measure import NotChecked

SECONDS = 30.0
CHECKED = 4 * 2**30  # multiply-adds of a dense problem that is checked as it stands; a larger one in a part
LOOK = 0.2, 2  # seconds of the shortest look at a config (compiling it takes about one), and rounds at least
TURN = 0.002  # seconds that a turn lasts at least: shorter calls are repeated
TURNS = 64
FINAL = (8, 60)  # fewest and most rounds of the last comparison
FINALISTS = 2
LAST = 0.25  # of the seconds: what the last comparison may take
OPTIONS_PER_BATCH = ("kv_lens", "q_offset")


@dataclass
class Tuned:
    """What tuning a case found.

    config is None if the default stays; gain is the 95 % interval of default time / config time, (1, 1, 1) then.
    rival and rival_gain tell of the best config that was compared with the default at the end, whether it won or not.
    measured and refused count configs; complete tells whether the search ended by itself, not by its time.
    """

    case: str
    backend: str
    device: str
    bucket: str
    default: str
    config: str | None
    gain: tuple
    rival: str | None
    rival_gain: tuple | None
    measured: int
    refused: dict
    complete: bool
    seconds: float
    error: float
    budget: float
    entry: store.Entry = field(repr=False)

    def to_json(self):
        """Plain values."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "entry"}


def shape_case(B, Hq, Hk, Lq, Lk, D, Dv=None, *, dtype="f32", causal=False, window=None):
    """The Case of a shape. causal and window look at the end of the keys: as a decoder does, and as prefill ends."""
    options: dict = {}
    if causal:
        options["causal"] = "lower_right"
    if window is not None:
        options["window"] = window
        if not causal:
            options["q_offset"] = Lk - Lq
    name = f"{B}x{Hq}/{Hk}x{Lq}x{Lk}x{D}" + ("" if Dv in (None, D) else f"/{Dv}") + ("-causal" if causal else "")
    name += "" if window is None else "-window"
    return Case(name, Lq, Lk, B=B, Hq=Hq, Hk=Hk, D=D, Dv=D if Dv is None else Dv, dtype=dtype,
                options=tuple(sorted(options.items())))


def checked_part(case, most=CHECKED):
    """The case itself, or one that the reference computes in seconds: fewer heads, then fewer queries, all keys.

    Head sizes, dtype, features and bounds stay, so it runs the very kernel. Options that differ between the batches
    leave a case whole.
    """
    options = dict(case.options)
    if case.multiply_adds <= most or any(isinstance(options.get(name), tuple) for name in OPTIONS_PER_BATCH):
        return case
    part = replace(case, name=f"{case.name} (a part)", B=1, Hq=case.Hq // case.Hk, Hk=1)
    if part.multiply_adds > most and isinstance(options.get("q_offset", 0), int):
        rows = max(1, case.Lq * most // part.multiply_adds)
        if options.get("causal") is True:
            options["causal"] = "lower_right"
        if "q_offset" in options:
            options["q_offset"] += case.Lq - rows  # the last rows, which see the most keys
        part = replace(part, Lq=rows, options=tuple(sorted(options.items())))
    return part


def tune(case, backend, *, seconds=SECONDS, exhaustive=False, axes=None, clock=time.perf_counter, progress=None):
    """Tune the tiles of a case on a backend and return Tuned. Nothing is stored.

    axes narrows the grid (`aat.tiling.optimization.space`); progress(fraction, text) is called now and then.

    Raises
    ------
    NotChecked
        The default itself is wrong. Nothing was timed.
    BackendError
        The backend cannot run the case.
    """
    begin = clock()
    bench = _Bench(case, backend, clock)
    grid = space(backend, bench.session.lane_width, case.D, case.Dv, bench.session.limits, axes,
                 case.Lq)
    bench.default = grid.default
    share = 1 - LAST

    def told(fraction, config):
        if progress is not None:
            progress(share * fraction, f"config {len(bench.verdicts)}")

    found = search(grid, bench.measure, clock=clock, seconds=share * seconds, exhaustive=exhaustive, progress=told)
    if not bench.verdicts[grid.default].ok:
        raise NotChecked(bench.verdicts[grid.default])
    finalists = [config for config in found.ranking() if config != grid.default and found.costs[config] < 1]
    if finalists and progress is not None:
        progress(share, "the best against the default")
    rival, rival_gain = bench.final(finalists[:FINALISTS], seconds * LAST)
    won = rival is not None and gains_enough(rival_gain[0])
    winner, gain = (rival, rival_gain) if won else (None, (1.0, 1.0, 1.0))
    verdict = bench.verdicts[winner or grid.default]
    entry = store.Entry(bench.bucket, winner, gain, environment.now(), kernel_key(), device_key(bench.session),
                        device_facts(bench.session), verdict.error, verdict.budget)
    return Tuned(case.name, backend, bench.session.device.name, str(bench.bucket), str(grid.default),
                 None if winner is None else str(winner), gain, None if rival is None else str(rival), rival_gain,
                 len(found.costs), bench.refused, found.complete, clock() - begin, verdict.error, verdict.budget, entry)


class _Bench:
    """A case on an open backend: configs are checked there, then timed beside the default."""

    def __init__(self, case, backend, clock):
        from aat.attention.arguments import check
        from aat.backends import select

        self.backend, self.clock = backend, clock
        self.call = make(case)
        problem = check(**self.call).problem
        if problem.rows == 0 or problem.Lk == 0:
            raise ValueError(f"case: expected one with rows and keys, got {case.name!r}; nothing is launched for it")
        self.bucket = bucket(problem)
        self.part = checked_part(case)
        self.want = pipeline.expectation(self.part)
        with select.use(backend) as session:
            self.session = session
        self.out = pipeline.blank_output(self.call)
        self.verdicts: dict = {}
        self.refused: dict = {}
        self.default = None
        self.turns = self.rounds = 1

    def measure(self, config, effort):
        """Cost for the search: the fastest turn over the default's fastest; inf if the check does not pass.

        The fastest, since whatever else the machine does only adds; the last comparison is by intervals.
        """
        if config not in self.verdicts and not self._passes(config):
            return math.inf
        if not self.verdicts[config].ok:
            return math.inf
        if config == self.default:
            return 1.0
        times = self._rounds(config, self.rounds * 2**effort).seconds
        return float(times["config"].min() / times["default"].min())

    def final(self, configs, seconds):
        """(config, gain) of the best of `configs` against the default; (None, None) of none.

        The best is compared again, and the worse of its two intervals counts: it was best by luck too.
        """
        gains = {config: tuple(self.gain(config, seconds / (len(configs) + 1))) for config in configs}
        if not gains:
            return None, None
        best = max(gains, key=lambda config: gains[config][0])
        if gains_enough(gains[best][0]):
            gains[best] = min(gains[best], tuple(self.gain(best, seconds / (len(configs) + 1))))
        return best, gains[best]

    def gain(self, config, seconds):
        """The Interval of default time / config time, in rounds of its own."""
        return self._rounds(config, FINAL[0], FINAL[1], seconds).ratio("default", "config")

    def _passes(self, config):
        try:
            verdict = pipeline.check(self.part, self.backend, want=self.want, tiling=config)
        except BackendError as error:
            if config == self.default:
                raise
            self.refused[str(config)] = str(error)
            self.verdicts[config] = pipeline.Verdict(False, self.part.name, self.backend, math.inf, 0.0, math.inf, (),
                                                     {})
            return False
        self.verdicts[config] = verdict
        if not verdict.ok:
            self.refused[str(config)] = str(verdict)
            return False
        run = self._runner(config)
        run()  # at its full size once, which is not timed
        if config == self.default:
            start = self.clock()
            run()
            took = self.clock() - start
            self.turns = max(1, min(TURNS, math.ceil(TURN / took))) if took > 0 else 1
            self.rounds = max(LOOK[1], min(FINAL[1], math.ceil(LOOK[0] / (4 * self.turns * took)))) if took > 0 else 2
        return True

    def _rounds(self, config, fewest, most=None, seconds=0.0):
        calls = {"default": self._runner(self.default), "config": self._runner(config)}
        turns = {name: lambda call=call: [call() for _ in range(self.turns)] for name, call in calls.items()}
        return statistics.interleave(turns, seconds=seconds, fewest=fewest, most=most or fewest, clock=self.clock)

    def _runner(self, config):
        from aat.functional import attention

        return lambda: attention(**self.call, backend=self.backend, return_lse=True, out=self.out, tiling=config)
