"""How fast are two ways of doing one thing, on a machine that others may be using?"""

import math
import statistics
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """Times of two calls: medians in seconds, and `ratio`, plain / ours: above 1 where ours is faster."""

    ours: float
    plain: float
    ratio: float   # the median of the rounds' ratios
    lowest: float  # of the rounds' ratios
    highest: float
    rounds: int


def interleaved(ours, plain, rounds, advance=lambda n: None, limit=math.inf):
    """Times ours, plain, plain, ours `rounds` times over, or until `limit` seconds are gone after a round.

    A machine that grows slower or faster while it is measured does so to both in a round of this order; only
    the ratio within a round means something. `advance(1)` is called after each round.
    """
    first: list[float] = []
    second: list[float] = []
    ratios: list[float] = []
    end = time.perf_counter() + limit
    while len(ratios) < rounds and (not ratios or time.perf_counter() < end):
        a1, b1, b2, a2 = _seconds(ours), _seconds(plain), _seconds(plain), _seconds(ours)
        first += [a1, a2]
        second += [b1, b2]
        ratios.append((b1 + b2) / (a1 + a2))
        advance(1)
    return Comparison(statistics.median(first), statistics.median(second), statistics.median(ratios),
                      min(ratios), max(ratios), len(ratios))


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
