"""Several threads on one kernel: every share ends or is called off, whatever happens."""

import threading
import time

import pytest

from aat.backends.floating import FloatingEnvironment
from aat.backends.team import Team


@pytest.fixture
def team():
    made = Team(3, FloatingEnvironment())
    yield made
    made.close()


def test_every_share_runs_on_a_thread_of_its_own(team):
    together, seen = threading.Barrier(3, timeout=30), []

    def share():
        together.wait()  # passes only if all three run at once
        seen.append(threading.current_thread().name)

    team.run([share] * 3)
    assert len(set(seen)) == 3


def test_a_share_that_has_not_begun_is_called_off(team):
    entered, release, ran = threading.Event(), threading.Event(), []

    def busy():
        entered.set()
        release.wait(30)

    occupied = threading.Thread(target=lambda: team.run([lambda: entered.wait(30), busy]))
    occupied.start()
    assert entered.wait(30)
    team.run([lambda: ran.append("first"), lambda: ran.append("late")])
    assert ran == ["first"]
    release.set()
    occupied.join(30)
    both = threading.Barrier(2, timeout=30)
    team.run([both.wait, lambda: (both.wait(), ran.append("next"))])
    assert ran == ["first", "next"], "the helper serves later jobs, and not the one that was called off"


def test_an_early_finish_is_believed(team):
    entered, release = threading.Event(), threading.Event()

    def slow_to_return():
        entered.set()
        release.wait(30)

    team.run([lambda: entered.wait(30), slow_to_return], finished=lambda n: n == 1 and entered.is_set())
    assert not release.is_set()
    release.set()


def test_what_a_share_raises_is_raised_after_all_have_ended(team):
    both, ended = threading.Barrier(2, timeout=30), []

    def fails():
        both.wait()
        raise OSError("from a helper")

    def first():
        both.wait()
        time.sleep(0.02)
        ended.append("first")

    with pytest.raises(OSError, match="from a helper"):
        team.run([first, fails])
    assert ended == ["first"]


def test_an_interrupt_waits_for_the_helpers(team):
    both, ended = threading.Barrier(2, timeout=30), []

    def interrupted():
        both.wait()
        raise KeyboardInterrupt

    def helper():
        both.wait()
        time.sleep(0.05)
        ended.append("helper")

    with pytest.raises(KeyboardInterrupt):
        team.run([interrupted, helper])
    assert ended == ["helper"]


def test_shares_with_tasks_of_their_own_are_all_run(team):
    """Without a common counter the caller cannot do a late helper's work."""
    count = []
    for n in range(200):
        team.run([lambda: None, lambda: count.append(1), lambda: count.append(1)], own=True)
        assert len(count) == 2 * (n + 1)
