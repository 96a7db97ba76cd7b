"""The reference itself, apart from its numbers (test_attention_forward.py pins those to a NumPy oracle)."""
import os
import shutil
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from aat.kernels.reference import attention_forward as module
from aat.kernels.reference.attention_forward import attention_forward, attention_rounding

from aat import env
from aat.validation.inputs import numpy_dtype


def arrays(B=1, Hq=2, Hk=2, Lq=9, Lk=13, D=4, Dv=3, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape) for shape in ((B, Hq, Lq, D), (B, Hk, Lk, D), (B, Hk, Lk, Dv)))


@pytest.mark.parametrize("compute", [np.float64, np.float32])
def test_results_have_the_dtype_of_compute(compute):
    out, lse = attention_forward(*arrays(), scale=0.5, compute=compute)
    assert out.dtype == lse.dtype == compute
    assert out.shape == (1, 2, 9, 3) and lse.shape == (1, 2, 9)


def test_float32_rounds_where_float64_does_not():
    q, k, v = (x.astype(np.float32) for x in arrays(Lk=200))
    exact, low = (attention_forward(q, k, v, scale=0.5, compute=c)[0] for c in (np.float64, np.float32))
    error = np.abs(low - exact).max()
    assert 1e-9 < error < 1e-5


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32", "f64"])
def test_every_bias_dtype_is_read_as_its_value(dtype):
    bias = np.random.default_rng(1).standard_normal((1, 2, 9, 13)).astype(numpy_dtype(dtype))
    bias[0, 0, 0, 0] = -np.inf
    got = attention_forward(*arrays(), scale=0.5, bias=bias)
    want = attention_forward(*arrays(), scale=0.5, bias=bias.astype(np.float64))
    for a, b in zip(got, want, strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_broadcast_mask_is_never_expanded():
    L = 3000
    q, k, v = (x.astype(np.float32) for x in arrays(Hq=1, Hk=1, Lq=L, Lk=L))
    mask = np.ones((1, 1, 1, L), bool)
    bias = np.zeros((1, 1, L, 1), np.float32)
    attention_forward(q[:, :, :2], k, v, scale=0.5, mask=mask, bias=bias[:, :, :2])
    tracemalloc.start()
    attention_forward(q, k, v, scale=0.5, mask=mask, bias=bias)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e6  # the expanded mask alone would be 9e6 bytes


@pytest.mark.parametrize(("change", "message"), [
    (dict(q=np.zeros((2, 9, 4))), "4-D"),
    (dict(k=np.zeros((1, 3, 13, 4)), v=np.zeros((1, 3, 13, 3))), "Hk dividing Hq"),
    (dict(v=np.zeros((1, 2, 12, 3))), r"got \(1, 2, 13, 4\) and \(1, 2, 12, 3\)"),
    (dict(mask=np.ones((1, 1, 9, 12), bool)), r"mask: expected 4 axes.*\(1, 1, 9, 12\)"),
    (dict(bias=np.ones(13)), r"bias: expected 4 axes.*\(13,\)"),
])
def test_shapes_that_do_not_fit(change, message):
    q, k, v = arrays()
    with pytest.raises(ValueError, match=message):
        attention_forward(**{**dict(q=q, k=k, v=v, scale=1.0), **change})


def test_a_bias_of_integers_is_refused():
    with pytest.raises(TypeError, match="bias: expected a float"):
        attention_forward(*arrays(), scale=1.0, bias=np.ones((1, 1, 1, 13), np.int64))


def test_rounding_grows_like_the_square_root_of_the_row():
    """One key's weight falls like 1/n and the roundings of n additions add up like sqrt(n), not like n."""
    steps = []
    for n in (256, 4096):
        q, k, v = arrays(Hq=1, Hk=1, Lq=4, Lk=n, D=16, Dv=16)
        steps.append(attention_rounding(q, k, np.abs(v), scale=0.25)[0].mean())
    assert 2 < steps[1] / steps[0] < 4 * 1.1


def test_rounding_of_a_row_that_sees_nothing_is_zero():
    mask = np.zeros((1, 1, 9, 1), bool)
    out, lse = attention_rounding(*arrays(), scale=0.5, mask=mask)
    assert not out.any() and not lse.any()


def test_a_forked_child_computes_without_the_parents_threads(monkeypatch):
    want = attention_forward(*arrays(), scale=0.5)
    rounding = attention_rounding(*arrays(), scale=0.5)
    monkeypatch.setattr(module, "_POOL_OWNER", -1)  # as a child sees it: another process started the threads
    called = []
    serial = module._forward_serial
    monkeypatch.setattr(module, "_forward_serial", lambda *a: (called.append(1), serial(*a)))
    got = attention_forward(*arrays(), scale=0.5)
    assert called and module._POOL_OWNER == -1
    for a, b in zip(got + attention_rounding(*arrays(), scale=0.5), want + rounding, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_after_fork_in_earnest():
    script = """
        import os, numpy as np
        from aat.kernels.reference.attention_forward import attention_forward
        x = np.ones((1, 1, 4, 2))
        want = attention_forward(x, x, x, scale=1.0)[0]
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(attention_forward(x, x, x, scale=1.0)[0], want) else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    run(script)


def test_without_a_writable_cache_directory(tmp_path):
    """Numba finds no place for its cache: everything compiles in memory."""
    copy = tmp_path / "reference_copy.py"
    shutil.copy(module.__file__, copy)
    script = f"""
        import sys
        from numba.core import caching
        caching.CacheImpl._locator_classes = []      # what remains when no directory is writable
        sys.path.insert(0, {str(tmp_path)!r})
        sys.dont_write_bytecode = True
        import numpy as np
        from reference_copy import attention_forward
        x = np.ones((1, 1, 4, 2))
        assert np.array_equal(attention_forward(x, x, x, scale=1.0)[0], x)
    """
    run(script)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reference_copy.py"]


def test_nothing_is_shared_with_the_kernel():
    text = Path(module.__file__).read_text()
    imports = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert not [line for line in imports
                if ("aat" in line and "from aat.kernels.reference." not in line) or "taichi" in line]


def run(script):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=env.child_environment(),
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
