"""Key sorts: every key is there once, its tiles are bounded as any others, and a call keeps the law."""
import numpy as np
import pytest
from adaptive_law import few, held, spared

import aat
from aat.attention import request
from aat.tiling import order
from aat.tiling.strategies.certified import Certified
from aat.tiling.strategies.fixed import Fixed
from aat.tiling.summary import KeySummary
from aat.validation import pipeline
from aat.validation.generators import make_call


def arrays(B=2, H=2, L=200, D=16, Dv=8, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((B, H, L, D)).astype(dtype), rng.standard_normal((B, H, L, Dv)).astype(dtype)


def same_keys(summary, k, v, lens=None):
    """Whether the summary holds each key with its value once, in the order that it tells, and none past a length."""
    found = summary.sorted
    places = found.order.astype(np.int64)
    assert (np.sort(places, 2) == np.arange(k.shape[2])).all()
    np.testing.assert_array_equal(found.k, np.take_along_axis(k, places[..., None], 2))
    np.testing.assert_array_equal(found.v, np.take_along_axis(v, places[..., None], 2))
    for b, n in enumerate(summary.lens if lens is None else lens):
        assert (np.sort(places[b, :, :n], 1) == np.arange(n)).all()


def equal(a, b):
    """Whether two summaries are the same to the bit."""
    for name in ("count", "key", "radius", "eigenvalue", "value", "value_spread"):
        np.testing.assert_array_equal(getattr(a.moments, name), getattr(b.moments, name), name)
    np.testing.assert_array_equal(a.largest, b.largest)
    np.testing.assert_array_equal(a.spread, b.spread)
    assert a.length == b.length and (a.lens == b.lens).all()


@pytest.mark.parametrize("sort", order.SORTS)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 17, 40, 203])
def test_a_sort_is_a_permutation(sort, n):
    k = np.random.default_rng(n).standard_normal((n, 5)).astype(np.float32)
    assert np.array_equal(np.sort(order.sorted_places(k, 8, sort)), np.arange(n))
    k[:] = 1                                            # no key is nearer than another
    assert np.array_equal(np.sort(order.sorted_places(k, 8, sort)), np.arange(n))


@pytest.mark.parametrize("sort", order.SORTS)
def test_keys_that_are_not_finite_stay_behind(sort):
    k = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
    k[3], k[7, 1], k[9] = np.nan, np.inf, 1e30
    places = order.sorted_places(k, 8, sort)
    assert np.array_equal(np.sort(places), np.arange(40)) and {3, 7, 9} <= set(places[32:].tolist())


@pytest.mark.parametrize("sort", order.SORTS)
def test_clusters_are_found_again(sort):
    """Four clusters of 16 keys in a line, shuffled: each becomes a tile."""
    rng = np.random.default_rng(3)
    of = rng.permutation(np.repeat(np.arange(4), 16))
    k = (20 * of[:, None] * np.ones(6) + rng.standard_normal((64, 6))).astype(np.float32)
    found = of[order.sorted_places(k, 16, sort)].reshape(4, 16)
    assert (found == found[:, :1]).all() and len(set(found[:, 0])) == 4


@pytest.mark.parametrize("lens", [None, np.array([200, 37])])
@pytest.mark.parametrize("chunk", [64, 8192])
def test_the_summary_is_that_of_its_order(lens, chunk):
    k, v = arrays()
    summary = KeySummary(k, v, 16, lens, sort="balls", chunk=chunk)
    same_keys(summary, k, v)
    equal(summary, KeySummary(summary.sorted.k.copy(), summary.sorted.v.copy(), 16, lens))
    assert (summary.sorted.order[:, :, :64] < 64).all() == (chunk == 64)


def test_append_seals_whole_chunks_and_truncate_takes_them_apart():
    k, v = arrays(L=300)
    summary = KeySummary(k[:, :, :50], v[:, :, :50], 16, sort="balls", chunk=64)
    for a, b in ((50, 51), (51, 90), (90, 130), (130, 300)):
        summary.append(k[:, :, a:b], v[:, :, a:b])
        same_keys(summary, k[:, :, :b], v[:, :, :b])
        equal(summary, KeySummary(summary.sorted.k.copy(), summary.sorted.v.copy(), 16))
    # 48 of the first 50; then from 48 on once there are 64 more, at 130; then the rest
    assert summary.sorted.sealed == [0, 48, 112, 128, 192, 256, 288]
    assert not (summary.sorted.order[:, :, 128:192] == np.arange(128, 192)).all()
    for n in (290, 288, 200, 60, 48, 3, 0):
        summary.truncate(n)
        same_keys(summary, k[:, :, :n], v[:, :, :n])
        equal(summary, KeySummary(summary.sorted.k.copy(), summary.sorted.v.copy(), 16))
    summary.append(k, v)
    same_keys(summary, k, v)


def test_truncate_without_a_sort_is_a_new_summary():
    k, v = arrays(L=100)
    v[0, 0, 99] = 50                                    # the range of the values shrinks again
    summary = KeySummary(k, v, 16)
    for n in (99, 96, 33, 16, 1, 0):
        summary.truncate(n, k[:, :, :n], v[:, :, :n])
        equal(summary, KeySummary(k[:, :, :n], v[:, :, :n], 16))
    summary.append(k, v)
    equal(summary, KeySummary(k, v, 16))


@pytest.mark.parametrize("name", ["g1-shuffled", "g2-smooth", "g4-rotary-topics", "g6-patches", "g7-one-sided"])
@pytest.mark.parametrize("sort", order.SORTS)
def test_the_law_holds_with_a_sort(name, sort):
    for seed, tolerance in ((0, 1e-1), (1, 1e-2), (2, 1e-3)):
        call = few(name, seed)
        order_of = np.random.default_rng(seed).permutation(call["k"].shape[2])
        call |= {x: np.ascontiguousarray(call[x][:, :, order_of]) for x in "kv"}
        want = pipeline.expected(call)
        summary = KeySummary(call["k"], call["v"], 16, sort=sort, chunk=256)
        for tiling in (Certified(summary=summary), Certified(summary=summary, mixed=True), Fixed(summary=summary)):
            assert held(call, want, tolerance, tiling).broken == 0


def test_the_law_holds_with_lengths_heads_and_16_bits():
    rng = np.random.default_rng(5)
    call = make_call("g1-shuffled", 5, queries=15, keys=400, B=2, Hq=4, Hk=2, D=16, Dv=8, tile=16)
    lens = np.array([400, 230])
    sinks = rng.standard_normal(4).astype(np.float32)
    padding = rng.standard_normal((2, 1, 15, 1)) > -3              # rows that see nothing, no axis of keys
    for dtype, extra in ((np.float32, dict(kv_lens=lens)), (np.float16, dict(sinks=sinks)), (np.float64, {}),
                         (np.float32, dict(mask=padding, kv_lens=lens))):
        some = {name: x.astype(dtype) for name, x in call.items()} | extra
        summary = KeySummary(some["k"], some["v"], 16, extra.get("kv_lens"), sort="balls")
        found = held(some, pipeline.expected(some), 1e-2, Certified(summary=summary))
        assert found.broken == 0 and spared(found.info) > 0


def test_a_sort_finds_what_a_shuffle_hid():
    call = make_call("g1-topics-0.3", 0, queries=15, keys=2048, Hq=8, D=16, gain=3)
    places = np.random.default_rng(0).permutation(2048)
    shuffled = call | {x: np.ascontiguousarray(call[x][:, :, places]) for x in "kv"}
    left = []
    for some, sort in ((call, None), (shuffled, None), (shuffled, "balls")):
        summary = KeySummary(some["k"], some["v"], 64, sort=sort)
        info = held(some, pipeline.expected(some), 1e-2, Certified(summary=summary)).info
        left.append(info.tiles["skipped_before"] / info.tiles["total"])
    assert left[0] > 0.2 and left[1] == 0 and left[2] >= 0.9 * left[0]


CALL = dict(zip("qkv", (*arrays(L=40)[:1], *arrays(L=64)), strict=True))


@pytest.mark.parametrize(("change", "told"), [
    (dict(causal="lower_right"), "got causal or a window; pass a KeySummary without sort="),
    (dict(window=(5, None)), "got causal or a window"),
    (dict(mask=np.ones(64, bool), bias=np.zeros((40, 64), np.float32)),
     "got a mask with an axis of keys and a bias with an axis of keys"),
    (dict(kv_lens=np.array([64, 3])), r"kv_lens \[64, 3\]"),
    (dict(k=CALL["k"][:, :, :32], v=CALL["v"][:, :, :32]), "summary"),
    ({name: x.astype(np.float16) for name, x in CALL.items()}, "a summary of keys of dtype f16, got one of float32"),
])
def test_a_call_that_goes_by_position_is_refused(change, told):
    summary = KeySummary(CALL["k"], CALL["v"], 16, sort="balls")
    with pytest.raises(ValueError, match=told):
        aat.attention(**CALL | change, tolerance=0.1, tiling=Certified(summary=summary), backend="cpu")


@pytest.mark.parametrize(("make", "kind", "told"), [
    (lambda k, v: KeySummary(k, v, 16, sort="pca"), ValueError, "sort: expected None or one of 'balls', 'bisect'"),
    (lambda k, v: KeySummary(k, v, 16, sort="balls", chunk=8), ValueError, "chunk: expected at least the 16 keys"),
    (lambda k, v: KeySummary(k, v, 16).truncate(65, k, v), ValueError, "length: expected a whole number from 0 to 64"),
    (lambda k, v: KeySummary(k, v, 16).truncate(60), ValueError, "k, v: expected the 60 keys that stay"),
    (lambda k, v: KeySummary(k, v, 16).truncate(60, k, v), ValueError, "k, v: expected float32 .*the keys that stay"),
    (lambda k, v: KeySummary(k, v, 16, np.array([1, 2])).truncate(1, k, v), ValueError, "truncate: expected a summary"),
])
def test_errors_name_the_argument(make, kind, told):
    with pytest.raises(kind, match=told):
        make(CALL["k"], CALL["v"])


def test_the_law_sees_keys_that_lost_their_values(monkeypatch):
    """What `request.in_order` puts in place of the caller's arrays is held by the law."""
    call = few("g1-shuffled", 0)
    summary, real = KeySummary(call["k"], call["v"], 16, sort="balls"), request.in_order
    monkeypatch.setattr(request, "in_order", lambda problem, s: real(problem, s).__class__(
        **{name: getattr(real(problem, s), name) for name in real(problem, s).__slots__} | {"v": problem.v}))
    assert held(call, pipeline.expected(call), 1e-2, Certified(summary=summary)).broken > 0
