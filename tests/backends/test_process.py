"""What the library does to its process: imports, output, signals, threads, forks, rounding."""

import os

import pytest

CALL = """
import os, sys, signal, threading, time
import numpy as np
from aat.backends import active, close, device_kernels, to_device, use
from aat.errors import BackendError

def call(name, key=0):
    x = np.arange(64, dtype=np.float32)
    with use(name) as session, session.scope():
        source, target = session.array(x), session.array(x.copy())
        kernel = session.kernel(("axpy", key), lambda: device_kernels.axpy(np.dtype(np.float32)))
        with session.launching():
            kernel(2.0, source, target)
        session.sync()
        out = session.read(target, 64, np.empty_like(x))
    assert (out == 3 * x).all()
    return "right"
"""
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


def test_importing_loads_no_taichi(python):
    python("""
        import sys
        import aat, aat.backends, aat.cli, aat.backends.info
        from aat.backends import probe, select
        select.get("cpu"), select.get("vulkan"), select.get("cuda")
        heavy = {"taichi", "numba", "torch"} & set(sys.modules)
        assert not heavy, heavy
    """)


def test_nothing_is_printed_and_nothing_is_asked_of_the_network(python):
    shown = python(
        "import warnings; warnings.simplefilter('error')\n"
        + CALL
        + """
import builtins, socket
socket.socket.connect = lambda *arguments: os._exit(3)
call("cpu")
import taichi.lang.misc
assert taichi.lang.misc.print is builtins.print if "print" in vars(taichi.lang.misc) else True
close()
call("cpu")
time.sleep(0.2)
assert threading.active_count() == 1, threading.enumerate()
assert "ENABLE_TAICHI_HEADER_PRINT" not in os.environ
""",
        ENABLE_TAICHI_HEADER_PRINT=None,
    )
    assert (shown.stdout, shown.stderr) == ("", "")


def test_taichi_variables_do_not_choose_the_backend(python, vulkan):
    python(
        CALL
        + """
call("cpu")
import taichi as ti
from taichi.lang import impl
assert impl.current_cfg().arch == ti.cpu
""",
        TI_ARCH="vulkan",
        TI_DEFAULT_FP="64",
    )


def test_subnormal_numbers_of_the_caller_survive(python):
    python(
        CALL
        + """
tiny = np.full(20, 1e-40, np.float32)
def kept():
    return bool((tiny * np.float32(0.5) != 0).all()) and bool((tiny + tiny != 0).all())
assert kept()
call("cpu")
assert kept(), "after the first call"
flushed = []
def in_a_thread():
    call("cpu")
    flushed.append(kept())
thread = threading.Thread(target=in_a_thread); thread.start(); thread.join()
assert flushed == [True]
with use("cpu") as session:
    with session.launching():
        assert not kept(), "kernels run with flush-to-zero, whichever thread launches them"
    assert kept()
    try:
        with session.launching():
            raise KeyError
    except KeyError:
        assert kept()
close()
assert kept(), "after closing"
"""
    )


def test_kernels_do_not_see_the_callers_rounding(python):
    python(
        CALL
        + """
import ctypes
libm = ctypes.CDLL(None)
def result():
    with use("cpu") as session:
        x, y = np.full(64, 1 / 3, np.float32), np.full(64, 1e-8, np.float32)
        with session.launching():
            session.kernel("k", lambda: device_kernels.axpy(np.dtype(np.float32)))(0.1, x, y)
        return y.tobytes()
before = libm.fegetround()
first = result()
close()
assert libm.fesetround({"x86_64": 0x800, "aarch64": 0x400000}[os.uname().machine]) == 0  # upwards
upwards = libm.fegetround()
assert result() == first
assert libm.fegetround() == upwards != before
"""
    )


@pytest.mark.parametrize("name", ["cpu", "vulkan"])
def test_ctrl_c_leaves_the_library_usable(python, name, request):
    if name == "vulkan":
        request.getfixturevalue("vulkan")
    # the signals fall anywhere: into an opening, a trace, a launch, a copy
    shown = python(
        CALL
        + f"""
import random
random.seed(1)
hits = 0
def arm(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()
    return timer
for round in range(20):
    try:
        timer = arm(random.uniform(0, 0.06 if round % 4 else 0.4))
        if round % 4 == 0:
            close()
        while True:
            call({name!r}, key=random.random())
    except KeyboardInterrupt:
        hits += 1
    timer.join()
    call({name!r})
    assert active().arena.in_use_bytes == 0, active().arena.in_use_bytes
done = []
other = threading.Thread(target=lambda: done.append(call({name!r})))
other.start(); other.join(20)
assert done == ["right"], "the lock is still held"
print(hits)
"""
    )
    assert int(shown.stdout) == 20


def test_an_interrupted_import_can_be_repeated(python):
    shown = python(
        CALL
        + """
class Interrupter:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "taichi.lang.kernel_impl" and not "seen" in vars(Interrupter):
            Interrupter.seen = True
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupter)
try:
    call("cpu")
except KeyboardInterrupt:
    print("interrupted")
print(call("cpu"))
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""
    )
    assert shown.stdout == "interrupted\nright\n"


def test_many_threads_compute_correctly(python):
    python(
        CALL
        + """
failures = []
def work(number):
    try:
        for i in range(20):
            call("cpu", key=(number + i) % 5)
    except BaseException as error:
        failures.append(repr(error))
threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
[thread.start() for thread in threads]
[thread.join(30) for thread in threads]
assert not any(thread.is_alive() for thread in threads)
assert not failures, failures
assert active().counters.launches == 120
"""
    )


FORK = (
    CALL
    + """
def in_child(work, seconds=15):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BackendError as error:
            print(error, flush=True)
            status = 9
        except SystemExit:  # a grandchild's, which ends through these frames too
            status = 0
        finally:
            sys.stdout.flush()
            if status:
                os._exit(status)
            sys.exit(0)  # through the interpreter's own end, destructors included
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"
"""
)


@needs_fork
def test_a_forked_child_starts_its_own_cpu_program(python):
    python(
        FORK
        + """
assert in_child(lambda: call("cpu")) == 0, "before the parent's first call"
call("cpu")
kept = to_device(np.ones(3, np.float32), "cpu")
def work():
    try:
        kept.numpy()
    except BackendError as error:
        assert "this process was forked" in str(error)
    else:
        raise AssertionError("the parent's array was read")
    call("cpu"); call("cpu", key=1)
    assert in_child(lambda: call("cpu")) == 0
assert in_child(work) == 0
assert in_child(lambda: None) == 0, "a child that does not use the library ends as usual"
assert call("cpu") == "right"
assert kept.numpy().tolist() == [1, 1, 1]
"""
    )


@needs_fork
def test_a_fork_of_a_gpu_program_says_to_spawn(python, vulkan):
    shown = python(
        FORK
        + """
call("vulkan")
assert in_child(lambda: None) == 0
pid = os.fork()
if pid == 0:
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
for name in ("vulkan", "cpu"):
    assert in_child(lambda: call(name)) == 9
assert call("vulkan") == "right"
"""
    )
    assert shown.stdout.count('get_context("spawn")') == 2


@needs_fork
def test_a_fork_during_another_threads_call_says_so(python):
    shown = python(
        FORK
        + """
call("cpu")
entered, leave = threading.Event(), threading.Event()
def hold():
    with use("cpu"):
        entered.set()
        leave.wait(20)
thread = threading.Thread(target=hold); thread.start(); entered.wait(20)
assert in_child(lambda: call("cpu")) == 9
assert in_child(lambda: None) == 0
leave.set(); thread.join()
assert in_child(lambda: call("cpu")) == 0
"""
    )
    assert "forked while another thread was in a call" in shown.stdout


@needs_fork
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(python, tmp_path, method):
    file = tmp_path / "job.py"
    file.write_text(
        CALL
        + f"""
import multiprocessing
if __name__ == "__main__":
    call("cpu")
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        print(pool.map_async(call, ["cpu"] * 4).get(30))
    call("cpu")
"""
    )
    assert (
        python(
            f"import runpy; runpy.run_path({str(file)!r}, run_name='__main__')"
            if method == "fork"
            else f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, {str(file)!r}]))",
        ).stdout.count("right")
        == 4
    )


def test_folders_that_cannot_be_written_are_done_without(python):
    # left to itself Taichi 1.7.4 ends such a process with a segmentation fault
    python(CALL + "call('cpu'); close(); call('cpu')", HOME="/proc", AAT_CACHE_DIR=None, XDG_CACHE_HOME=None)
    python(CALL + "call('cpu')", AAT_CACHE_DIR="/dev/null/below")
