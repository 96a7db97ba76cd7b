"""The arena, arrays on a device, and their element types."""

import gc
import re
import typing
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

import aat
from aat.backends import dtypes, foreign, to_device, use
from aat.backends.base import Limits
from aat.backends.memory import ALIGNMENT, Arena, check_elements
from aat.errors import BackendError

DTYPES = {
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "f32": np.float32,
    "f64": np.float64,
    "bool": np.bool_,
    "i32": np.int32,
}
F32, U8 = np.dtype(np.float32), np.dtype(np.uint8)


class Shelf:
    """A backend that only allocates."""

    name = "shelf"

    def __init__(self):
        self.allocated = 0

    def block_kind(self, dtype):
        return "bytes"

    def allocate(self, nbytes, dtype):
        self.allocated += 1
        return np.empty(nbytes, np.uint8)

    def argument(self, block, n, dtype):
        return block[: n * dtype.itemsize].view(dtype)


def arena(idle=1 << 20, **limits):
    return Arena(Shelf(), replace(Limits(), **limits), idle)


def test_a_size_class_wastes_at_most_an_eighth():
    for nbytes in [*range(1, 5000), *(2**k + d for k in range(13, 40) for d in (-1, 0, 1))]:
        size = Arena.size_class(nbytes)
        assert size >= nbytes
        assert size % ALIGNMENT == 0
        assert size <= max(256, nbytes * 9 / 8 + ALIGNMENT)
        assert Arena.size_class(size) == size


def test_blocks_are_used_again():
    shelf = arena()
    for _ in range(10):
        first, second = shelf.take(1000, F32), shelf.take(900, F32)
        assert not np.shares_memory(first, second)
        assert (first.size, second.size) == (1000, 900)
        shelf.give(first)
        shelf.give(second)
    assert shelf._backend.allocated == 2
    assert shelf.in_use_bytes == 0
    assert shelf.idle_bytes == shelf.peak_bytes == Arena.size_class(4000) + Arena.size_class(3600)


def test_what_waits_is_bounded():
    shelf = arena(idle=10_000)
    taken = [shelf.take(1000, F32) for _ in range(5)]
    big = shelf.take(10_000, F32)
    for argument in [*taken, big]:
        shelf.give(argument)
        assert shelf.idle_bytes <= 10_000
    shelf.trim()
    assert shelf.idle_bytes == 0


def test_only_its_own_come_back_and_only_once():
    shelf = arena()
    mine = shelf.take(10, F32)
    shelf.give(np.empty(10, np.float32))
    shelf.give(mine[:5])
    assert shelf.in_use_bytes == 256
    shelf.give(mine)
    shelf.give(mine)
    assert (shelf.in_use_bytes, shelf.idle_bytes) == (0, 256)


def test_a_late_return_does_not_take_a_block_from_its_next_user():
    class Whole(Shelf):
        """As on a GPU, the argument is the block itself, the same object at every use."""

        def argument(self, block, n, dtype):
            return block

    shelf = Arena(Whole(), Limits(), 1 << 20)
    first = shelf.take(10, F32)
    ticket = shelf.ticket(first)
    shelf.give(first)
    second = shelf.take(10, F32)
    assert second is first
    shelf.give_later(ticket)
    assert shelf.take(10, F32) is not second
    assert shelf.in_use_bytes == 512


def test_limits_are_checked_before_memory_is_asked_for():
    shelf = arena(memory_bytes=100_000, array_bytes=50_000)
    with pytest.raises(
        BackendError, match="60000 bytes is over the device's limit of 50000 bytes an array; split"
    ):
        shelf.take(15_000, F32)
    first, second = shelf.take(12_000, F32), shelf.take(10_000, F32)
    with pytest.raises(
        BackendError, match="does not fit: the device has 100000 bytes, of which this process holds"
    ):
        shelf.take(5000, F32)
    assert shelf._backend.allocated == 2
    shelf.give(first)
    shelf.give(second)
    assert shelf.take(50_000, U8).size == 50_000  # what waited made room


def test_no_array_outgrows_32_bit_indices(session):
    check_elements("q", 2**31 - 1)
    with pytest.raises(ValueError, match=re.escape("q: expected at most 2147483647 elements (kernels index")):
        check_elements("q", 2**31)
    enormous = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2**16, 2**15), (0, 0))
    with pytest.raises(
        ValueError, match=r"x: expected at most 2147483647 elements .*, got 2147483648 elements; split"
    ):
        to_device(enormous, session.backend)
    with pytest.raises(ValueError, match="at most 2147483647"):
        session.empty(2**31, np.float32)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize(
    "arrange",
    [
        np.ascontiguousarray,
        np.asfortranarray,
        lambda x: x[::-1, ::2],
        lambda x: x[:, 1:2],
        lambda x: x[0, 0],
        lambda x: x[:0],
        lambda x: np.broadcast_to(x[0], (3, *x[0].shape)),
        lambda x: x.reshape(-1)[1:2],
    ],
    ids=["c", "fortran", "reversed", "sliced", "scalar", "empty", "broadcast", "one"],
)
def test_round_trip(device, dtype, arrange):
    x = arrange((np.arange(60).reshape(5, 12) % 7 - 3).astype(dtype))
    array = to_device(x, device)
    assert (array.shape, array.dtype, array.backend) == (
        x.shape,
        dtypes.logical_name(np.dtype(dtype)),
        device,
    )
    assert (array.size, array.ndim, array.nbytes) == (x.size, x.ndim, x.size * np.dtype(dtype).itemsize)
    back = array.numpy()
    assert back.dtype == dtype
    assert back.shape == x.shape
    assert back.tobytes() == np.ascontiguousarray(x).tobytes()


def test_special_values_arrive(device):
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-40, 3e38], np.float32)
    back = to_device(x, device).numpy()
    # a GPU may flush the subnormal number; its sign and everything else is exact
    assert back[[0, 1, 2, 3, 5]].tobytes() == x[[0, 1, 2, 3, 5]].tobytes()
    assert back[4] in (x[4], 0)


def test_arrays_are_copies(device):
    x = np.ones(4, np.float32)
    array = to_device(x, device)
    x[:] = 2
    back = array.numpy()
    back[:] = 3
    assert array.numpy().tolist() == [1] * 4


def test_an_array_that_is_there_stays(device):
    array = to_device(np.ones(4, np.float32), device)
    assert to_device(array, device) is array
    assert to_device(array) is array


def test_memory_returns_when_the_last_shape_goes(session):
    gc.collect()
    session.arena._collect()
    before = session.arena.in_use_bytes
    array = to_device(np.arange(6, dtype=np.float32), session.backend)
    view = array.reshape(2, 3)
    del array
    gc.collect()
    session.arena._collect()
    assert session.arena.in_use_bytes > before
    assert view.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert view.reshape((3, 2)).shape == (3, 2)
    assert len(view) == 2
    del view
    gc.collect()
    session.arena._collect()
    assert session.arena.in_use_bytes == before


def test_shapes_that_do_not_fit():
    array = to_device(np.ones(6, np.float32), "cpu")
    with pytest.raises(ValueError, match="shape: expected 6 elements in all, got"):
        array.reshape(4, 2)
    with pytest.raises(TypeError, match="without axes"):
        len(to_device(np.float32(1), "cpu"))
    with pytest.raises(TypeError):
        array + np.ones(6)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1.0, 2.0], "x: expected a NumPy array, .* got list; convert it with numpy.asarray"),
        (
            np.arange(3),
            "x: expected dtype f16, bf16, f32, f64, bool, i32 in native byte order, got dtype int64; convert",
        ),
        (np.ones(2, complex), "got dtype complex128"),
        (np.ones(2, ">f4"), "got dtype >f4"),
        (np.array(["a"]), "got dtype <U1"),
    ],
)
def test_what_to_device_refuses(x, message):
    with pytest.raises(TypeError, match=message):
        to_device(x, "cpu")


def test_dlpack_is_taken():
    class Foreign:
        def __init__(self, x):
            self.__dlpack__, self.__dlpack_device__ = x.__dlpack__, x.__dlpack_device__

    assert to_device(Foreign(np.arange(3, dtype=np.float32)), "cpu").numpy().tolist() == [0, 1, 2]
    assert aat.to_device is to_device


class Tensor:
    """A PyTorch tensor on a CUDA device, as far as `to_device` looks at one where it goes through the host."""

    __module__ = "torch"
    requires_grad = False

    def __init__(self, values, place="cuda"):
        self.values, self.shape = values, values.shape
        self.device = type("device", (), {"type": place})
        self.dtype = f"torch.{values.dtype.name}"

    def detach(self):
        return self

    def cpu(self):
        return Tensor(self.values, "cpu")

    def numpy(self):
        assert self.device.type == "cpu", "no NumPy array is memory of a CUDA device"
        return self.values


def test_a_cuda_tensor_goes_to_other_backends_through_the_host_and_that_is_said(session, caplog):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    with caplog.at_level("INFO", logger="aat"):
        array = to_device(Tensor(values), session.backend)
    assert f"a CUDA array goes to {session.backend} through the host" in caplog.text
    np.testing.assert_array_equal(array.numpy(), values)
    caplog.clear()
    with caplog.at_level("INFO", logger="aat"):
        to_device(Tensor(values, "cpu"), session.backend)
    assert "through the host" not in caplog.text
    with pytest.raises(TypeError, match=r"x: expected dtype f16, .* got dtype torch\.int64"):
        to_device(Tensor(np.arange(3)), session.backend)


def test_on_cuda_a_tensor_is_copied_where_it_is(monkeypatch):
    values, taken = np.arange(6, dtype=np.float32).reshape(2, 3), []

    class Cuda:
        backend = "cuda"

        def storage(self, name):
            return np.dtype({"f32": np.float32, "bool": np.int32}[name])

        def put_from_device(self, source, shape, name):
            taken.append((source, shape, name))

    monkeypatch.setattr(foreign, "_flat", lambda tensor, storage: (tensor.values.ravel(), storage))
    foreign.put_cuda(Tensor(values), Cuda())
    (source, storage), shape, name = taken.pop()
    assert (storage, shape, name) == (np.float32, (2, 3), "f32") and source.tolist() == list(range(6))


def test_the_copy_on_a_device_leaves_the_host_alone(vulkan):
    values = np.arange(50, dtype=np.float32)
    with use(vulkan) as session:
        source = to_device(values, vulkan)
        session.counters.bytes_to_device = session.counters.bytes_from_device = 0
        copied = session.put_from_device(source.argument, (5, 10), "f32")
        assert (session.counters.bytes_to_device, session.counters.bytes_from_device) == (0, 0)
    np.testing.assert_array_equal(copied.numpy(), values.reshape(5, 10))


def test_other_cuda_arrays_need_pytorch_and_say_so(monkeypatch):
    class Interface:
        __cuda_array_interface__: typing.ClassVar = {"shape": (3,), "typestr": "<f4", "data": (0, True), "version": 3}
        shape = (3,)

    class Pack:
        shape = (3,)

        def __dlpack_device__(self):
            return (2, 0)

    monkeypatch.setattr(foreign.importlib.util, "find_spec", lambda name: None)
    told = r"got (Interface|Pack) on a CUDA device, which is read through PyTorch, and that is not installed; copy"
    for array in (Interface(), Pack()):
        with pytest.raises(TypeError, match=told):
            to_device(array, "cpu")


def test_bf16_rounds_as_ml_dtypes_does():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint32)
    near = (rng.integers(0, 2**16, 2000, dtype=np.uint32)[:, None] << 16) + np.array(
        [0x7FFF, 0x8000, 0x8001], np.uint32
    )
    x = np.concatenate([bits, near.ravel()]).view(np.float32)
    ours = dtypes.round_bf16(x)
    with np.errstate(all="ignore"):
        theirs = x.astype(ml_dtypes.bfloat16)
    numbers = ~np.isnan(x)
    assert (ours[numbers] == theirs.view(np.uint16)[numbers]).all()
    assert np.isnan(dtypes.widen_bf16(ours)[~numbers]).all()
    every = np.arange(2**16, dtype=np.uint16)
    kept = dtypes.round_bf16(dtypes.widen_bf16(every))
    assert ((kept == every) | np.isnan(dtypes.widen_bf16(every))).all()


def test_results_round_to_the_logical_type(session):
    x = np.array([1 + 2**-12, 65519.0, 65520.0, -1e30], np.float32)
    with session.scope():
        argument = session.array(x)
        half = session.read(argument, 4, np.empty(4, np.float16))
    with np.errstate(over="ignore"):
        assert half.tobytes() == x.astype(np.float16).tobytes()


def test_the_cpu_gives_aligned_memory_and_takes_host_arrays_as_they_are():
    with use("cpu") as session, session.scope():
        for n in (1, 3, 100, 5000):
            for dtype in (np.float32, np.uint8, np.float64, np.int32, np.float16):
                argument = session.empty(n, dtype)
                assert argument.ctypes.data % 64 == 0
                assert (argument.dtype, argument.shape) == (dtype, (n,))
        mine = np.ones(7, np.float32)
        assert session.array(mine) is mine
        session.release(mine)  # not the arena's: left alone
