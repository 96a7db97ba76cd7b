"""Each environment variable: unset, good, bad."""

import contextlib
import logging
import os
import re
from pathlib import Path

import pytest

from aat import env

READERS = {
    "AAT_BACKEND": (
        env.backend,
        {"": None, "auto": "auto", "CPU": "cpu", "reference": "reference"},
        ("gpu", "0"),
    ),
    "AAT_LANES": (env.lanes, {"": None, "4": 4, "8": 8, " 16 ": 16}, ("2", "32", "eight", "8.0")),
    "AAT_INTRINSICS": (
        env.intrinsics,
        {"": True, "1": True, "on": True, "0": False, "False": False},
        ("2", "nein"),
    ),
    "AAT_NUM_THREADS": (env.num_threads, {"": None, "1": 1, "12": 12}, ("0", "-1", "two", "1.5")),
    "AAT_TUNE": (
        env.tune,
        {"": "cached", "never": "never", "Cached": "cached", "auto": "auto"},
        ("foo", "1"),
    ),
    "AAT_REQUIRE": (
        env.require,
        {"": (), "cpu": ("cpu",), "cpu, vulkan,cpu,": ("cpu", "vulkan"), "chromium": ("chromium",)},
        ("cpu,metal",),
    ),
    "AAT_LOG": (env.log_level, {"": None, "info": logging.INFO, "DEBUG": logging.DEBUG}, ("verbose", "10")),
}
GOOD = [(name, text, value) for name, (_, good, _) in READERS.items() for text, value in good.items()]
BAD = [(name, text) for name, (_, _, bad) in READERS.items() for text in bad]


def test_every_variable_is_described_and_tested():
    assert set(env.VARIABLES) == {*READERS, "AAT_CACHE_DIR"}
    assert [name for name, _, _ in env.settings()] == list(env.VARIABLES)


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_good_values(monkeypatch, name, text, value):
    monkeypatch.setenv(name, text)
    assert READERS[name][0]() == value


@pytest.mark.parametrize(("name", "text"), BAD)
def test_bad_values_name_the_variable(monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    offender = text.split(",")[-1]
    with pytest.raises(
        ValueError, match=rf"environment variable {name}: expected .*, got '{re.escape(offender)}'; "
    ):
        READERS[name][0]()


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"AAT_CACHE_DIR": "/a/b"}, Path("/a/b")),
        ({"XDG_CACHE_HOME": "/x"}, Path("/x/aat")),
        ({"XDG_CACHE_HOME": "relative"}, Path("/home/someone/.cache/aat")),
        ({}, Path("/home/someone/.cache/aat")),
    ],
)
def test_cache_folder(monkeypatch, variables, folder):
    monkeypatch.setenv("HOME", "/home/someone")
    for name in ("AAT_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert env.cache_dir() == folder


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("AAT_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(OSError, match="Not a directory"):
        env.cache_dir().mkdir(parents=True)


def test_taichi_sees_a_quiet_environment_and_the_caller_gets_his_back(monkeypatch):
    monkeypatch.setenv("TI_ARCH", "cuda")
    monkeypatch.delenv("TI_SKIP_VERSION_CHECK", raising=False)
    before = dict(os.environ)
    with contextlib.suppress(KeyError), env.taichi_environment():
        assert "TI_ARCH" not in os.environ
        assert os.environ["TI_SKIP_VERSION_CHECK"] == "ON"
        raise KeyError
    assert dict(os.environ) == before


def test_mlflow_is_kept_quiet_unless_the_user_has_said_otherwise(monkeypatch):
    for name in env.MLFLOW_DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    env.prepare_mlflow()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
    for name in env.MLFLOW_DEFAULTS:
        monkeypatch.delenv(name)


def test_pinned_device(monkeypatch):
    monkeypatch.setenv("TI_VISIBLE_DEVICE", "1")
    assert env.visible_device() == 1
    monkeypatch.setenv("TI_VISIBLE_DEVICE", "first")
    with pytest.raises(
        ValueError, match="TI_VISIBLE_DEVICE: expected the index of a Vulkan device, got 'first'"
    ):
        env.visible_device()
