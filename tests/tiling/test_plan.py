"""Plans: their rule holds for every row, the lists are complete, and nothing is left out where nothing may be."""
import numpy as np
import pytest

from aat.tiling import bounds
from aat.tiling import plan as planning
from aat.tiling.plan import make_plan
from aat.tiling.summary import KeySummary
from aat.tiling.visible import bias_range, tile_visibility
from aat.validation.generators import GENERATORS, make_call

LIMIT = np.iinfo(np.int32).max


def case(name="g1-topics-0.3", seed=0, queries=100, keys=700, **rest):
    rest = {"Hq": 2, "D": 16} | rest
    call = make_call(name, seed, queries=queries, keys=keys, **rest)
    return call, KeySummary(call["k"], call["v"], 32), 1 / np.sqrt(call["q"].shape[3])


def left_out(plan, summary):
    """bool (B, Hq, Q, T): neither visited nor replaced."""
    gone = np.ones((*plan.counts.shape, summary.tiles), bool)
    for index in np.ndindex(*plan.counts.shape):
        gone[index][plan.tiles(*index)] = False
        gone[index][plan.replaced_tiles(*index)] = False
    return gone


def check_rule(plan, summary, q, scale, visible=None, **bias):
    """The rule of plan.py from per-row bounds in float64: T and what may be left out, for every row."""
    rows, L = plan.rows, q.shape[2]
    at = np.arange(L) // rows
    seen = None if visible is None else visible[:, :, at]
    got = bounds.tile_bounds(summary, q, scale, visible=seen, **bias)
    gone = left_out(plan, summary)[:, :, at]
    upper = np.where(gone, np.exp(got.upper.astype(np.float64)), 0).sum(3)
    total = np.exp(plan.log_omitted.astype(np.float64))
    assert (total >= upper * (1 - 1e-12)).all()                          # T is at least what is left out
    mass = np.exp(got.jensen.astype(np.float64)).sum(3)
    assert (total <= plan.rho[..., None] * mass * (1 + 1e-5)).all()      # and no more than rho of the mass
    return upper, total


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("rows", [1, 16, 33])
def test_the_rule_holds_for_every_row(name, rows):
    call, summary, scale = case(name)
    bias = {}
    if "bias" in call:
        low, high = bias_range(call["bias"][None], 32)
        bias = dict(bias_low=low, bias_high=high)
    for eps in (1.0, 0.1, 1e-3):
        plan = make_plan(summary, call["q"], scale, eps, rows, **bias)
        check_rule(plan, summary, call["q"], scale, **bias)
        assert not plan.replaced_counts.any()


def test_lists_name_every_tile_once_and_fit_32_bits():
    call, summary, scale = case()
    for eps in (0, 0.1):
        plan = make_plan(summary, call["q"], scale, eps, 16, mixed=True)
        assert plan.counts.dtype == plan.starts.dtype == plan.indices.dtype == np.int32
        assert plan.starts[-1] == len(plan.indices) == plan.counts.sum() < LIMIT
        for index in np.ndindex(*plan.counts.shape):
            named = np.concatenate([plan.tiles(*index), plan.replaced_tiles(*index)])
            assert len(set(named.tolist())) == len(named) == plan.counts[index] + plan.replaced_counts[index]
            assert named.min() >= 0 and named.max() < summary.tiles


@pytest.mark.parametrize("eps", [0.0, -1.0])
def test_without_a_tolerance_everything_is_visited_in_order(eps):
    call, summary, scale = case()
    plan = make_plan(summary, call["q"], scale, eps, 16, mixed=True)
    assert (plan.counts == summary.tiles).all() and np.isneginf(plan.log_omitted).all() and plan.skipped == 0
    assert plan.tiles(0, 1, 2).tolist() == list(range(summary.tiles))


def test_a_larger_tolerance_visits_less_and_the_coherent_input_much_less():
    call, summary, scale = case("g4-rotary-tight")
    skipped = [make_plan(summary, call["q"], scale, eps, 16).skipped for eps in (1e-3, 1e-2, 1e-1)]
    assert skipped == sorted(skipped) and 0.1 < skipped[0] < skipped[2] - 0.2


def test_the_order_is_sinks_then_local_then_by_bound():
    call, summary, scale = case("g1-topics-0.3")
    local = np.full((1, 7), 5)
    plan = make_plan(summary, call["q"], scale, 1e-2, 16, local=local)
    got = bounds.tile_bounds(summary, call["q"], scale)
    checked = 0
    for h, i in np.ndindex(2, 7):
        tiles = plan.tiles(0, h, i).tolist()
        front = [t for t in (0, 5) if t in tiles]
        assert sorted(tiles[:len(front)]) == front
        rows = slice(i * 16, i * 16 + 16)
        over = got.upper[0, h, rows] - np.logaddexp.reduce(got.jensen[0, h, rows], 1)[:, None]
        order = over.max(0)[tiles[len(front):]]
        # |q| of the tile instead of the row's, and a bucket, may exchange near ones
        assert (np.diff(order) < 1.5).all()
        checked += len(order)
    assert checked > 20


def test_the_sums_of_buckets_do_not_depend_on_their_order():
    rng = np.random.default_rng(0)
    for rho in (0.5, 0.005, 3e-5):
        x = rng.uniform(-40 * planning.STEPS, 0, (1, 1, 1000)).astype(np.float32)
        lower = np.zeros((1, 1), np.float32)
        _, u = planning._buckets(x.copy(), np.zeros((1, 1000), np.float32), lower, rho, None)
        true = np.exp2(x.astype(np.float64) / planning.STEPS)
        assert (u >= true).all()
        small = u[0, 0][np.cumsum(u[0, 0], dtype=np.float64) <= rho]
        sums = {float(np.sum(rng.permutation(small), dtype=np.float32)) for _ in range(20)}
        assert sums == {float(small.sum(dtype=np.float64))}
        big = u[true > rho * 2.0**-15]
        assert (big / true[true > rho * 2.0**-15] < 1.2).all()


def test_a_fresh_budget_for_each_tile_is_caught(monkeypatch):
    # every tile under the budget, all of them together far over it
    call, summary, scale = case("g7-small-tails", keys=3200)

    def greedy(level, omitted, hidden, rho):
        order = np.argsort(level, 1, kind="stable")
        value = (level << 19).view(np.float32)
        gone = (value <= rho)
        total = np.where(gone[:, None], omitted, 0).max(2)              # the largest, not the sum
        return order, gone.sum(1), total

    check_rule(make_plan(summary, call["q"], scale, 1e-2, 16), summary, call["q"], scale)
    monkeypatch.setattr(planning, "_prefix", greedy)
    with pytest.raises(AssertionError):
        check_rule(make_plan(summary, call["q"], scale, 1e-2, 16), summary, call["q"], scale)


@pytest.mark.parametrize(("left", "right"), [(None, 0), (40, 0), (None, None), (20, 20)])
def test_partly_visible_tiles_do_not_count_as_mass(left, right):
    call, summary, scale = case(queries=100, keys=200)
    mask = np.random.default_rng(0).random((1, 1, 100, 200)) < 0.9
    mask[:, :, :, 64:128] = True
    seen = tile_visibility(summary, 100, 16, offset=90, left=left, right=right, mask=mask)
    plan = make_plan(summary, call["q"], scale, 0.5, 16, visible=seen, mixed=True)
    hidden = np.broadcast_to(seen == 0, (1, 2, 7, summary.tiles))
    for index in np.ndindex(*plan.counts.shape):
        assert not hidden[index][plan.tiles(*index)].any()
        assert (seen[0, 0, index[2]][plan.replaced_tiles(*index)] == 2).all()
    exact = make_plan(summary, call["q"], scale, 0.5, 16, visible=seen)
    check_rule(exact, summary, call["q"], scale, visible=seen)
    assert (exact.seen == (seen != 0).sum(-1)).all()


def test_jensen_on_partly_visible_tiles_is_caught(monkeypatch):
    call, summary, scale = case("g1-topics-0.1", queries=64, keys=320)
    mask = np.ones((1, 1, 64, 320), bool)
    mask[..., np.arange(320) % 32 != 0] = False         # one key of each tile: Jensen would promise 32 times as much
    seen = tile_visibility(summary, 64, 16, mask=mask)
    plan = make_plan(summary, call["q"], scale, 0.5, 16, visible=seen)
    check_rule(plan, summary, call["q"], scale, visible=seen)
    plain = planning._lower
    monkeypatch.setattr(planning, "_lower", lambda x, size, whole, *rest: plain(x, size, np.ones_like(whole), *rest))
    with pytest.raises(AssertionError):
        check_rule(make_plan(summary, call["q"], scale, 0.5, 16, visible=seen), summary, call["q"], scale, visible=seen)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_never_left_out(poison):
    call, _, scale = case("g4-rotary-tight")
    call["v"][0, 1, 300, 2] = poison
    plan = make_plan(KeySummary(call["k"], call["v"], 32), call["q"], scale, 0.1, 16, mixed=True)
    assert (plan.counts[0, 1] == 22).all() and plan.counts[0, 0].mean() < 10
    assert np.isinf(plan.spread[0, 1])


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("where", ["q", "k"])
def test_keys_and_queries_that_are_not_finite_are_visited(where, poison):
    call, _, scale = case("g4-rotary-tight")
    call[where][0, 1, 37, 3] = poison
    plan = make_plan(KeySummary(call["k"], call["v"], 32), call["q"], scale, 0.1, 16, mixed=True)
    if where == "k":
        assert all(1 in plan.tiles(0, 1, i) for i in range(7))
    else:
        assert plan.counts[0, 1, 2] == 22 and plan.counts[0, 1].min() < 10


def test_gqa_and_ragged_batches_plan_each_head_by_its_own_keys():
    call = make_call("g4-rotary-tight", 3, queries=64, keys=320, B=2, Hq=4, Hk=2, D=16)
    lens = np.array([320, 100])
    summary = KeySummary(call["k"], call["v"], 32, kv_lens=lens)
    seen = tile_visibility(summary, 64, 16)
    plan = make_plan(summary, call["q"], 0.25, 0.1, 16, visible=seen)
    check_rule(plan, summary, call["q"], 0.25, visible=seen)
    for h in range(4):
        k, v = (call[name][1:, h // 2:h // 2 + 1, :100] for name in "kv")
        single = make_plan(KeySummary(k, v, 32), call["q"][1:, h:h + 1], 0.25, 0.1, 16)
        assert [plan.tiles(1, h, i).tolist() for i in range(4)] == [single.tiles(0, 0, i).tolist() for i in range(4)]


def test_the_plan_does_not_depend_on_how_much_is_handled_at_once(monkeypatch):
    call, summary, scale = case()
    whole = make_plan(summary, call["q"], scale, 1e-2, 16, mixed=True)
    monkeypatch.setattr(planning, "CHUNK", 1)
    parts = make_plan(summary, call["q"], scale, 1e-2, 16, mixed=True)
    for name in ("counts", "indices", "replaced", "log_omitted"):
        a, b = getattr(whole, name), getattr(parts, name)
        assert a.shape == b.shape and np.allclose(a, b, rtol=1e-5) and a.dtype == b.dtype


@pytest.mark.parametrize(("queries", "keys"), [(0, 64), (5, 0), (1, 1), (3, 33)])
def test_small_and_empty_problems(queries, keys):
    call, summary, scale = case("g0-iid", queries=queries, keys=keys)
    plan = make_plan(summary, call["q"], scale, 0.1, 16, mixed=True)
    assert plan.counts.shape == (1, 2, -(-queries // 16)) and plan.counts.sum() + plan.replaced_counts.sum() <= (
        plan.counts.size * summary.tiles)


def test_bad_arguments_are_named():
    call, summary, scale = case()
    q = call["q"]
    for changed, what in ((dict(tolerance=np.nan), "tolerance: expected a number, got nan"),
                          (dict(rows=0), "rows: expected a positive number"),
                          (dict(part=1.5), "part: expected a share"), (dict(form="box"), 'form: expected "range"'),
                          (dict(q=q[:, :, :, :8]), r"q: expected \(B, Hq, L, D\) with B = 1")):
        with pytest.raises(ValueError, match=what):
            make_plan(**(dict(summary=summary, q=q, scale=scale, tolerance=0.1, rows=16) | changed))
