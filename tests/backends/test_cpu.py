"""What the processor offers: lanes, intrinsics, threads."""

import os
import platform
import sys

import pytest

from aat.backends import cpu


@pytest.mark.parametrize(
    ("found", "lanes"),
    [({"AVX512F", "AVX2", "FMA3"}, 16), ({"AVX2", "FMA3"}, 8), ({"AVX2"}, 4), ({"ASIMD"}, 4), (set(), 4)],
)
def test_lanes_by_feature(monkeypatch, found, lanes):
    monkeypatch.delenv("AAT_LANES", raising=False)
    monkeypatch.setattr(cpu, "features", lambda: found)
    assert cpu.lane_width() == lanes
    monkeypatch.setenv("AAT_LANES", "16")
    assert (cpu.lane_width(), cpu.host_lanes()) == (16, lanes)


@pytest.mark.parametrize(
    ("machine", "found", "variable", "expected"),
    [
        ("x86_64", {"FMA3"}, "", True),
        ("AMD64", {"FMA3"}, "1", True),
        ("x86_64", {"FMA3"}, "0", False),
        ("x86_64", set(), "", False),
        ("aarch64", {"FMA3"}, "", False),
        ("arm64", {"FMA3"}, "", False),
    ],
)
def test_intrinsics(monkeypatch, machine, found, variable, expected):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(cpu, "features", lambda: found)
    monkeypatch.setenv("AAT_INTRINSICS", variable)
    assert cpu.intrinsics() is expected


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/cpuinfo is Linux's")
def test_two_sources_of_features_agree():
    decisive = {"AVX512F", "AVX2", "FMA3", "ASIMD"}
    assert cpu.features() & decisive == cpu._features_of_linux() & decisive


def test_threads_are_the_least_of_what_is_allowed(monkeypatch):
    monkeypatch.setattr(cpu, "processors", lambda: 6)
    monkeypatch.delenv("AAT_NUM_THREADS", raising=False)
    assert cpu.threads() == 6
    for text, expected in (("1", 1), ("6", 6), ("99", 6)):
        monkeypatch.setenv("AAT_NUM_THREADS", text)
        assert cpu.threads() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_threads_respect_the_affinity():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cpu.processors() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cpu.processors() == len(before)


def test_the_device_has_a_name_and_memory():
    assert cpu.device().name
    assert cpu.limits().memory_bytes is None or cpu.limits().memory_bytes > 1 << 28
