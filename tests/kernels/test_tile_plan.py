"""tile_plan: its lists are sound and as short as the reference's but for a bucket, and certificates of runs hold."""
import numpy as np
import pytest
from aat.kernels.reference.tile_plan import longest_prefix, tile_bounds

from aat.backends import select
from aat.tiling import bounds, launch
from aat.tiling.plan import make_plan
from aat.tiling.summary import KeySummary
from aat.tiling.visible import ALL, NOTHING, tile_visibility
from aat.validation.adaptive import judge, run_plan, scores
from aat.validation.generators import GENERATORS, make_call

BUCKET = np.log(2) / 16
WAYS = [(16, True), (8, True), (4, True), (8, False)]
PLAIN = [name for name in GENERATORS if "alibi" not in name]      # a bias goes the NumPy way


@pytest.fixture
def session():
    with select.use("cpu") as opened:
        yield opened


@pytest.fixture(params=WAYS, ids=lambda p: f"{p[0]}-{'bitcode' if p[1] else 'plain'}")
def lanes(request, session, monkeypatch):
    """The session with lanes of another width, with and without the intrinsics."""
    width, bitcode = request.param
    if bitcode and not session.intrinsics:
        pytest.skip("this host has no x86-64 FMA: no bitcode")
    monkeypatch.setattr(session, "lane_width", width)
    monkeypatch.setattr(session, "intrinsics", bitcode)
    return session


def case(name="g1-topics-0.3", seed=0, queries=100, keys=700, block=32, **rest):
    call = make_call(name, seed, queries=queries, keys=keys, **({"Hq": 2, "D": 16, "Dv": 8} | rest))
    return call, KeySummary(call["k"], call["v"], block), 1 / np.sqrt(call["q"].shape[3])


def left_out(plan, summary, index):
    gone = np.ones(summary.tiles, bool)
    gone[plan.tiles(*index)] = False
    return gone


def reference(plan, summary, q, scale, index, seen, mixed):
    """(shares (rows, tiles seen), lower sum (rows), those tiles) of a query tile, and the reference's prefix."""
    b, h, i = index
    g = h * summary.heads // q.shape[1]
    m = summary.moments
    slack = bounds.tile_slack(m, summary.d)                # with the rounding of a score: a mean's error is made of it
    see = (m.count[b, g] > 0) if seen is None else seen[b, 0, i] != NOTHING
    at = np.flatnonzero(see)
    tiles = [{name: getattr(m, name)[b, g, t].astype(np.float64) for name in (
        "count", "key", "radius", "eigenvalue", "value_spread", "value_shift")}
        | {"whole": seen is None or seen[b, 0, i, t] == ALL, "shift": float(slack[b, g, t])} for t in at]
    rows = q[b, h, i * plan.rows:(i + 1) * plan.rows].astype(np.float64)
    rho = float(plan.rho[b, h])
    upper, lower = tile_bounds(rows, tiles, scale, rho if mixed else None, float(plan.spread[b, h]))
    top = lower.max(1, initial=-np.inf, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        mass = top[:, 0] + np.log(np.exp(lower - top).sum(1))
        return np.exp(upper - mass[:, None]), mass, at, longest_prefix(upper, lower, rho)[1]


def omitted_of(plan, index):
    b, h, i = index
    return plan.log_omitted[b, h, i * plan.rows:(i + 1) * plan.rows].astype(np.float64)


def check_lists(plan, summary, q, scale, seen=None, mixed=False):
    """Against the reference: what is left out is charged, by no more than a bucket and the rounding too much, and no
    further tile would fit."""
    spared, possible = 0, 0
    for index in np.ndindex(*plan.counts.shape):
        if not plan.seen[index]:
            assert not plan.counts[index] and np.isneginf(omitted_of(plan, index)).all()
            continue
        share, mass, at, prefix = reference(plan, summary, q, scale, index, seen, mixed)
        visited, swapped = plan.tiles(*index), plan.replaced_tiles(*index)
        named = np.concatenate([visited, swapped])
        assert len(set(named.tolist())) == len(named) and np.isin(named, at).all() and plan.seen[index] == len(at)
        assert mixed or not len(swapped)
        gone = left_out(plan, summary, index)[at]
        charged = omitted_of(plan, index)
        if not gone.any():
            assert np.isneginf(charged).all()
            continue
        rho, total = float(plan.rho[index[:2]]), share[:, gone].sum(1)
        lowest = gone.sum() * rho * 2.0**-18
        assert (charged >= mass + np.log(total)).all()
        assert (np.exp(charged - mass) <= total * np.exp(2.5 * BUCKET) * 1.01 + lowest).all()
        assert (charged <= mass + np.log(rho) + 1e-3).all()
        spared, possible = spared + gone.sum(), possible + prefix
    return spared, possible


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("mixed", [False, True])
def test_the_lists_are_sound_and_nearly_the_longest(session, name, mixed):
    rows = session.lane_width
    spared = possible = 0
    for seed, eps in ((0, 0.3), (1, 0.05), (2, 1e-3)):
        call, summary, scale = case(name, seed)
        plan = make_plan(summary, call["q"], scale, eps, rows, mixed=mixed, session=session)
        numpy = make_plan(summary, call["q"], scale, eps, rows, mixed=mixed)
        assert plan.counts.sum() <= numpy.counts.sum() * 1.02 + 4
        a, b = check_lists(plan, summary, call["q"], scale, mixed=mixed)
        spared, possible = spared + a, possible + b
    assert spared >= 0.9 * possible - 3                    # a bucket is 4 % of a tile's bound


@pytest.mark.parametrize("vectors", [1, 2, 3, 4])
def test_every_width_of_lanes_and_rows(lanes, vectors):
    rows = vectors * lanes.lane_width
    for D in (16, 5):
        call, summary, scale = case("g4-rotary-tight", D=D, queries=3 * rows - 1)
        plan = make_plan(summary, call["q"], scale, 0.05, rows, mixed=True, session=lanes)
        spared, possible = check_lists(plan, summary, call["q"], scale, mixed=True)
        assert possible > 0 and spared >= 0.9 * possible - 3


@pytest.mark.parametrize("reach", [(150, None, 0), (90, 60, 0), (0, 100, 30), (700, 20, 20)])
def test_ranges_of_positions(session, reach):
    spared = 0
    for name in ("g1-topics-0.1", "g4-rotary-tight", "g7-one-sided"):
        call, summary, scale = case(name, 5, queries=100, keys=300, block=16)
        seen = tile_visibility(summary, 100, 16, offset=reach[0], left=reach[1], right=reach[2])
        for mixed in (False, True):
            plan = make_plan(summary, call["q"], scale, 0.3, 16, mixed=mixed, reach=reach, session=session)
            spared += check_lists(plan, summary, call["q"], scale, seen, mixed)[0]
            numpy = make_plan(summary, call["q"], scale, 0.3, 16, mixed=mixed, reach=reach)
            assert np.array_equal(plan.seen, numpy.seen)
            for index in np.ndindex(*plan.counts.shape):
                whole = seen[0, 0, index[2]][plan.replaced_tiles(*index)]
                assert (whole == ALL).all()
    assert spared > 20 or reach[1] == 20


def test_lengths_groups_and_strides(session):
    call = make_call("g4-rotary-tight", 3, queries=80, keys=320, B=3, Hq=4, Hk=2, D=16, Dv=8)
    lens = np.array([320, 100, 0])
    summary = KeySummary(call["k"], call["v"], 32, kv_lens=lens)
    seen = tile_visibility(summary, 80, 16)
    wide = np.ascontiguousarray(call["q"].transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)       # rows lie apart
    for q in (call["q"], wide, call["q"][:, ::2], call["q"].astype(np.float64)):
        plan = make_plan(summary, q, 0.25, 0.1, 16, session=session)
        spared, _ = check_lists(plan, summary, q, 0.25, seen)
        assert spared > 50 and not plan.counts[2].any() and np.isneginf(plan.log_omitted[2]).all()


def test_half_precision_queries_are_read_as_they_are(session):
    call, summary, scale = case("g4-rotary-tight")
    q = call["q"].astype(np.float16)
    a = make_plan(summary, q, scale, 0.05, 16, session=session)
    b = make_plan(summary, q.astype(np.float32), scale, 0.05, 16, session=session)
    assert np.array_equal(a.counts, b.counts) and np.array_equal(a.log_omitted, b.log_omitted)


def test_the_first_and_the_local_tile_come_first_and_then_the_largest(session):
    call, summary, scale = case("g2-smooth")
    near = np.arange(7)[None] * 3
    plan = make_plan(summary, call["q"], scale, 0.05, 16, local=near, session=session)
    numpy = make_plan(summary, call["q"], scale, 0.05, 16, local=near)
    same = 0
    for index in np.ndindex(*plan.counts.shape):
        tiles = plan.tiles(*index).tolist()
        front = [t for t in tiles if t in (0, near[0, index[2]])]
        assert tiles[:len(front)] == front
        other = numpy.tiles(*index).tolist()
        same += tiles == other[:len(tiles)]
    assert same >= 7                                            # the order is that of NumPy but for bounds that tie


@pytest.mark.parametrize("eps", [0.0, -1.0])
def test_without_a_tolerance_everything_is_visited_in_order(session, eps):
    call, summary, scale = case()
    plan = make_plan(summary, call["q"], scale, eps, 16, mixed=True, session=session)
    assert (plan.counts == summary.tiles).all() and np.isneginf(plan.log_omitted).all()
    assert plan.tiles(0, 1, 2).tolist() == list(range(summary.tiles))


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("where", ["q", "k"])
def test_keys_and_queries_that_are_not_finite_are_visited(session, where, poison):
    call, _, scale = case("g4-rotary-tight")
    call[where][0, 1, 37, 3] = poison
    plan = make_plan(KeySummary(call["k"], call["v"], 32), call["q"], scale, 0.1, 16, mixed=True, session=session)
    if where == "k":
        assert all(1 in plan.tiles(0, 1, i) for i in range(7))
    else:
        assert plan.counts[0, 1, 2] == 22 and plan.counts[0, 1].min() < 10


@pytest.mark.parametrize(("queries", "keys"), [(0, 64), (5, 0), (1, 1), (3, 33)])
def test_small_and_empty_problems(session, queries, keys):
    call, summary, scale = case("g0-iid", queries=queries, keys=keys)
    plan = make_plan(summary, call["q"], scale, 0.1, 16, mixed=True, session=session)
    assert plan.counts.shape == (1, 2, -(-queries // 16))
    assert (plan.counts + plan.replaced_counts <= summary.tiles).all()


@pytest.mark.parametrize("which", [0, 1], ids=["log", "excess"])
def test_the_formulas_lie_above_the_exact_ones(session, which):
    import taichi as ti
    from aat.kernels.lanes import columns_for
    from aat.kernels.tile_plan import Pieces, Spec

    from aat.tiling.base import TileConfig

    C = columns_for("cpu", 16, "f32", session.intrinsics)
    L, pieces, numbers = C.lanes, Pieces(C, TileConfig(16, 1, 1, 1, 1, 1), Spec(16)), ti.types.ndarray(ti.f32, 1)
    grid = np.concatenate([np.geomspace(1e-12, 1e3, 300), np.linspace(0.9, 1.1, 41), np.linspace(19.9, 20.1, 43)])
    delta, ratio = (x.reshape(-1) for x in np.meshgrid(grid, [0, 1e-8, 1e-3, 0.1, 0.5, 1, 1.5, 4]))
    delta = delta.astype(np.float32)
    w2 = (ratio * delta.astype(np.float64)**2).astype(np.float32)       # w2 above delta^2 may come, from loose bounds

    @ti.kernel
    def evaluate(a: numbers, b: numbers, out: numbers, groups: ti.i32):
        ti.loop_config(block_dim=1, serialize=True)
        for t in range(groups):
            at = L.affine(L.rows(t * 16, 2**30), 1, 0)
            log, rest = pieces.excess(L.gather(a, at, 0, "f32"), L.gather(b, at, 0, "f32"))
            L.scatter_plain(out, None, at, [log, rest][which])

    got = np.zeros_like(delta)
    with session.launching():
        evaluate(delta, w2, got, len(delta) // 16)
    d, w = delta.astype(np.longdouble), w2.astype(np.longdouble)
    with np.errstate(over="ignore"):
        second = np.where(d < 0.1, w / 2 * (1 + d / 3 + d**2 / 12 + d**3 / 60 + d**4 / 360 + d**5 / 2520),
                          w * (np.expm1(d) - d) / d**2)
        rest = np.minimum(2 * np.sinh(d / 2)**2, second)
    true, room = (np.log1p(rest), 1e-5) if which == 0 else (rest, 0)
    some = np.ones(len(d), bool) if which == 0 else d <= 55             # e^60 is the largest that a mean's error may be
    assert len(delta) % 16 == 0 and (got[some] >= true[some]).all()
    # cosh has two terms below 1; beyond 20 the logarithm is exact enough, and 1 is not taken off again
    loose = np.where(d < 1, 5e-3, 1e-4 if which == 0 else np.where(d < 20, 1e-4, 1e-2))
    room = np.where((d >= 20) & (which == 1), 1.01, room)
    assert (got <= true * (1 + loose) + room)[some].all()


# The law: error <= bound <= tolerance max|v| of a run by the kernel's plan, zero violations; planted faults break it.

def judged(session, name, seed, eps, rows=16, mixed=False, queries=128, keys=512, block=32, **options):
    call = make_call(name, seed, queries=queries, keys=keys, Hq=2, D=16, Dv=8)
    if seed % 3 == 1:
        call["v"] += np.float32(3)
    q, k, v = call["q"], call["k"], call["v"]
    scale = call.get("scale", 0.25)
    summary = KeySummary(k, v, block)
    plan = make_plan(summary, q, scale, eps, rows, mixed=mixed, session=session, **options)
    result = run_plan(plan, summary, q, k, v, scale)
    got = judge(result, scores(q, k, scale), v, eps)
    return got.over_bound + got.over_tolerance, result.tiles["seen"] - result.tiles["full"]


@pytest.mark.parametrize("name", PLAIN)
def test_the_certificate_holds(session, name):
    wrong = spared = 0
    for seed in range(3):
        for options in (dict(), dict(mixed=True), dict(mixed=True, part=0.5, rows=2 * session.lane_width)):
            for eps in (0.3, 3e-2, 1e-3):
                broken, out = judged(session, name, seed, eps, **({"rows": session.lane_width} | options))
                wrong, spared = wrong + broken, spared + out
    assert wrong == 0
    assert spared > 0 or name in ("g0-iid", "g7-equal")


def rebuilt(session):
    """Kernels are compiled anew, with what was planted."""
    session._kernels.clear()
    session._launched.clear()
    session.repeats.clear()


def breaks(session, names=("g7-one-sided", "g7-tight", "g7-small-tails"), **options):
    rebuilt(session)
    return sum(judged(session, name, seed, eps, **({"mixed": False} | options))[0]
               for name in names for seed in range(2) for eps in (0.3, 0.02))


@pytest.mark.parametrize("fault", ["moment", "mean", "sum", "budget"])
def test_what_is_planted_breaks_the_law(session, monkeypatch, fault):
    from aat.kernels import tile_plan as kernel
    from aat.kernels.lanes.base import inline, local

    pieces = kernel.Pieces
    options = dict(mixed=fault == "mean")
    try:
        assert breaks(session, **options) == 0
        if fault == "moment":                       # the second moment of half the keys' spread
            plain = pieces.excess
            monkeypatch.setattr(pieces, "excess", inline(
                lambda self, delta, w2: plain(self, local(delta * 0.5), local(w2 * 0.25))))
        elif fault == "mean":                       # a mean at no cost
            monkeypatch.setattr(pieces, "replacement", inline(lambda self, rest, *others: local(rest * 0.0 - 30.0)))
        elif fault == "sum":                        # the masses that are kept, three times
            monkeypatch.setattr(pieces, "lower", inline(
                lambda self, top, total, factor, down: local(top + kernel.STEPS * self.L.log2(total * 3.0))))
        else:                                       # each tile against the whole budget
            plain = pieces.sums
            monkeypatch.setattr(pieces, "sums", inline(lambda self, total, x: plain(
                self, [local(y * 0.0) for y in total], x)))
        assert breaks(session, **options) > 0
    finally:
        monkeypatch.undo()
        rebuilt(session)


def test_jensen_on_partly_visible_tiles_is_caught(session, monkeypatch):
    from aat.kernels import tile_plan as kernel
    from aat.kernels.lanes.base import inline

    call, summary, scale = case("g7-equal", queries=64, keys=320)
    reach = (250, 100, 0)
    seen = tile_visibility(summary, 64, 16, offset=250, left=100, right=0)
    plain = kernel.Pieces.tile_range

    def check():
        rebuilt(session)
        plan = make_plan(summary, call["q"], scale, 1.0, 16, reach=reach, session=session)
        check_lists(plan, summary, call["q"], scale, seen)

    def careless(self, x, meta):
        first, end, _, _ = plain(self, x, meta)
        return first, end, first, end

    try:
        check()
        monkeypatch.setattr(kernel.Pieces, "tile_range", inline(careless))
        with pytest.raises(AssertionError):
            check()
    finally:
        monkeypatch.undo()
        rebuilt(session)


def test_it_takes_what_it_is_made_for(session, monkeypatch):
    call, summary, scale = case()
    made = []
    plain = launch.plan_arrays
    monkeypatch.setattr(launch, "plan_arrays", lambda *given, **named: made.append(1) or plain(*given, **named))
    q = call["q"]
    width = session.lane_width
    for rows, options, expected in ((width, {}, 1), (4 * width, {}, 1), (5 * width, {}, 0), (width + 1, {}, 0),
                                    (width, dict(visible=tile_visibility(summary, 100, width)), 0),
                                    (width, dict(bias_high=np.zeros((1, 1, 1, summary.tiles))), 0)):
        made.clear()
        make_plan(summary, q, scale, 0.1, rows, session=session, **options)
        assert len(made) == expected
