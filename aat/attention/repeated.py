"""What is kept of a call, so that the next one of its kind is a launch and little else?

A call's kind is its shapes, strides, dtypes and options. The first call of a kind goes the long way: every check, the
plan, the kernel. Then a Repeat of it is kept by the open CPU session, and the next call sets addresses and launches.
What a Repeat cannot judge goes the long way again: whatever is no plain NumPy array, an output that may overlap an
input, a result that is not finite.
"""

import contextlib

import numpy as np

from aat import env
from aat.arrays import pointer, span
from aat.backends import select
from aat.tiling import policy

MOST = 256  # kinds that a session keeps; the oldest goes first
UNKNOWN = object()
_off = 0


def kind(q, k, v, out, options):
    """The kind of a call as a dict key, or None if nothing of such calls is kept.

    options: the values of the other arguments. Those whose equality says less than identity (True == 1 == 1.0) come
    with their types.
    """
    if not (type(q) is type(k) is type(v) is np.ndarray) or _off:
        return None
    if not (q.flags.aligned and k.flags.aligned and v.flags.aligned):
        return None
    shape = None
    if out is not None:
        if type(out) is not np.ndarray or not (out.flags.writeable and out.flags.aligned):
            return None
        shape = (out.shape, out.strides, out.dtype)
    key = (q.shape, q.strides, q.dtype, k.shape, k.strides, k.dtype, v.shape, v.strides, v.dtype, shape, options,
           tuple(map(type, options)))
    try:
        hash(key)
    except TypeError:  # a list for a window, an array of offsets
        return None
    return key


def again(key, q, k, v, out):
    """The answer of a call of a kind that is kept; UNKNOWN if it is not, or if this call must go the long way."""
    with select.lock():
        session = select.active()
        repeat = session and session.repeats.get(key)
        if repeat is None or repeat.epoch != policy.epoch():
            return UNKNOWN
        if repeat.auto and repeat.chosen_by != env.chosen_backend():
            return UNKNOWN
        return repeat.run(q, k, v, out)


def keep(key, call, session, config):
    """Remember a call that went the long way, if its kind can be repeated."""
    from aat.attention import dot

    launch = dot.repeatable(call.problem, session, config)
    if launch is None:
        return
    while len(session.repeats) >= MOST:
        session.repeats.pop(next(iter(session.repeats)))
    session.repeats[key] = Repeat(call, launch)


@contextlib.contextmanager
def off():
    """Inside, every call goes the long way: for those who time its steps."""
    global _off
    _off += 1
    try:
        yield
    finally:
        _off -= 1


class Repeat:
    """One kind of call on the CPU, ready to run again on other arrays of the same shapes and strides."""

    __slots__ = ("_launch", "_lse", "_out", "_spans", "auto", "chosen_by", "epoch")

    def __init__(self, call, launch):
        problem = call.problem
        self.auto, self.chosen_by = call.backend == "auto", env.chosen_backend()
        self.epoch = policy.epoch()
        self._launch = launch
        self._out = ((*call.like.shape[:-1], problem.Dv), call.like.dtype)
        given = np.empty(*self._out) if problem.out is None else problem.out
        self._spans = [span(x) * x.itemsize for x in (problem.q, problem.k, problem.v, given)]
        number = np.dtype(np.float64 if problem.dtype == "f64" else np.float32)
        self._lse = ((problem.B, problem.Hq, problem.Lq)[call.squeeze:], number) if call.return_lse else None

    def run(self, q, k, v, out):
        """out or (out, lse) of the call, or UNKNOWN before anything was written if it must go the long way."""
        at_q, at_k, at_v = pointer(q), pointer(k), pointer(v)
        if out is None:
            out = np.empty(*self._out)
            at_out = pointer(out)
        else:
            at_out = pointer(out)
            end = at_out + self._spans[3]
            for start, span in zip((at_q, at_k, at_v), self._spans, strict=False):
                if at_out < start + span and start < end:
                    return UNKNOWN  # they may overlap; the long way knows
        lse = None if self._lse is None else np.empty(*self._lse)
        self._launch.again(at_q, at_k, at_v, at_out, 0 if lse is None else pointer(lse))
        if self._launch.nonfinite():
            return UNKNOWN
        return out if lse is None else (out, lse)
