"""What is kept of a cache's call, so that a decoder's next step is a launch and little else?

As in aat/attention/repeated.py, a kind of call is its shapes, strides, dtypes and options, here of one cache, and kept
by the open CPU session. Lengths and positions are no part of it: they are written at every call, and a Step serves as
long as the keys fill as many parts of the same tiles; then the long way makes the next one. What a Step cannot judge
goes the long way: further arrays, an Info, an output that may overlap, a result that is not finite.
"""

import weakref

import numpy as np

from aat import env
from aat.arrays import pointer
from aat.attention import decode, repeated
from aat.attention.dot import in_place
from aat.attention.paged import aligned
from aat.attention.positions import LIMIT
from aat.attention.repeated import UNKNOWN
from aat.backends import select
from aat.backends.program import free_launch
from aat.tiling import policy
from aat.tiling.base import TileConfig


def kind(cache, q, out, further, window, score, options):
    """The kind of a call as a dict key, or None if nothing of such calls is kept.

    further: arrays and switches that must be None or False. window: (left, right) of the call. score: a
    name; a score object is not kept. options: the values of the other arguments.
    """
    if any(x is not None and x is not False for x in further) or type(score) is not str or not repeated.on():
        return None
    if type(q) is not np.ndarray or not q.flags.aligned:
        return None
    if out is not None and not (type(out) is np.ndarray and out.flags.carray):
        return None
    if any(bound is not None and bound >= LIMIT for bound in window):
        return None  # whether that is legal depends on the positions
    shape = None if out is None else (out.shape, out.dtype)
    key = (weakref.ref(cache), q.shape, q.strides, q.dtype, shape, window, score, options, tuple(map(type, options)))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def again(key, q, out, keys, q_offset):
    """The answer of a call of a kind that is kept; UNKNOWN if it is not, or if this call must go the long way.

    keys, q_offset: integers (B,), counted from the first key that is kept.
    """
    session = select.active()
    step = session and key and session.repeats.get(key)
    if not step or step.epoch != policy.epoch() or (step.auto and step.chosen_by != env.chosen_backend()):
        return UNKNOWN
    return step.run(q, out, keys, q_offset)


def keep(key, call, session, pages):
    """Remember a call that went the long way over `pages`, if its kind can be repeated."""
    if key is None or not (session.intrinsics and free_launch() and in_place(call.problem.q, True)):
        return
    launch = decode._Launch(call.problem, session, decode.choose(call.problem, session, None, pages), pages,
                            lambda purpose, n, dtype: aligned((n,), dtype))
    if launch.queries < call.problem.Lq:
        return
    if session.repeats.pop(key, None) is None:
        weakref.finalize(key[0](), _drop, weakref.ref(session), key).atexit = False
    while len(session.repeats) >= repeated.MOST:
        session.repeats.pop(next(iter(session.repeats)))
    session.repeats[key] = Step(call, launch, session, pages)


def _drop(session, key):
    """Forget the kind of a cache that is gone."""
    if (session := session()) is not None:
        session.repeats.pop(key, None)


class Step:
    """One kind of a cache's calls, ready to run again with other queries, keys, lengths and positions."""

    __slots__ = ("_arrays", "_bounds", "_heads", "_launch", "_lse", "_out", "_rows", "_session", "_tiles", "auto",
                 "chosen_by", "epoch")

    def __init__(self, call, launch, session, pages):
        problem = call.problem
        self._session, self._launch = session, launch
        self._heads, self._rows = problem.B * problem.Hk, problem.Lq
        self._bounds = problem.left, problem.right
        self._tiles = problem.group * problem.Lq, decode.KEY_BYTES[pages.dtype], pages.page_size
        self._out = (*call.like.shape[:-1], problem.Dv), call.like.dtype
        shape = (problem.B, problem.Hq, problem.Lq)[call.squeeze:]
        self._lse = (shape, np.dtype(np.float32)) if call.return_lse else None
        # addresses alone: what is kept here keeps no cache alive
        self._arrays = [(pointer(x), x.nbytes) for x in (pages.k, pages.v)]
        self.auto, self.chosen_by, self.epoch = call.backend == "auto", env.chosen_backend(), policy.epoch()
        launch.forget()

    def _serves(self, keys, q_offset):
        """Whether the launch is what these lengths and positions would get."""
        launch, longest = self._launch, int(keys.max())
        if not longest or q_offset.min() <= -LIMIT or q_offset.max() + self._rows - 1 >= LIMIT:
            return False
        rows, key_bytes, page_size = self._tiles
        if TileConfig.decode(self._session.lane_width, rows, longest, key_bytes, page_size) != launch.config:
            return False
        spread = decode.spread(keys, q_offset, self._rows, *self._bounds, launch.config.keys_per_tile)
        if spread != (launch.first_part, launch.parts):
            return False
        return decode.programs(self._session, self._heads, longest, launch.blocks, launch.parts) == launch.programs

    def run(self, q, out, keys, q_offset):
        """The call's answer, or UNKNOWN if it must go the long way."""
        if not self._serves(keys, q_offset):
            return UNKNOWN
        at_q, (k, v) = pointer(q), self._arrays
        if out is None:
            out = np.empty(*self._out)
        elif np.may_share_memory(out, q):
            return UNKNOWN
        at_out = pointer(out)
        if any(at_out < at + size and at < at_out + out.nbytes for at, size in (k, v)):
            return UNKNOWN
        lse = None if self._lse is None else np.empty(*self._lse)
        self._launch.renew(keys, q_offset)
        self._launch.again(at_q, k[0], v[0], at_out, 0 if lse is None else pointer(lse))
        if self._launch.nonfinite():
            return UNKNOWN
        return out if lse is None else (out, lse)
