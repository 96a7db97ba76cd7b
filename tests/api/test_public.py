"""What `import aat` gives and costs, and the names that stay what they are."""

import inspect
import json
import subprocess
import sys
import time
import types

import pytest

import aat

HEAVY = ("taichi", "numba", "torch", "mlflow", "matplotlib", "ml_dtypes", "tokenizers", "rich")


def fresh(program):
    """What `program` prints as JSON in a new process."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                          timeout=120)
    return json.loads(done.stdout)


def test_import_loads_nothing_heavy():
    loaded = fresh("import sys, json, aat; print(json.dumps(sorted(sys.modules)))")
    assert "numpy" in loaded
    assert not set(HEAVY) & {name.split(".")[0] for name in loaded}


def test_import_time():
    program = "import time; t = time.perf_counter(); import aat; print(time.perf_counter() - t)"
    fresh(program)  # writes the bytecode
    times = []
    for _ in range(10):  # the best of a few: other processes may hold the cores
        times.append(fresh(program))
        if times[-1] < 0.3:
            return
        time.sleep(0.5)
    pytest.fail(f"import aat took {min(times):.3f} s at best")


@pytest.mark.parametrize("name", aat.__all__)
def test_every_public_name_in_a_fresh_process(name):
    assert fresh(f"import json, aat; aat.{name}; print(json.dumps({name!r} in dir(aat)))")


def test_checks_and_the_reference_load_no_taichi_or_torch():
    program = """
import json, sys
import numpy as np
import aat
q = np.ones((1, 1, 2, 4), np.float32)
aat.merge([aat.attention(q, q, q, backend="reference", return_lse=True)])
aat.supports(q, q, q, backend="reference"), aat.explain(q, q, q, backend="reference")
print(json.dumps(sorted(sys.modules)))
"""
    assert not {"taichi", "torch", "ml_dtypes"} & {name.split(".")[0] for name in fresh(program)}


@pytest.mark.parametrize("first",
                         ["import aat.attention.base", "from aat.attention import arguments",
                          "import aat.functional",
                                   "import aat.backends", "import aat.attention.merge",
                          "from aat.attention.merge import merge"])
def test_the_functions_keep_their_names_whatever_is_imported_first(first):
    program = f"{first}\nimport json, aat\nprint(json.dumps([callable(aat.attention), callable(aat.merge)]))"
    assert fresh(program) == [True, True]


def test_submodules_are_reached_with_from():
    from aat.attention import base

    assert isinstance(base, types.ModuleType)
    assert isinstance(aat.attention, types.FunctionType)


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="module 'aat' has no attribute 'flash'"):
        aat.flash  # noqa: B018 - the access is the test


def test_the_contract_s_signatures():
    assert str(inspect.signature(aat.attention)) == (
        "(q, k, v, *, mask=None, bias=None, causal=None, window=(None, None), scale=None, softcap=None, "
        "sinks=None, kv_lens=None, q_offset=None, score='dot', score_mod=None, mask_mod=None, tolerance=0.0, "
        "tiling='auto', layout='bhsd', backend='auto', return_lse=False, return_info=False, out=None)")
    assert str(inspect.signature(aat.scaled_dot_product_attention)) == (
        "(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, *, "
        "backend='auto')")


def test_checks_take_the_same_arguments_as_the_call():
    from aat.attention import arguments

    assert inspect.signature(arguments.check) == inspect.signature(aat.attention)
