"""What a decoder pays for a KVCache beside attention: appending a key, a prompt, and gathering what is kept."""
import numpy as np
import pytest

import aat

HEADS, D = 8, 128
DTYPES = ("f32", "f16", "bf16", "int8")


def rows(batch, n, dtype):
    x = np.random.default_rng(0).standard_normal((batch, HEADS, n, D), np.float32)
    return x.astype(np.float16) if dtype == "f16" else x


def touched(batch, capacity, dtype):
    """A cache whose memory has been written once: the first write to a page of the system costs more."""
    cache = aat.KVCache(batch, HEADS, capacity, D, dtype)
    x = rows(batch, capacity, dtype)
    cache.append(x, x)
    cache.reset()
    return cache


@pytest.mark.parametrize("batch", [1, 2, 4, 8])
@pytest.mark.parametrize("dtype", DTYPES)
def test_append_of_one_key(benchmark, dtype, batch):
    benchmark.group = f"append of one key, {dtype}"
    cache, x = touched(batch, 1000, dtype), rows(batch, 1, dtype)
    benchmark.pedantic(cache.append, (x, x), rounds=20, iterations=45, warmup_rounds=1)
    fresh = aat.KVCache(batch, HEADS, 1, D, dtype)
    fresh.append(x, x)
    for kept, once in zip(cache.gather(), fresh.gather(), strict=True):
        np.testing.assert_array_equal(kept, np.broadcast_to(once, kept.shape))


@pytest.mark.parametrize("dtype", DTYPES)
def test_append_of_a_prompt(benchmark, dtype):
    benchmark.group = "append of 4096 keys"
    cache, x = touched(1, 4096, dtype), rows(1, 4096, dtype)
    benchmark.pedantic(cache.append, (x, x), setup=cache.reset, rounds=20)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gather(benchmark, dtype):
    benchmark.group = "gather of 4096 keys"
    cache, x = touched(1, 4096, dtype), rows(1, 4096, dtype)
    cache.append(x, x)
    benchmark(cache.gather)
