"""What a backend costs beside the kernel: allocation, copies to and from the device, an empty launch."""
import numpy as np
import pytest
from timed_calls import present

import aat
from aat.backends import select

BYTES = {"4 KiB": 4 << 10, "1 MiB": 1 << 20, "64 MiB": 64 << 20}
BACKENDS = ("cpu", "vulkan", "cuda")


@pytest.fixture(params=BACKENDS)
def backend(request):
    present(request.param)
    return request.param


@pytest.fixture(params=BYTES.values(), ids=BYTES)
def host(request):
    return np.random.default_rng(0).standard_normal(request.param // 4).astype(np.float32)


def test_allocation(benchmark, backend, host):
    benchmark.group = f"allocation on {backend}"
    with select.use(backend) as session:
        def call():
            session.release(session.empty(host.size, host.dtype))
        benchmark(call)


def test_to_device(benchmark, backend, host):
    benchmark.group = f"to the device, {backend}"
    benchmark.extra_info["bytes"] = host.nbytes
    there = aat.to_device(host, backend=backend)
    np.testing.assert_array_equal(there.numpy(), host)
    with select.use(backend) as session:
        def call():
            aat.to_device(host, backend=backend)
            session.sync()
        benchmark(call)


def test_from_device(benchmark, backend, host):
    benchmark.group = f"from the device, {backend}"
    benchmark.extra_info["bytes"] = host.nbytes
    there = aat.to_device(host, backend=backend)
    np.testing.assert_array_equal(benchmark(there.numpy), host)


def test_launch(benchmark, backend):
    """A kernel that copies one number, and the wait for it."""
    from aat.backends.device_kernels import copy

    benchmark.group = f"launch on {backend}"
    number = np.dtype(np.float32)
    with select.use(backend) as session, session.scope():
        kernel = session.kernel(("bench_copy",), lambda: copy(number))
        source, target = session.array(np.full(64, 3.0, np.float32)), session.empty(64, number)

        def call():
            with session.launching():
                kernel(source, target, 1)
            session.sync()
        call()
        assert session.read(target, 1, np.zeros(1, np.float32))[0] == 3
        benchmark(call)
