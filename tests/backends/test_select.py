"""Which backend runs: by name, by itself, by variable; and what a change of backend does to arrays."""

import logging
import re
import threading

import numpy as np
import pytest

from aat.backends import active, close, resolve, select, to_device, use
from aat.backends.base import DeviceInfo, Limits, Probe
from aat.errors import BackendError

NO = Probe(False, ("there is no driver; install one",))


def works(kind):
    return Probe(True, (), DeviceInfo(f"a {kind} device", kind), Limits(), {"index": 0})


@pytest.fixture
def probes(monkeypatch, undecided):
    """Replace the outcome of the GPUs' probes: probes(vulkan=..., cuda=...)."""

    def install(**found):
        for name, outcome in found.items():
            monkeypatch.setattr(select.get(name), "probe", lambda refresh=False, outcome=outcome: outcome)

    monkeypatch.delenv("AAT_BACKEND", raising=False)
    return install


@pytest.mark.parametrize(
    ("vulkan", "cuda", "chosen", "reason"),
    [
        (NO, NO, "cpu", "vulkan: there is no driver; .*cuda: there is no driver"),
        (works("software"), NO, "cpu", "vulkan: a software device is a software device"),
        (works("discrete"), works("discrete"), "vulkan", "passed its probe"),
        (works("integrated"), NO, "vulkan", "passed its probe"),
        (works("software"), works("discrete"), "cuda", "passed its probe"),
    ],
)
def test_auto(probes, vulkan, cuda, chosen, reason):
    probes(vulkan=vulkan, cuda=cuda)
    name, why = resolve("auto")
    assert name == chosen
    assert re.search(reason, why)


def test_auto_is_decided_and_logged_once(probes, caplog):
    probes(vulkan=NO, cuda=NO)
    with caplog.at_level(logging.INFO, logger="aat"):
        assert resolve("auto") == resolve("auto")
    assert [record.getMessage()[:12] for record in caplog.records] == ["backend cpu:"]


def test_the_variable_overrides_auto_and_nothing_else(probes, monkeypatch):
    probes(vulkan=works("discrete"), cuda=NO)
    monkeypatch.setenv("AAT_BACKEND", "reference")
    assert resolve("auto") == ("reference", "AAT_BACKEND=reference")
    assert resolve("cpu")[0] == "cpu"
    monkeypatch.setenv("AAT_BACKEND", "auto")
    assert resolve("auto")[0] == "vulkan"


@pytest.mark.parametrize("name", ["gpu", "", "CPU", None])
def test_unknown_names(name):
    with pytest.raises(ValueError, match="backend: expected one of auto, cpu, vulkan, cuda, reference, got"):
        resolve(name)


def test_an_explicit_backend_never_falls_back_and_costs_nobody_his_arrays(probes):
    probes(cuda=NO)
    kept = to_device(np.ones(3, np.float32), "cpu")
    with (
        pytest.raises(BackendError, match="backend 'cuda': there is no driver; install one") as caught,
        use("cuda"),
    ):
        pass
    assert caught.value.backend == "cuda"
    assert caught.value.reasons == list(NO.reasons)
    assert active().backend == "cpu"
    assert kept.numpy().tolist() == [1, 1, 1]


def test_the_reference_keeps_no_arrays():
    with pytest.raises(BackendError, match=r"'reference': it computes from host arrays .*; pass NumPy"):
        to_device(np.ones(3, np.float32), "reference")


def test_another_backend_closes_the_first(vulkan):
    first = to_device(np.arange(4, dtype=np.float32), "cpu")
    with use("cpu") as session:
        pass
    second = to_device(first, vulkan)  # moves through the host
    assert second.numpy().tolist() == [0, 1, 2, 3]
    assert not session.alive
    assert session.arena.in_use_bytes == 0, "blocks go before their program does"
    with pytest.raises(
        BackendError, match=r"'cpu': its program was closed .backend 'vulkan' was opened.*; open it again"
    ):
        first.numpy()
    with pytest.raises(BackendError, match="was closed"):
        session.empty(3, np.float32)
    with use("cpu") as again:
        assert again.generation > session.generation
    with pytest.raises(BackendError, match=r"'vulkan': its program was closed .backend 'cpu' was opened"):
        second.argument  # noqa: B018 - the access is what fails
    assert "unusable" in repr(second)


def test_closing_is_idempotent_and_the_next_call_opens_again():
    array = to_device(np.ones(2, np.float32), "cpu")
    close()
    close()
    assert active() is None
    with pytest.raises(BackendError, match="closed by the caller"):
        array.numpy()
    assert to_device(np.ones(2, np.float32), "cpu").numpy().sum() == 2


def test_what_taichi_refuses_becomes_a_backend_error(monkeypatch):
    close()
    cpu = select.get("cpu")
    with monkeypatch.context() as patch:
        patch.setattr(cpu, "open", lambda: (_ for _ in ()).throw(RuntimeError("the driver sulks")))
        with pytest.raises(BackendError, match="Taichi could not open it: the driver sulks; see"), use("cpu"):
            pass
    with use("cpu") as session:
        assert session.alive


def test_threads_take_turns():
    inside, most = [], []

    def work():
        for _ in range(50):
            with use("cpu") as session, session.scope():
                inside.append(1)
                argument = session.empty(100, np.float32)
                argument[:] = threading.get_ident() % 1000
                most.append(len(inside))
                assert (argument == argument[0]).all()
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(most) == 400
    assert max(most) == 1
