"""Strategies: whatever chooses the tiles, the certificate holds; options are checked."""
import numpy as np
import pytest

from aat.tiling import bounds
from aat.tiling.strategies import dyadic
from aat.tiling.strategies.base import Request
from aat.tiling.strategies.budget import Budget
from aat.tiling.strategies.certified import Certified
from aat.tiling.strategies.dyadic import Dyadic
from aat.tiling.strategies.fixed import Fixed
from aat.tiling.summary import KeySummary
from aat.tiling.visible import bias_range, tile_visibility
from aat.validation.adaptive import judge, run_plan, scores
from aat.validation.generators import GENERATORS, make_call

STRATEGIES = [Certified(), Certified(mixed=True, part=0.5), Fixed(), Dyadic(), Budget(multiply_adds=3_000_000)]


def attend(strategy, call, eps, *, block=32, rows=16, visible=None, seen=None):
    q, k, v, bias = call["q"], call["k"], call["v"], call.get("bias")
    scale = 1 / np.sqrt(q.shape[3])
    summary = KeySummary(k, v, block)
    low, high = (None, None) if bias is None else bias_range(bias[None], block)
    plan = strategy.plan(Request(summary, q, scale, eps, rows, visible=seen, bias_high=high, bias_low=low))
    result = run_plan(plan, summary, q, k, v, scale, bias=bias, visible=visible)
    return plan, result, judge(result, scores(q, k, scale, bias, visible), v, eps)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
@pytest.mark.parametrize("name", [name for name in GENERATORS if name != "g5-alibi"])
def test_the_certificate_holds_for_every_strategy(strategy, name):
    for seed, eps in ((0, 0.3), (1, 0.02), (2, 1e-3)):
        call = make_call(name, seed, queries=130, keys=500, Hq=2, D=16, Dv=8)
        _, _, got = attend(strategy, call, eps)
        assert got.over_bound == 0, got
        assert got.over_tolerance == 0 or not strategy.keeps_tolerance, got


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_the_certificate_holds_behind_a_causal_mask(strategy):
    visible = np.arange(300) <= np.arange(300)[:, None]
    for name in ("g1-topics-0.1", "g4-rotary-tight", "g7-tight"):
        call = make_call(name, 3, queries=300, keys=300, Hq=2, D=16, Dv=8)
        call["v"] += np.float32(3)              # 0 is far from all values: what keeps nothing must say so
        seen = tile_visibility(KeySummary(call["k"], call["v"], 32), 300, 16, right=0)
        plan, _, got = attend(strategy, call, 0.1, visible=visible[None, None], seen=seen)
        assert got.over_bound == 0 and (got.over_tolerance == 0 or not strategy.keeps_tolerance)
        assert (plan.counts <= plan.seen).all()


def test_a_row_whose_only_tile_a_budget_drops_says_so_in_float64():
    call = make_call("g1-topics-0.1", 0, queries=16, keys=320, Hq=2, D=16, Dv=8)
    call["v"] += np.float32(3)
    visible = np.ones((16, 320), bool)
    visible[2], visible[5, :300] = False, False
    seen = tile_visibility(KeySummary(call["k"], call["v"], 32), 16, 16, mask=visible[None, None])
    _, result, got = attend(Budget(multiply_adds=0), call, 0.1, visible=visible[None, None], seen=seen)
    assert got.over_bound == 0 and (result.out[:, :, [2, 5]] == 0).all()
    assert (result.bound[:, :, 2] == 0).all() and np.isposinf(result.bound[:, :, 5]).all()


def test_fixed_leaves_nothing_out_before_the_scores():
    call = make_call("g4-rotary-tight", 0, queries=64, keys=500, Hq=2, D=16)
    plan, result, _ = attend(Fixed(), call, 0.1)
    assert (plan.counts == plan.seen).all() and result.tiles["skipped_before"] == 0
    assert result.tiles["skipped_after"] > 0


def test_a_budget_is_kept_and_more_of_it_gives_a_smaller_bound():
    call = make_call("g4-rotary-tight", 0, queries=128, keys=1024, Hq=2, D=16)
    dense = 2 * 128 * 1024 * 32
    last = np.inf
    for share in (0.1, 0.3, 0.6, 1.0):
        limit = int(share * dense)
        plan, result, got = attend(Budget(multiply_adds=limit), call, 0.0)
        assert plan.counts.sum() * 16 * 32 * 32 <= limit and result.multiply_adds["done"] <= limit
        assert got.over_bound == 0 and result.bound.mean() <= last
        last = result.bound.mean()
    assert last == 0
    plan, _, _ = attend(Budget(multiply_adds=0), call, 0.0)
    assert (plan.counts == 1).all()             # the least that gives an answer
    plan, result, _ = attend(Budget(), call, 0.0)
    assert (plan.counts == plan.seen).all() and (result.bound == 0).all()


def test_dyadic_asks_for_fewer_bounds_than_there_are_tiles_where_scores_fall_with_distance():
    asked = {}
    for keys in (2048, 8192):
        call = make_call("g6-patches", 0, queries=64, keys=keys, D=16, noise=0.0)
        plan, _, got = attend(Dyadic(), call, 0.05, block=16, rows=1)
        assert (got.over_bound, got.over_tolerance) == (0, 0) and plan.skipped > 0.5
        asked[keys] = plan.notes["bounds"] / plan.seen.sum()
    assert asked[8192] < asked[2048] < 1.5 and asked[8192] < 1


def test_nodes_of_the_tree_are_bounds():
    rng = np.random.default_rng(0)
    k = (rng.standard_normal((1, 1, 330, 5)) * rng.uniform(0, 2, (1, 1, 330, 1)) + 3).astype(np.float32)
    m = KeySummary(k, k, 16).moments
    tree = dyadic.levels(dyadic.Level(*(getattr(m, name)[0, 0].astype(np.float64)
                                        for name in dyadic.Level.__dataclass_fields__)))
    assert [len(level.count) for level in tree] == [21, 11, 6, 3, 2, 1]
    for depth, level in enumerate(tree):
        for i in range(len(level.count)):
            keys = k[0, 0, i * 16 << depth:(i + 1) * 16 << depth].astype(np.float64)
            mean = keys.mean(0)
            assert level.count[i] == len(keys)
            assert np.linalg.norm(level.key[i] - mean) <= level.shift[i]
            assert np.linalg.norm(keys - mean, axis=1).max() <= level.radius[i]
            assert np.linalg.eigvalsh(np.cov(keys.T, bias=True))[-1] <= level.eigenvalue[i]


def test_a_node_with_half_the_eigenvalue_is_caught(monkeypatch):
    true = bounds.excess
    call = make_call("g7-one-sided", 1, queries=64, keys=2048, Hq=2, D=16, Dv=8)
    _, _, good = attend(Dyadic(), call, 0.1)
    assert (good.over_bound, good.over_tolerance) == (0, 0)
    monkeypatch.setattr(bounds, "excess", lambda delta, w2: true(delta * 0.1, w2 * 0.1))
    _, _, bad = attend(Dyadic(), call, 0.1)
    assert bad.over_bound > 0


def test_options_are_checked():
    with pytest.raises(ValueError, match=r"depth: expected options of the strategy 'certified': mixed, part, form"):
        Certified(depth=3)
    with pytest.raises(ValueError, match="expected part between 0 and 1"):
        Certified(part=2)
    with pytest.raises(ValueError, match='expected form "range" or "largest"'):
        Certified(form="box")
    for limit in (-1, 1.5, "all"):
        with pytest.raises(ValueError, match="expected multiply_adds an integer >= 0 or None"):
            Budget(multiply_adds=limit)
    with pytest.raises(ValueError, match="options of the strategy 'fixed': block, summary"):
        Fixed(x=1)
    with pytest.raises(ValueError, match="bias: expected none with the strategy 'dyadic'"):
        attend(Dyadic(), make_call("g5-alibi", 0, queries=16, keys=64, Hq=2, D=8), 0.1)
    with pytest.raises(AttributeError, match="no attribute 'depth'"):
        Certified().depth  # noqa: B018
