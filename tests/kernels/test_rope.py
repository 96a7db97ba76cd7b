"""rope: every case on every backend, its laws, those of rotations, and what a call refuses."""
import os
import subprocess
import sys

import numpy as np
import pytest

import aat
from aat.errors import BackendError
from aat.validation import kernels
from aat.validation.cases import kernel_cases

SMALL, FULL = kernel_cases("rope", "small"), kernel_cases("rope", "full")


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_small_cases(case, backend):
    if backend == "vulkan" and case.dtype == "f64":
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
    assert kernels.law(law, kernels.law_case("rope", law, backend == "vulkan"), backend) == ""


CHILD = """
from aat.validation import kernels
from aat.validation.cases import kernel_cases
for case in kernel_cases("rope", "small"):
    verdict = kernels.check(case, "cpu")
    assert verdict.ok, str(verdict)
"""


@pytest.mark.parametrize(("lanes", "intrinsics"), [(8, True), (4, True), (16, False)])
def test_other_lanes_and_plain_taichi(lanes, intrinsics):
    environment = dict(os.environ, AAT_LANES=str(lanes), AAT_INTRINSICS=str(int(intrinsics)))
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr


def rows(length=9, columns=24, heads=2, dtype=np.float64):
    return np.random.default_rng(0).standard_normal((1, heads, length, columns)).astype(dtype)


def by_complex_numbers(x, positions, base=10000.0, interleaved=False):
    """The definition in one line: pairs are complex numbers, which e^(i angle) multiplies."""
    R = x.shape[-1]
    pairs = x[..., 0::2] + 1j * x[..., 1::2] if interleaved else x[..., :R // 2] + 1j * x[..., R // 2:]
    turned = pairs * np.exp(1j * positions[:, None] * base ** (-2 * np.arange(R // 2) / R))
    if interleaved:
        return np.stack([turned.real, turned.imag], -1).reshape(x.shape)
    return np.concatenate([turned.real, turned.imag], -1)


@pytest.mark.parametrize("interleaved", [False, True])
def test_pairs_are_multiplied_by_complex_units(interleaved, backend):
    dtype = np.float32 if backend == "vulkan" else np.float64
    x = rows(dtype=dtype)
    got = aat.rope(x, offset=3, interleaved=interleaved, base=100.0, backend=backend)
    want = by_complex_numbers(x.astype(np.float64), 3.0 + np.arange(9), 100.0, interleaved)
    np.testing.assert_allclose(got, want, atol=1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("interleaved", [False, True])
def test_position_0_is_the_identity_and_turns_add_up(interleaved):
    x = rows()
    options = dict(interleaved=interleaved, backend="cpu")
    zero = np.zeros(9, np.int64)
    np.testing.assert_array_equal(aat.rope(x, zero, **options), x)
    twice = aat.rope(aat.rope(x, zero + 3, **options), zero + 4, **options)
    np.testing.assert_allclose(twice, aat.rope(x, zero + 7, **options), atol=1e-14)
    back = aat.rope(aat.rope(x, offset=5, **options), -5 - np.arange(9), **options)
    np.testing.assert_allclose(back, x, atol=1e-14)


@pytest.mark.parametrize("interleaved", [False, True])
def test_products_of_rows_see_the_distance_alone(interleaved):
    """What rope is for: q(p) . k(s) depends on p - s."""
    q, k = rows(1)[0, 0, 0], rows(2)[0, 1, 1]

    def score(p, s):
        turned = [aat.rope(x[None], np.array([at]), interleaved=interleaved, backend="cpu")
                  for x, at in ((q, p), (k, s))]
        return float((turned[0] * turned[1]).sum())

    assert score(12, 5) == pytest.approx(score(1007, 1000), rel=1e-11)
    assert abs(score(12, 5) - score(12, 6)) > 1e-3


def test_columns_that_are_not_turned_keep_their_bits_nan_included():
    x = rows(dtype=np.float32)
    x[..., 10:] = np.float32(1e-40)   # subnormal: not flushed either
    x[..., -1] = np.nan
    got = aat.rope(x, dims=10, offset=1, backend="reference")
    np.testing.assert_array_equal(got[..., 10:], x[..., 10:])
    on_cpu = aat.rope(x, dims=10, offset=1, backend="cpu")
    np.testing.assert_array_equal(on_cpu[..., 10:], x[..., 10:])


def test_positions_of_each_batch_and_an_offset_say_the_same():
    x = np.repeat(rows(), 2, axis=0)
    both = aat.rope(x, np.stack([np.arange(9), 40 + np.arange(9)]), backend="cpu")
    np.testing.assert_array_equal(both[:1], aat.rope(x[:1], backend="cpu"))
    np.testing.assert_array_equal(both[1:], aat.rope(x[1:], offset=40, backend="cpu"))


def test_bshd_is_bhsd_with_axes_exchanged():
    x = rows()
    got = aat.rope(x.swapaxes(1, 2), offset=2, layout="bshd", backend="cpu")
    np.testing.assert_array_equal(got.swapaxes(1, 2), aat.rope(x, offset=2, backend="cpu"))


X = np.zeros((2, 3, 4, 6), np.float32)


@pytest.mark.parametrize(("change", "kind", "told"), [
    (dict(x=X[0, 0, 0]), ValueError, "x: expected 2 to 4 axes"),
    (dict(x=X[..., :5]), ValueError, "x: expected an even last axis, as all .* got 5 columns; or give dims"),
    (dict(x=X.astype(int)), TypeError, "x: expected dtype float16"),
    (dict(dims=3), ValueError, "dims: expected an even whole number from 0 to 6, got 3"),
    (dict(dims=8), ValueError, "dims: expected an even whole number from 0 to 6, got 8"),
    (dict(base=0), ValueError, "base: expected a finite number above 0, got 0"),
    (dict(offset=1.5), ValueError, "offset: expected a whole number, got 1.5"),
    (dict(positions=np.arange(3)), ValueError, r"positions: expected shape \(4,\) or \(2, 4\), got shape \(3,\)"),
    (dict(positions=np.arange(4.0)), TypeError, "positions: expected an integer dtype"),
    (dict(positions=np.arange(4), offset=1), ValueError, "offset: expected 0, as positions is given"),
    (dict(positions=np.full(4, 2**60)), ValueError, r"positions: expected numbers up to 2\^53"),
    (dict(layout="sbhd"), ValueError, 'layout: expected "bhsd" or "bshd"'),
    (dict(out=X), ValueError, "out: expected memory of its own, got an array that overlaps x"),
])
def test_errors_name_the_argument(change, kind, told):
    with pytest.raises(kind, match=told):
        aat.rope(**(dict(x=X) | change))
