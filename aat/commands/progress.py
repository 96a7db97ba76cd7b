"""How is somebody told how far a long command is, and how much longer it takes? On stderr, never on stdout."""

import sys
import time

EVERY = 2.0  # seconds between plain lines


class Progress:
    """`with Progress(name, total) as bar: bar.step("what is next")`: a bar with rich, else lines now and then.

    Time left is the time so far in proportion; nothing is said by a command that ends within two seconds.
    """

    def __init__(self, name, total, stream=None, clock=time.monotonic):
        self.name, self.total, self.stream, self.clock = name, total, stream or sys.stderr, clock
        self.done = 0.0
        self._bar = self._task = None

    def __enter__(self):
        self._begin = self._said = self.clock()
        if self.stream.isatty():
            self._start_bar()
        return self

    def __exit__(self, *exception):
        if self._bar is not None:
            self._bar.stop()
        return False

    def doing(self, what):
        """Say what begins now."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"{self.name}: {what}")
        elif self.clock() - self._said >= EVERY:
            self._said = self.clock()
            self.stream.write(f"{self.name}: {self.done:.0f} of {self.total}, {self.left()}; now {what}\n")
            self.stream.flush()

    def step(self, amount=1.0):
        """Count a finished piece."""
        self.done += amount
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done)

    def left(self):
        """The time left, in words."""
        if self.done <= 0:
            return "time left unknown"
        seconds = (self.clock() - self._begin) / self.done * max(0.0, self.total - self.done)
        return f"{seconds:.0f} s left" if seconds < 90 else f"{seconds / 60:.0f} min left"

    def _start_bar(self):
        try:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "rich":
                raise
            return  # lines will do
        columns = (TextColumn("{task.description}", markup=False), BarColumn(),
                   TextColumn("{task.completed:.0f}/{task.total}"), TimeRemainingColumn(), TextColumn("left"))
        self._bar = Progress(*columns, console=Console(file=self.stream), transient=True)
        self._task = self._bar.add_task(self.name, total=self.total)
        self._bar.start()
