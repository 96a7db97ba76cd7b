"""attention_decode by groups of keys: where groups, parts, pages and windows end, for every type and number of rows."""
import ml_dtypes
import numpy as np
import pytest
from aat.kernels.reference.attention_decode import attention_decode

import aat
from aat.tiling.base import TileConfig
from aat.validation import budget, pipeline

LONG = 4097                      # keys from which the default for float32 takes short groups
TYPES = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}


@pytest.fixture(autouse=True)
def cpu():
    x = np.ones((1, 1, 1, 16), np.float32)
    if aat.supports(x, x, x, backend="cpu"):
        pytest.skip("no cpu backend here")


def inputs(keys, rows, dtype="f32", seed=0):
    """One KV head that `rows` query heads share; D 24 and Dv 40 are no multiples of a vector."""
    rng = np.random.default_rng(seed)
    shapes = dict(q=(1, rows, 1, 24), k=(1, 1, keys, 24), v=(1, 1, keys, 40))
    return {name: rng.standard_normal(shape, np.float32).astype(TYPES[dtype]) for name, shape in shapes.items()}


def judge(call, **more):
    out, lse, info = aat.attention(**call, **more, backend="cpu", return_lse=True, return_info=True)
    assert info.kernel == "attention_decode"
    verdict = pipeline.judge(call, out, lse, pipeline.expected(call), backend="cpu")
    assert verdict.ok, str(verdict)
    return info.config


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 16])
def test_the_default_takes_short_groups_for_a_block_of_rows_over_many_float32_keys(rows):
    config = judge(inputs(LONG + rows % 4, rows))
    if config.lane_width >= 16:
        assert config.keys_per_group == {1: 16, 2: 8, 3: 4, 4: 4}.get(rows, 16)


@pytest.mark.parametrize("dtype", TYPES)
def test_keys_end_anywhere_in_a_group_of_four(dtype):
    """And parts of 64 keys begin and end there, of which the last may hold a single key."""
    config = TileConfig(16, 4, 4, 4, 64, 64, columns=True)
    for keys in (1, 2, 3, 4, 5, 63, 64, 65, 130, 131):
        assert judge(inputs(keys, 4, dtype, keys), tiling=config) == config


@pytest.mark.parametrize("dtype", TYPES)
def test_masked_keys_beside_those_that_are_seen_are_not_read(dtype):
    """Lengths and windows that cut groups of four, with NaN in every key that no row may see."""
    config = TileConfig(16, 4, 4, 4, 64, 64, columns=True)
    for length in (1, 97, 98, 99, 100):
        call = inputs(130, 4, dtype, length) | dict(kv_lens=np.array([length]), causal="lower_right", window=(37, None))
        for name in "kv":
            call[name][:, :, :max(0, length - 38)] = np.nan
            call[name][:, :, length:] = np.nan
        judge(call, tiling=config)


def cache_of(dtype, page_size, counts):
    rng = np.random.default_rng(page_size)
    cache = aat.KVCache(len(counts), 1, max(counts), 24, dtype, dv=40, page_size=page_size)
    k, v = (rng.standard_normal((len(counts), 1, max(counts), n), np.float32) for n in (24, 40))
    cache.append(k, v, lens=np.array(counts))
    return cache


def judge_cache(cache, queries, rows=4, left=None):
    """The cache's attention against the reference over its pages, within the budget of the rows that they hold."""
    counts = cache.lens
    q = np.random.default_rng(7).standard_normal((len(counts), rows, queries, 24), np.float32)
    window = (left, None)
    out, lse, info = cache.attention(q, window=window, backend="cpu", return_lse=True, return_info=True)
    assert info.kernel == "attention_decode"
    pages = cache.paged()
    stored = [x.view(ml_dtypes.bfloat16) if cache.dtype == "bf16" else x for x in (pages.k, pages.v)]
    want, want_lse = attention_decode(q, *stored, pages.table, counts, k_scales=pages.k_scales, left=left, right=0,
                                      v_scales=pages.v_scales, scale=24**-0.5, q_offset=counts - queries)
    rows_k, rows_v = cache.gather()
    expected = pipeline.expected(dict(q=q, k=rows_k, v=rows_v, causal="lower_right", kv_lens=counts, window=window))
    for name, got, exact, allowed in (("out", out, want, expected.out_budget),
                                      ("lse", lse, want_lse, expected.lse_budget)):
        judged = budget.compare(name, got, exact, allowed)
        assert not judged.reasons, judged.reasons
    return info.config


@pytest.mark.parametrize("dtype", [*TYPES, "int8"])
@pytest.mark.parametrize("page_size", [10, 64])
def test_windows_begin_and_end_anywhere_in_a_group_of_a_page(dtype, page_size):
    cache = cache_of(dtype, page_size, (150, 33))
    for left in (0, 1, 15, 16, 37, 50, None):
        judge_cache(cache, 1, left=left)
    judge_cache(cache, 3, left=37)


@pytest.mark.parametrize("dtype", [*TYPES, "int8"])
def test_a_long_cache_ends_anywhere_in_a_group(dtype):
    cache = cache_of(dtype, 64, (LONG + 3,))
    for _ in range(3):
        config = judge_cache(cache, 1)
        cache.truncate(int(cache.lens[0]) - 1)
    short = 4 if config.lane_width >= 16 else 16
    assert config.keys_per_group == {"f32": short, "int8": 32}.get(dtype, 16)


def test_what_lies_behind_the_keys_of_a_page_is_not_read():
    """Rows and scales past a sequence's own hold anything: NaN, where the type has it."""
    for dtype in ("f32", "f16", "int8"):
        cache = cache_of(dtype, 64, (150, 97))
        pages = cache.paged()
        for b, count in enumerate(cache.lens.tolist()):
            last = pages.table[b, count // 64]
            for x in (pages.k, pages.v, pages.k_scales, pages.v_scales):
                if x is not None:
                    x[last, :, count % 64:] = np.nan if x.dtype.kind == "f" else -128
        judge_cache(cache, 1)
        judge_cache(cache, 2, left=5)
