"""linear: every case on every backend, its laws, and what a call means and refuses."""
import numpy as np
import pytest

import aat
from aat.errors import BackendError
from aat.validation import kernels
from aat.validation.cases import kernel_cases

SMALL, FULL = kernel_cases("linear", "small"), kernel_cases("linear", "full")


def refused_here(case, backend):
    return backend == "vulkan" and case.dtype == "f64"


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_small_cases(case, backend):
    if refused_here(case, backend):
        with pytest.raises(BackendError, match="dtype f64 is not computed on this device"):
            kernels.check(case, backend)
        return
    verdict = kernels.check(case, backend)
    assert verdict.ok, str(verdict)


@pytest.mark.parametrize("case", FULL, ids=lambda case: case.name)
def test_full_cases(case):
    verdict = kernels.check(case, "cpu")
    assert verdict.ok, str(verdict)


@pytest.mark.parametrize("law", kernels.LAWS)
def test_laws(law, backend):
    assert kernels.law(law, kernels.law_case("linear", law, backend == "vulkan"), backend) == ""


CHILD = """
from aat.backends import select
from aat.validation import kernels
from aat.validation.cases import KERNEL_CASES, kernel_cases
with select.use("cpu") as session:
    assert session.lane_width == {lanes} and session.intrinsics == {intrinsics}
names = "linear-plain linear-gelu linear-bhsd linear-f16 linear-bf16 linear-f64 linear-depth-17 linear-f16-deep"
for name in names.split() + ["linear-packed"]:
    verdict = kernels.check(KERNEL_CASES[name], "cpu")
    assert verdict.ok, str(verdict)
"""


@pytest.mark.parametrize(("lanes", "intrinsics"), [(8, True), (4, True), (16, False), (4, False)])
def test_other_lanes_and_plain_taichi(lanes, intrinsics):
    import os
    import subprocess
    import sys

    environment = dict(os.environ, AAT_LANES=str(lanes), AAT_INTRINSICS=str(int(intrinsics)))
    done = subprocess.run([sys.executable, "-c", CHILD.format(lanes=lanes, intrinsics=intrinsics)],
                          capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr


def normal(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def test_the_reference_is_numpy_s_product():
    from aat.kernels.reference.linear import linear
    x, w, b = normal(5, 7), normal(6, 7), normal(6)
    want = x.astype(np.float64) @ w.T.astype(np.float64) + b
    np.testing.assert_allclose(linear(x, w, b), want, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(linear(x, w, b, "relu"), np.maximum(want, 0), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(linear(x, w, b, "silu"), want / (1 + np.exp(-want)), rtol=1e-13, atol=1e-14)
    heads = linear(x, w, b, heads=3, length=5)
    np.testing.assert_array_equal(heads[0, 2, 4], linear(x, w, b)[4, 4:6])


def test_known_values_of_the_activations():
    """gelu(1) = Phi(1), to the digits of any table."""
    one = np.ones((1, 1), np.float64)
    values = {name: aat.linear(one, one, activation=name, backend="cpu")[0, 0]
              for name in ("gelu", "gelu_tanh", "silu", "relu")}
    assert values["gelu"] == pytest.approx(0.8413447460685429, rel=1e-15)
    assert values["gelu_tanh"] == pytest.approx(0.8411919906082768, rel=1e-15)
    assert values["silu"] == pytest.approx(0.7310585786300049, rel=1e-15)
    assert values["relu"] == 1


def test_activations_far_out_and_of_what_is_not_finite():
    far = np.array([[-1e30], [-200], [-20], [0], [20], [200], [1e30], [np.inf], [np.nan]], np.float32)
    one = np.ones((1, 1), np.float32)
    for name in ("relu", "gelu", "gelu_tanh", "silu"):
        got = aat.linear(far, one, activation=name, backend="cpu")[:, 0]
        np.testing.assert_allclose(got[:7], [0, 0, 0, 0, 20, 200, 1e30], atol=1e-6, rtol=1e-6, err_msg=name)
        assert got[7] == np.inf and np.isnan(got[8]), name
    assert aat.linear(-np.inf * one, one, activation="gelu", backend="cpu")[0, 0] == 0


def test_a_row_s_bits_are_its_own():
    x, w = normal(200, 70), normal(90, 70)
    whole = aat.linear(x, w, backend="cpu")
    np.testing.assert_array_equal(aat.linear(x[31:32], w[5:], backend="cpu"), whole[31:32, 5:])


@pytest.mark.parametrize("rows", [1, 8, 70])
@pytest.mark.parametrize("heads", [None, 5])
def test_packed_weights_give_the_same_bits(rows, heads, backend):
    x, w, b = normal(1, rows, 83), normal(90, 83), normal(90)
    packed = aat.PackedWeights(w)
    for layout in ("bhsd", "bshd"):
        given = dict(bias=b, heads=heads, layout=layout, backend=backend)
        np.testing.assert_array_equal(aat.linear(x, packed, **given), aat.linear(x, w, **given))
    w_64 = aat.PackedWeights(w.astype(np.float64))
    np.testing.assert_array_equal(aat.linear(x.astype(np.float64), w_64, backend="cpu"),
                                  aat.linear(x.astype(np.float64), w.astype(np.float64), backend="cpu"))


def test_packed_weights_are_packed_once_and_may_be_empty():
    w = normal(40, 20)
    packed = aat.PackedWeights(w.T[:20].T)
    first = aat.linear(normal(2, 20), packed, backend="cpu")
    w[:] = 0                        # what w holds after its first call is not looked at again
    np.testing.assert_array_equal(aat.linear(normal(2, 20), packed, backend="cpu"), first)
    assert "40 x 20, f32" in repr(packed)
    for shape in ((0, 3), (3, 0)):
        weights = aat.PackedWeights(np.ones(shape, np.float32))
        got = aat.linear(np.ones((2, shape[1]), np.float32), weights, backend="cpu")
        np.testing.assert_array_equal(got, np.zeros((2, shape[0]), np.float32))


def test_heads_are_what_attention_takes():
    x, w = normal(2, 9, 24), normal(24, 24)
    flat = aat.linear(x, w, backend="cpu")
    bshd = aat.linear(x, w, heads=4, layout="bshd", backend="cpu")
    np.testing.assert_array_equal(bshd, flat.reshape(2, 9, 4, 6))
    np.testing.assert_array_equal(aat.linear(x, w, heads=4, backend="cpu"), bshd.swapaxes(1, 2))


def test_torch_tensors_come_back_as_they_came():
    torch = pytest.importorskip("torch")
    x, w = torch.from_numpy(normal(3, 5)), torch.from_numpy(normal(4, 5))
    got = aat.linear(x.bfloat16(), w.bfloat16(), backend="cpu")
    assert got.dtype == torch.bfloat16 and got.shape == (3, 4)


X, W = np.zeros((2, 3, 8), np.float32), np.zeros((6, 8), np.float32)


def test_what_is_not_packed():
    with pytest.raises(TypeError, match=r"w: expected float32 or float64, got f16; pass 16-bit weights to aat\.linear"):
        aat.PackedWeights(W.astype(np.float16))
    with pytest.raises(ValueError, match=r"w: expected shape \(F, E\), got shape \(8,\)"):
        aat.PackedWeights(W[0])


@pytest.mark.parametrize(("change", "kind", "told"), [
    (dict(w=np.zeros((6, 7), np.float32)), ValueError, r"x: expected shape \(\.\.\., 7\), as w has 7 columns, got"),
    (dict(w=np.zeros(8, np.float32)), ValueError, r"w: expected shape \(F, E\), got shape \(8,\)"),
    (dict(w=np.zeros((6, 8))), TypeError, "w: expected dtype f32 as x, got f64"),
    (dict(x=[1.0]), TypeError, "x: expected a NumPy array"),
    (dict(bias=np.zeros(5, np.float32)), ValueError, r"bias: expected shape \(6,\), got shape \(5,\)"),
    (dict(activation="swish"), ValueError, "activation: expected one of None, 'relu'.*got 'swish'"),
    (dict(heads=4), ValueError, "heads: expected a whole number that divides the 6 rows of w, got 4"),
    (dict(heads=True), ValueError, "heads: expected a whole number"),
    (dict(heads=2, x=X[0]), ValueError, r"x: expected shape \(B, L, E\), as heads is given, got 2 axes"),
    (dict(layout="bsh"), ValueError, 'layout: expected "bhsd" or "bshd"'),
    (dict(out=np.zeros((2, 3, 5), np.float32)), ValueError, r"out: expected shape \(2, 3, 6\)"),
    (dict(out=np.zeros((2, 3, 6))), TypeError, "out: expected dtype f32, got f64"),
    (dict(w=W[:, :6], x=X[..., :6], out=X[..., 2:]), ValueError, "out: expected memory of its own.*overlaps x"),
    (dict(x=X.astype(np.float64), w=aat.PackedWeights(W)), TypeError, "w: expected dtype f64 as x, got f32"),
    (dict(backend="tpu"), ValueError, "backend: expected one of auto"),
])
def test_errors_name_the_argument(change, kind, told):
    with pytest.raises(kind, match=told):
        aat.linear(**(dict(x=X, w=W) | change))
