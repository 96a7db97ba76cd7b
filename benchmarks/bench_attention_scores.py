"""Scores that are functions of two rows beside dot products of the same size: `pytest benchmarks`.

A score is timed only after a smaller case of it has passed `aat.validation.pipeline.check`: the float64 definitions of
4096 x 4096 scores would take minutes.
"""
import numpy as np
import pytest

import aat
from aat.validation import cases, pipeline

GEOMETRIC = aat.attention.Geometric
SCORES = {
    "dot": ("full", 64, "dot"),
    "dot of twice the width": ("full", 128, "dot"),
    "euclidean": ("score-euclidean-64", 64, GEOMETRIC("euclidean", beta=0.5)),
    "euclidean distance": ("score-euclidean-distance", 64, GEOMETRIC("euclidean", beta=0.5, form="distance")),
    "euclidean difference": ("score-euclidean-difference", 64, GEOMETRIC("euclidean", beta=0.5, product="difference")),
    "hyperbolic": ("score-hyperbolic-64", 64, GEOMETRIC("hyperbolic", beta=0.5)),
    "hyperbolic inner": ("score-hyperbolic-inner", 64, GEOMETRIC("hyperbolic", beta=0.5, form="inner")),
    "spherical": ("score-spherical", 64, GEOMETRIC("spherical", beta=0.5)),
    "fidelity": ("score-fidelity-64", 64, aat.attention.Fidelity(beta=4.0)),
}


@pytest.mark.parametrize("name", SCORES)
def test_attention_scores(benchmark, name):
    case, width, score = SCORES[name]
    if score != "dot":
        verdict = pipeline.check(cases.by_name(case), "cpu")
        assert verdict.ok, str(verdict)
    rng = np.random.default_rng(0)
    q, k = ((rng.standard_normal((1, 4, 4096, width)) / width**0.5).astype(np.float32) for _ in range(2))
    v = rng.standard_normal((1, 4, 4096, 64)).astype(np.float32)
    benchmark.group = "scores on cpu, 4 heads of 4096 x 4096"
    benchmark(lambda: aat.attention(q, k, v, score=score, backend="cpu"))
