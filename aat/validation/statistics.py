"""How are times compared on a machine that others use too? Interleaved, by ratios, with intervals and a control.

Pure functions on callables and a clock, so that a synthetic clock can stand in for a real one.
"""

import time
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
LEVEL = 0.95
FEWEST, MOST = 5, 400  # rounds


@dataclass(frozen=True)
class Interval:
    """A median with the bounds of its bootstrap interval."""

    low: float
    median: float
    high: float

    def __iter__(self):
        return iter((self.low, self.median, self.high))


@dataclass(frozen=True)
class Times:
    """Seconds of every call: name -> array (rounds, 2), the two calls of each round."""

    seconds: dict[str, np.ndarray]

    @property
    def rounds(self):
        """How many rounds were run."""
        return len(next(iter(self.seconds.values())))

    def ratio(self, ours, theirs):
        """The Interval of the ratio time of `ours` / time of `theirs`, round by round."""
        return interval(self.seconds[ours].sum(1) / self.seconds[theirs].sum(1))

    def percentiles(self, name, q=(10, 50, 90)):
        """Percentiles of the seconds of a single call."""
        return [float(x) for x in np.percentile(self.seconds[name], q)]


def interleave(calls, *, seconds=1.0, fewest=FEWEST, most=MOST, clock=time.perf_counter, pause=None, progress=None):
    """Time `calls` (name -> callable) in rounds of A, B, C, C, B, A and return their Times.

    A machine that grows slower or faster while it is measured does so to all of them in a round of this order, so
    that the ratio within a round still means something. Each round draws its order anew (seeded): a call is slower
    after another that emptied the caches, and nobody may always stand there. Rounds end when `seconds` of `clock` are
    gone, after `fewest` at least and `most` at most. `pause()` runs before each timed call, where a library's waiting
    threads may go to sleep; `progress(fraction)` after each round.
    """
    names = list(calls)
    rng = np.random.default_rng(0)
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    begin = clock()
    rounds = 0
    while rounds < fewest or (rounds < most and clock() - begin < seconds):
        found: dict[str, list[float]] = {name: [] for name in names}
        order = [names[i] for i in rng.permutation(len(names))]
        for name in order + order[::-1]:
            if pause is not None:
                pause()
            start = clock()
            calls[name]()
            found[name].append(clock() - start)
        for name, (first, second) in found.items():
            measured[name].append((first, second))
        rounds += 1
        if progress is not None:
            progress(min(1.0, max(rounds / most, (clock() - begin) / seconds if seconds else 1.0)))
    return Times({name: np.array(pairs) for name, pairs in measured.items()})


def interval(values, *, level=LEVEL, draws=DRAWS, seed=0):
    """The bootstrap Interval of the median of `values`: percentiles of the medians of `draws` resamples.

    The same values give the same interval: the generator is seeded.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0:
        raise ValueError("values: expected at least one, got none")
    rng = np.random.default_rng(seed)
    medians = np.median(values[rng.integers(0, values.size, (draws, values.size))], axis=1)
    tail = 50 * (1 - level)
    low, high = np.percentile(medians, (tail, 100 - tail))
    return Interval(float(low), float(np.median(values)), float(high))
