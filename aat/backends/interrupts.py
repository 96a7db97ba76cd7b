"""Which pieces of code may a signal not cut in two?

Importing Taichi, `ti.init` and `ti.reset` change process-wide state in many steps; a KeyboardInterrupt
between two of them leaves a module or a runtime that fails for the rest of the process. While a kernel is
defined and traced, Taichi 1.7.4 has bare `except:` clauses that swallow one. So signals wait until such a
piece has ended.
"""

import signal
import threading

# The functions of `signal` look every number and handler up in an enumeration, which costs 10 us a launch.
from _signal import getsignal  # type: ignore[import-not-found]
from _signal import signal as set_handler


class Uninterrupted:
    """`with Uninterrupted():` holds Python's signal handlers back until the block has ended, then runs them.

    Only the main thread runs signal handlers, so elsewhere there is nothing to do. Nesting is allowed.

    Parameters
    ----------
    numbers : iterable of signals or None
        Which to hold back; None is all of them.
    insist : bool
        Whether the second arrival of a signal is delivered at once, for blocks that may take long
        (compiling).
    """

    __slots__ = ("_arrived", "_handlers", "_insist", "_numbers")

    def __init__(self, numbers=None, insist=False):
        self._numbers = numbers
        self._insist = insist
        self._handlers = {}
        self._arrived = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            try:
                for number in signal.valid_signals() if self._numbers is None else self._numbers:
                    handler = getsignal(number)
                    if callable(handler):
                        self._handlers[number] = handler
                        set_handler(number, self._note)
            except BaseException:  # a handler raised before its turn came
                self._restore()
                raise
        return self

    def _note(self, number, frame):
        if self._insist and number in self._arrived:
            del self._arrived[number]
            self._handlers[number](number, frame)
        else:
            self._arrived[number] = frame

    def _restore(self):
        for number, handler in self._handlers.items():
            set_handler(number, handler)

    def __exit__(self, *exception):
        self._restore()
        for number, frame in self._arrived.items():
            self._handlers[number](number, frame)
        return False
