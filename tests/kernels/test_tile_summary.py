"""tile_summary: every number is a bound in exact arithmetic, close to NumPy's, whatever the lanes, sizes and dtypes."""
from itertools import pairwise

import numpy as np
import pytest
from aat.kernels.reference.tile_summary import tile_summary

from aat.backends import select
from aat.tiling import launch_summary, moments
from aat.tiling.plan import make_plan
from aat.tiling.summary import KeySummary
from aat.validation.adaptive import judge, run_plan, scores
from aat.validation.generators import GENERATORS, make_call

BOUNDS = ("key_norm", "radius", "eigenvalue", "shift", "value_spread", "value_shift")


@pytest.fixture
def session():
    with select.use("cpu") as opened:
        if not opened.intrinsics:
            pytest.skip("this host has no x86-64 FMA: no bitcode")
        yield opened


def arrays(B=1, H=2, L=100, D=16, Dv=8, dtype=np.float32, seed=0, scale=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    k = (offset + scale * rng.standard_normal((B, H, L, D))).astype(dtype)
    return k, rng.standard_normal((B, H, L, Dv)).astype(dtype)


def check(k, v, summary):
    """Every number of every tile against float64 on the stored keys."""
    m, block = summary.moments, summary.block
    for b, h, t in np.ndindex(*m.radius.shape):
        part = slice(t * block, min((t + 1) * block, summary.lens[b]))
        n = max(part.stop - part.start, 0)
        assert m.count[b, h, t] == n
        if n:
            true = tile_summary(k[b, h, part], v[b, h, part], m.key[b, h, t], m.value[b, h, t])
            for name, number in true.items():
                assert getattr(m, name)[b, h, t] >= number, (name, b, h, t)
        exist = v[b, h, :summary.lens[b]].astype(np.float64)
        if len(exist):
            assert summary.spread[b, h] >= (exist.max(0) - exist.min(0)).max()
            assert summary.largest[b, h] >= np.abs(exist).max()


def close(got, want):
    """The numbers are NumPy's but for the eigenvalue's other bound and the rounding."""
    there = want.moments.count > 0
    for name in ("radius", "eigenvalue", "key_norm", "value_spread"):
        a, b = getattr(got.moments, name)[there], getattr(want.moments, name)[there]
        assert (a <= 1.3 * b + 1e-6 * (1 + want.moments.key_norm[there])).all(), name
    for name in ("key", "value"):
        a, b = getattr(got.moments, name)[there], getattr(want.moments, name)[there]
        allowed = getattr(want.moments, {"key": "shift", "value": "value_shift"}[name])[there][:, None]
        assert (np.abs(a - b) <= 2 * allowed).all(), name
    assert np.allclose(got.spread, want.spread, rtol=1e-5) and np.allclose(got.largest, want.largest, rtol=1e-6)


SIZES = [(100, 16, 8, 64), (64, 16, 8, 8), (65, 5, 3, 16), (1, 3, 4, 4), (130, 40, 24, 64), (200, 128, 64, 64),
         (300, 64, 64, 128), (70, 64, 33, 16)]


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1e-3, 30), (1e-4, 1e3), (1e8, 0), (1e-8, 0), (0, 2)])
@pytest.mark.parametrize(("L", "D", "Dv", "block"), SIZES)
def test_every_number_is_a_bound_and_close(session, L, D, Dv, block, scale, offset):
    k, v = arrays(L=L, D=D, Dv=Dv, scale=scale, offset=offset)
    got = KeySummary(k, v, block, session=session)
    check(k, v, got)
    if offset == 0 and scale:
        close(got, KeySummary(k, v, block))


@pytest.mark.parametrize("width", [16, 8, 4])
@pytest.mark.parametrize(("L", "D", "Dv", "block"), [(100, 20, 9, 32), (70, 40, 8, 16)])
def test_every_width_of_lanes(session, monkeypatch, width, L, D, Dv, block):
    monkeypatch.setattr(session, "lane_width", width)
    k, v = arrays(L=L, D=D, Dv=Dv)
    got = KeySummary(k, v, block, session=session)
    check(k, v, got)
    close(got, KeySummary(k, v, block))


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_every_dtype_is_bounded_as_it_is_stored(session, name):
    dtype = np.dtype(name) if name != "bfloat16" else np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    k, v = arrays(dtype=dtype, offset=5)
    got = KeySummary(k[:, :, :70], v[:, :, :70], 16, session=session)
    got.append(k[:, :, 70:], v[:, :, 70:])
    check(k, v, got)
    close(got, KeySummary(k, v, 16))


@pytest.mark.parametrize("rank", [1, 2, 4, 8, 16])
def test_the_eigenvalue_is_close_on_every_rank(session, rank):
    rng = np.random.default_rng(rank)
    k = (rng.standard_normal((1, 1, 640, rank)) @ rng.standard_normal((rank, 64))).astype(np.float32)
    got, want = (KeySummary(k, k, 64, session=s).moments.eigenvalue[0, 0] for s in (session, None))
    tiles = k[0, 0].reshape(10, 64, 64).astype(np.float64)
    true = np.array([np.linalg.eigvalsh(np.cov(tile.T, bias=True))[-1] for tile in tiles])
    assert (got >= true).all() and (got <= 1.5 * true).all() and (got <= 1.3 * want).all()


def test_lengths_strides_and_heads(session):
    k, v = arrays(B=3, L=50)
    lens = np.array([50, 0, 17])
    for b, n in enumerate(lens):
        k[b, :, n:], v[b, :, n:] = np.nan, np.inf
    apart = [np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3) for x in (k, v)]
    for keys, values in ((k, v), apart):
        got = KeySummary(keys, values, 16, kv_lens=lens, session=session)
        check(k, v, got)
        close(got, KeySummary(k, v, 16, kv_lens=lens))
        assert np.isfinite(got.largest).all()


@pytest.mark.parametrize("cuts", [(100,), (1,) * 20, (30, 40, 1, 29)])
def test_appending_is_building_at_once(session, cuts):
    k, v = arrays(L=sum(cuts))
    whole = KeySummary(k, v, 16, session=session)
    edges = np.cumsum((0, *cuts))
    grown = KeySummary(k[:, :, :edges[1]], v[:, :, :edges[1]], 16, session=session)
    for a, b in pairwise(edges[1:]):
        grown.append(k[:, :, a:b], v[:, :, a:b])
    for name in moments.NAMES:
        assert np.array_equal(getattr(grown.moments, name), getattr(whole.moments, name)), name
    assert np.array_equal(grown.spread, whole.spread) and np.array_equal(grown.largest, whole.largest)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("where", ["k", "v"])
def test_what_is_not_finite_gives_infinite_bounds_in_its_tile_alone(session, where, poison):
    k, v = arrays(L=100)
    (k if where == "k" else v)[0, 1, 20, 3] = poison
    got = KeySummary(k, v, 16, session=session)
    m = got.moments
    names = ("radius", "eigenvalue", "shift") if where == "k" else ("value_spread", "value_shift")
    for name in names:
        bad = np.isinf(getattr(m, name))
        assert bad[0, 1, 1] and bad.sum() == 1, name
    assert np.isfinite(m.key).all() and np.isfinite(m.value).all()
    if where == "v":
        assert np.isinf(got.spread[0, 1]) == (not np.isfinite(poison)) and np.isfinite(got.spread[0, 0])


def test_an_empty_summary_and_what_the_kernel_is_not_for(session, monkeypatch):
    k, v = arrays(L=0)
    assert KeySummary(k, v, 16, session=session).tiles == 0
    suits = launch_summary.suits
    for D, block, expected in ((64, 64, True), (256, 64, True), (256, 256, False), (600, 64, False)):
        assert suits(session, block, *arrays(L=1, D=D)) == expected
    far = np.lib.stride_tricks.as_strided(k[:, :, :0], (1, 2, 4, 16), (0, 8 << 30, 64, 4))
    fits = suits(session, 64, far, v)                   # an index would not fit 32 bits; nobody may print this array
    del far
    assert not fits
    monkeypatch.setattr(session, "intrinsics", False)
    assert not suits(session, 64, *arrays(L=1))


# The law on summaries of the kernel, and planted faults.

def broken(session, names=GENERATORS, eps=(0.3, 1e-2), blocks=(32,), mixed=(False, True)):
    count = 0
    for name in names:
        call = make_call(name, 1, queries=64, keys=512, Hq=2, D=16, Dv=8)
        if "bias" in call:
            continue
        q, k, v = call["q"], call["k"], call["v"]
        scale = call.get("scale", 0.25)
        for block in blocks:
            summary = KeySummary(k, v, block, session=session)
            for tolerance in eps:
                for mean in mixed:
                    plan = make_plan(summary, q, scale, tolerance, session.lane_width, mixed=mean, session=session)
                    result = run_plan(plan, summary, q, k, v, scale)
                    got = judge(result, scores(q, k, scale), v, tolerance)
                    count += got.over_bound + got.over_tolerance
    return count


def test_the_certificate_holds_on_summaries_and_plans_of_kernels(session):
    assert broken(session) == 0


def rebuilt(session):
    session._kernels.clear()
    session._launched.clear()
    session.repeats.clear()


@pytest.mark.parametrize("fault", ["eigenvalue", "radius", "spread", "mean"])
def test_a_number_that_is_no_bound_is_caught(session, monkeypatch, fault):
    from aat.kernels import tile_summary as kernel
    from aat.kernels.lanes.base import inline, local

    k, v = arrays(L=256, D=16)
    pieces = kernel.Pieces

    def verdict():
        rebuilt(session)
        check(k, v, KeySummary(k, v, 64, session=session))

    try:
        verdict()
        if fault == "eigenvalue":                   # without the mean of the eigenvalues that was taken off
            plain = pieces.eigenvalue
            monkeypatch.setattr(pieces, "eigenvalue", inline(
                lambda self, trace, count, middle, *rest: plain(self, trace, count, local(middle * 0.0), *rest)))
        elif fault == "radius":                     # one key fewer
            plain = pieces.largest
            monkeypatch.setattr(pieces, "largest", inline(lambda self, x: local(plain(self, x) * 0.999)))
        elif fault == "spread":
            monkeypatch.setattr(pieces, "largest_of", inline(
                lambda self, vectors: pieces.largest(self, vectors[0] * 0.9)))
        else:                                       # a centre that is not the mean
            plain = pieces.scaled
            monkeypatch.setattr(pieces, "scaled", inline(lambda self, x, factor: plain(self, x, factor * 0.999)))
        with pytest.raises(AssertionError):
            verdict()
    finally:
        monkeypatch.undo()
        rebuilt(session)
