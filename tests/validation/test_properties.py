"""Each law holds for the reference, and rejects the mistake it was written for."""
import numpy as np
import pytest

from aat.functional import attention
from aat.validation import properties
from aat.validation.cases import by_name, make
from aat.validation.properties import LAWS

CALLS = ["plain", "mask-and-bias", "gqa", "dead-rows"]


def run(**call):
    return attention(**call, backend="reference", return_lse=True)


@pytest.mark.parametrize("case", CALLS)
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_law_holds(law, case):
    result = law.check(run, make(by_name(case)))
    assert result.ok and result.margin <= 1, result.detail


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_negative_control_fails(law):
    result = law.check(law.broken(run), make(by_name("mask-and-bias")))
    assert not result.ok and result.margin > 1 and result.detail


def test_every_law_says_what_it_is():
    assert len(LAWS) == 10
    for law in LAWS.values():
        assert law.statement.endswith(".") and callable(law.broken)


def test_exceptions_propagate():
    def failing(**call):
        raise ZeroDivisionError
    for law in LAWS.values():
        with pytest.raises(ZeroDivisionError):
            law.check(failing, make(by_name("mask-and-bias")))


def _leaks(where):
    """A run whose bits depend on something that a row may not see."""
    def broken(**call):
        out, lse = run(**call)
        touched = {"batch": call["q"].shape[0] > 1, "neighbours": np.abs(call["q"]).max() > 100,
                   "heads": call["q"].shape[1] > 2, "lse": False}[where]
        if where == "lse":
            lse = np.nextafter(lse, np.inf, dtype=lse.dtype) if call["q"].shape[2] % 2 else lse
        return np.nextafter(out, np.inf, dtype=out.dtype) if touched else out, lse
    return broken


@pytest.mark.parametrize("where", ["batch", "heads", "neighbours", "lse"])
def test_one_bit_is_enough(where):
    result = LAWS["row-bits"].check(_leaks(where), make(by_name("mask-and-bias")))
    assert not result.ok and "other bits" in result.detail


def test_merged_is_the_softmax_monoid():
    rng = np.random.default_rng(0)
    parts = [(rng.standard_normal((4, 3)), rng.standard_normal(4)) for _ in range(3)]
    empty = (np.full((4, 3), 7.0), np.full(4, -np.inf))
    out, lse = properties.merged(parts)
    weights = np.exp([part[1] for part in parts])
    want = sum(w[:, None] * part[0] for w, part in zip(weights, parts, strict=True)) / weights.sum(0)[:, None]
    np.testing.assert_allclose(out, want)
    np.testing.assert_allclose(lse, np.log(weights.sum(0)))
    again = properties.merged([empty, *parts])
    np.testing.assert_array_equal(again[0], out)
    nothing, minus = properties.merged([empty, empty])
    assert not nothing.any() and np.all(minus == -np.inf)
