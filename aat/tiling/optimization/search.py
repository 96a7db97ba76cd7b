"""Which config of a Space is fastest? A search over an injected measure and clock, so it knows no device.

Coordinate descent: from the default, steps are taken along one axis after the other as long as they gain, until a sweep
over all axes changes nothing; then with all values of each axis, since a config is compiled before it is measured and
near ones are the better bet; then again from random configs. Rivals race by successive halving (Jamieson & Talwalkar
2016): all are measured briefly, the better half again and longer, down to one.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

HYSTERESIS = 0.03  # what a config must gain on the default to replace it: less is noise on the next machine
RESTARTS = 3
KEPT = 3  # configs that the last race is between
LONGEST = 3  # the highest effort
HOPELESS = 1.15  # times the best cost: what is slower in the shortest look is not looked at again


class _TimeUp(Exception):
    """The search has had its time."""


@dataclass
class Found:
    """What a search measured.

    Attributes:
        best: the config with the lowest cost; the default if nothing was better.
        costs: {config: cost} of all that were measured; inf for those that were refused.
        complete: whether the search ended by itself, not by the clock.
        starts: how many descents were begun.
    """

    best: Any
    costs: dict = field(default_factory=dict)
    complete: bool = False
    starts: int = 0

    def ranking(self):
        """Configs by rising cost, without the refused ones."""
        return sorted((config for config, cost in self.costs.items() if cost < math.inf), key=self.costs.__getitem__)


def search(space, measure, *, clock, seconds, exhaustive=False, restarts=RESTARTS, seed=0, progress=None):
    """Look for the fastest config and return Found.

    measure(config, effort) -> cost: time relative to the default's, inf for a config that may not be used (its check
    failed). effort is 0, 1, ... LONGEST: each measures about twice as long as the one before. The default is measured
    first and always; every other measurement begins within `seconds` of `clock`, unless `exhaustive`, which measures
    all configs of the space. progress(fraction, config) is called before each measurement.
    """
    run = _Search(space, measure, clock, math.inf if exhaustive else seconds, progress)
    if exhaustive:
        run.expected = len(space.configs())
    try:
        run.cost(space.default, LONGEST)
        if exhaustive:
            run.race(space.configs())
        else:
            run.descend(space.default)
            run.restart(restarts, random.Random(seed))
        run.race(run.found.ranking()[:KEPT], first=LONGEST)
        run.found.complete = True
    except _TimeUp:
        pass
    ranking = run.found.ranking()
    run.found.best = ranking[0] if ranking else space.default
    return run.found


def gains_enough(gain):
    """Whether a config replaces the default: `gain` is the lower confidence bound of default time / its time."""
    return gain > 1 + HYSTERESIS


class _Search:
    """The costs so far, and the time left."""

    def __init__(self, space, measure, clock, seconds, progress):
        self.space, self.measure, self.clock, self.seconds, self.progress = space, measure, clock, seconds, progress
        self.found = Found(space.default)
        self.efforts: dict = {}
        self.begin = clock()
        self.expected: int | None = None

    def cost(self, config, effort=0):
        """The cost of a config, measured at least with this effort."""
        if self.efforts.get(config, -1) < effort:
            if self.efforts and self.clock() - self.begin >= self.seconds:
                raise _TimeUp
            if self.progress is not None:
                self.progress(self.fraction(), config)
            self.found.costs[config] = self.measure(config, effort)
            refused = self.found.costs[config] == math.inf
            self.efforts[config] = LONGEST if refused else effort
        return self.found.costs[config]

    def fraction(self):
        """The part of the work that is done, as far as it is known."""
        if self.expected is not None:
            return min(1.0, len(self.found.costs) / self.expected)
        return min(1.0, (self.clock() - self.begin) / self.seconds) if self.seconds > 0 else 1.0

    def race(self, configs, first=0):
        """The best of `configs`: halved after each measurement, which is longer every time."""
        alive = list(configs)
        for effort in range(first, LONGEST + 1):
            costs = {config: self.cost(config, effort) for config in alive}
            alive = sorted((c for c in alive if costs[c] < math.inf), key=costs.__getitem__)
            alive = [config for config in alive[:-(-len(alive) // 2)] if costs[config] <= HOPELESS * costs[alive[0]]]
            if len(alive) < 2:
                break
        return alive[0] if alive else None

    def descend(self, start):
        """Move from `start` to a config that no change along one axis improves."""
        self.found.starts += 1
        if self.cost(start) < math.inf:
            self.sweep(self.sweep(start, 1), None)

    def sweep(self, here, reach):
        """Sweep over the axes, with steps or (reach None) whole lines, until nothing changes."""
        while True:
            before = here
            for axis in self.space.axes:
                while (rival := self.rival(here, axis, reach)) is not None:
                    here = rival
            if here == before:
                return here

    def rival(self, here, axis, reach):
        """The best config along an axis, if it is better than `here`."""
        best = self.race(self.space.line(here, axis, reach))
        better = best is not None and self.cost(best) < self.cost(here, self.efforts[best])
        return best if better else None

    def restart(self, times, rng: random.Random):
        """Descents from random configs of the space."""
        everywhere: list[Callable] = self.space.configs()
        for _ in range(times):
            self.descend(rng.choice(everywhere))
