"""Calls on arrays that stay on a backend: DeviceArrays in and out, and what cannot be mixed."""

import numpy as np
import pytest

import aat

ml_dtypes = pytest.importorskip("ml_dtypes")
on_device = pytest.mark.parametrize("backend", ["cpu", pytest.param("vulkan", marks=pytest.mark.vulkan)],
                                    indirect=True)


def draw(dtype=np.float32, keys=6):
    rng = np.random.default_rng(0)
    shapes = (2, 4, 5, 8), (2, 2, keys, 8), (2, 2, keys, 4)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def moved(arrays, backend):
    return [aat.to_device(x, backend=backend) for x in arrays]


@on_device
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_device_arrays_give_device_arrays_and_the_bits_of_host_arrays(backend, dtype):
    arrays = draw(dtype)
    expected, expected_lse = aat.attention(*arrays, backend=backend, return_lse=True)
    out, lse, info = aat.attention(*moved(arrays, backend), return_lse=True, return_info=True)
    assert isinstance(out, aat.DeviceArray)
    assert isinstance(lse, aat.DeviceArray)
    assert (info.backend, info.reason) == (backend, "q, k and v are there")
    np.testing.assert_array_equal(out.numpy(), expected)
    np.testing.assert_array_equal(lse.numpy(), expected_lse)


@on_device
def test_three_axes_and_no_keys(backend):
    q, k, v = moved([x[0] for x in draw()], backend)
    expected = aat.attention(*(x[0] for x in draw()), backend=backend)
    np.testing.assert_array_equal(aat.attention(q, k, v).numpy(), expected)
    q, k, v = moved(draw(keys=0), backend)
    out, lse = aat.attention(q, k, v, return_lse=True)
    assert isinstance(out, aat.DeviceArray)
    assert not out.numpy().any()
    assert np.all(lse.numpy() == -np.inf)


@on_device
def test_scaled_dot_product_attention(backend):
    arrays = draw()
    expected = aat.scaled_dot_product_attention(*arrays, enable_gqa=True, backend=backend)
    q, k, v = moved(arrays, backend)
    out = aat.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    np.testing.assert_array_equal(out.numpy(), expected)
    with pytest.raises(ValueError,
                       match="enable_gqa: expected True where k and v have fewer heads than q, got False"):
        aat.scaled_dot_product_attention(q, k, v)


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_what_cannot_be_mixed_and_the_next_call(backend):
    host = draw()
    q, k, v = moved(host, backend)
    expected = aat.attention(q, k, v).numpy()
    def placed(x):
        return aat.to_device(x, backend=backend)

    three = q, k, v
    bad = [
        (TypeError, r"q, k, v: expected all three on the device or all three in host memory, got q as "
                    r"DeviceArray only; pass the others through aat.to_device", (q, *host[1:]), {}),
        (TypeError, r"q, k, v: .* got k and v as DeviceArray only", (host[0], k, v), {}),
        (TypeError, r"mask: expected an array in host memory, got a DeviceArray; pass its .numpy\(\)", three,
         {"mask": placed(np.ones((5, 6), bool))}),
        (TypeError, r"bias: expected an array in host memory, got a DeviceArray", three,
         {"bias": placed(np.ones((5, 6), np.float32))}),
        (TypeError, r"sinks: expected an array in host memory, got a DeviceArray", three,
         {"sinks": placed(np.ones(4, np.float32))}),
        (TypeError, r"kv_lens: expected integers in host memory, got a DeviceArray", three,
         {"kv_lens": placed(np.ones(2, np.int32))}),
        (TypeError, r"out: expected an array of q's kind, got numpy for a q of device", three,
         {"out": np.zeros((2, 4, 5, 4), np.float32)}),
        (ValueError, r"layout: expected \"bhsd\" for DeviceArrays.*, got \"bshd\"; put them on the device as",
         three, {"layout": "bshd"}),
        (ValueError, r"backend: expected the one where q, k and v are \(cpu, cpu, cpu\), got 'reference'",
         three, {"backend": "reference"}),
        (ValueError, r"backend: expected one of auto, cpu, vulkan, cuda, reference, got 'gpu'", three,
         {"backend": "gpu"}),
        (TypeError, r"q, k, v: expected one dtype", (q, k, placed(host[2].astype(np.float64))), {}),
        (TypeError, r"q: expected dtype float16.* got i32",
         (placed(np.ones((2, 4, 5, 8), np.int32)), k, v), {}),
    ]
    for error, text, arrays, given in bad:
        with pytest.raises(error, match=text):
            aat.attention(*arrays, **given)
        np.testing.assert_array_equal(aat.attention(q, k, v).numpy(), expected)
    with pytest.raises(TypeError, match=r"parts\[0\]: expected arrays in host memory, got a DeviceArray"):
        aat.merge([(q, k)])


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_arrays_of_a_closed_program_say_so(backend):
    arrays = moved(draw(), backend)
    aat.backends.close()
    with pytest.raises(aat.BackendError, match="its program was closed"):
        aat.attention(*arrays)
    assert aat.attention(*moved(draw(), backend)).shape == (2, 4, 5, 4)


@on_device
def test_host_arrays_with_out_and_layout(backend):
    q, k, v = draw()
    expected, lse = aat.attention(q, k, v, backend=backend, return_lse=True)
    swapped = [np.ascontiguousarray(x.swapaxes(1, 2)) for x in (q, k, v)]
    out = np.full((2, 5, 4, 4), np.nan, np.float32)
    returned, other_lse = aat.attention(*swapped, backend=backend, layout="bshd", out=out, return_lse=True)
    assert returned is out
    np.testing.assert_array_equal(out.swapaxes(1, 2), expected)
    np.testing.assert_array_equal(other_lse, lse)
    reversed_out = np.full((2, 4, 5, 4), np.nan, np.float32)[:, ::-1, ::-1,
                                                             ::-1]  # no kernel writes that in place
    aat.attention(q, k, v, backend=backend, out=reversed_out)
    np.testing.assert_array_equal(reversed_out, expected)


@on_device
def test_strides_of_axes_that_have_one_element_may_be_anything(backend):
    q, k, v = (x[:1, :1] for x in draw())
    bias = np.ones((1, 1, 5, 6), np.float32)
    expected = aat.attention(q, k, v, bias=bias, backend=backend)
    q, k, v, bias = (np.lib.stride_tricks.as_strided(x, x.shape, (2**42, -2**41, *x.strides[2:]))
                     for x in (q, k, v, bias))
    out = np.lib.stride_tricks.as_strided(np.zeros((5, 4), np.float32), (1, 1, 5, 4), (2**42, 2**41, 16, 4))
    np.testing.assert_array_equal(aat.attention(q, k, v, bias=bias, out=out, backend=backend), expected)


@on_device
def test_splitting_on_a_backend(backend):
    from aat import backends
    from aat.attention import arguments, dot
    from aat.attention.split import run_in_parts

    q, k, v = draw(np.float16)
    given = {"causal": "lower_right", "kv_lens": np.array([6, 3]),
             "mask": np.random.default_rng(1).random((4, 5, 6)) > 0.2}
    problem = arguments.check(q, k, v, return_lse=True, **given).problem
    with backends.use(backend) as session:
        whole = dot.run(problem, session)
        result, parts = run_in_parts(problem, lambda part: dot.run(part, session), 60)
    assert parts > 4
    np.testing.assert_array_equal(result.out, whole.out)
    np.testing.assert_array_equal(result.lse, whole.lse)
