"""An open program: arrays in a scope, kernels, launches, poison, and who may end it."""

import contextlib

import numpy as np
import pytest

from aat.backends import device_kernels, to_device, use


def doubled(session, x):
    """2 x by a kernel, through every step that an operation takes."""
    with session.scope():
        source = session.array(x)
        target = session.array(x.copy())
        kernel = session.kernel("axpy", lambda: device_kernels.axpy(np.dtype(np.float32)))
        with session.launching():
            kernel(1.0, source, target)
        session.sync()
        return session.read(target, x.size, np.empty_like(x))


def test_a_call_from_array_to_array(session):
    x = np.arange(50, dtype=np.float32)
    before = session.counters.launches
    assert doubled(session, x).tolist() == (2 * x).tolist()
    assert session.counters.launches > before


def test_kernels_are_built_once_a_program(session):
    built = []
    for _ in range(3):
        session.kernel(("key", 1), lambda: built.append(1))
    assert built == [1]


def test_bytes_that_cross_are_counted(vulkan):
    with use(vulkan) as session, session.scope():
        session.counters.bytes_to_device = session.counters.bytes_from_device = 0
        argument = session.array(np.ones(10, np.float16))  # stored as float32
        session.read(argument, 5, np.empty(5, np.float32))
        assert (session.counters.bytes_to_device, session.counters.bytes_from_device) == (40, 20)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_scope_returns_what_it_took_however_it_ends(session, error):
    before = session.arena.in_use_bytes
    with contextlib.suppress(error), session.scope():
        session.empty(100, np.float32)
        with session.scope():
            session.empty(100, np.int32)
            raise error
    assert session.arena.in_use_bytes == before


def test_results_outlive_the_scope(session):
    with session.scope():
        with session.scope():
            inner = session.array(np.ones(8, np.float32))
            if session.backend == "cpu":
                inner = session.empty(8, np.float32)
                inner[:] = 1
            result = session.adopt(inner, (2, 4), "f32")
    with session.scope():
        other = session.empty(8, np.float32)
        assert result.argument is not other
    assert result.numpy().tolist() == [[1] * 4] * 2


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.float16])
def test_poison_fills_what_nobody_wrote(session, dtype):
    session.poison = True
    try:
        with session.scope():
            out = session.read(session.empty(33, dtype), 33, np.empty(33, dtype))
    finally:
        session.poison = False
    assert (np.isnan(out) if np.dtype(dtype).kind == "f" else out == -1).all()


def test_reads_go_to_any_strides(session):
    x = np.arange(12, dtype=np.float32)
    with session.scope():
        argument = session.array(x)
        board = np.zeros((8, 6), np.float32)
        out = board[::2, ::2]
        assert session.read(argument, 12, out) is out
        assert (board[::2, ::2] == x.reshape(4, 3)).all()
        assert board.sum() == x.sum()
        whole = session.read(argument, 12, np.empty((3, 4), np.float32).T)
        assert (whole == x.reshape(4, 3)).all()


def test_empty_arrays_are_legal(session):
    with session.scope():
        argument = session.array(np.empty(0, np.float32))
        assert session.read(argument, 0, np.empty(0, np.float32)).size == 0
        session.empty(0, np.float32)


def test_the_clock_moves(session):
    first = session.clock()
    assert session.clock() > first


def test_lanes_follow_the_variables(python):
    shown = python(
        """
        from aat.backends import use
        with use("cpu") as session:
            print(session.lane_width, session.threads, session.intrinsics)
    """,
        AAT_LANES="8",
        AAT_NUM_THREADS="1",
        AAT_INTRINSICS="0",
    ).stdout
    assert shown == "8 1 False\n"
    bad = python(
        """
        from aat.backends import use
        with use("cpu"):
            pass
    """,
        check=False,
        AAT_LANES="12",
    )
    assert "environment variable AAT_LANES: expected one of 4, 8, 16, got '12'" in bad.stderr


def test_a_gpu_has_one_lane(vulkan):
    with use(vulkan) as session:
        assert (session.lane_width, session.intrinsics) == (1, False)


def test_somebody_elses_init_is_noticed_and_survived(python):
    shown = python("""
        import logging
        import numpy as np
        from aat.backends import to_device
        from aat.errors import BackendError
        logging.basicConfig(level=logging.WARNING)
        array = to_device(np.ones(3, np.float32), "cpu")
        import taichi as ti
        ti.init(arch=ti.cpu, log_level=ti.ERROR)
        try:
            array.numpy()
        except BackendError as error:
            print(error)
        print(to_device(np.ones(3, np.float32), "cpu").numpy().sum())
    """)
    assert "its program was closed (another ti.init in this process)" in shown.stdout
    assert "3.0" in shown.stdout
    assert "ends a Taichi program of this process that aat did not open" in shown.stderr


def test_stale_arrays_do_not_free_what_a_later_program_owns(vulkan):
    for _ in range(2):
        old = [to_device(np.full(1000, i, np.float32), vulkan) for i in range(20)]
        to_device(np.ones(1, np.float32), "cpu")
        new = [to_device(np.full(1000, i, np.float32), vulkan) for i in range(20)]
        del old
        assert all((array.numpy() == i).all() for i, array in enumerate(new))
