"""Attention with a tolerance where nothing is lost or everything is odd: exactness, counts, IEEE numbers, bad input."""
import subprocess
import sys

import numpy as np
import pytest
from adaptive_law import SHARED, STRATEGIES, attend, few, held, spared

import aat
from aat import env, functional
from aat.attention import adaptive
from aat.backends import select
from aat.tiling.strategies.budget import Budget
from aat.tiling.strategies.certified import Certified
from aat.tiling.strategies.fixed import Fixed
from aat.tiling.summary import KeySummary
from aat.validation import pipeline

EXACT = [name for name in STRATEGIES if name not in ("auto", "budget")]
MIXED = Certified(mixed=True)


def call_of(name="g1-topics-0.1", seed=0, **sizes):
    return few(name, seed, **sizes)


@pytest.mark.parametrize("strategy", EXACT)
def test_without_a_tolerance_a_strategy_changes_no_bit(strategy):
    call = call_of()
    plain = aat.attention(**call, backend="cpu", return_lse=True)
    out, lse, info = attend(call, 0.0, STRATEGIES[strategy](call))
    assert out.tobytes() == plain[0].tobytes() and lse.tobytes() == plain[1].tobytes()
    assert info.error_bound is None and info.tiling == ""


def tiles_in_reach(call, config, left=None, right=None):
    """Tiles that hold a key within the positions of a query tile, over all query tiles, by looking at every pair."""
    B, Hq, L, _ = call["q"].shape
    S, block, rows = call["k"].shape[2], config.keys_per_tile, config.rows_per_program()
    lens, total = call.get("kv_lens", np.full(B, S)), 0
    for b in range(B):
        p, j = np.arange(L)[:, None] + call.get("q_offset", 0), np.arange(S)
        see = (j < lens[b]) & (True if right is None else j <= p + right) & (True if left is None else j >= p - left)
        see = np.broadcast_to(see, (L, S))
        for first in range(0, L, rows):
            reached = np.flatnonzero(see[first:first + rows].any(0))
            total += Hq * (reached[-1] // block - reached[0] // block + 1 if reached.size else 0)
    return total


def test_counts_are_those_of_a_dense_run():
    for options, reach in ((dict(), {}), (dict(q_offset=300, window=(150, 20)), dict(left=150, right=20)),
                           (dict(kv_lens=np.array([333, 0], np.int32)), {})):
        call = call_of() | options
        for tiling in (Fixed(), Certified(), MIXED, Certified(block=16)):
            info = attend(call, 0.05, tiling)[2]
            assert sum(info.tiles[name] for name in SHARED) == tiles_in_reach(call, info.config, **reach)
            assert spared(info) > 0


def test_the_same_call_gives_the_same_bits_with_one_thread_and_two(monkeypatch):
    call = call_of("g4-rotary-tight")
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("AAT_NUM_THREADS", threads)
        select.close()
        for tiling in (Certified(), MIXED, Certified()):
            out, lse, info = attend(call, 0.03, tiling)
            found.append((out.tobytes(), lse.tobytes(), info.error_bound.tobytes(), info.tiles))
    select.close()
    assert found[:3] == found[3:] and found[0] == found[2]


def test_inputs_stay_and_out_and_layout_are_honoured():
    call, fresh = call_of(), call_of()
    for tiling in (Certified(), MIXED, Fixed()):
        want = attend(call, 0.05, tiling)[0]
        swapped = {name: np.ascontiguousarray(call[name].swapaxes(1, 2)) for name in "qkv"}
        out, info = aat.attention(**swapped, tolerance=0.05, tiling=tiling, layout="bshd", backend="cpu",
                                  return_info=True)
        assert np.array_equal(out.swapaxes(1, 2), want) and info.error_bound.shape == want.shape[:3]
        given = pipeline.blank_output(swapped)
        assert aat.attention(**swapped, tolerance=0.05, tiling=tiling, layout="bshd", backend="cpu", out=given) is given
        assert np.array_equal(given, out)
        assert all(call[name].tobytes() == fresh[name].tobytes() for name in "qkv")


def test_no_torch_is_needed():
    script = ("import sys; sys.modules['torch'] = None\n"
              "import numpy as np, aat\nfrom aat.tiling.strategies.certified import Certified\n"
              "q, k = np.ones((1, 1, 4, 8), 'f4'), np.ones((1, 1, 70, 8), 'f4')\n"
              "out, info = aat.attention(q, k, k, tolerance=.1, tiling=Certified(), backend='cpu', return_info=True)\n"
              "assert (info.error_bound <= .1).all() and abs(out - 1).max() < 1e-6")
    done = subprocess.run([sys.executable, "-c", script], env=env.child_environment(), capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-3000:]


# --- numbers that are not finite ---

def same_places(got, want):
    return all(np.array_equal(test(got), test(want)) for test in (np.isnan, np.isposinf, np.isneginf))


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("tiling", [Certified(), MIXED, Fixed()], ids=["certified", "mixed", "fixed"])
def test_values_that_are_not_finite(poison, tiling):
    call = call_of()
    call["v"][0, 1, 400, 2] = poison
    exact = aat.attention(**call, backend="cpu")
    out, _, info = attend(call, 0.1, tiling)
    assert same_places(out, exact)
    touched = np.zeros(info.error_bound.shape, bool)
    touched[0, 2:4] = True                      # the two query heads of that KV head
    assert np.isposinf(info.error_bound[touched]).all()
    assert (info.error_bound[~touched] <= 0.1 * np.abs(np.nan_to_num(call["v"], posinf=0, neginf=0)).max()).all()
    assert spared(info) > 0 and info.tiles["redone"] == 0


@pytest.mark.parametrize("name", ["k", "q"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e38])
def test_scores_that_are_not_finite(name, poison):
    call = call_of()
    call[name][0, 1, 7] = poison
    with np.errstate(all="ignore"):
        exact = aat.attention(**call, backend="cpu")
        for tiling in (Certified(), MIXED, Fixed()):
            out, _, info = attend(call, 0.1, tiling)
            assert same_places(out, exact)
            fine = np.isfinite(exact)
            assert (np.abs(out - exact)[fine] <= 0.1 * np.abs(call["v"]).max() + 1e-5).all()
            assert not np.isnan(info.error_bound).any()


def test_a_bias_beyond_the_range_of_float32():
    call = call_of()
    call["bias"] = np.where(np.arange(500) == 77, 1e300, 0.0)[None, None, None]
    with np.errstate(all="ignore"):
        exact = aat.attention(**call, backend="cpu")
        for tiling in (Certified(), Fixed()):
            assert same_places(attend(call, 0.1, tiling)[0], exact)


# --- nothing to see, little to see ---

def test_no_keys_no_rows_one_key():
    call = call_of()
    for tiling in ("auto", Certified(), MIXED, Fixed()):
        out, lse, info = attend(dict(call, k=call["k"][:, :, :0], v=call["v"][:, :, :0]), 0.1, tiling)
        assert (out == 0).all() and np.isneginf(lse).all() and (info.error_bound == 0).all()
        assert attend(dict(call, q=call["q"][:, :, :0]), 0.1, tiling)[0].shape == (2, 8, 0, 8)
        one = dict(call, q=call["q"][:, :, :1], k=call["k"][:, :, :1], v=call["v"][:, :, :1])
        out, _, info = attend(one, 0.1, tiling)
        assert np.array_equal(out, np.repeat(one["v"], 2, 1)) and (info.error_bound == 0).all()


def test_rows_out_of_reach_are_0_with_the_bound_0():
    call = dict(call_of(), q_offset=-9, causal="upper_left")
    for tiling in (Certified(), MIXED, Fixed(), Budget(multiply_adds=0)):
        out, lse, info = attend(call, 0.1, tiling)
        assert (out[:, :, :9] == 0).all() and np.isneginf(lse[:, :, :9]).all()
        assert (info.error_bound[:, :, :9] == 0).all() and (lse[:, :, 9:] > -np.inf).all()


def test_what_keeps_nothing_behind_a_mask_or_a_bias_has_a_finite_bound():
    call, hide = call_of(), np.ones((1, 1, 15, 500), bool)
    hide[:, :, 4] = False                               # sees nothing
    hide[:, :, 7, 3:] = hide[:, :, 9, :480] = False     # see little, for which a small budget has no room
    call["v"] += np.float32(3)                          # 0, which they get, is far from every value
    for options in (dict(mask=hide), dict(bias=np.where(hide, np.float32(0), np.float32(-np.inf)))):
        got = held(call | options, pipeline.expected(call | options), 0.1, Budget(multiply_adds=0))
        assert got.broken == 0 and np.isfinite(got.info.error_bound).all()
        assert (got.info.error_bound[:, :, 4] == 0).all() and (got.out[:, :, 4] == 0).all()
        assert (got.out[:, :, [7, 9]] == 0).any() and (got.info.error_bound[:, :, [7, 9]] > 0).any()


def test_values_of_nothing_but_0_are_no_reason_to_compute_again():
    call = call_of()
    call["v"][0, 1] = 0
    for tiling in (Certified(), MIXED, Fixed()):
        got = held(call, pipeline.expected(call), 0.1, tiling)
        # of the lse such a bound says nothing
        assert (got.over_bound, got.over_tolerance, got.info.tiles["redone"]) == (0, 0, 0)


# --- heads that break the tolerance are computed again ---

def test_a_head_that_breaks_the_tolerance_is_computed_densely(monkeypatch):
    call = call_of()
    honest = adaptive._Job._bound

    def doubtful(self, shares, spread):
        bound = honest(self, shares, spread)
        if bound.any():
            bound[1, 3, 5] = 1e9
        return bound

    dense = aat.attention(**call, backend="cpu", return_lse=True)
    before = attend(call, 0.05, Certified())
    monkeypatch.setattr(adaptive._Job, "_bound", doubtful)
    out, lse, info = attend(call, 0.05, Certified())
    again = np.zeros(lse.shape, bool)
    again[1, 3] = True
    assert info.tiles["redone"] == 15 and (info.error_bound[again] == 0).all()
    for got, exact, usual in ((out, dense[0], before[0]), (lse, dense[1], before[1])):
        assert np.array_equal(got[~again], usual[~again])
        assert np.abs(got[again] - exact[again]).max() < 1e-5 < np.abs(usual - exact)[again].max()
    assert info.multiply_adds > before[2].multiply_adds


def test_a_problem_in_parts_keeps_its_bounds(monkeypatch):
    call = call_of("g4-rotary-tight")
    ways = ((0.05, Certified()), (0.0, Budget(multiply_adds=0)))
    whole, want = [attend(call, *way) for way in ways], pipeline.expected(call)
    monkeypatch.setattr(functional, "INDEX_LIMIT", 2 * 500 * 16)
    for (out, _, info), (tolerance, tiling) in zip(whole, ways, strict=True):
        parts = attend(call, tolerance, tiling)
        assert parts[2].parts > 1 and parts[2].error_bound.shape == info.error_bound.shape
        assert (np.abs(parts[0] - want.out) <= parts[2].error_bound[..., None] + want.out_budget).all()
        if tolerance:
            assert np.array_equal(parts[2].error_bound, info.error_bound) and np.array_equal(parts[0], out)


def test_what_a_strategy_knows_is_cut_with_the_problem(monkeypatch):
    call = call_of("g4-rotary-tight")
    flow = STRATEGIES["flow"](call)
    ways = (Certified(summary=KeySummary(call["k"], call["v"], 32)), flow, STRATEGIES["budget"](call))
    whole, want = [attend(call, 0.05, way) for way in ways], pipeline.expected(call)
    monkeypatch.setattr(functional, "INDEX_LIMIT", 2 * 500 * 16)
    for (out, _, info), way in zip(whole, ways, strict=True):
        got = held(call, want, 0.05, way)
        assert got.info.parts > 1 and got.broken == 0
        if way.keeps_tolerance:
            assert got.info.tiles == info.tiles and np.array_equal(got.out, out)
        assert got.info.multiply_adds <= 1.1 * info.multiply_adds


# --- bad input ---

def test_bad_tolerances_and_strategies_are_refused():
    call = call_of()
    for bad in (-1e-3, np.nan, np.inf):
        with pytest.raises(ValueError, match="tolerance: expected a finite number >= 0"):
            attend(call, bad, Certified())
    for bad in (Certified, 3, object()):
        with pytest.raises(TypeError, match="tiling: expected"):
            attend(call, 0.1, bad)
    with pytest.raises(ValueError, match="tiling: expected"):
        attend(call, 0.1, "certified")
    with pytest.raises(ValueError, match="parts: expected options of the strategy 'certified'"):
        Certified(parts=0.5)
    with pytest.raises(ValueError, match="part between 0 and 1"):
        Certified(part=2)


def test_summaries_of_other_keys_are_refused():
    call = call_of()
    k, v = call["k"], call["v"]
    fitting = Certified(summary=KeySummary(k, v, 32))
    assert held(call, pipeline.expected(call), 0.05, fitting).broken == 0
    for summary in (KeySummary(k[:, :, :400], v[:, :, :400], 32), KeySummary(k[:1], v[:1], 32),
                    KeySummary(k[..., :8], v, 32), KeySummary(k, v[..., :4], 32),
                    KeySummary(k, v, 32, np.array([500, 100], np.int32))):
        with pytest.raises(ValueError, match=r"summary: expected"):
            attend(call, 0.05, Certified(summary=summary))
    with pytest.raises(ValueError, match="block 32, the summary's"):
        Certified(summary=KeySummary(k, v, 32), block=64)
    with pytest.raises(ValueError, match="summary: expected kv_lens"):
        attend(dict(call, kv_lens=np.array([300, 300], np.int32)), 0.05, fitting)


@pytest.mark.parametrize(("rows", "keys"), [(1, 9000), (15, 500), (70, 9000)])
def test_the_exact_path_keeps_a_query_of_nan_however_it_cuts_the_keys(rows, keys):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((1, 2, n, 16)).astype(np.float32) for n in (rows, keys, keys))
    q[0, 1, rows // 2] = np.nan
    out, lse = aat.attention(q, k, v, backend="cpu", return_lse=True)
    want, want_lse = aat.attention(q, k, v, backend="reference", return_lse=True)
    assert same_places(out, want) and same_places(lse, want_lse)
