"""What a decoder does with a KVCache, step by step."""

from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest
from cache_model import state

import aat
from aat.validation import budget
from aat.validation.reading import canonical

DTYPES = ("f32", "f16", "bf16", "int8")


def draw(n, batch=2, heads=2, d=8, dv=8, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((batch, heads, n, width)).astype(dtype) for width in (d, dv)]


def filled(n, dtype="f32", **options):
    """A cache of two sequences with n keys each, and these keys and values."""
    k, v = draw(n)
    cache = aat.KVCache(2, 2, 64, 8, dtype, page_size=8, **options)
    cache.append(k, v)
    return cache, k, v


def test_decoding_gives_the_rows_of_one_causal_call(backend):
    k, v = draw(21)
    q = np.random.default_rng(9).standard_normal((2, 4, 21, 8)).astype(np.float32)
    want = budget.expected(canonical(q, k, v, causal=True), np.float32)
    cache = aat.KVCache(2, 2, 21, 8, page_size=4)
    for start, end in ((0, 13), (13, 14), (14, 15), (15, 17), (17, 21)):
        cache.append(k[:, :, start:end], v[:, :, start:end])
        out = cache.attention(q[:, :, start:end], backend=backend)
        found = budget.compare("out", out, want.out[:, :, start:end], want.out_budget[:, :, start:end])
        assert not found.reasons, found.reasons


def test_a_ragged_prompt_stands_where_it_was_before_the_append():
    k, v = draw(6)
    cache, _, _ = filled(3)
    before = cache.lens
    cache.append(k, v, np.array([6, 2]))
    assert cache.lens.tolist() == [9, 5]
    q = np.ones((2, 4, 6, 8), np.float32)
    out = cache.attention(q, q_offset=before, backend="reference")
    for b, n in enumerate((6, 2)):
        alone = aat.attention(q[b, :, :n], *(x[b, :, :before[b] + n] for x in cache.gather()),
                              causal="lower_right", backend="reference")
        np.testing.assert_array_equal(out[b, :, :n], alone)


def test_alignments():
    cache, k, v = filled(9)
    q = np.random.default_rng(3).standard_normal((2, 2, 4, 8)).astype(np.float32)
    for causal in ("lower_right", "upper_left", None):
        np.testing.assert_array_equal(cache.attention(q, causal=causal, backend="reference"),
                                      aat.attention(q, k, v, causal=causal, backend="reference"))
    np.testing.assert_array_equal(cache.attention(q, causal=True, backend="reference"),
                                  cache.attention(q, backend="reference"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_three_axes_are_one_sequence(dtype):
    k, v = draw(5, batch=1)
    one, other = (aat.KVCache(1, 2, 8, 8, dtype) for _ in range(2))
    one.append(k, v)
    other.append(k[0], v[0])
    assert state(one) == state(other)
    q = np.ones((1, 2, 3, 8), np.float32)
    out, lse, info = one.attention(q, return_lse=True, return_info=True, backend="reference")
    squeezed, squeezed_lse = one.attention(q[0], return_lse=True, backend="reference")
    np.testing.assert_array_equal(squeezed, out[0])
    np.testing.assert_array_equal(squeezed_lse, lse[0])
    assert info.backend == "reference"


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("stored", DTYPES)
def test_results_are_of_the_type_of_q(stored, dtype):
    cache, _, _ = filled(7, stored)
    q = np.ones((2, 2, 1, 8)).astype(dtype)
    out, lse = cache.attention(q, return_lse=True, backend="reference")
    assert (out.dtype, lse.dtype) == (dtype, np.float32)
    wide = cache.attention(q.astype(np.float32), backend="reference")
    np.testing.assert_array_equal(out, wide.astype(dtype))


def test_strides_dlpack_and_inputs_untouched():
    class Other:
        def __init__(self, x):
            self.x = x

        def __dlpack__(self, **options):
            return self.x.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.x.__dlpack_device__()

    k, v = draw(6)
    kept = k.copy(), v.copy()
    plain, strided = (aat.KVCache(2, 2, 8, 8, "int8") for _ in range(2))
    plain.append(k, v)
    strided.append(Other(np.asfortranarray(k)), v[:, :, ::-1].copy()[:, :, ::-1])
    assert state(plain) == state(strided)
    np.testing.assert_array_equal(kept, (k, v))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_never_change_once_they_are_kept(dtype):
    cache = aat.KVCache(2, 2, 64, 8, dtype, page_size=8)
    rng, before = np.random.default_rng(4), cache.gather()
    for step in range(40):
        cache.append(*(10.0 ** rng.integers(-3, 4) * rng.standard_normal((2, 2, 1, 8)) for _ in "kv"))
        now = cache.gather()
        for old, new in zip(before, now, strict=True):
            np.testing.assert_array_equal(new[:, :, :step], old)
        before = now


@pytest.mark.parametrize("dtype", DTYPES)
def test_pages_are_what_a_kernel_is_told(dtype):
    cache, _, _ = filled(21, dtype, dv=8)
    cache.truncate(np.array([21, 10]))
    pages = cache.paged()
    assert (pages.dtype, pages.page_size, pages.keys) == (dtype, 8, 21)
    assert pages.k.shape == pages.v.shape == (16, 2, 8, 8)
    assert pages.table.dtype == pages.lens.dtype == np.int32
    for memory in (pages.k, pages.v, *((pages.k_scales, pages.v_scales) if dtype == "int8" else ())):
        assert memory.flags.c_contiguous
        assert memory.__array_interface__["data"][0] % 64 == 0
    for which, gathered in zip("kv", cache.gather(), strict=True):
        for b, n in enumerate(pages.lens):
            for j in range(n):
                row = getattr(pages, which)[pages.table[b, j // 8], :, j % 8]
                if dtype == "bf16":
                    row = row.view(ml_dtypes.bfloat16)
                row = row.astype(np.float32)
                if dtype == "int8":
                    row *= getattr(pages, f"{which}_scales")[pages.table[b, j // 8], :, j % 8][:, None]
                np.testing.assert_array_equal(gathered[b, :, j], row)


def test_facts():
    cache = aat.KVCache(2, 3, 100, 16, "int8", dv=8, page_size=32, pages=5)
    assert (cache.batch, cache.heads, cache.capacity, cache.d, cache.dv) == (2, 3, 100, 16, 8)
    assert cache.nbytes == 5 * 3 * 32 * (16 + 8 + 4 + 4) + 2 * 4 * 4
    cache.append(*draw(33, heads=3, d=16), np.array([33, 1]))
    assert (cache.lens.tolist(), cache.free_pages) == ([33, 1], 2)
    assert repr(cache) == ("KVCache(batch=2, heads=3, capacity=100, d=16, dtype='int8', dv=8, page_size=32, "
                           "window=None: 1 to 33 keys, 2 of 5 pages free, 0.0 MiB)")
    cache.lens[:] = cache.starts[:] = 7  # copies
    assert cache.lens.tolist() == [33, 1]
    cache.reset(0)
    assert (cache.lens.tolist(), cache.free_pages) == ([0, 1], 4)
    cache.reset()
    assert (cache.lens.tolist(), cache.free_pages) == ([0, 0], 5)


def test_a_shared_pool_serves_whoever_comes():
    k, v = draw(32)
    cache = aat.KVCache(2, 2, 32, 8, page_size=8, pages=5)
    cache.append(k, v, np.array([32, 8]))
    with pytest.raises(ValueError, match=r"k: expected keys for which there are pages \(0 of 5 free\), got 1"):
        cache.append(k[:, :, :1], v[:, :, :1], np.array([0, 1]))
    cache.truncate(np.array([24, 8]))
    cache.append(k[:, :, :8], v[:, :, :8], np.array([0, 8]))
    assert (cache.lens.tolist(), cache.free_pages) == ([24, 16], 0)


def test_a_window_bounds_the_memory_and_not_the_positions():
    cache = aat.KVCache(1, 2, 16, 8, page_size=4, window=16)
    k, v = draw(500, batch=1)
    q = np.random.default_rng(1).standard_normal((1, 2, 500, 8)).astype(np.float32)
    whole = aat.attention(q, k, v, causal=True, window=(15, None), backend="reference")
    for i in range(500):
        cache.append(k[:, :, i:i + 1], v[:, :, i:i + 1])
        out = cache.attention(q[:, :, i:i + 1], backend="reference")
        np.testing.assert_array_equal(out, whole[:, :, i:i + 1])
        assert cache.pages - cache.free_pages <= 5
    assert (cache.lens.item(), cache.starts.item()) == (500, 484)


def test_a_rejected_draft_is_taken_back_within_a_window():
    cache = aat.KVCache(1, 2, 24, 8, page_size=4, window=16)
    k, v = draw(200, batch=1)
    at = 0
    for accepted in (8, 1, 3, 0, 8, 5, 2, 7, 0, 8):
        cache.append(k[:, :, at:at + 8], v[:, :, at:at + 8])
        at += accepted
        cache.truncate(np.array([at]))
        first = max(0, at - 15)
        kept = cache.gather()[0][0]
        np.testing.assert_array_equal(kept[:, first - cache.starts.item():], k[0][:, first:at])


def test_a_fork_shares_pages_until_somebody_writes():
    cache, k, v = filled(12)
    cache.reset(1)
    assert cache.free_pages == 14
    cache.fork(0, 1)
    assert (cache.lens.tolist(), cache.free_pages) == ([12, 12], 14)
    more = draw(3, seed=5)
    cache.append(*more, np.array([0, 3]))
    assert cache.free_pages == 13, "the page that was half full is copied"
    for gathered, whole, new in zip(cache.gather(), (k, v), more, strict=True):
        np.testing.assert_array_equal(gathered[0, :, :12], whole[0])
        np.testing.assert_array_equal(gathered[1], np.concatenate([whole[0], new[1]], 1))
    cache.append(*more)
    assert cache.free_pages == 12, "sequence 0 owns the old page, sequence 1 has one more"
    cache.reset(0)
    np.testing.assert_array_equal(cache.gather()[0][1, :, :12], k[0])


def test_a_page_that_two_of_three_still_share_is_copied():
    cache = aat.KVCache(3, 2, 64, 8, page_size=8)
    cache.append(*draw(12, batch=3), np.array([12, 0, 0]))
    for into in (1, 2):
        cache.fork(0, into)
    parts = [draw(1, batch=3, seed=b) for b in range(3)]
    for b, part in enumerate(parts):
        cache.append(*part, np.eye(3, dtype=int)[b])
    for b, part in enumerate(parts):
        np.testing.assert_array_equal(cache.gather()[0][b, :, 12:], part[0][b])


def test_copies_of_the_object_are_independent():
    import copy
    cache, _, _ = filled(5)
    before, other = state(cache), copy.deepcopy(cache)
    other.append(*draw(3))
    assert state(cache) == before
    assert other.lens.tolist() == [8, 8]
    np.testing.assert_array_equal(other.gather()[0][:, :, :5], cache.gather()[0])


def test_nothing_is_kept_and_no_rows():
    cache = aat.KVCache(2, 2, 8, 8)
    q = np.ones((2, 4, 3, 8), np.float32)
    out, lse = cache.attention(q, return_lse=True, sinks=np.arange(4, dtype=np.float32), backend="cpu")
    assert not out.any()
    np.testing.assert_array_equal(lse, np.broadcast_to(np.arange(4.0)[None, :, None], (2, 4, 3)))
    cache.append(*draw(0))
    cache.append(*draw(2), np.array([0, 2]))
    out, lse = cache.attention(q[:, :, :1], return_lse=True, backend="reference")
    assert not out[0].any()
    assert np.isneginf(lse[0]).all()
    assert np.isfinite(lse[1]).all()
    assert cache.attention(q[:, :, :0], backend="reference").shape == (2, 4, 0, 8)


def test_rows_beyond_the_range_of_f16_become_infinite():
    cache = aat.KVCache(1, 1, 4, 1, "f16")
    cache.append(np.full((1, 1, 1, 1), 1e6), np.ones((1, 1, 1, 1)))
    assert np.isposinf(cache.gather()[0]).all()


def test_threads_append_one_after_the_other():
    cache = aat.KVCache(1, 2, 4000, 8, page_size=16)
    parts = [draw(5, batch=1, seed=i) for i in range(80)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda part: cache.append(*part), parts * 5))
    kept = cache.gather()[0][0].reshape(2, 400, 5, 8).swapaxes(0, 1)
    assert sorted(x.tobytes() for x in kept) == sorted(k[0].tobytes() for k, _ in parts * 5)


def test_tensors_come_back_as_tensors():
    torch = pytest.importorskip("torch")
    cache = aat.KVCache(1, 2, 8, 8, "bf16")
    k, v = (torch.from_numpy(x).to(torch.bfloat16) for x in draw(5, batch=1))
    cache.append(k, v)
    np.testing.assert_array_equal(cache.gather()[0], k.float().numpy())
    q = torch.ones((1, 2, 1, 8), dtype=torch.bfloat16)
    out = cache.attention(q, backend="reference")
    assert out.dtype == torch.bfloat16
    same = cache.attention(q.float().numpy().astype(ml_dtypes.bfloat16), backend="reference")
    np.testing.assert_array_equal(out.float().numpy(), same.astype(np.float32))
