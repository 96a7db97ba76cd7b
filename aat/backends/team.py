"""How do several threads run one CPU kernel?

Taichi's own pool wakes all its threads and puts the calling one to sleep, which takes 65 to 150 us a launch on a
virtual machine (2026-11). Here the calling thread starts at once with the first share of the work, while helpers wake
up; one that comes too late is not waited for. Shares take tasks from a common counter, so it does not matter who is
late. A kernel is launched without the interpreter lock, on the calling thread (`ti.loop_config(serialize=True)`).
"""

import ctypes
import os
import queue
import threading
import time


def _processor_reader():
    """A function that tells the calling thread's processor, or None where the system does not tell."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return getattr(ctypes.PyDLL(None), "sched_getcpu", None)


_processor = _processor_reader()


class Team:
    """The calling thread and `size - 1` helpers, started when they are first needed.

    Parameters
    ----------
    size : int
    floating : FloatingEnvironment
        The rules under which helpers compute; the calling thread is the caller's business.
    """

    def __init__(self, size, floating):
        self.size = size
        self._floating = floating
        self._helpers = []
        self._avoided = None  # the processor that helpers keep off

    def run(self, shares, finished=None, own=False):
        """Run every share, a callable without arguments: the first here, the others on helpers, or nowhere.

        A helper that has not begun when the first share ends is called off: the tasks are done by then, since shares
        take them from a common counter. With `own`, each share has tasks of its own, and all are waited for.
        `finished(n)` may tell earlier than its return that share n has written its last result. Raises what a share
        raised, after all have ended.
        """
        if len(shares) == 1:
            shares[0]()
            return
        jobs = [_Job(share) for share in shares[1:]]
        while len(self._helpers) < len(jobs):
            self._helpers.append(_Helper(self._floating, len(self._helpers) + 1))
            self._avoided = None
        if _processor is not None and _processor() != self._avoided:
            self._keep_off(_processor())
        for helper, job in zip(self._helpers, jobs, strict=False):
            helper.jobs.put(job)
        interrupted = None
        try:
            shares[0]()
        except KeyboardInterrupt as error:
            interrupted = error
        while jobs:
            try:
                n = len(jobs)
                while not ((not own and jobs[-1].call_off()) or jobs[-1].done or (finished and finished(n))):
                    time.sleep(0)  # gives up the interpreter lock, which a helper needs to begin and to end
                if jobs[-1].error is not None and interrupted is None:
                    interrupted = jobs[-1].error
                jobs.pop()
            except KeyboardInterrupt as error:  # memory that a helper may still write must not be given back
                interrupted = error
        if interrupted is not None:
            raise interrupted

    def _keep_off(self, processor):
        """Keep the helpers off the calling thread's processor. After a pause of 30 ms Linux woke them there in half of
        the calls, to wait for 4 ms beside an idle one (two virtual processors, 2026-11)."""
        allowed = os.sched_getaffinity(0)
        others = allowed - {processor} or allowed
        try:
            for helper in self._helpers:
                os.sched_setaffinity(helper.started(), others)
        except OSError:
            pass  # not allowed in this sandbox: the scheduler decides
        self._avoided = processor

    def close(self):
        """Let the helpers end."""
        for helper in self._helpers:
            helper.jobs.put(None)
        self._helpers = []


class _Job:
    """One share, which is either run by its helper or called off: who pops the ticket decides."""

    __slots__ = ("_off", "_ticket", "done", "error", "share")

    def __init__(self, share):
        self.share = share
        self.done = False
        self.error = None
        self._ticket = [True]
        self._off = False

    def call_off(self):
        """Whether nobody runs the share, now or later."""
        self._off = self._off or self._taken()
        return self._off

    def _taken(self):
        try:
            return self._ticket.pop()
        except IndexError:
            return False

    def work(self):
        if self._taken():
            try:
                self.share()
            except BaseException as error:  # whatever it is, it belongs to the caller of `run`
                self.error = error
            finally:
                self.done = True


class _Helper:
    """A thread that waits for jobs. A daemon: it never keeps a process from ending."""

    def __init__(self, floating, number):
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        self._floating = floating
        self._thread = threading.Thread(target=self._work, name=f"aat-{number}", daemon=True)
        self._thread.start()

    def started(self):
        """The thread's number for the system."""
        return self._thread.native_id

    def _work(self):
        self._floating.set()
        while (job := self.jobs.get()) is not None:
            job.work()
