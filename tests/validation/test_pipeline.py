"""check(): the backend under test cannot pass by leaving memory as it was, and every failure is named."""
import numpy as np
import pytest

import aat.functional
from aat.validation import metrics, pipeline
from aat.validation.cases import by_name, make


@pytest.fixture
def tampered(monkeypatch):
    """Replace the public function by one that spoils its result."""
    honest = aat.functional.attention

    def install(spoil):
        def attention(*args, out, **call):
            result, lse = honest(*args, **call)
            spoil(out, result, lse)
            return out, lse
        monkeypatch.setattr(aat.functional, "attention", attention)
    return install


def copy(out, result, lse):
    out[...] = result


def skip_the_tail(out, result, lse):
    out[:, :, :-1] = result[:, :, :-1]


def skip_one_element(out, result, lse):
    out[...] = result
    out[1, 1, 7, 3] = np.nan


def test_the_harness_itself_passes(tampered):
    tampered(copy)
    verdict = pipeline.check(by_name("plain"), "reference")
    assert verdict.ok and bool(verdict) and verdict.case == "plain" and verdict.backend == "reference"
    assert 0 < verdict.ratio <= 1 and verdict.metrics["budget_ratio"] <= 1


@pytest.mark.parametrize("spoil", [skip_the_tail, skip_one_element])
def test_an_element_that_is_not_written_fails(tampered, spoil):
    tampered(spoil)
    verdict = pipeline.check(by_name("plain"), "reference")
    assert not verdict and "out: NaN at" in str(verdict)


def test_reused_memory_cannot_pass_for_a_result(monkeypatch):
    """An lse that is not written keeps what the memory held: the first call leaves wrong numbers there."""
    honest = aat.functional.attention
    memory = {}

    def attention(*args, out, **call):
        result, lse = honest(*args, **call)
        out[...] = result
        held = memory.setdefault("lse", lse.copy())
        held[:, :, :-1] = lse[:, :, :-1]
        return out, held
    monkeypatch.setattr(aat.functional, "attention", attention)
    verdict = pipeline.check(by_name("plain"), "reference")
    assert not verdict and "lse: 4 of 132 elements over budget" in str(verdict)
    memory.clear()
    assert pipeline.check(by_name("plain"), "reference", poison=False), "without the first call it goes unseen"


def test_overrides_reach_the_call():
    verdict = pipeline.check(by_name("plain"), "reference", scale=0.3)
    assert not verdict and "over budget" in verdict.reasons[0]


def test_exceptions_propagate():
    with pytest.raises(ValueError, match="backend"):
        pipeline.check(by_name("plain"), "no-such-backend")


@pytest.mark.parametrize("name", ["bshd", "3d", "bshd-3d", "bf16", "f64"])
def test_layouts_and_dtypes_are_judged_in_their_own_order(name):
    call = make(by_name(name))
    blank = pipeline.blank_output(call)
    assert blank.shape == call["q"].shape[:-1] + call["v"].shape[-1:] and blank.dtype == call["q"].dtype
    assert np.isnan(blank.astype(np.float64)).all()
    assert pipeline.check(by_name(name), "reference").ok


def test_metrics_by_hand():
    got, want = np.array([1.0, 2.0, np.nan, np.inf]), np.array([1.5, 2.0, np.nan, 3.0])
    numbers = metrics.measure_errors(got, want, np.full(4, 0.25))
    assert numbers == {"max_abs_error": 0.5, "rms_error": np.sqrt(0.125), "budget_ratio": 2.0, "wrong_nonfinite": 1.0}
    assert set(numbers) == set(metrics.METRICS)
    for name, metric in metrics.METRICS.items():
        assert metric.name == name and metric.unit and metric.formula


def test_metrics_of_nothing():
    empty = np.zeros((0, 3))
    assert set(metrics.measure_errors(empty, empty, empty).values()) == {0.0}
