"""What every test may use: the `backend` fixture, and the order that keeps one Taichi program open at a time."""
import os

import pytest

from aat import env

# Tiles that somebody tuned on this machine must not decide what a test sees; tests of tuning say what they want.
os.environ["AAT_TUNE"] = "never"

BACKENDS = ("reference", "cpu", "vulkan")


def pytest_generate_tests(metafunc):
    """Parametrize `backend`, so that each backend is a test of its own in the report."""
    if "backend" in metafunc.fixturenames and not _parametrized(metafunc):
        marks = {"vulkan": pytest.mark.vulkan}
        metafunc.parametrize("backend", [pytest.param(name, marks=marks.get(name, ())) for name in BACKENDS],
                             indirect=True)


def _parametrized(metafunc):
    return any("backend" in str(mark.args[0]).replace(",", " ").split()
               for mark in metafunc.definition.iter_markers("parametrize"))


@pytest.fixture
def backend(request):
    """The name of a backend that runs here.  An absent one is skipped with the probe's reason, or fails if required."""
    return available(request.param)


@pytest.fixture
def cpu():
    """A CPU session of its own whose kernels go by addresses, as those of calls that are kept."""
    from aat.backends import select

    available("cpu")
    select.close()
    with select.use("cpu") as session:
        if not session.intrinsics:
            pytest.skip("calls are kept where kernels go by addresses, with the bitcode")
        yield session


def available(name):
    """Return `name`; skip, or fail where AAT_REQUIRE names it, if the backend's probe found no way to run it."""
    from aat.backends import select

    found = select.get(name).probe()
    if found.ok:
        return name
    reasons = "; ".join(found.reasons)
    if name in env.require():
        pytest.fail(f"AAT_REQUIRE names backend {name!r}, which cannot run here: {reasons}")
    pytest.skip(f"backend {name!r} cannot run here: {reasons}")


def pytest_collection_modifyitems(items):
    """Run all tests of one backend together: opening another backend closes the program and drops its kernels."""
    rank = {name: i for i, name in enumerate(BACKENDS, 1)}

    def order(item):
        callspec = getattr(item, "callspec", None)
        return rank.get(callspec.params.get("backend"), 0) if callspec else 0

    items.sort(key=order)
