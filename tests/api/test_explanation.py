"""supports and explain: what stands in the way, and what a call would do, without running it."""

import numpy as np
import pytest

import aat
from aat import backends
from aat.backends.base import DeviceInfo, Limits, Probe

ARRAYS = [np.ones((2, 4, 5, 8), np.float32), np.ones((2, 2, 6, 8), np.float32),
          np.ones((2, 2, 6, 4), np.float32)]


@pytest.fixture
def probed(monkeypatch):
    """Let the probe of "vulkan" find a given device."""
    def device(ok=True, reasons=(), kind="discrete", **limits):
        found = Probe(ok, reasons, DeviceInfo("Imaginary", kind), Limits(**limits))
        monkeypatch.setattr(backends.select.get("vulkan"), "probe", lambda refresh=False: found)
    return device


def test_the_reference_supports_every_legal_call():
    assert aat.supports(*ARRAYS, backend="reference", causal="lower_right", return_lse=True) == []


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_the_cpu_supports_every_float(backend):
    for dtype in (np.float16, np.float32, np.float64):
        assert aat.supports(*(x.astype(dtype) for x in ARRAYS), backend=backend) == []


def test_a_backend_that_is_not_there_gives_its_reasons_and_attention_raises_them(probed, monkeypatch):
    probed(ok=False, reasons=("no driver; install one", "no device"))
    assert aat.supports(*ARRAYS, backend="vulkan") == ["no driver; install one", "no device"]
    text = str(aat.explain(*ARRAYS, backend="vulkan"))
    assert "cannot run: no driver; install one\ncannot run: no device" in text
    monkeypatch.setattr(backends.select.get("vulkan"), "open", lambda: (_ for _ in ()).throw(
        aat.BackendError("vulkan", ["no driver; install one"])))
    with pytest.raises(aat.BackendError, match="no driver; install one"):
        aat.attention(*ARRAYS, backend="vulkan")


def test_dtypes_config_and_index_limit_are_reasons(probed):
    probed(dtypes=("f32",), shared_bytes=1000, threads_per_block=64, max_index=40)
    config = aat.TileConfig.default(1, 64, 64, 48 << 10)
    reasons = aat.supports(*(x.astype(np.float64) for x in ARRAYS), backend="vulkan", tiling=config)
    told = "\n".join(reasons)
    assert "dtype f64 is not computed on this device, which takes f32; convert the inputs" in told
    assert "exceeds the device's 64 per group" in told
    assert "the device has 1000" in told
    assert "k: expected at most 40 elements in a head" in told


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_a_config_the_device_cannot_hold_is_a_backend_error(backend):
    config = aat.TileConfig.default(1, 8, 4, 48 << 10)  # a GPU's
    assert any("lane_width must be 4, 8 or 16" in reason for reason in aat.supports(*ARRAYS, backend=backend,
                                                                                    tiling=config))
    with pytest.raises(aat.BackendError, match="lane_width must be 4, 8 or 16"):
        aat.attention(*ARRAYS, backend=backend, tiling=config)
    assert np.all(aat.attention(*ARRAYS, backend=backend) == 1.0)


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_explain_says_what_the_call_then_does(backend):
    explanation = aat.explain(*ARRAYS, backend=backend)
    _, info = aat.attention(*ARRAYS, backend=backend, return_info=True)
    assert explanation.device == info.device
    assert explanation.parts == info.parts
    assert explanation.multiply_adds_dense == info.multiply_adds_dense == 2 * 4 * 5 * 6 * 12
    text = str(explanation)
    assert "backend: cpu (asked for by name)" in text
    assert f"kernel: kernels/{info.kernel}.py" in text
    assert f"tiles: {info.config}" in text
    assert "threads: " in text


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_explain_closes_no_other_program(backend, probed):
    probed(shared_bytes=48 << 10, threads_per_block=1024)
    kept = aat.to_device(ARRAYS[0], backend=backend)
    explanation = aat.explain(*ARRAYS, backend="vulkan")
    assert "opening it would close that of 'cpu'" in explanation.note
    np.testing.assert_array_equal(kept.numpy(), ARRAYS[0])


def test_explain_of_what_launches_nothing():
    empty = aat.explain(ARRAYS[0][:, :, :0], *ARRAYS[1:], backend="cpu")
    assert (empty.parts, empty.multiply_adds_dense) == (0, 0)
    assert "answered without a launch" in str(empty)
    assert "kernels/reference/attention_forward.py" in str(aat.explain(*ARRAYS, backend="reference"))


def test_auto_says_why(monkeypatch):
    monkeypatch.setenv("AAT_BACKEND", "reference")
    assert "backend: reference (AAT_BACKEND=reference)" in str(aat.explain(*ARRAYS))
    _, info = aat.attention(*ARRAYS, return_info=True)
    assert (info.backend, info.reason) == ("reference", "AAT_BACKEND=reference")
