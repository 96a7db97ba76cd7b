"""benchmarks/figure_tolerances.py at a tiny size: its oracle keeps to the law, and its law can refuse."""
import importlib.util

import numpy as np
from repository import ROOT

from aat.validation.generators import make_call

spec = importlib.util.spec_from_file_location("figure_tolerances", ROOT / "benchmarks" / "figure_tolerances.py")
tolerances = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tolerances)


def call():
    return make_call("g1-topics-0.1", 0, queries=96, keys=512, Hq=1, D=16)


def test_every_way_keeps_to_the_law_and_is_drawn(tmp_path):
    records = tolerances.measure("g1-topics-0.1", call(), seconds=0)
    assert [r["reason"] for r in records] == [""] * (1 + len(tolerances.TOLERANCES) * len(tolerances.WAYS))
    oracle = [r for r in records if r["tiling"] == "oracle" and r["tolerance"] == 0.1]
    assert oracle[0]["tiles"]["skipped_before"] > 0
    assert "`g1-topics-0.1`" in tolerances.table(records)
    tolerances.figure(records, tmp_path / "figure.svg")
    assert "<svg" in (tmp_path / "figure.svg").read_text()


def test_a_wrong_result_is_refused():
    judge = tolerances._Judge(call())
    for want in judge.want:
        want.out[...] += np.float64(0.5)
    assert "exceeds certificate" in judge.of(dict(tolerance=0.1, tiling="auto"))["reason"]
