"""The laws of merge: parts of the keys join to the whole, in any order, with the empty part as identity."""

import importlib.util
import itertools

import numpy as np
import pytest

import aat

ml_dtypes = pytest.importorskip("ml_dtypes")
EPS = {np.float16: 2.0**-11, ml_dtypes.bfloat16: 2.0**-8, np.float32: 2.0**-24, np.float64: 2.0**-53}


def draw(dtype=np.float64, keys=12, seed=0, sharp=1.0):
    rng = np.random.default_rng(seed)
    q, k, v = (rng.standard_normal(shape) for shape in ((2, 4, 5, 8), (2, 2, keys, 8), (2, 2, keys, 3)))
    return (sharp * q).astype(dtype), k.astype(dtype), v.astype(dtype)


def attend(q, k, v, **kwargs):
    return aat.attention(q, k, v, backend="reference", return_lse=True, **kwargs)


def pieces(q, k, v, cuts, **kwargs):
    edges = [0, *cuts, k.shape[2]]
    return [attend(q, k[:, :, a:b], v[:, :, a:b], **kwargs) for a, b in itertools.pairwise(edges)]


def bits(pair):
    return [np.asarray(x).tobytes() for x in pair]


@pytest.mark.parametrize("cuts", [(6,), (1, 2, 3), (0, 5, 5, 12), tuple(range(1, 12))])
@pytest.mark.parametrize("sharp", [1.0, 100.0])
@pytest.mark.parametrize("dtype", list(EPS))
def test_parts_join_to_the_whole(dtype, sharp, cuts):
    q, k, v = draw(dtype, sharp=sharp)
    out, lse = aat.merge(pieces(q, k, v, cuts))
    whole, whole_lse = attend(q, k, v)
    assert (out.dtype, lse.dtype) == (whole.dtype, whole_lse.dtype)
    largest = np.abs(v.astype(np.float64)).max()
    # every part was rounded once, lse moves weights by its own rounding, and the result is rounded once
    lse_eps = 2.0**-53 if dtype == np.float64 else 2.0**-24
    slack = (2.5 * EPS[dtype] + 8 * lse_eps * np.abs(whole_lse).max()) * largest
    assert np.abs(out.astype(np.float64) - whole.astype(np.float64)).max() <= slack
    np.testing.assert_allclose(lse, whole_lse, rtol=4 * lse_eps, atol=8 * lse_eps)


@pytest.mark.parametrize("dtype", list(EPS))
def test_order_does_not_matter_to_the_bit(dtype):
    parts = pieces(*draw(dtype, sharp=3.0), (2, 3, 7))
    expected = bits(aat.merge(parts))
    for order in itertools.permutations(parts):
        assert bits(aat.merge(order)) == expected


def test_ties_do_not_break_the_order():
    rng = np.random.default_rng(0)
    parts = [(rng.standard_normal((64, 5), np.float32), np.zeros(64, np.float32)) for _ in range(4)]
    expected = bits(aat.merge(parts))
    for order in itertools.permutations(parts):
        assert bits(aat.merge(order)) == expected


@pytest.mark.parametrize("dtype", list(EPS))
def test_associative_up_to_the_rounding_of_the_stages(dtype):
    a, b, c = pieces(*draw(dtype), (4, 8))
    left, left_lse = aat.merge([aat.merge([a, b]), c])
    right, right_lse = aat.merge([a, aat.merge([b, c])])
    largest = np.abs(np.concatenate([x.astype(np.float64) for x, _ in (a, b, c)])).max()
    assert np.abs(left.astype(np.float64) - right.astype(np.float64)).max() <= 4 * EPS[dtype] * largest
    np.testing.assert_allclose(left_lse, right_lse, rtol=1e-6)


@pytest.mark.parametrize("dtype", list(EPS))
def test_the_empty_part_is_the_identity_even_with_nan_in_its_out(dtype):
    part = attend(*draw(dtype))
    part[0][0, 0, 0] = -0.0  # a signed zero must survive
    empty = np.full_like(part[0], np.nan), np.full_like(part[1], -np.inf)
    for parts in ([part], [part, empty], [empty, part], [empty, part, empty]):
        assert bits(aat.merge(parts)) == bits(part)
    out, lse = aat.merge([empty, empty])
    assert not out.astype(np.float64).any()
    assert np.all(lse == -np.inf)


def test_rows_are_empty_one_by_one():
    q, k, v = draw()
    first = attend(q, k, v, kv_lens=np.array([12, 0]))
    second = attend(q, k, v, kv_lens=np.array([0, 12]))
    out, lse = aat.merge([first, second])
    whole, whole_lse = attend(q, k, v)
    assert bits((out, lse)) == bits((whole, whole_lse))


def test_nan_and_inf_of_a_part_that_takes_weight_reach_its_rows_only():
    q, k, v = draw()
    a, b = pieces(q, k, v, (6,))
    clean, _ = aat.merge([a, b])
    a[0][0, 0, 0] = np.nan
    a[0][1, 1, 1] = np.inf
    out, lse = aat.merge([a, b])
    assert np.isnan(out[0, 0, 0]).all()
    assert np.isposinf(out[1, 1, 1]).all()
    assert np.isfinite(lse).all()
    touched = np.zeros(out.shape, bool)
    touched[0, 0, 0] = touched[1, 1, 1] = True
    np.testing.assert_array_equal(out[~touched], clean[~touched])
    b[1][0, 0, 1] = np.nan
    assert np.isnan(aat.merge([a, b])[1][0, 0, 1])


def test_far_apart_and_large_lse():
    one = np.array([[1.0]]), np.array([1e4])
    other = np.array([[5.0]]), np.array([-1e4])
    out, lse = aat.merge([one, other])
    assert (out.item(), lse.item()) == (1.0, 1e4)


def test_layout_bshd():
    q, k, v = draw(np.float32)
    expected, expected_lse = aat.merge(pieces(q, k, v, (5,)))
    parts = [(np.ascontiguousarray(out.swapaxes(1, 2)), lse) for out, lse in pieces(q, k, v, (5,))]
    out, lse = aat.merge(parts, layout="bshd")
    np.testing.assert_array_equal(out.swapaxes(1, 2), expected)
    np.testing.assert_array_equal(lse, expected_lse)


def test_strides_inputs_untouched_and_many_blocks(monkeypatch):
    from aat.attention import merge as module

    q, k, v = draw(np.float32)
    parts = [(np.asfortranarray(out), np.asfortranarray(lse)) for out, lse in pieces(q, k, v, (3, 5))]
    before = [bits(part) for part in parts]
    expected = bits(aat.merge(parts))
    for out, lse in parts:
        out.flags.writeable = lse.flags.writeable = False
    monkeypatch.setattr(module, "_BLOCK", 50)
    assert bits(aat.merge(parts)) == expected
    assert [bits(part) for part in parts] == before


def test_no_rows():
    out, lse = aat.merge([(np.zeros((2, 0, 3), np.float32), np.zeros((2, 0), np.float32))] * 2)
    assert (out.shape, lse.shape) == ((2, 0, 3), (2, 0))


O, L = np.zeros((2, 5, 3), np.float32), np.zeros((2, 5), np.float32)
BAD = {
    "none": ([], ValueError, r"parts: expected at least one \(out, lse\), got none"),
    "no pair": ([O], TypeError,
                r"parts\[0\]: expected a pair \(out, lse\), got a ndarray; call attention with return_lse"),
    "triple": ([(O, L, 0)], TypeError, r"parts\[0\]: expected a pair"),
    "list": ([(O, L.tolist())], TypeError, r"parts\[0\]\[1\]: expected a NumPy array.* got a list"),
    "integer": ([(O.astype(int), L)], TypeError, r"parts\[0\]\[0\]: expected dtype float16.* got int64"),
    "lse dtype": ([(O, L.astype(np.float16))], TypeError,
                  r"parts\[0\]\[1\]: expected dtype float32 or float64, got f16"),
    "lse shape": ([(O, L[:1])], ValueError,
                  r"parts\[0\]: expected lse of out's shape without its last axis, got out"),
    "other rows": ([(O, L), (O[:1], L[:1])], ValueError,
                   r"parts\[1\]: expected out of shape \(2, 5, 3\) as in parts\[0\]"),
    "other dtype": ([(O, L), (O.astype(np.float64), L)], TypeError,
                    r"parts\[1\]: expected dtypes f32 and f32 .* got f64"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_and_the_next_call(name):
    parts, error, text = BAD[name]
    with pytest.raises(error, match=text):
        aat.merge(parts)
    assert not aat.merge([(O, L), (O, L)])[0].any()


def test_layout_error():
    with pytest.raises(ValueError, match=r"layout: expected \"bhsd\" or \"bshd\", got 'sbhd'"):
        aat.merge([(O, L)], layout="sbhd")


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_tensors():
    import torch

    q, k, v = (torch.from_numpy(x).to(torch.bfloat16) for x in draw())
    parts = pieces(q, k, v, (5,))
    out, lse = aat.merge(parts)
    assert (out.dtype, lse.dtype) == (torch.bfloat16, torch.float32)
    whole, whole_lse = attend(q, k, v)
    assert torch.allclose(out.float(), whole.float(), atol=2e-2)
    assert torch.allclose(lse, whole_lse)
