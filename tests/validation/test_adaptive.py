"""The certificate: error <= bound <= tolerance max|v| for every row, on every generator; unsound bounds are caught."""
import numpy as np
import pytest

from aat.tiling import bounds
from aat.tiling import plan as planning
from aat.tiling.plan import make_plan
from aat.tiling.summary import KeySummary
from aat.tiling.visible import bias_range, tile_visibility
from aat.validation.adaptive import exact, judge, run_plan, scores
from aat.validation.generators import ADVERSARIAL, GENERATORS, describe, make_call


def attend(call, eps, *, block=64, rows=16, mixed=False, gate=True, visible=None, seen=None, lens=None, **options):
    """(result, scores, plan) of a call by the plan."""
    q, k, v, bias = call["q"], call["k"], call["v"], call.get("bias")
    scale = call.get("scale", 1 / np.sqrt(q.shape[3]))
    summary = KeySummary(k, v, block, kv_lens=lens)
    if bias is not None:
        bias = bias.reshape((1,) * (4 - bias.ndim) + bias.shape)
        options["bias_low"], options["bias_high"] = bias_range(bias, block)
    if visible is not None:
        options["visible"] = seen
    plan = make_plan(summary, q, scale, eps, rows, mixed=mixed, **options)
    result = run_plan(plan, summary, q, k, v, scale, bias=bias, visible=visible, gate=gate)
    exists = np.arange(k.shape[2]) < summary.lens[:, None, None, None]
    return result, scores(q, k, scale, bias, exists if visible is None else exists & visible), plan


def judged(call, eps, **options):
    result, s, _ = attend(call, eps, **options)
    return judge(result, s, call["v"], eps), result


def sound(name, seed, eps, *, queries=256, keys=512, D=16, Hq=2, **options):
    call = make_call(name, seed, queries=queries, keys=keys, Hq=Hq, D=D, Dv=8)
    if seed % 3 == 1:
        call["v"] += np.float32(3)              # an offset of the values: their range is not twice the largest
    got, result = judged(call, eps, **options)
    assert (got.over_bound, got.over_tolerance) == (0, 0), (name, seed, eps, options, got)
    assert got.rows == Hq * queries
    return got, result


WAYS = [dict(), dict(mixed=True), dict(form="largest", part=0.5), dict(mixed=True, part=0.5, rows=48)]


@pytest.mark.parametrize("name", GENERATORS)
def test_the_certificate_holds(name):
    rows, tightest, worst, spared = 0, 0.0, 0.0, 0
    for seed in range(3):
        for way in WAYS:
            for eps in (0.3, 3e-2, 1e-3):
                got, result = sound(name, seed, eps, block=32, **way)
                rows += got.rows
                tightest, worst = max(tightest, got.tightest), max(worst, got.worst)
                spared += result.tiles["seen"] - result.tiles["full"]
    assert rows == 36 * 512
    assert spared > 0 or name in ("g0-iid", "g7-equal")      # otherwise nothing was tested


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS)
def test_the_certificate_holds_on_many_rows(name):
    rows, rng = 0, np.random.default_rng(list(name.encode()))
    for seed in range(60):
        way = WAYS[seed % 4] | dict(block=int(rng.choice([16, 32, 64])))
        rows += sound(name, 100 + seed, float(10 ** rng.uniform(-4, 0)), queries=448, keys=768, **way)[0].rows
    assert rows == 60 * 896                                  # 17 generators: 913,920 rows


def test_the_bound_is_tight_where_it_can_be():
    # values +-V, tiles of radius 0: nothing is lost but the rounding up to buckets
    call = make_call("g7-tight", 1, queries=64, keys=1024, Hq=4, D=16)
    got, _ = judged(call, 0.01)
    assert got.worst > 0.85 and got.tightest > 0.5


@pytest.mark.parametrize("rows", [1, 16])
@pytest.mark.parametrize(("left", "right"), [(None, 0), (60, 0), (100, 30)])
def test_the_certificate_holds_behind_masks(rows, left, right):
    rng = np.random.default_rng(2)
    spared = 0
    for name in ("g1-topics-0.1", "g4-rotary-tight", "g5-alibi", "g7-one-sided", "g7-tight"):
        call = make_call(name, 5, queries=100, keys=300, Hq=2, D=16, Dv=8)
        j, i = np.arange(300), np.arange(100)[:, None] + 150
        visible = (j <= i + right) & (True if left is None else j >= i - left)
        mask = rng.random((1, 1, 100, 300)) < 0.7
        mask[..., 40:200] = True
        mask[:, :, 3] = False                   # a row that sees nothing
        visible = visible & mask
        summary = KeySummary(call["k"], call["v"], 32)
        seen = tile_visibility(summary, 100, rows, offset=150, left=left, right=right, mask=mask)
        for eps in (0.3, 0.01):
            for mixed in (False, True):
                got, result = judged(call, eps, block=32, rows=rows, mixed=mixed, visible=visible, seen=seen)
                assert (got.over_bound, got.over_tolerance) == (0, 0), (name, eps, mixed, got)
                assert (result.out[:, :, 3] == 0).all() and (result.bound[:, :, 3] == 0).all()
                spared += result.tiles["seen"] - result.tiles["full"]
    assert spared > 100


def test_the_certificate_holds_with_lengths_and_groups():
    call = make_call("g4-rotary-tight", 3, queries=80, keys=320, B=3, Hq=4, Hk=2, D=16, Dv=8)
    lens = np.array([320, 100, 0])
    summary = KeySummary(call["k"], call["v"], 32, kv_lens=lens)
    for mixed in (False, True):
        exists = np.arange(320) < lens[:, None, None, None]
        got, result = judged(call, 0.05, block=32, mixed=mixed, lens=lens, visible=exists,
                             seen=tile_visibility(summary, 80, 16))
        assert (got.over_bound, got.over_tolerance) == (0, 0)
        assert (result.out[2] == 0).all() and (result.bound[2] == 0).all()


@pytest.mark.parametrize("name", ["g0-iid", "g1-topics-0.3", "g5-alibi"])
def test_without_a_tolerance_the_result_is_the_softmax(name):
    call = make_call(name, 0, queries=50, keys=100, Hq=2, D=16)
    result, s, _ = attend(call, 0.0, mixed=True)
    assert np.abs(result.out - exact(s, call["v"])).max() < 1e-13
    assert np.allclose(result.lse, np.logaddexp.reduce(s, 3), rtol=1e-13)
    assert (result.bound == 0).all() and result.multiply_adds["done"] == result.multiply_adds["dense"]


def test_the_counts_add_up_and_the_work_falls():
    call = make_call("g4-rotary-tight", 0, queries=256, keys=1024, Hq=2, D=16)
    for mixed in (False, True):
        result, _, plan = attend(call, 0.01, mixed=mixed)
        tiles = result.tiles
        assert tiles["seen"] == 2 * 16 * 16 == sum(n for name, n in tiles.items() if name != "seen")
        assert tiles["full"] + tiles["skipped_after"] == plan.counts.sum()
        assert (tiles["replaced"] > 0) == mixed
        assert 0 < result.multiply_adds["done"] < 0.8 * result.multiply_adds["dense"]


def test_the_gate_alone_is_certified_and_finds_more_in_the_order_of_the_bounds():
    call = make_call("g2-smooth", 0, queries=128, keys=1024, Hq=2, D=64)
    found = []
    for part in (0.0, 1e-9):                    # in the order of memory; with a plan that leaves nothing out
        got, result = judged(call, 0.01, part=part, rows=1)
        assert (got.over_bound, got.over_tolerance) == (0, 0) and result.tiles["skipped_before"] == 0
        found.append(result.tiles["skipped_after"])
    possible = describe(call)["oracle"][0.01] * result.tiles["seen"]
    assert 0 < found[0] < found[1] <= possible


def test_the_true_lse_lies_where_the_bound_says():
    call = make_call("g1-topics-0.3", 0, queries=128, keys=1024, Hq=2, D=16)
    result, s, plan = attend(call, 0.1)
    true = np.logaddexp.reduce(s, 3)
    omitted = result.bound / plan.spread[..., None]
    assert (result.lse <= true + 1e-12).all() and (true <= result.lse - np.log1p(-omitted) + 1e-12).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_values_that_are_not_finite_give_an_infinite_bound_and_the_ieee_result(poison):
    call = make_call("g4-rotary-tight", 0, queries=64, keys=512, Hq=2, D=16)
    call["v"][0, 1, 400, 2] = poison
    result, s, _ = attend(call, 0.1, mixed=True)
    assert np.isinf(result.bound[0, 1]).all() and (result.bound[0, 0] <= 0.1 * np.abs(call["v"][0, 0]).max()).all()
    with np.errstate(invalid="ignore"):
        want = exact(s, call["v"])
    assert np.array_equal(np.isnan(result.out), np.isnan(want)) and np.array_equal(np.isinf(result.out), np.isinf(want))


# What must be caught. Each plants one classical mistake and expects the law to break.

def broken(eps=0.02, names=ADVERSARIAL, **options):
    """How many rows break the law over some inputs."""
    count = 0
    for name in names:
        for seed in range(2):
            call = make_call(name, seed, queries=64, keys=2048, Hq=2, D=16, Dv=8)
            got, _ = judged(call, eps, **options)
            count += got.over_bound + got.over_tolerance
    return count


def test_clipping_the_second_moment_is_caught(monkeypatch):
    import aat.validation.adaptive as adaptive

    def clipped_gate(self, who, s, mx):
        mean = s.mean(2)
        delta = mx - mean
        var = np.minimum(s.var(2), delta**2)
        u = np.exp(np.log(s.shape[2]) + np.minimum(mx, mean + np.log1p(bounds.phi(delta) * var)) - self.m[who])
        small = ((self.l[who] > 0) & (self.ub[who] + u <= self.kappa[who] * self.l[who])).all(1)
        self.ub[who[small]] += u[small]
        return small

    # one key far below the mean, the others just above it: the largest deviation upwards is below the standard one
    assert broken(0.1, ["g7-tail-below"], part=0.0) == 0
    monkeypatch.setattr(adaptive._Run, "_gate", clipped_gate)
    assert broken(0.1, ["g7-tail-below"], part=0.0) > 0


def test_a_fresh_budget_for_each_tile_is_caught(monkeypatch):
    import aat.validation.adaptive as adaptive
    assert broken(names=["g7-small-tails"], part=0.0) == 0

    def forgetful(self, who, s, mx):
        charged = self.ub.copy()
        self.ub[...] = 0
        small = true(self, who, s, mx)
        self.ub[...] = charged
        return small

    true = adaptive._Run._gate
    monkeypatch.setattr(adaptive._Run, "_gate", forgetful)
    assert broken(names=["g7-small-tails"], part=0.0) > 0


def test_jensen_on_partly_visible_tiles_is_caught(monkeypatch):
    call = make_call("g1-topics-0.1", 1, queries=64, keys=512, Hq=2, D=16, Dv=8)
    mask = np.ones((1, 1, 64, 512), bool)
    mask[..., np.arange(512) % 64 >= 2] = False
    seen = tile_visibility(KeySummary(call["k"], call["v"], 64), 64, 16, mask=mask)
    how = dict(visible=mask, seen=seen, gate=False)
    good, _ = judged(call, 0.2, **how)
    assert (good.over_bound, good.over_tolerance) == (0, 0)
    plain = planning._lower
    monkeypatch.setattr(planning, "_lower", lambda x, size, whole, *rest: plain(x, size, np.ones_like(whole), *rest))
    bad, _ = judged(call, 0.2, **how)
    assert bad.over_tolerance > 0


def test_replacing_without_its_error_is_caught(monkeypatch):
    assert broken(names=["g7-one-sided"], mixed=True) == 0
    monkeypatch.setattr(bounds, "replacement", lambda delta, *rest: np.full_like(delta, -30))
    assert broken(names=["g7-one-sided"], mixed=True) > 0


def test_a_mean_in_place_of_a_tile_with_a_bias_is_caught(monkeypatch):
    call = make_call("g5-alibi", 1, queries=64, keys=512, Hq=2, D=16, Dv=8)
    good, _ = judged(call, 0.01, mixed=True)
    assert (good.over_bound, good.over_tolerance) == (0, 0)
    true = planning._Job

    def careless(summary, q, scale, rows, mixed, *rest):
        return true(summary, q, scale, rows, True, *rest)

    monkeypatch.setattr(planning, "_Job", careless)
    bad, _ = judged(call, 0.01, mixed=True)
    assert bad.over_bound > 0
