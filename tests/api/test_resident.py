"""Calls on arrays that stay on a GPU: what crosses, what is allocated, who waits, and values that are not finite."""

import gc

import numpy as np
import pytest

import aat
from aat.backends import select

pytestmark = [pytest.mark.vulkan, pytest.mark.parametrize("backend", ["vulkan"], indirect=True)]


def draw(keys=16, seed=0, rows=16, heads=4, kv_heads=2):
    rng = np.random.default_rng(seed)
    shapes = (1, heads, rows, 8), (1, kv_heads, keys, 8), (1, kv_heads, keys, 8)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def moved(arrays, backend):
    return [aat.to_device(x, backend=backend) for x in arrays]


class Crossed:
    """What a session copied, allocated and waited for inside the block."""

    def __enter__(self):
        gc.collect()
        self._session = select.active()
        self._before = self._facts()
        return self

    def __exit__(self, *exception):
        self.uploads, self.downloads, self.waits, self.allocations, self.launches = (
            after - before for after, before in zip(self._facts(), self._before, strict=True))

    def _facts(self):
        counters = self._session.counters
        return (counters.uploads, counters.downloads, counters.waits, self._session.arena.allocations,
                counters.launches)

    @property
    def nothing(self):
        return (self.uploads, self.downloads, self.waits, self.allocations) == (0, 0, 0, 0)


@pytest.mark.parametrize("causal", [None, "lower_right"])
def test_a_chain_of_calls_moves_nothing_and_allocates_nothing(backend, causal):
    q, k, v = draw()
    x, keys, values = moved((q, k, v), backend)
    expected = q
    for _ in range(3):
        expected = aat.attention(expected, k, v, causal=causal, backend=backend)
    outs = [aat.empty(q.shape, np.float32, backend) for _ in range(2)]
    aat.attention(x, keys, values, causal=causal, out=outs[0])
    with Crossed() as crossed:
        for n in range(100):
            source = x if n % 3 == 0 else outs[(n - 1) % 2]
            result = aat.attention(source, keys, values, causal=causal, out=outs[n % 2])
            assert result is outs[n % 2]
    assert crossed.nothing
    assert crossed.launches == 100
    one = aat.attention(x, keys, values, causal=causal, out=outs[0])
    two = aat.attention(one, keys, values, causal=causal, out=outs[1])
    with Crossed() as crossed:
        found = aat.attention(two, keys, values, causal=causal, out=outs[0]).numpy()
    assert (crossed.uploads, crossed.downloads, crossed.waits) == (0, 1, 1)
    np.testing.assert_array_equal(found, expected)


def test_only_outputs_that_are_kept_are_allocated(backend):
    q, k, v = moved(draw(), backend)
    aat.attention(q, k, v, causal=True, return_lse=True)
    gc.collect()
    with Crossed() as crossed:
        for _ in range(30):
            aat.attention(q, k, v, causal=True, return_lse=True)
    assert (crossed.uploads, crossed.downloads, crossed.waits) == (0, 0, 0)
    assert crossed.allocations <= 2
    with Crossed() as crossed:
        kept = [aat.attention(q, k, v, causal=True, return_lse=True) for _ in range(5)]
    assert crossed.allocations <= 10
    np.testing.assert_array_equal(kept[0][0].numpy(), np.asarray(kept[4][0]))


def test_values_that_are_not_finite_are_settled_without_the_host(backend):
    q, k, v = draw()
    expected = aat.attention(q, k, v, causal=True, backend=backend)
    bad = v.copy()
    bad[0, 1, 9, 3] = np.nan
    bad[0, 0, 12] = np.inf
    x, keys, fine, broken = moved((q, k, v, bad), backend)
    first = aat.attention(x, keys, fine, causal=True)  # the kind is known from here on
    with Crossed() as crossed:
        results = [aat.attention(x, keys, values, causal=True) for values in (broken, fine, broken)]
    assert (crossed.uploads, crossed.downloads, crossed.waits) == (0, 0, 0)
    np.testing.assert_array_equal(first.numpy(), expected)
    np.testing.assert_array_equal(results[1].numpy(), expected)
    for result in (results[0], results[2]):
        found = result.numpy()
        np.testing.assert_array_equal(found[0, :, :9], expected[0, :, :9])     # none of these sees a bad value
        np.testing.assert_array_equal(found[0, 2:, :, [0, 1, 2, 4, 5, 6, 7]],
                                      expected[0, 2:, :, [0, 1, 2, 4, 5, 6, 7]])
        assert np.isnan(found[0, 2:, 9:, 3]).all()
        assert np.isinf(found[0, :2, 12:]).all()
    _, info = aat.attention(x, keys, broken, causal=True, return_info=True)
    _, again = aat.attention(x, keys, fine, causal=True, return_info=True)
    assert info.tiles == again.tiles
    assert 0 < info.tiles["visited"] <= info.tiles["total"]


def test_parts_of_the_keys_are_settled_too(backend):
    q, k, v = draw(keys=24, rows=2, heads=2, kv_heads=1)
    config = aat.TileConfig(1, 1, 4, 4, 8, 8, 32, True, keys_per_part=8)
    given = {"tiling": config, "kv_lens": np.array([21], np.int32), "causal": "lower_right", "return_lse": True}
    bad = v.copy()
    bad[0, 0, 21:] = np.nan          # past the last key, and one that only the last row sees
    bad[0, 0, 20] = np.nan
    expected, expected_lse = aat.attention(q, k, bad, **given, backend=backend)
    assert np.isfinite(expected[0, :, 0]).all()
    assert np.isnan(expected[0, :, 1]).all()
    fine, fine_lse = aat.attention(q, k, v, **given, backend=backend)
    x, keys, good, broken = moved((q, k, v, bad), backend)
    for values, out, lse in ((good, fine, fine_lse), (broken, expected, expected_lse), (good, fine, fine_lse)):
        found, found_lse = aat.attention(x, keys, values, **given)
        np.testing.assert_array_equal(found.numpy(), out)
        np.testing.assert_array_equal(found_lse.numpy(), lse)


def test_further_arrays_lengths_and_offsets_may_change(backend):
    rng = np.random.default_rng(3)
    q, k, v = draw(keys=12, rows=5)
    x, keys, values = moved((q, k, v), backend)
    for n in range(4):
        given = {"mask": rng.random((4, 5, 12)) < 0.7, "bias": rng.standard_normal((5, 12)).astype(np.float16),
                 "sinks": rng.standard_normal(4), "kv_lens": np.array([12 - n]), "q_offset": 3 + n, "causal": True}
        expected = aat.attention(q, k, v, **given, backend=backend)
        found = aat.attention(x, keys, values, **given)
        given["mask"][...] = False      # what was queued has its own copy
        np.testing.assert_array_equal(found.numpy(), expected)


def test_counts_are_those_of_the_call(backend):
    arrays = draw(keys=40, rows=9)
    q, k, v = moved(arrays, backend)
    _, expected = aat.attention(*arrays, return_info=True, backend=backend)
    for _ in range(3):
        aat.attention(q, k, v)
        _, info = aat.attention(q, k, v, return_info=True)
        assert (info.tiles, info.multiply_adds) == (expected.tiles, expected.multiply_adds)


def test_out_on_a_device(backend):
    arrays = draw()
    q, k, v = moved(arrays, backend)
    out = aat.empty(q.shape[1:], "f32", backend)
    three = [x.reshape(x.shape[1:]) for x in (q, k, v)]
    assert aat.attention(*three, out=out) is out
    np.testing.assert_array_equal(out.numpy(), aat.attention(*(x[0] for x in arrays), backend=backend))
    none = moved(draw(keys=0), backend)[1:]
    assert aat.attention(q, *none, out=aat.to_device(np.ones(q.shape, np.float32), backend)).numpy().sum() == 0
    with pytest.raises(ValueError, match="out: expected memory of its own, got memory that an input uses"):
        aat.attention(q, k, v, out=q)
    with pytest.raises(ValueError, match=r"out: expected shape \(1, 4, 16, 8\)"):
        aat.attention(q, k, v, out=k)
    with pytest.raises(TypeError, match="out: expected q's dtype f32, got f16"):
        aat.attention(q, k, v, out=aat.empty(q.shape, "f16", backend))
    with pytest.raises(TypeError, match="out: expected an array of q's kind, got device for a q of numpy"):
        aat.attention(*arrays, out=out, backend=backend)


def test_what_a_driver_reports_late_is_a_backend_error(backend, monkeypatch):
    q, k, v = moved(draw(), backend)
    out = aat.attention(q, k, v)
    session = select.active()

    def lost(*arguments):
        raise RuntimeError("vk_error: device lost")

    monkeypatch.setattr(session._program, "sync", lost)
    monkeypatch.setattr(session._implementation, "download", lost)
    for read in (aat.sync, out.numpy, lambda: np.asarray(out)):
        with pytest.raises(aat.BackendError, match=r"failed, in this call or in one launched before: .*device lost"):
            read()
    monkeypatch.undo()
    aat.sync()
    assert np.isfinite(np.asarray(out)).all()


def test_kinds_that_are_dropped_give_their_memory_back(backend, monkeypatch):
    from aat.attention import resident

    monkeypatch.setattr(resident, "MOST", 2)
    q, k, v = moved(draw(), backend)
    session = select.active()
    session.residents.clear()
    held = []
    for n in range(6):
        aat.attention(q, k, v, scale=1.0 + n)
        gc.collect()
        session.arena.trim()
        held.append(session.arena.in_use_bytes)
    assert len(session.residents) == 2
    assert len(set(held[1:])) == 1


def test_what_is_known_of_values_is_remembered_until_they_are_written(backend):
    rng = np.random.default_rng(5)
    q, k, v = (rng.standard_normal((1, 2, 40, 8)).astype(np.float32) for _ in range(3))
    q *= 20
    given = {"tolerance": 0.2, "tiling": aat.tiling.Fixed(), "return_info": True}
    on_device = moved((q, k, v), backend)
    expected, info = aat.attention(q, k, v, backend=backend, **given)
    for downloads in (None, 3, 3):      # counts and shares of rows, not q, k and v
        with Crossed() as crossed:
            found, again = aat.attention(*on_device, **given)
        assert downloads is None or crossed.downloads < downloads
        np.testing.assert_array_equal(again.error_bound, info.error_bound)
        np.testing.assert_array_equal(found.numpy(), expected)
    values, grown = aat.empty(v.shape, "f32", backend), moved([10 * v], backend)[0]
    bounds = []
    for source in (on_device[2], grown):
        aat.attention(*on_device[:2], source, out=values)
        bounds.append(aat.attention(*on_device[:2], values, **given)[1].error_bound)
    assert (bounds[0] > 0).any()
    np.testing.assert_allclose(bounds[1], 10 * bounds[0], rtol=1e-5)


def test_functions_are_read_anew_at_every_call(backend):
    """Calls that differ in their functions alone, or in what those capture, are no repetitions of each other."""
    q, k, v = draw()
    on_device, out = moved((q, k, v), backend), aat.empty(q.shape, np.float32, backend)
    slopes = np.array([0.5, 0.25, 0.125, 1.0], np.float32)[:q.shape[1]]

    def biased(s, b, h, q, k):
        return s - slopes[h] * aat.lane.abs(q - k)

    aat.attention(*on_device)
    for given in ({"score_mod": lambda s, b, h, q, k: s * 0.0}, {"score_mod": biased},
                  {"mask_mod": lambda b, h, q, k: q >= k}, {"mask_mod": lambda b, h, q, k: q <= k}):
        for _ in range(2):
            expected = aat.attention(q, k, v, backend=backend, **given)
            np.testing.assert_array_equal(aat.attention(*on_device, **given).numpy(), expected)
            assert aat.attention(*on_device, **given, out=out) is out
            np.testing.assert_array_equal(out.numpy(), expected)
            slopes *= 2
    np.testing.assert_array_equal(aat.attention(*on_device).numpy(), aat.attention(q, k, v, backend=backend))
