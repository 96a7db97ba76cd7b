"""What is kept of a call, so that the next one of its kind is a launch and little else?

A call's kind is its shapes, strides, dtypes and options. The first call of a kind goes the long way: every check, the
plan, the kernel. Then a Repeat of it is kept by the open CPU session, and the next call sets addresses and launches.
Values are no part of a kind: lengths, offsets and sinks are judged and copied at every call, masks and biases are read
in place. What a Repeat cannot judge goes the long way again: whatever is no plain NumPy array, an output that may
overlap an input, a length or a position out of range, a result that is not finite.
"""

import contextlib
import time
from dataclasses import replace

import numpy as np

from aat import env
from aat.arrays import pointer, span
from aat.attention.base import Info
from aat.attention.positions import LIMIT
from aat.backends import select
from aat.tiling import policy

MOST = 256  # kinds that a session keeps; the oldest goes first
UNKNOWN = object()
_off = 0


def kind(q, k, v, out, further, options, anew=False):
    """The kind of a call as a dict key, or None if nothing of such calls is kept.

    further: (mask, bias, sinks, kv_lens, q_offset), or None if none is given. options: the values of the other
    arguments, causal and window first. Those whose equality says less than identity (True == 1 == 1.0) come with their
    types. anew: whether something is made anew at every call: rows for a score object, or what functions capture.
    """
    if not (type(q) is type(k) is type(v) is np.ndarray) or _off or anew:
        return None
    if not (q.flags.aligned and k.flags.aligned and v.flags.aligned):
        return None
    shape = None
    if out is not None:
        if type(out) is not np.ndarray or not (out.flags.writeable and out.flags.aligned):
            return None
        shape = (out.shape, out.strides, out.dtype)
    if further is not None:
        further = tuple(map(_of, further))
        if UNKNOWN in further:
            return None
    key = (q.shape, q.strides, q.dtype, k.shape, k.strides, k.dtype, v.shape, v.strides, v.dtype, shape, further,
           options, tuple(map(type, options)))
    try:
        hash(key)
    except TypeError:  # a list for a window, an array of offsets
        return None
    return key


def _of(x):
    """What of one further argument belongs to the kind."""
    if x is None:
        return None
    if type(x) is np.ndarray and x.flags.aligned:
        return x.shape, x.strides, x.dtype
    return int if type(x) is int else UNKNOWN  # an offset


def again(key, q, k, v, out, further=None):
    """The answer of a call of a kind that is kept; UNKNOWN if it is not, or if this call must go the long way."""
    with select.lock():
        session = select.active()
        repeat = session and session.repeats.get(key)
        if repeat is None or repeat.epoch != policy.epoch():
            return UNKNOWN
        if repeat.auto and repeat.chosen_by != env.chosen_backend():
            return UNKNOWN
        return repeat.run(q, k, v, out, further)


def keep(key, call, session, config, reason):
    """Remember a call that went the long way, if its kind can be repeated. reason: why this backend."""
    from aat.attention import dot

    further, (causal, window, *_), _ = key[-3:]
    if further is not None and any(bound is not None and bound >= LIMIT for bound in window):
        return  # whether that is legal depends on the offsets
    launch = dot.repeatable(call.problem, session, config, further is None and not call.return_info)
    if launch is None or (call.return_info and not launch.countable):
        return
    while len(session.repeats) >= MOST:
        session.repeats.pop(next(iter(session.repeats)))
    session.repeats[key] = Repeat(call, launch, causal == "lower_right", session, reason)


def on():
    """Whether calls are kept: not inside `off`."""
    return not _off


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

    __slots__ = ("_full", "_info", "_launch", "_lower_right", "_lse", "_out", "_spans", "auto", "chosen_by", "epoch")

    def __init__(self, call, launch, lower_right, session, reason):
        problem = call.problem
        self._full = problem.B, problem.Lq, problem.Lk
        self._lower_right = lower_right
        self._info = None
        if call.return_info:
            self._info = Info(session.backend, launch.config, 0.0, 0, problem.multiply_adds_dense, kernel=launch.name,
                              device=session.device.name, reason=reason)
        self.auto, self.chosen_by = call.backend == "auto", env.chosen_backend()
        self.epoch = policy.epoch()
        self._launch = launch
        self._out = ((*call.like.shape[:-1], problem.Dv), call.like.dtype)
        given = np.empty(*self._out) if problem.out is None else problem.out
        self._spans = [span(x) * x.itemsize for x in (problem.q, problem.k, problem.v, given)]
        number = np.dtype(np.float64 if problem.dtype == "f64" else np.float32)
        self._lse = ((problem.B, problem.Hq, problem.Lq)[call.squeeze:], number) if call.return_lse else None

    def run(self, q, k, v, out, further=None):
        """The call's answer, or UNKNOWN if it must go the long way, before anything was written or with a result that
        is not finite."""
        start = 0.0 if self._info is None else time.perf_counter()
        at_q, at_k, at_v = pointer(q), pointer(k), pointer(v)
        if out is None:
            out = np.empty(*self._out)
            at_out = pointer(out)
        else:
            at_out = pointer(out)
            end = at_out + self._spans[3]
            for at, span in zip((at_q, at_k, at_v), self._spans, strict=False):
                if at_out < at + span and at < end:
                    return UNKNOWN  # they may overlap; the long way knows
            if further is not None and any(type(x) is np.ndarray and np.may_share_memory(out, x) for x in further):
                return UNKNOWN
        if further is not None and not self._take(*further):
            return UNKNOWN
        lse = None if self._lse is None else np.empty(*self._lse)
        self._launch.again(at_q, at_k, at_v, at_out, 0 if lse is None else pointer(lse))
        if self._launch.nonfinite():
            return UNKNOWN
        if self._info is None:
            return out if lse is None else (out, lse)
        counts = self._launch.counts()
        done = counts.pop("multiply_adds")
        info = replace(self._info, seconds=time.perf_counter() - start, multiply_adds=done, multiply_adds_exact=done,
                       tiles=counts)
        return (out, info) if lse is None else (out, lse, info)

    def _take(self, mask, bias, sinks, kv_lens, q_offset):
        """Hand the further arguments of a call to the launch; False, and nothing handed, if a value is out of range."""
        batch, rows, keys = self._full
        lens = None
        if kv_lens is not None:
            lens = kv_lens.tolist()
            if min(lens) < 0 or max(lens) > keys:
                return False
        offsets = None
        if q_offset is not None:
            values = q_offset if type(q_offset) is int else q_offset.tolist()
            offsets = values if isinstance(values, list) else [values] * batch
            if min(offsets) <= -LIMIT or max(offsets) + rows - 1 >= LIMIT:
                return False
        elif lens is not None and self._lower_right:
            offsets = [n - rows for n in lens]
        self._launch.take(None if mask is None else pointer(mask), None if bias is None else pointer(bias), sinks, lens,
                          offsets)
        return True
