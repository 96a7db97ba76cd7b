"""The probe: what a child finds, how it may die, and what is remembered."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from aat.backends import fingerprint, probe, vulkan_query
from aat.backends.base import DeviceInfo, Limits, Probe

GOOD = Probe(True, (), DeviceInfo("card", "discrete"), Limits(shared_bytes=1, dtypes=("f32",)), {"index": 2})


@pytest.fixture
def child(tmp_path, monkeypatch, own_cache):
    """Make the probe's child run this source in place of a backend: child("def main(name, path): ...")."""
    count = iter(range(100))

    def install(source):
        name = f"stand_in_{os.getpid()}_{next(count)}"
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(probe, "CHILD", name)

    return install


def no_child(*args, **kwargs):
    raise AssertionError("a child was started")


def test_a_result_survives_json():
    assert Probe.from_json(json.loads(json.dumps(GOOD.to_json()))) == GOOD
    bad = Probe(False, ("no driver; install one",))
    assert Probe.from_json(json.loads(json.dumps(bad.to_json()))) == bad


def test_the_cpu_works(own_cache):
    found = probe.probe("cpu")
    assert found.ok, found.reasons
    assert found.device.kind == "cpu"
    assert set(found.limits.dtypes) == {"f16", "bf16", "f32", "f64"}


@pytest.fixture(scope="module")
def tried():
    """What a child finds now, not what an earlier one found."""
    return probe._try("vulkan", 120)[0]


def test_vulkan_says_what_it_runs_on(vulkan, tried):
    found = tried
    assert found.device.kind in ("discrete", "integrated", "virtual", "software")
    assert found.limits.shared_bytes >= 16384  # the least that Vulkan 1.0 allows
    assert found.limits.threads_per_block >= 128
    assert found.limits.array_bytes >= 1 << 27
    assert {"f16", "bf16", "f32"} <= set(found.limits.dtypes)
    # Taichi's own log named the device that it opened
    assert found.details["opened"] == found.device.name
    assert found.device.name in found.details["devices"][found.details["index"]]
    if "llvmpipe" in found.device.name:
        assert found.device.kind == "software"


@pytest.mark.skipif(not shutil.which("vulkaninfo"), reason="vulkaninfo (vulkan-tools) is not installed")
def test_vulkan_limits_agree_with_vulkaninfo(vulkan, tried):
    text = subprocess.run(["vulkaninfo"], capture_output=True, text=True, timeout=60, check=False).stdout
    limits = tried.limits

    def told(name):
        return {int(value, 0) for value in re.findall(rf"{name}\s*=\s*(\w+)", text)}

    assert limits.shared_bytes in told("maxComputeSharedMemorySize")
    assert limits.threads_per_block in told("maxComputeWorkGroupInvocations")
    assert limits.array_bytes in told("maxStorageBufferRange") | told("maxMemoryAllocationSize")


def test_cuda_works_or_says_what_to_do():
    found = probe.probe("cuda")
    assert found.ok or re.search("install|CUDA_VISIBLE_DEVICES|no CUDA on macOS|update", found.reasons[0])


def test_an_answer_is_remembered_between_processes(own_cache, monkeypatch):
    first = probe.probe("reference")
    probe.forget()
    monkeypatch.setattr(subprocess, "Popen", no_child)
    second = probe.probe("reference")
    assert (first.cached, second.cached) == (False, True)
    assert second == first
    with pytest.raises(AssertionError, match="a child was started"):
        probe.probe("reference", refresh=True)


@pytest.mark.parametrize(
    "damage", [b"", b"\x00\xff", b"[1]", b"{}", b'{"facts": {}, "probe": null}', b"null"]
)
def test_a_damaged_file_is_ignored(child, damage):
    child(REPORTS_OK)
    probe.probe("reference")
    (file,) = (path for path in probe.env.cache_dir().glob("probes/*.json"))
    whole = file.read_bytes()
    file.write_bytes(damage)
    probe.forget()
    assert not probe.probe("reference").cached
    assert file.read_bytes() == whole  # and mended
    file.write_bytes(whole[:-20])
    probe.forget()
    assert not probe.probe("reference").cached


@pytest.mark.parametrize(("age", "remembered"), [(0, True), (probe.REFUSAL_S + 60, False)])
def test_a_no_is_remembered_for_minutes_only(child, age, remembered):
    child("def main(name, path): raise SystemExit(3)")
    assert not probe.probe("reference").ok
    (file,) = (path for path in probe.env.cache_dir().glob("probes/*.json"))
    os.utime(file, (time.time() - age,) * 2)
    probe.forget()
    assert probe.probe("reference").cached is remembered


def test_an_answer_to_other_facts_is_ignored(child):
    child(REPORTS_OK)
    probe.probe("reference")
    (file,) = (path for path in probe.env.cache_dir().glob("probes/*.json"))
    entry = json.loads(file.read_text())
    entry["facts"]["numba"] = "0.1"
    file.write_text(json.dumps(entry))
    probe.forget()
    assert not probe.probe("reference").cached


REPORTS_OK = f"""
import json
def main(name, path):
    with open(path, "a") as file:
        file.write({json.dumps(json.dumps({"result": GOOD.to_json()}))} + "\\n")
"""
DIES = """
import json, os, signal, sys, time
def main(name, path):
    with open(path, "a") as file:
        file.write(json.dumps({"step": "the imaginary driver was opened"}) + "\\n")
    print("driver says: segment 7 is missing", flush=True)
    sys.stdout.flush()
    """


def test_a_driver_that_crashes_kills_only_the_child(child, monkeypatch):
    child(DIES + "os.kill(os.getpid(), signal.SIGSEGV)")
    found = probe.probe("vulkan")
    assert not found.ok
    assert re.search("killed by SIGSEGV while the imaginary driver was opened", found.reasons[0])
    assert "segment 7 is missing" in found.reasons[0]
    assert "update the driver" in found.reasons[0]
    # it is not tried again
    probe.forget()
    monkeypatch.setattr(subprocess, "Popen", no_child)
    assert probe.probe("vulkan") == found


def test_a_driver_that_ends_the_process_is_no_success(child):
    child(DIES + "os._exit(0)")
    assert re.search("ended with status 0 while the imaginary", probe.probe("vulkan").reasons[0])
    child(DIES + "os._exit(7)")
    assert re.search("ended with status 7", probe.probe("vulkan", refresh=True).reasons[0])


def test_a_driver_that_hangs_is_given_up_and_not_remembered(child):
    child(DIES + "time.sleep(60)")
    found = probe.probe("vulkan", timeout=1.5)
    assert re.search("no answer within 1.5 s, while the imaginary driver was opened", found.reasons[0])
    probe.forget()
    child(REPORTS_OK)
    assert probe.probe("vulkan").ok


def test_an_interrupt_ends_the_child(child, tmp_path, monkeypatch):
    child(DIES + f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    wait = subprocess.Popen.wait

    def interrupted(self, timeout=None):
        if timeout is None:
            return wait(self)
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        probe.probe("vulkan")
    assert time.monotonic() - start < 20, "the child was left to end by itself"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGCONT)


def test_no_interpreter_to_start(own_cache, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "knows no Python interpreter" in probe.probe("cuda").reasons[0]


def test_a_missing_loader_is_told_with_the_command(own_cache, tmp_path, monkeypatch):
    for name in vulkan_query.LOADERS["linux"]:
        (tmp_path / name).write_text("not a library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    found = probe.probe("vulkan")
    assert re.search(
        r"the Vulkan loader could not be loaded \(.*\); install .*apt install libvulkan1", found.reasons[0]
    )


def test_a_loader_without_drivers(vulkan, own_cache, monkeypatch):
    monkeypatch.setenv("VK_DRIVER_FILES", "/nonexistent.json")
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nonexistent.json")
    found = probe.probe("vulkan")
    assert re.search("no compatible driver|lists no device", found.reasons[0])
    assert "mesa-vulkan-drivers" in found.reasons[0]


def test_a_device_that_is_not_there(vulkan, own_cache, monkeypatch):
    monkeypatch.setenv("TI_VISIBLE_DEVICE", "31")
    assert re.search(
        r"TI_VISIBLE_DEVICE: expected an index below \d+, got 31", probe.probe("vulkan").reasons[0]
    )


def test_the_best_kind_of_device_is_taken():
    found = [
        {"kind": kind, "name": kind} for kind in ("software", "virtual", "integrated", "discrete", "discrete")
    ]
    assert vulkan_query.choose(found) == 3
    assert vulkan_query.choose(found[:3]) == 2
    assert vulkan_query.choose(found, pinned=0) == 0


def test_new_drivers_ask_again(tmp_path, monkeypatch):
    manifest, library = tmp_path / "icd.json", tmp_path / "libdriver.so"
    library.write_text("1")
    manifest.write_text(json.dumps({"ICD": {"library_path": "./libdriver.so"}}))
    monkeypatch.setenv("VK_DRIVER_FILES", str(manifest))
    seen = [fingerprint.fingerprint("vulkan")]

    def changed():
        seen.append(fingerprint.fingerprint("vulkan"))
        return seen[-1] not in seen[:-1]

    assert not changed()
    library.write_text("22")
    assert changed()
    os.utime(manifest, ns=(1, 1))
    assert changed()
    monkeypatch.setenv("VK_LOADER_DEBUG", "error")
    assert changed()
    monkeypatch.setattr(fingerprint, "package_version", lambda name: "9.9")
    assert changed()
    assert json.loads(json.dumps(seen[-1])) == seen[-1]


def test_a_folder_that_cannot_be_written_only_costs_time(child, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AAT_CACHE_DIR", str(tmp_path / "file"))
    child(REPORTS_OK)
    assert probe.probe("reference").ok


def test_old_answers_are_dropped(child, monkeypatch):
    child(REPORTS_OK)
    monkeypatch.setattr(probe, "KEPT_FILES", 2)
    for number in range(4):
        monkeypatch.setenv("VK_TEST", str(number))
        probe.probe("vulkan")
    assert len(list(probe.env.cache_dir().glob("probes/*"))) == 2
