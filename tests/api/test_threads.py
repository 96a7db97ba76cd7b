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
