"""What the tests of the backends share: devices that run here, and fresh Python processes."""

import subprocess
import sys
import textwrap

import pytest

from aat import env
from aat.backends import probe, select


@pytest.fixture(params=["cpu", pytest.param("vulkan", marks=pytest.mark.vulkan)])
def device(request):
    """The name of a backend that keeps arrays and runs here; absent ones are skipped, or fail if required."""
    return present(request.param)


@pytest.fixture
def vulkan():
    """The name "vulkan", where a Vulkan device works."""
    return present("vulkan")


def present(name):
    found = select.get(name).probe()
    if found.ok:
        return name
    message = f"backend {name!r} cannot run here: {'; '.join(found.reasons)}"
    if name in env.require():
        pytest.fail(f"AAT_REQUIRE names it: {message}")
    pytest.skip(message)


@pytest.fixture
def session(device):
    """An open session of each device, with the library lock held."""
    with select.use(device) as opened:
        yield opened


@pytest.fixture
def undecided():
    """No remembered choice of "auto" before and after the test."""
    before, select._state.automatic = select._state.automatic, None
    yield
    select._state.automatic = before


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache folder, and nothing remembered in this process."""
    monkeypatch.setenv("AAT_CACHE_DIR", str(tmp_path))
    probe.forget()
    yield tmp_path
    probe.forget()


@pytest.fixture
def python():
    """python(source, timeout=..., VARIABLE=value) runs a program in a fresh interpreter."""

    def run(source, timeout=60, check=True, **variables):
        finished = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source)],
            env=env.child_environment(**variables),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check:
            assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished

    return run
