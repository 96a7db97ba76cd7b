"""Calls from several threads are serialised and right."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import aat


@pytest.mark.parametrize("backend", ["reference", "cpu"], indirect=True)
def test_many_threads_get_their_own_results(backend):
    rng = np.random.default_rng(0)
    calls = [tuple(rng.standard_normal((1, 2, 33, 8), np.float32) for _ in range(3)) for _ in range(12)]
    alone = [aat.attention(*call, backend=backend, causal=True) for call in calls]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda call: aat.attention(*call, backend=backend, causal=True), calls * 4))
    for i, out in enumerate(together):
        np.testing.assert_array_equal(out, alone[i % len(calls)])


def test_the_reference_runs_under_the_library_lock(monkeypatch):
    # Numba's simplest thread pool aborts the process when two threads launch at once
    from aat.attention import reference
    from aat.backends import select

    def free():
        taken = select.lock().acquire(blocking=False)
        if taken:
            select.lock().release()
        return taken

    run = reference.run

    def watched(problem):
        with ThreadPoolExecutor(1) as other:
            assert not other.submit(free).result()
        return run(problem)

    monkeypatch.setattr(reference, "run", watched)
    x = np.ones((1, 1, 2, 4), np.float32)
    assert np.all(aat.attention(x, x, x, backend="reference") == 1.0)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(free).result()


@pytest.fixture
def threads_as_before():
    yield
    aat.set_num_threads(None)


@pytest.mark.parametrize("backend", ["cpu"], indirect=True)
def test_the_number_of_threads_can_be_set_and_changes_no_bit(backend, threads_as_before, monkeypatch):
    from aat.backends import cpu, select

    monkeypatch.setattr(cpu, "processors", lambda: 3)
    q = np.random.default_rng(0).standard_normal((1, 8, 300, 64), np.float32)
    found = []
    for count in (1, 2, 3, 99, None):
        aat.set_num_threads(count)
        assert aat.get_num_threads() == min(count or 3, 3)
        found += [aat.attention(q, q, q, backend=backend) for _ in range(2)]
        session = select.active()
        assert session.threads == session.team.size == aat.get_num_threads()
    assert all(out.tobytes() == found[0].tobytes() for out in found)


def test_what_is_no_number_of_threads_is_refused(threads_as_before, monkeypatch):
    monkeypatch.setenv("AAT_NUM_THREADS", "1")
    for bad, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError), ("2", TypeError)):
        with pytest.raises(error, match="count"):
            aat.set_num_threads(bad)
    assert aat.get_num_threads() == 1, "AAT_NUM_THREADS still decides"
