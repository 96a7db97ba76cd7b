"""Summaries of tiles: each number is a bound in exact arithmetic, whatever the rounding."""
import numpy as np
import pytest

from aat.tiling import moments
from aat.tiling.summary import KeySummary


def arrays(B=1, H=2, L=100, D=16, Dv=8, dtype=np.float32, seed=0, scale=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    k = (offset + scale * rng.standard_normal((B, H, L, D))).astype(dtype)
    return k, rng.standard_normal((B, H, L, Dv)).astype(dtype)


def check_bounds(k, v, summary):
    """Every number of every tile against float64 on the stored keys; the largest relative slack of the bounds."""
    m, block = summary.moments, summary.block
    loose = 0.0
    for b, h, t in np.ndindex(*m.radius.shape):
        part = slice(t * block, min((t + 1) * block, summary.lens[b]))
        keys, values = k[b, h, part].astype(np.float64), v[b, h, part].astype(np.float64)
        n = len(keys)
        assert m.count[b, h, t] == n
        if not n:
            continue
        mean = keys.mean(0)
        true = {
            "key_norm": np.linalg.norm(m.key[b, h, t].astype(np.float64)),
            "radius": np.linalg.norm(keys - mean, axis=1).max(),
            "eigenvalue": np.linalg.eigvalsh(np.cov(keys.T, bias=True).reshape(len(mean), -1))[-1],
            "shift": np.linalg.norm(m.key[b, h, t] - mean),
            "value_spread": np.sqrt(((values - m.value[b, h, t].astype(np.float64))**2).mean(0)).max(),
            "value_shift": np.abs(m.value[b, h, t] - values.mean(0)).max()}
        for name, number in true.items():
            assert getattr(m, name)[b, h, t] >= number, (name, b, h, t)
        loose = max(loose, m.radius[b, h, t] / max(true["radius"], 1e-30) if n > 1 else 0)
    return loose


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1e-3, 30), (1e-4, 1e3), (1e8, 0), (1e-8, 0), (0, 2)])
@pytest.mark.parametrize(("L", "D", "block"), [(100, 16, 64), (64, 16, 8), (65, 5, 16), (1, 3, 4), (130, 40, 64)])
def test_every_number_is_a_bound(scale, offset, L, D, block):
    k, v = arrays(L=L, D=D, scale=scale, offset=offset)
    loose = check_bounds(k, v, KeySummary(k, v, block))
    if offset == 0 and scale:
        assert loose < 1 + 1e-4


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_dtype_is_bounded_as_it_is_stored(dtype):
    k, v = arrays(dtype=dtype, offset=5)
    check_bounds(k, v, KeySummary(k, v, 16))


def test_batches_of_different_lengths_count_what_exists():
    k, v = arrays(B=3, L=50)
    lens = np.array([50, 0, 17])
    for b, n in enumerate(lens):
        k[b, :, n:], v[b, :, n:] = np.nan, np.inf
    summary = KeySummary(k, v, 16, kv_lens=lens)
    check_bounds(k, v, summary)
    assert summary.moments.count[:, 0].tolist() == [[16, 16, 16, 2], [0, 0, 0, 0], [16, 1, 0, 0]]
    assert np.isfinite(summary.largest).all()
    for b, n in enumerate(lens):
        assert (summary.largest[b] >= np.abs(v[b, :, :n]).max((1, 2), initial=0)).all()


@pytest.mark.parametrize("rank", [1, 3, 16])
def test_the_eigenvalue_is_close(rank):
    rng = np.random.default_rng(rank)
    k = (rng.standard_normal((1, 1, 640, rank)) @ rng.standard_normal((rank, 16))).astype(np.float32)
    m = KeySummary(k, k, 64).moments
    tiles = k[0, 0].reshape(10, 64, 16).astype(np.float64)
    true = [np.linalg.eigvalsh(np.cov(tile.T, bias=True))[-1] for tile in tiles]
    ratio = m.eigenvalue[0, 0] / np.array(true)
    # |A^4|_F^(1/4) of equal eigenvalues is rank^(1/8) too large
    assert (ratio >= 1).all() and (ratio <= rank**0.125 * (1 + 1e-3)).all()


def test_power_iteration_would_not_be_a_bound(monkeypatch):
    def power(x, squares, size, work):
        a = np.matmul(np.swapaxes(x, 1, 2), x) / size[:, None, None]
        y = np.ones((len(a), a.shape[1], 1), np.float32)
        for _ in range(8):
            y = a @ y
            y /= np.linalg.norm(y, axis=1, keepdims=True)
        return np.linalg.norm(a @ y, axis=(1, 2))

    monkeypatch.setattr(moments, "largest_eigenvalue", power)
    k, v = arrays(L=640)
    with pytest.raises(AssertionError, match="eigenvalue"):
        check_bounds(k, v, KeySummary(k, v, 64))


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 3e38])
def test_a_key_that_is_not_finite_has_infinite_bounds_in_its_tile_alone(poison):
    k, v = arrays(L=64)
    k[0, 1, 20, 3] = poison
    m = KeySummary(k, v, 16).moments
    lost = np.zeros((1, 2, 4), bool)
    lost[0, 1, 1] = True
    for x in (m.radius, m.shift, m.eigenvalue):
        assert (np.isinf(x) == lost).all()
    assert np.isfinite(m.key).all() and np.isfinite(m.value).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_makes_its_heads_bounds_infinite(poison):
    k, v = arrays(L=64)
    v[0, 1, 20, 3] = poison
    summary = KeySummary(k, v, 16)
    assert np.isinf(summary.largest).tolist() == [[False, True]]
    assert np.isinf(summary.spread).tolist() == [[False, True]]
    assert np.isinf(summary.moments.value_spread[0, 1, 1]) and np.isinf(summary.moments.value_shift[0, 1, 1])


def test_largest_and_spread_are_those_of_the_values():
    k, v = arrays(B=2, L=90)
    v += np.float32(100)
    summary = KeySummary(k, v, 64)
    wide = v.astype(np.float64)
    for got, true in ((summary.largest, np.abs(wide).max((2, 3))),
                      (summary.spread, (wide.max(2) - wide.min(2)).max(2))):
        assert (got >= true).all() and (got <= true * (1 + 1e-6) + 2e-5).all()


@pytest.mark.parametrize("sizes", [(100,), (1,) * 70, (64, 64), (3, 61, 1, 128, 7), (0, 5, 0)])
def test_appending_gives_the_summary_of_all_keys(sizes):
    k, v = arrays(L=sum(sizes))
    summary = KeySummary(k[:, :, :sizes[0]], v[:, :, :sizes[0]], 64)
    at = sizes[0]
    for n in sizes[1:]:
        summary.append(k[:, :, at:at + n], v[:, :, at:at + n])
        at += n
    whole = KeySummary(k, v, 64)
    assert (summary.length, summary.tiles) == (whole.length, whole.tiles)
    for name in moments.NAMES:
        assert np.array_equal(getattr(summary.moments, name), getattr(whole.moments, name)), name
    assert np.array_equal(summary.largest, whole.largest) and np.array_equal(summary.spread, whole.spread)


def test_appending_computes_the_open_tile_alone(monkeypatch):
    k, v = arrays(L=1000)
    summary = KeySummary(k, v, 64)
    measured = []
    true = moments.measure
    monkeypatch.setattr(moments, "measure", lambda k, *rest: measured.append(len(k)) or true(k, *rest))
    summary.append(k[:, :, :1], v[:, :, :1])
    assert measured == [1, 1]           # one tile for each of two heads


def test_what_is_kept_is_a_small_part_of_the_keys_and_values():
    k, v = arrays(L=640, D=64, Dv=64)
    assert KeySummary(k, v, 64).nbytes <= 0.02 * (k.nbytes + v.nbytes)


def test_bad_arguments_are_named():
    k, v = arrays()
    with pytest.raises(TypeError, match=r"k: expected a NumPy array .* got a list; convert it"):
        KeySummary(k.tolist(), v, 64)
    with pytest.raises(TypeError, match=r"v: expected dtype float32, as k has, got float64; cast"):
        KeySummary(k, v.astype(np.float64), 64)
    with pytest.raises(TypeError, match=r"k: expected .* got dtype int32"):
        KeySummary(k.astype(np.int32), v, 64)
    with pytest.raises(ValueError, match=r"k, v: expected .* got \(1, 2, 100, 16\) and \(1, 2, 99, 8\)"):
        KeySummary(k, v[:, :, :99], 64)
    for block in (0, -1):
        with pytest.raises(ValueError, match="block: expected a positive integer"):
            KeySummary(k, v, block)
    for block in (True, 1.5, "64"):
        with pytest.raises(TypeError, match="block: expected a positive integer"):
            KeySummary(k, v, block)
    for lens, what in (([101], r"0 \.\. 100"), ([-1], r"0 \.\. 100"), ([1, 2], "1 integers"), ([1.0], "1 integers")):
        with pytest.raises(ValueError, match=f"kv_lens: expected {what}"):
            KeySummary(k, v, 64, kv_lens=np.array(lens))


def test_a_summary_of_other_keys_is_refused():
    k, v = arrays()
    summary = KeySummary(k, v, 64)
    summary.check(k.shape, 64)
    with pytest.raises(ValueError, match=r"summary: expected a summary of keys \(1, 2, 99, 16\)"):
        summary.check(k[:, :, :99].shape)
    with pytest.raises(ValueError, match="summary: expected tiles of 32 keys, got tiles of 64"):
        summary.check(k.shape, 32)
    with pytest.raises(ValueError, match="append keys of the same heads"):
        summary.append(k[:, :1], v[:, :1])
    with pytest.raises(TypeError, match="k: expected dtype float32, as before"):
        summary.append(k.astype(np.float64), v.astype(np.float64))
    with pytest.raises(ValueError, match="append: expected a summary without kv_lens"):
        KeySummary(k, v, 64, kv_lens=np.array([5])).append(k, v)


def test_a_part_is_the_summary_of_the_part_and_stands_alone():
    k, v = arrays(B=3, H=4, L=100)
    whole = KeySummary(k, v, 32)
    before = whole.moments.radius.copy()
    part, own = whole.part(slice(1, 3), slice(2, 3)), KeySummary(k[1:3, 2:3], v[1:3, 2:3], 32)
    for summary in (part, own):
        summary.append(*arrays(B=2, H=1, L=40, seed=1))
    part.check((2, 1, 140, 16), 32, 8, [140, 140])
    for name in moments.NAMES:
        assert np.array_equal(getattr(part.moments, name), getattr(own.moments, name)), name
    assert np.array_equal(part.spread, own.spread) and np.array_equal(part.largest, own.largest)
    assert whole.length == 100 and np.array_equal(whole.moments.radius, before)
