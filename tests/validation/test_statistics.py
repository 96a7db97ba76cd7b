"""Comparison of times, with a synthetic clock: what is planted is found, and noise is not."""

import numpy as np
import pytest

from aat.validation import statistics


class Machine:
    """A clock that stands still but for the calls made on it; it slows down while it is used."""

    def __init__(self, drift=0.0, noise=0.0, seed=0):
        self.now, self.drift, self.noise, self.calls = 0.0, drift, noise, []
        self.rng = np.random.default_rng(seed)

    def clock(self):
        return self.now

    def call(self, name, seconds):
        def run():
            self.calls.append(name)
            self.now += seconds * (1 + self.drift * len(self.calls)) * np.exp(self.noise * self.rng.standard_normal())
        return run


def run(machine, seconds, **times):
    return statistics.interleave({name: machine.call(name, s) for name, s in times.items()}, seconds=seconds,
                                 clock=machine.clock)


def test_a_round_is_a_palindrome():
    machine = Machine()
    times = run(machine, 0.0, a=1, b=2, c=3)
    rounds = ["".join(machine.calls[i:i + 6]) for i in range(0, len(machine.calls), 6)]
    assert len(rounds) == statistics.FEWEST and all(r == r[::-1] and set(r) == set("abc") for r in rounds)
    assert times.rounds == statistics.FEWEST and times.seconds["b"].tolist() == [[2, 2]] * times.rounds
    assert list(times.ratio("a", "b")) == [0.5] * 3
    assert times.percentiles("c") == [3, 3, 3]


def test_nobody_always_stands_in_the_same_place():
    machine = Machine()
    run(machine, 200.0, a=1, b=1, c=1)
    after = [pair for pair in zip(machine.calls, machine.calls[1:], strict=False) if pair[1] == "a"]
    assert {first for first, _ in after} == {"a", "b", "c"}
    again = Machine()
    run(again, 200.0, a=1, b=1, c=1)
    assert again.calls == machine.calls, "the order is seeded"


def test_rounds_end_with_the_time_or_the_most():
    assert run(Machine(), 60.0, a=1, b=2).rounds == 10
    assert run(Machine(), 1e9, a=1, b=2).rounds == statistics.MOST


def test_a_drifting_machine_does_not_move_a_ratio():
    ratio = run(Machine(drift=0.01), 1e4, a=1.0, b=1.0).ratio("a", "b")
    assert list(ratio) == pytest.approx([1, 1, 1], abs=1e-9), "A,B,A,B would give 0.99 and less"


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_tenth_is_found_and_a_control_is_not(seed):
    times = run(Machine(noise=0.05, seed=seed), 600, base=1.0, head=1.1, again=1.0)
    assert times.ratio("head", "base").low > 1.05
    low, _, high = times.ratio("base", "again")
    assert low < 1.02 and high > 0.98 and low < 1.05


def test_an_interval_covers_what_it_claims():
    rng = np.random.default_rng(1)
    hits = sum(low <= 1 <= high for low, _, high in
               (statistics.interval(np.exp(0.1 * rng.standard_normal(40)), seed=i, draws=400) for i in range(300)))
    assert 270 <= hits <= 299  # 95 % of 300 is 285


def test_the_same_values_give_the_same_interval():
    values = np.random.default_rng(0).random(30)
    assert statistics.interval(values) == statistics.interval(values)
    assert list(statistics.interval([2.0])) == [2, 2, 2]
    with pytest.raises(ValueError, match="at least one"):
        statistics.interval([])


def test_pauses_are_not_timed_and_progress_ends_at_one():
    machine, seen = Machine(), []

    def pause():
        machine.now += 100
    times = statistics.interleave({"a": machine.call("a", 1.0)}, seconds=0, clock=machine.clock, pause=pause,
                                  progress=seen.append)
    assert times.seconds["a"].max() == 1 and seen[-1] == 1 and seen == sorted(seen)
