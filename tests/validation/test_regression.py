"""Regressions: a planted slowdown is caught on a synthetic clock, the same commit passes, and counts are exact."""

import io
import json

import numpy as np
import pytest
import wrong_kernels

from aat.validation import regression, worker
from aat.validation.regression import CompareError, Comparison, choose_cases, compare, declarations
from aat.validation.worktrees import Revision

COUNTS = dict(multiply_adds=1000, tiles=10, launches=1, bytes=0, peak_bytes=1 << 20)


class Machine:
    """A synthetic clock that drifts by tens of per cent, as a shared machine does, and has noise in every call."""

    def __init__(self, noise=0.03, drift=0.3, seed=0):
        self.random, self.noise, self.drift, self.calls = np.random.default_rng(seed), noise, drift, 0

    def seconds(self, cost):
        self.calls += 1
        return cost * (1 + self.drift * np.sin(self.calls / 300)) * (1 + self.noise * self.random.exponential())


class Side:
    """A commit whose calls take `cost` seconds of a Machine."""

    def __init__(self, role, machine, cost=0.01, *, ok=True, counts=None, cases=None, backend="cpu"):
        self.role, self.machine, self.cost, self.ok, self.backend = role, machine, cost, ok, backend
        self.counts, self.cases, self.timed = {**COUNTS, **(counts or {})}, cases or {}, 0

    def check(self, case, backend):
        return {"ok": self.ok, "reasons": [] if self.ok else ["out: 3 of 9 elements over budget"], "ratio": 0.5,
                "backend": self.backend, "error": 1e-7, "budget": 2e-7, "device": "clock", "config": None,
                "device_kind": "cpu", "driver": ""}

    def count(self, case, backend):
        return self.counts

    def time(self, case, backend, calls):
        self.timed += calls
        return [self.machine.seconds(self.cost) for _ in range(calls)]


def compared(cost, seed=0, declared=(), **head):
    machine = Machine(seed=seed)
    return compare(Side("BASE", machine), Side("HEAD", machine, 0.01 * cost, **head), "plain", "auto", declared)


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_slowdown_of_a_tenth_is_caught(seed):
    result = compared(1.10, seed)
    assert not result.ok
    assert len(result.ratios) == 2
    assert all(low > 1.05 and median == pytest.approx(1.10, abs=0.02) for low, median, _ in result.ratios)
    assert "the lower bound passed 1.05 in 2 repeats" in result.failures[0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cost", [1.0, 0.9, 1.02])
def test_the_same_a_faster_and_a_hardly_slower_commit_pass(cost, seed):
    result = compared(cost, seed)
    assert result.ok, result.failures
    assert len(result.ratios) == 1  # the second repeat is for what the first one speaks against
    low, median, high = result.ratios[0]
    assert low <= median <= high
    assert median == pytest.approx(cost, abs=0.02)


def test_the_control_shows_the_noise_of_the_machine():
    low, median, high = compared(1.0).control
    # the machine's drift is in it, since the two halves of a round lie apart
    assert low <= median <= high
    assert median == pytest.approx(1, abs=0.05)


def test_one_repeat_over_the_limit_is_not_enough():
    machine = Machine()
    head = Side("HEAD", machine, 0.0112)
    ordinary = head.time

    def time(case, backend, calls):  # slow for one repeat only: somebody else's process
        head.cost = 0.0112 if head.timed < 2 * regression.ROUNDS * calls else 0.01
        return ordinary(case, backend, calls)

    head.time = time
    result = compare(Side("BASE", machine), head, "plain", "auto")
    assert len(result.ratios) == 2
    assert result.ratios[0][0] > 1.05 > result.ratios[1][0]
    assert result.ok


def test_a_wide_interval_asks_for_more_rounds_up_to_a_limit():
    quiet, loud = Machine(noise=0.01), Machine(noise=3.0)
    calm = compare(Side("BASE", quiet), Side("HEAD", quiet), "plain", "auto")
    noisy = compare(Side("BASE", loud), Side("HEAD", loud), "plain", "auto")
    assert calm.rounds == regression.ROUNDS
    assert regression.ROUNDS < noisy.rounds <= regression.ROUNDS * regression.MOST_BATCHES


@pytest.mark.parametrize("role", ["BASE", "HEAD"])
def test_nothing_is_timed_or_counted_after_a_failed_check(role):
    machine = Machine()
    base, head = (Side(name, machine, ok=name != role) for name in ("BASE", "HEAD"))
    result = compare(base, head, "plain", "auto")
    assert not result.ok
    assert f"{role} fails the check" in result.failures[0]
    assert (base.timed, head.timed, result.ratios, result.counts) == (0, 0, [], {})


def test_sides_on_different_backends_are_not_compared():
    machine = Machine()
    with pytest.raises(CompareError, match="BASE runs on cpu, HEAD on vulkan"):
        compare(Side("BASE", machine), Side("HEAD", machine, backend="vulkan"), "plain", "auto")


@pytest.mark.parametrize("name", regression.COUNTS)
def test_a_growth_of_a_count_fails_unless_it_is_declared(name):
    grown = {name: COUNTS[name] + (1 << 17 if name == "peak_bytes" else 1)}
    result = compared(1.0, counts=grown)
    assert not result.ok
    assert f"Counts-grow: {name} plain: reason" in result.failures[0]

    for case in ("plain", "*"):
        result = compared(1.0, declared=declarations([f"{name} {case}: on purpose"]), counts=grown)
        assert result.ok
        assert "declared: on purpose" in result.notes[0]
    other = "tiles" if name != "tiles" else "launches"
    assert not compared(1.0, declared=declarations([f"{name} another: x", f"{other} plain: x"]), counts=grown).ok


def test_fewer_counts_and_the_jitter_of_peak_memory_pass():
    assert compared(1.0, counts=dict(multiply_adds=999, peak_bytes=(1 << 20) + 4096)).ok


def test_a_count_that_an_old_commit_lacks_is_told_and_not_judged():
    machine = Machine()
    result = compare(Side("BASE", machine, counts={"launches": None}), Side("HEAD", machine), "plain", "auto")
    assert result.ok
    assert result.notes == ["launches: not counted by BASE"]


@pytest.mark.parametrize("line", ["launches causal", "speed causal: x", "launches causal:", "", "launches: x"])
def test_a_declaration_that_cannot_be_read_is_an_error(line):
    with pytest.raises(CompareError, match="expected 'COUNT CASE: reason'"):
        declarations([line])


def test_a_declaration_may_be_spelled_with_hyphens():
    found, = declarations(["peak-bytes decode-4096: a larger tile: it is worth it"])
    assert (found.count, found.case, found.reason) == ("peak_bytes", "decode-4096", "a larger tile: it is worth it")


def test_cases_must_be_the_same_problem_in_both():
    machine = Machine()
    base = Side("BASE", machine, cases={"a": "Lq=1", "b": "Lq=1"})
    head = Side("HEAD", machine, cases={"a": "Lq=1", "b": "Lq=2", "c": "Lq=3"})
    assert choose_cases(base, head, ["a"]) == [("a", "")]
    with pytest.raises(CompareError, match="case 'b': it is not the same problem"):
        choose_cases(base, head, ["a", "b"])
    with pytest.raises(CompareError, match="case 'c': BASE does not have it"):
        choose_cases(base, head, ["c"])
    # without names, what cannot be compared is shown as skipped
    assert all("does not have it" in reason for _, reason in choose_cases(base, head, None))


def spoken(*requests):
    answers = []
    worker.serve(io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), answers.append)
    return answers


def test_the_worker_checks_counts_and_times():
    about = {"case": "plain", "backend": "cpu"}
    hello, early, verdict, counts, again, times, unknown = spoken(
        {"do": "time", **about, "calls": 2}, {"do": "check", **about}, {"do": "count", **about},
        {"do": "count", **about}, {"do": "time", **about, "calls": 3}, {"do": "check", "case": "no", "backend": "cpu"},
        {"do": "stop"}, {"do": "never"})
    assert "Lq=33" in hello["cases"]["plain"]
    assert "before its check has passed" in early["failed"]
    assert verdict["ok"]
    assert verdict["error"] <= verdict["budget"]
    assert counts["launches"] == 1
    assert counts["bytes"] == 0  # the CPU reads in place
    assert {name: counts[name] for name in ("multiply_adds", "tiles")} == {
        name: again[name] for name in ("multiply_adds", "tiles")}
    assert abs(counts["peak_bytes"] - again["peak_bytes"]) < regression.MEMORY_SLACK
    assert counts["peak_bytes"] > 2 * 2 * 33 * 16 * 4  # the result itself
    assert len(times["seconds"]) == 3
    assert "ValueError: case: expected a name" in unknown["failed"]


def test_a_wrong_kernel_yields_no_time(monkeypatch):
    wrong_kernels.skewed(monkeypatch)
    about = {"case": "plain", "backend": "cpu"}
    _, verdict, timed = spoken({"do": "check", **about}, {"do": "time", **about, "calls": 1})
    assert not verdict["ok"]
    assert "over budget" in verdict["reasons"][0]
    assert "before its check has passed" in timed["failed"]


def test_records_of_a_comparison_carry_the_error_and_the_commit():
    machine = Machine()
    result = compare(Side("BASE", machine), Side("HEAD", machine), "plain", "cpu")
    pair = (Revision("BASE", "main", "a" * 40), Revision("HEAD", "the working tree", "b" * 40, committed=False))
    before, after = regression.records(result, pair)
    assert (before.commit, before.dirty, after.commit, after.dirty) == ("a" * 40, False, "b" * 40, True)
    assert before.error == 1e-7
    assert before.seconds_median == result.percentiles["base"][1]
    assert after.rounds == 2 * result.rounds


def test_a_skipped_case_does_not_fail():
    assert Comparison("x", skipped="BASE does not have it").ok
