"""Tuning a case: nothing is timed without a check, and only what is faster beyond noise replaces the default."""
import math
from dataclasses import replace

import numpy as np
import pytest
from wrong_kernels import plant

from aat.attention import dot
from aat.attention.arguments import check
from aat.errors import BackendError
from aat.tiling import store
from aat.tiling.bucket import bucket
from aat.validation import cases, statistics, tuning
from aat.validation.measure import NotChecked

AXES = {"lane_vectors": (1, 2), "keys_per_block": (4,), "keys_per_group": (32,)}
PLAIN = cases.by_name("plain")


@pytest.fixture
def timed(monkeypatch):
    """Times that nobody measured: set timed.gain, of every config on the default, and timed.noise. What was timed."""
    class Timed(list):
        gain, noise = 1.1, 0.001

    seen = Timed()
    rng = np.random.default_rng(0)

    def rounds(self, config, fewest, most=None, seconds=0.0):
        seen.append(config)
        factor = np.exp(rng.normal(0, seen.noise, (most or fewest, 2))) / seen.gain
        return statistics.Times({"default": np.ones_like(factor), "config": factor})

    monkeypatch.setattr(tuning._Bench, "_rounds", rounds)
    return seen


def tune(case=PLAIN, **options):
    return tuning.tune(case, "cpu", axes=AXES, seconds=options.pop("seconds", 60.0), **options)


def test_a_case_is_tuned_for_real():
    told = []
    found = tune(seconds=20.0, progress=lambda fraction, what: told.append(fraction))
    assert found.complete and found.measured == 3 and found.refused == {}
    assert 0 < found.error <= found.budget
    assert (found.config is None) == (found.gain == (1.0, 1.0, 1.0))
    assert told == sorted(told) and told[0] >= 0 and told[-1] <= 1
    assert found.entry.bucket == bucket(check(**cases.make(PLAIN)).problem)
    assert store._parse(store.line(found.entry).encode(), False) == found.entry
    assert found.to_json()["case"] == "plain" and "entry" not in found.to_json()


@pytest.mark.parametrize(("gain", "noise", "replaced"), [
    (1.1, 0.001, True), (1.02, 0.001, False), (1.029, 0.0001, False), (1.04, 0.0001, True), (1.04, 0.3, False),
    (0.9, 0.001, False)])
def test_the_default_is_replaced_only_beyond_three_per_cent_and_beyond_noise(timed, gain, noise, replaced):
    timed.gain, timed.noise = gain, noise
    found = tune()
    assert (found.config is not None) == replaced
    assert (found.entry.config is not None) == replaced
    if replaced:
        assert found.gain[0] > 1.03 and found.config == str(found.entry.config)
    if gain > 1 and noise < 0.1:
        assert found.rival is not None and found.rival_gain[1] == pytest.approx(gain, rel=0.01)


def test_a_config_that_is_wrong_is_never_timed_and_never_chosen(timed, monkeypatch):
    honest = dot.run

    def wrong(problem, session, config=None):
        result = honest(problem, session, config)
        if config.lane_vectors == 1:
            result.out[..., -1] += 1e-3
        return result
    plant(monkeypatch, wrong)
    found = tune()
    assert len(found.refused) == 1 and "lane_vectors=1" in next(iter(found.refused))
    assert "elements over budget" in next(iter(found.refused.values()))
    assert timed and all(config.lane_vectors == 2 for config in timed)
    assert "lane_vectors=2" in found.config


def test_if_the_default_is_wrong_nothing_is_timed(timed, monkeypatch):
    honest = dot.run

    def wrong(problem, session, config=None):
        result = honest(problem, session, config)
        result.out[...] = 0
        return result
    plant(monkeypatch, wrong)
    with pytest.raises(NotChecked, match="elements over budget"):
        tune()
    assert timed == []


def test_a_config_that_the_backend_refuses_is_left_out(timed, monkeypatch):
    honest = dot.run

    def refuse(problem, session, config=None):
        if config.lane_vectors == 1:
            raise BackendError("cpu", ["not this one"])
        return honest(problem, session, config)
    plant(monkeypatch, refuse)
    assert list(tune().refused.values()) == ["backend 'cpu': not this one"]


def test_without_time_the_default_is_checked_and_stays(timed):
    found = tune(seconds=1e-9)
    assert found.config is None and found.measured == 1 and not found.complete and timed == []
    assert found.error > 0


@pytest.mark.parametrize("case", cases.tagged("bench"), ids=lambda case: case.name)
def test_what_is_checked_runs_the_same_kernel_in_seconds(case):
    part = tuning.checked_part(case, most=2**24)
    whole, small = (check(**cases.make(replace(c, Lq=min(c.Lq, 512) if c is case else c.Lq))).problem
                    for c in (case, part)) if "causal" not in dict(case.options) else (
                        check(**cases.make(c)).problem for c in (case, part))
    assert dot.specify(small) == dot.specify(whole) and small.dtype == whole.dtype
    assert small.Lk == case.Lk and small.group == case.Hq // case.Hk
    assert (small.left, small.right) == (whole.left, whole.right)
    assert part.multiply_adds <= max(2**24, case.Lk * (case.Hq // case.Hk) * (case.D + case.Dv)) or part == case
    assert tuning.checked_part(case, most=math.inf) == case


@pytest.mark.parametrize(("options", "reach"), [
    ({}, "full"), ({"causal": True}, "causal"), ({"window": (3, 2)}, "window"),
    ({"causal": True, "window": (7, None)}, "window")])
def test_a_shape_looks_at_the_end_of_the_keys(options, reach):
    case = tuning.shape_case(2, 6, 2, 5, 40, 16, 8, **options)
    problem = check(**cases.make(case)).problem
    assert (problem.B, problem.Hq, problem.Hk, problem.Lq, problem.Lk, problem.D, problem.Dv) == (2, 6, 2, 5, 40, 16, 8)
    assert bucket(problem).reach == reach
    assert problem.q_offset.tolist() == [35 if options else 0] * 2
    part = check(**cases.make(tuning.checked_part(case, most=2000))).problem
    assert part.q_offset.tolist() == [39 if options else 0] and part.Lq == 1


def test_a_case_without_rows_is_refused():
    with pytest.raises(ValueError, match="expected one with rows and keys, got 'no-keys'"):
        tune(cases.by_name("no-keys"))
