"""What goes in comes out: types, dtypes, layouts, strides, `out=`; and inputs are never written."""

import importlib.util

import numpy as np
import pytest

import aat
from aat import arrays

ml_dtypes = pytest.importorskip("ml_dtypes")
DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
# found without importing it: in a process with torch, "no torch was imported" could not be tested
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


def draw(dtype=np.float32, lengths=(5, 6), seed=0):
    rng = np.random.default_rng(seed)
    shapes = (2, 4, lengths[0], 8), (2, 2, lengths[1], 8), (2, 2, lengths[1], 3)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def naive(q, k, v):
    """softmax(q k^T / sqrt(D)) v in float64, heads repeated."""
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat(group, 1), v.repeat(group, 1)
    s = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[3])
    p = np.exp(s - s.max(-1, keepdims=True))
    z = p.sum(-1, keepdims=True)
    return p @ v / z, np.log(z[..., 0]) + s.max(-1)


def run(*args, **kwargs):
    return aat.attention(*args, backend="reference", **kwargs)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_of_out_and_lse(dtype):
    q, k, v = draw(dtype)
    out, lse = run(q, k, v, return_lse=True)
    expected, expected_lse = naive(q, k, v)
    assert type(out) is np.ndarray
    assert out.dtype == dtype
    assert lse.dtype == (np.float64 if dtype == np.float64 else np.float32)
    assert (out.shape, lse.shape) == ((2, 4, 5, 3), (2, 4, 5))
    # one rounding of a float64 result
    half_ulp = float(ml_dtypes.finfo(dtype).eps) / 2
    assert np.all(np.abs(out.astype(np.float64) - expected) <= half_ulp * np.abs(expected) * 1.001 + 1e-15)
    np.testing.assert_allclose(lse, expected_lse, rtol=1e-6)


def test_combinations_of_results():
    q, k, v = draw()
    out = run(q, k, v)
    assert isinstance(out, np.ndarray)
    pair = run(q, k, v, return_lse=True)
    assert [type(x) for x in pair] == [np.ndarray, np.ndarray]
    with_info = run(q, k, v, return_info=True)
    assert len(with_info) == 2
    assert with_info[1].backend == "reference"
    everything = run(q, k, v, return_lse=True, return_info=True)
    assert len(everything) == 3
    for result in (pair, with_info, everything):
        np.testing.assert_array_equal(result[0], out)


def test_info_counts_what_the_bounds_leave():
    q, k, v = draw(lengths=(6, 6))
    _, info = run(q, k, v, causal=True, kv_lens=None, return_info=True)
    assert info.multiply_adds_dense == 2 * 4 * 6 * 6 * (8 + 3)
    assert info.multiply_adds == 2 * 4 * (6 * 7 // 2) * (8 + 3)
    _, info = run(q, k, v, window=(1, 0), kv_lens=np.array([6, 2]), return_info=True)
    # lengths 6 and 2: rows see 1, 2, 2, 2, 2, 2 keys, and 1, 2, 1, 0, 0, 0
    assert info.multiply_adds == 4 * (11 + 4) * (8 + 3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ndim", [3, 4])
def test_layout_bshd_is_a_transposed_view_of_the_same_call(dtype, ndim):
    q, k, v = (x if ndim == 4 else x[0] for x in draw(dtype))
    mask = np.random.default_rng(1).random((4, 5, 6)) > 0.3
    out, lse = run(q, k, v, mask=mask, return_lse=True)
    swapped = [np.ascontiguousarray(x.swapaxes(-3, -2)) for x in (q, k, v)]
    other, other_lse = run(*swapped, mask=mask, layout="bshd", return_lse=True)
    assert other.flags.c_contiguous
    np.testing.assert_array_equal(other.swapaxes(-3, -2), out)
    np.testing.assert_array_equal(other_lse, lse)


def test_three_axes_are_a_batch_of_one():
    q, k, v = (x[1] for x in draw())
    out, lse = run(q, k, v, return_lse=True, kv_lens=np.array([4]), q_offset=np.array([1]))
    whole, whole_lse = run(q[None], k[None], v[None], return_lse=True, kv_lens=np.array([4]), q_offset=1)
    np.testing.assert_array_equal(out, whole[0])
    np.testing.assert_array_equal(lse, whole_lse[0])


def strided(x, kind):
    """The values of x under other strides."""
    if kind == "fortran":
        return np.asfortranarray(x)
    if kind == "reversed":
        return np.ascontiguousarray(x[:, ::-1, ::-1, ::-1])[:, ::-1, ::-1, ::-1]
    if kind == "every second":
        wide = np.full((*x.shape[:3], 2 * x.shape[3]), np.nan, x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if kind == "unaligned":
        raw = np.zeros(x.nbytes + 1, np.uint8)
        view = raw[1:].view(x.dtype).reshape(x.shape)
        view[...] = x
        return view
    if kind == "record field":
        record = np.zeros(x.shape, np.dtype([("pad", np.uint8), ("x", x.dtype)]))
        record["x"] = x
        return record["x"]
    packed = np.full((*x.shape[:3], 3, x.shape[3]), np.nan, x.dtype)
    packed[..., 1, :] = x
    return packed[..., 1, :]


STRIDES = ["fortran", "reversed", "every second", "unaligned", "record field", "packed"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", STRIDES)
def test_any_strides(kind, dtype):
    q, k, v = draw(dtype)
    expected = run(q, k, v)
    given = [strided(x, kind) for x in (q, k, v)]
    assert all(not x.flags.c_contiguous or not x.flags.aligned for x in given)
    np.testing.assert_array_equal(run(*given), expected)


@pytest.mark.parametrize("kind", [kind for kind in STRIDES if kind not in ("unaligned", "record field")])
def test_addressable_strides_are_not_copied(kind):
    x = strided(draw()[0], kind)
    view = arrays.take("q", x).view
    assert np.shares_memory(view, x)
    assert view.strides == x.strides


@pytest.mark.parametrize("kind", ["unaligned", "record field"])
def test_memory_that_no_index_of_elements_reaches_is_copied(kind):
    x = draw()[0]
    view = arrays.take("q", strided(x, kind)).view
    assert view.flags.aligned
    assert all(stride % 4 == 0 for stride in view.strides)
    np.testing.assert_array_equal(view, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_inputs_are_never_written(dtype):
    q, k, v = draw(dtype)
    extra = {"mask": np.random.default_rng(1).random((5, 6)) > 0.3, "bias": np.ones((4, 1, 6), np.float32),
             "sinks": np.zeros(4, np.float32), "kv_lens": np.array([6, 3]), "q_offset": np.array([1, 2])}
    everything = [q, k, v, *extra.values()]
    for x in everything:
        x.flags.writeable = False
    before = [x.tobytes() for x in everything]
    out = run(q, k, v, **extra, window=(4, 2))
    assert out.flags.writeable
    assert [x.tobytes() for x in everything] == before


@pytest.mark.parametrize("layout", ["bhsd", "bshd"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["plain", "fortran", "every second", "reversed"])
def test_out_is_written_and_returned(dtype, layout, kind):
    q, k, v = draw(dtype)
    expected, lse = run(q, k, v, return_lse=True)
    given = [x.swapaxes(1, 2) for x in (q, k, v)] if layout == "bshd" else [q, k, v]
    blank = np.full((2, 5, 4, 3) if layout == "bshd" else (2, 4, 5, 3), np.nan, dtype)
    out = blank if kind == "plain" else strided(blank, kind)
    returned, other_lse = run(*given, layout=layout, out=out, return_lse=True)
    assert returned is out
    np.testing.assert_array_equal(out.swapaxes(1, 2) if layout == "bshd" else out, expected)
    np.testing.assert_array_equal(other_lse, lse)


def test_out_between_the_elements_of_its_neighbours_is_left_alone():
    q, k, v = draw()
    wide = np.full((2, 4, 5, 6), 7.0, np.float32)
    run(q, k, v, out=wide[..., ::2])
    assert np.all(wide[..., 1::2] == 7.0)


def test_out_may_interleave_with_an_input_without_sharing_an_element():
    q, k, _ = draw()
    v = np.zeros((2, 2, 6, 8), np.float32)
    packed = np.zeros((2, 4, 5, 2, 8), np.float32)
    packed[..., 0, :] = q
    out = run(packed[..., 0, :], k, v, out=packed[..., 1, :])
    assert np.shares_memory(out, packed)


@pytest.mark.parametrize("empty", ["B", "Hq", "Lq", "Lk", "Lq, Lk"])
@pytest.mark.parametrize("layout", ["bhsd", "bshd"])
def test_empty_problems(empty, layout):
    size = {"B": 2, "Hq": 4, "Lq": 5, "Lk": 6, **dict.fromkeys(empty.split(", "), 0)}
    q = np.ones((size["B"], size["Hq"], size["Lq"], 8), np.float32)
    k = np.ones((size["B"], 2, size["Lk"], 8), np.float32)
    v = k[..., :3]
    q, k, v = (x.swapaxes(1, 2) if layout == "bshd" else x for x in (q, k, v))
    sinks = np.arange(size["Hq"], dtype=np.float32)
    out, lse, info = run(q, k, v, layout=layout, return_lse=True, return_info=True,
                         mask=np.ones((1, size["Lk"]), bool), sinks=sinks)
    out = out.swapaxes(1, 2) if layout == "bshd" else out
    assert out.shape == (size["B"], size["Hq"], size["Lq"], 3)
    assert not out.any()
    assert lse.shape == out.shape[:3]
    np.testing.assert_array_equal(lse, np.broadcast_to(sinks[:, None], lse.shape))
    assert info.parts == 0
    assert info.multiply_adds == info.multiply_adds_dense == 0
    out, lse = run(q, k, v, layout=layout, return_lse=True)
    assert np.all(lse == -np.inf)


def test_empty_problem_fills_out():
    q, k, v = draw(lengths=(5, 0))
    out = np.full((2, 4, 5, 3), np.nan, np.float32)
    assert run(q, k, v, out=out) is out
    assert not out.any()


def test_size_one_and_stride_zero_axes_of_masks_are_never_expanded():
    seen = arguments_seen(mask=np.broadcast_to(np.ones((2, 1, 1, 6), bool), (2, 4, 5, 6)),
                          bias=np.zeros((4, 1, 1), ml_dtypes.bfloat16))
    assert seen.mask.shape == (2, 1, 1, 6)
    assert seen.bias.shape == (1, 4, 1, 1)
    assert seen.bias.dtype == np.uint16


def arguments_seen(**extra):
    from aat.attention import arguments

    return arguments.check(*draw(), **extra).problem


@pytest.mark.parametrize("bias_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_bias_of_any_float_dtype(dtype, bias_dtype):
    q, k, v = draw(dtype)
    bias = np.random.default_rng(3).standard_normal((4, 1, 6)).astype(bias_dtype)
    bias[0, 0, 0] = -np.inf
    np.testing.assert_array_equal(run(q, k, v, bias=bias), run(q, k, v, bias=bias.astype(np.float64)))


class Exporter:
    """A foreign array: DLPack, and nothing else."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, **options):
        return self.x.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


class Namespaced(Exporter):
    """A foreign array of an array-API library."""

    def __array_namespace__(self):
        return type("namespace", (), {"from_dlpack": staticmethod(lambda x: Namespaced(np.from_dlpack(x)))})


def test_dlpack_objects():
    q, k, v = draw()
    expected, expected_lse = run(q, k, v, return_lse=True)
    assert np.shares_memory(arrays.take("q", Exporter(q)).view, q)
    out = run(Exporter(q), Exporter(k), v, mask=Exporter(np.ones((5, 6), bool)))
    assert type(out) is np.ndarray
    np.testing.assert_array_equal(out, expected)
    out, lse = run(Namespaced(q), k, v, return_lse=True)
    assert type(out) is type(lse) is Namespaced
    np.testing.assert_array_equal(out.x, expected)
    np.testing.assert_array_equal(lse.x, expected_lse)


def test_rounding_to_bfloat16_happens_once():
    ulp = 2.0**-7  # of bfloat16 in [1, 2)
    tie = 1 + ulp / 2
    cases = {tie: 1.0, tie + 2**-40: 1 + ulp, tie - 2**-40: 1.0, -(tie + 2**-40): -(1 + ulp),
             1 + 3 * ulp / 2: 1 + 2 * ulp,
             1 + 3 * ulp / 2 - 2**-40: 1 + ulp, 1e39: np.inf, -1e39: -np.inf, np.inf: np.inf, 2.0**-150: 0.0,
             -0.0: -0.0,
             3.3895313892515355e38: 3.3895313892515355e38, 2.0**-133: 2.0**-133}
    out = np.empty(len(cases), np.uint16)
    arrays.round_into(out, np.array(list(cases)))
    np.testing.assert_array_equal(arrays.widen(out), np.array(list(cases.values()), np.float32))
    assert np.signbit(arrays.widen(out)[list(cases).index(-0.0)])
    assert np.isnan(arrays.widen(arrays.round_into(out, np.full(len(cases), np.nan)))).all()


def test_rounding_of_float32_to_bfloat16_agrees_with_ml_dtypes():
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, np.uint32)
    x = bits.view(np.float32)
    x = x[~np.isnan(x)]
    out = arrays.round_into(np.empty(x.shape, np.uint16), x)
    np.testing.assert_array_equal(out, x.astype(ml_dtypes.bfloat16).view(np.uint16))


def test_widening_is_exact():
    bits = np.arange(2**16, dtype=np.uint16)
    np.testing.assert_array_equal(arrays.widen(bits), bits.view(ml_dtypes.bfloat16).astype(np.float32))


@needs_torch
class TestTorch:
    @pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
    @pytest.mark.parametrize("layout", ["bhsd", "bshd"])
    def test_tensors_in_and_out(self, name, layout):
        import torch

        dtype = getattr(torch, name)
        like = {"bfloat16": ml_dtypes.bfloat16}.get(name) or np.dtype(name)
        arrays_in = draw(like)
        expected, expected_lse = run(*arrays_in, return_lse=True)
        q, k, v = (torch.from_numpy(x.astype(np.float64)).to(dtype) for x in arrays_in)
        if layout == "bshd":
            q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        before = [x.clone() for x in (q, k, v)]
        out, lse = run(q, k, v, layout=layout, return_lse=True)
        assert type(out) is type(lse) is torch.Tensor
        assert out.dtype == dtype
        out = out.transpose(1, 2) if layout == "bshd" else out
        np.testing.assert_array_equal(out.double().numpy(), expected.astype(np.float64))
        np.testing.assert_array_equal(lse.numpy(), expected_lse)
        assert all(torch.equal(x, y) for x, y in zip((q, k, v), before, strict=True))

    def test_memory_is_shared(self):
        import torch

        x = torch.zeros(2, 3, dtype=torch.bfloat16)
        view = arrays.take("q", x).view
        view[...] = 0x3F80
        assert torch.equal(x, torch.ones(2, 3, dtype=torch.bfloat16))

    def test_masks_lengths_and_out_as_tensors(self):
        import torch

        q, k, v = draw()
        lens, mask = np.array([6, 2]), np.random.default_rng(0).random((5, 6)) > 0.3
        expected = run(q, k, v, kv_lens=lens, mask=mask, bias=mask.astype(np.float32))
        tq, tk, tv = map(torch.from_numpy, (q, k, v))
        out = torch.full((2, 4, 5, 3), float("nan"))
        returned = run(tq, tk, tv, kv_lens=torch.from_numpy(lens), mask=torch.from_numpy(mask),
                       bias=torch.from_numpy(mask).float().expand(4, 5, 6), out=out)
        assert returned is out
        np.testing.assert_array_equal(out.numpy(), expected)

    def test_gradients_are_refused_where_they_would_be_lost(self):
        import torch

        q, k, v = map(torch.from_numpy, draw())
        q.requires_grad_()
        with pytest.raises(ValueError,
                           match=r"q: .*requires_grad=True; there is no backward pass yet: detach\(\)"):
            run(q, k, v)
        with torch.no_grad():
            assert not run(q, k, v).requires_grad
        run(q.detach(), k, v)

    def test_tensors_elsewhere_or_sparse(self):
        import torch

        q, k, v = map(torch.from_numpy, draw())
        with pytest.raises(ValueError,
                           match=r"k: expected a tensor in CPU memory, got one on meta; move it with "
                                 r".cpu\(\)"):
            run(q, k.to("meta"), v)
        with pytest.raises(TypeError, match=r"v: expected a dense tensor, got layout torch.sparse_coo"):
            run(q, k, v.to_sparse())
        with pytest.raises(TypeError,
                           match=r"out: expected an array of q's kind, got numpy for a q of torch"):
            run(q, k, v, out=np.zeros((2, 4, 5, 3), np.float32))
        with pytest.raises(TypeError, match=r"q: expected dtype float16.* got int64"):
            run(q.long(), k, v)
