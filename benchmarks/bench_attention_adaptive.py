"""Time of attention with a tolerance beside our own dense kernel: `pytest benchmarks/bench_attention_adaptive.py`.

SYNTHETIC inputs of aat/validation/generators.py, 8 heads, 4096 queries, 8192 keys, D 64, tolerance 0.01; a call holds
everything, summary and plan included. Nothing is timed before it kept to the law on some rows: error within
info.error_bound and the rounding budget, error_bound within the tolerance. `extra_info` has what was left out.
"""
import numpy as np
import pytest

import aat
from aat.tiling.strategies.certified import Certified
from aat.tiling.strategies.fixed import Fixed
from aat.validation import pipeline
from aat.validation.generators import make_call

TOLERANCE, ROWS = 0.01, 16
INPUTS = ("g1-topics-0.1", "g1-topics-0.3", "g2-smooth", "g0-iid", "g4-rotary-topics", "g4-rotary-tight")
WAYS = {"dense": None, "auto": lambda: "auto", "certified": Certified, "mixed": lambda: Certified(mixed=True),
        "gate alone": Fixed}


@pytest.fixture(scope="module", params=INPUTS)
def call(request):
    return request.param, make_call(request.param, 0, queries=4096, keys=8192, Hq=8, D=64)


def checked(call, options):
    """The Info of a call that kept to the law on its first and last rows."""
    out, info = aat.attention(**call, **options, backend="cpu", return_info=True)
    for rows in (slice(ROWS), slice(-ROWS, None)):
        want = pipeline.expected(dict(call, q=call["q"][:, :, rows]))
        bound = 0 if info.error_bound is None else info.error_bound[:, :, rows, None]
        assert (np.abs(out[:, :, rows] - want.out) <= bound + want.out_budget).all()
    largest = np.abs(call["v"]).max((2, 3))[..., None]
    assert info.error_bound is None or (info.error_bound <= TOLERANCE * largest).all()
    return info


@pytest.mark.parametrize("way", WAYS)
def test_attention_adaptive(benchmark, call, way):
    name, arguments = call
    options = {} if WAYS[way] is None else dict(tolerance=TOLERANCE, tiling=WAYS[way]())
    info = checked(arguments, options)
    benchmark.group = name
    benchmark.extra_info.update(tiles=info.tiles, tiling=info.tiling, multiply_adds=info.multiply_adds)
    out = pipeline.blank_output(arguments)
    benchmark(lambda: aat.attention(**arguments, **options, backend="cpu", out=out))
