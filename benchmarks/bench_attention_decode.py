"""Speed of attention with few queries, and of KVCache.attention: `pytest benchmarks/bench_attention_decode.py`.

As in bench_attention_forward.py, nothing is timed before its check. Two tests say how far the kernel is from its bars,
by ratios of calls that take turns: reading keys and values beside a parallel sum of the same bytes, and an int8 cache
beside one of float32. They print "met" or "missed" and fail on wrong results alone: on a shared machine a time is no
verdict.
"""
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from timed_calls import checked, present

import aat
from aat.backends import cpu
from aat.validation import cases, pipeline

CASES = [case for case in cases.tagged("bench") if case.name.startswith("decode")]
READ = [cases.by_name(f"decode-{keys}-128") for keys in (4096, 16384, 65536)]
READ_BAR, INT8_BAR = 0.9, 2.5
ROUNDS = 15


@pytest.mark.parametrize("backend", ["cpu", "vulkan", "cuda"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_attention_decode(benchmark, case, backend):
    device = present(backend)
    benchmark.group = f"decode on {backend}"
    benchmark.extra_info["device"] = device.name
    benchmark(checked(benchmark, case, backend)[1])


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(*calls):
    """Seconds (ROUNDS, calls): the calls forwards, then backwards, the mean of both; all warmed up."""
    for call in (*calls, *calls):
        call()
    taken = np.empty((ROUNDS, 2, len(calls)))
    for there, back in taken:
        there[:] = [seconds(call) for call in calls]
        back[::-1] = [seconds(call) for call in calls[::-1]]
    return taken.mean(1)


def tell(benchmark, capsys, what, ratios, bar):
    """Print the quartiles of some ratios beside a bar, and keep them with the benchmark."""
    low, middle, high = (round(float(x), 3) for x in np.percentile(ratios, (25, 50, 75)))
    benchmark.extra_info.update(ratio=middle, quartiles=[low, high], bar=bar)
    with capsys.disabled():
        print(f"\n  {what}: {middle:.2f} ({low:.2f} to {high:.2f}), bar {bar}: {'met' if middle >= bar else 'missed'}")


@numba.njit(nogil=True, fastmath=True)
def plain_sum(x):
    """The sum of an array of one axis, by whatever vectors there are."""
    total = np.float32(0)
    for i in range(x.size):
        total += x[i]
    return total


@pytest.mark.parametrize("case", READ, ids=lambda case: case.name)
def test_keys_are_read_as_fast_as_a_sum_reads_them(benchmark, capsys, case):
    present("cpu")
    arguments, attend = checked(benchmark, case, "cpu")
    shares = [np.array_split(arguments[name].reshape(-1), cpu.processors()) for name in "kv"]
    shares = list(zip(*shares, strict=True))
    with ThreadPoolExecutor(len(shares)) as pool:
        def add():
            return sum(pool.map(lambda share: sum(map(plain_sum, share)), shares))

        def dot():
            return sum(pool.map(lambda share: sum(np.dot(x, x) for x in share), shares))

        wanted = [sum(arguments[name].astype(np.float64).sum() for name in "kv"),
                  sum(np.square(arguments[name], dtype=np.float64).sum() for name in "kv")]
        size = arguments["k"].size + arguments["v"].size
        np.testing.assert_allclose([add(), dot()], wanted, rtol=1e-3, atol=1e-3 * size**0.5)
        taken = in_turns(attend, add, dot)
    peers = np.median(taken[:, 1:], axis=0)
    tell(benchmark, capsys, f"{case.name}, beside the faster of two sums at {4e-9 * size / peers.min():.1f} GB/s",
         taken[:, 1 + peers.argmin()] / taken[:, 0], READ_BAR)
    benchmark.group = "decode beside a sum"
    benchmark.pedantic(attend, rounds=ROUNDS)


def kept(case, dtype):
    """A case's query, and a KVCache of `dtype` that holds its keys and values; judged."""
    call = cases.make(case)
    cache = aat.KVCache(case.B, case.Hk, case.Lk, case.D, dtype)
    cache.append(call["k"], call["v"])
    call["k"], call["v"] = cache.gather()
    out, lse = cache.attention(call["q"], backend="cpu", return_lse=True)
    verdict = pipeline.judge(call, out, lse, pipeline.expected(call), case=f"{case.name} in {dtype}", backend="cpu")
    assert verdict.ok, str(verdict)
    return call["q"], cache, verdict


@pytest.mark.parametrize(("case", "dtype"), [*((case, "int8") for case in READ), (READ[1], "f16"), (READ[1], "bf16")],
                         ids=lambda x: getattr(x, "name", x))
def test_a_cache_of_fewer_bytes_beside_one_of_float32(benchmark, capsys, case, dtype):
    present("cpu")
    q, wide, _ = kept(case, "f32")
    _, narrow, verdict = kept(case, dtype)
    benchmark.extra_info.update(error=verdict.error, budget=verdict.budget, nbytes=narrow.nbytes)
    taken = in_turns(lambda: wide.attention(q, backend="cpu"), lambda: narrow.attention(q, backend="cpu"))
    tell(benchmark, capsys, f"{case.name}, {dtype} beside f32", taken[:, 0] / taken[:, 1],
         INT8_BAR if dtype == "int8" else 1.0)
    benchmark.group = "decode from a cache"
    benchmark.pedantic(lambda: narrow.attention(q, backend="cpu"), rounds=ROUNDS)
