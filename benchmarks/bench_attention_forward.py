"""Speed of aat.attention over the case table: `pytest benchmarks` (a backend that is absent is skipped).

A case is timed only after `aat.validation.pipeline.check` has passed on it, and its error goes into `extra_info`. The
groups (dense, causal, window, gqa, prefill, odd, f16, bf16, ...) are the first words of the cases' names, so that
`dense` is the scaling in S; `threads` is the scaling in threads, `launch` the overhead of a call. Decode has a file of
its own, bench_attention_decode.py.

    pytest benchmarks --benchmark-autosave                     keep a run
    pytest benchmarks --benchmark-compare=0001 --benchmark-compare-fail=median:10%
"""
import pytest
from timed_calls import checked, present

from aat.backends import cpu, select
from aat.validation import cases

CASES = [case for case in cases.tagged("bench") if not case.name.startswith("decode")]
SCALING = cases.by_name("dense-1024")


@pytest.mark.parametrize("backend", ["cpu", "vulkan", "cuda"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_attention_forward(benchmark, case, backend):
    device = present(backend)
    benchmark.group = f"{case.name.split('-')[0]} on {backend}"
    benchmark.extra_info["device"] = device.name
    benchmark(checked(benchmark, case, backend)[1])


@pytest.mark.parametrize("threads", sorted({1, 2, 4, 8, 16, 32, 64, cpu.processors()} & {*range(cpu.processors() + 1)}))
def test_threads(benchmark, threads, monkeypatch):
    present("cpu")
    monkeypatch.setenv("AAT_NUM_THREADS", str(threads))
    select.close()  # the number is read when a program is opened
    try:
        benchmark.group = f"threads on cpu, {SCALING.name}"
        benchmark.extra_info["threads"] = threads
        benchmark(checked(benchmark, SCALING, "cpu")[1])
    finally:
        select.close()
