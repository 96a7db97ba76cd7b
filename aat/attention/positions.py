"""Where does query row i stand among the keys, and which keys may it see by position?

Row i of batch b is at p = i + offset[b] and sees the keys p - left <= j <= p + right that exist, j <
kv_lens[b]. Positions are int32 on every backend; the checks here keep each sum that a kernel forms inside it.
"""

import numbers

import numpy as np

from aat.arrays import take_integers, widen
from aat.errors import type_error, value_error

CAUSAL = ("upper_left", "lower_right")
LIMIT = 2**30  # |p| and bounds below it: p + bound fits an int32
LOOK = 2**20  # pairs looked at together


def lengths(kv_lens, full):
    """kv_lens as int32 (B,), checked against Lk; None stays None. `full` is (B, Hq, Lq, Lk)."""
    if kv_lens is None:
        return None
    batch, keys = full[0], full[3]
    lens = take_integers("kv_lens", kv_lens, "pass np.int32")
    if lens.shape != (batch,):
        raise value_error("kv_lens", f"shape (B,) = ({batch},)", f"shape {lens.shape}",
                          "one length a batch element")
    for bad in np.flatnonzero((lens < 0) | (lens > keys))[:1]:
        raise value_error("kv_lens", f"lengths from 0 to Lk = {keys}", f"{lens[bad]} at batch index {bad}",
                          "a length counts the keys of k that exist")
    return lens.astype(np.int32)


def alignment(causal):
    """`causal` checked: None, True, "upper_left" or "lower_right". False counts as None."""
    if causal is None or isinstance(causal, (bool, np.bool_)):
        return True if causal else None
    if isinstance(causal, str) and causal in CAUSAL:
        return causal
    error = value_error if isinstance(causal, str) else type_error
    raise error("causal", 'None, True, "upper_left" or "lower_right"', told(causal))


def bounds(causal, window):
    """(left, right) of the window and of a checked `causal` together."""
    if not isinstance(window, (tuple, list)) or len(window) != 2:
        raise value_error("window", "a pair (left, right)", told(window), "(None, None) bounds nothing")
    for side, bound in zip(("left", "right"), window, strict=True):
        if bound is None:
            continue
        if not is_integer(bound):
            raise type_error("window", f"an integer or None for {side}", told(bound))
        if bound < 0:
            raise value_error("window", f"{side} >= 0 or None", str(bound),
                              "None is no bound, 0 the query's own position")
    left, right = (None if bound is None else int(bound) for bound in window)
    return left, right if causal is None else 0


def offsets(causal, q_offset, lens, full):
    """The position of query row 0, int64 (B,): q_offset if given, else what a checked `causal` says."""
    batch, _, rows, keys = full
    if q_offset is not None:
        return _given(q_offset, batch)
    if causal is True and (rows != keys or lens is not None):
        raise value_error("causal",
                          '"upper_left" (query i sees keys j <= i) or "lower_right" (the last query sees the '
                          "last key)",
                          f"True with Lq = {rows}, Lk = {keys}{'' if lens is None else ' and kv_lens'}",
                          "the two differ here: name one of them, or give q_offset")
    if causal == "lower_right":
        last = np.full(batch, keys, np.int64) if lens is None else lens.astype(np.int64)
        return last - rows
    return np.zeros(batch, np.int64)


def int32_offsets(offset, full):
    """`offset` as int32, after a check that every position and every index of a key is below LIMIT."""
    rows, keys = full[2:]
    first, last = (int(offset.min()), int(offset.max()) + max(rows - 1, 0)) if offset.size else (0, 0)
    if max(-first, last, rows, keys) >= LIMIT:
        raise value_error("q_offset",
                          f"positions below 2**30 = {LIMIT} in magnitude, which are int32 in every kernel",
                          f"positions {first} to {last} with Lk = {keys}",
                          "only differences to the keys matter: subtract what they share")
    return offset.astype(np.int32)


def int32_bounds(left, right, offset, full):
    """(left, right) below LIMIT: a larger bound that excludes no key becomes None, any other is refused."""
    keys = full[3]
    if left is not None and left >= LIMIT:  # positions are below LIMIT: it reaches key 0 from everywhere
        left = None
    if right is not None and right >= LIMIT:
        first = int(offset.min()) if offset.size else 0
        if first + right < keys - 1:
            raise value_error("window", f"right below 2**30 = {LIMIT} or one that reaches every key",
                              str(right))
        right = None
    return left, right


def pairs_in_bounds(problem):
    """How many (row, key) pairs, over batch and heads, the bounds and lengths of `problem` leave; masks are
    not read.
    """
    keys = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
    p = problem.q_offset.astype(np.int64)[:, None] + np.arange(problem.Lq)
    end = keys[:, None] if problem.right is None else np.clip(p + problem.right + 1, 0, keys[:, None])
    begin = 0 if problem.left is None else np.maximum(p - problem.left, 0)
    return problem.Hq * int(np.maximum(np.broadcast_to(end - begin, p.shape), 0).sum())


def visible(problem, batch, head, row):
    """bool (n, Lk): the keys that rows of a Problem, index arrays (n,), see by position, length, mask and bias."""
    b, h, i = (x[:, None] for x in (batch, head, row))
    keys = np.arange(problem.Lk)
    lens = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
    p = problem.q_offset.astype(np.int64)[b] + i
    seen = keys < lens[b]
    if problem.left is not None:
        seen &= keys >= p - problem.left
    if problem.right is not None:
        seen &= keys <= p + problem.right
    for x in (problem.mask, problem.bias):
        if x is not None:
            at = tuple(n if size > 1 else 0 * n for n, size in zip((b, h, i, keys), x.shape, strict=True))
            seen &= x[at] if x is problem.mask else widen(x[at]) != -np.inf
    return seen


def sees_nothing(problem, batch, head, row):
    """Whether rows of a Problem, three index arrays (n,), see no key."""
    step = max(1, LOOK // max(problem.Lk, 1))
    parts = [visible(problem, *(x[first:first + step] for x in (batch, head, row))).any(1)
             for first in range(0, len(row), step)]
    return ~np.concatenate(parts) if parts else np.zeros(0, bool)


def _given(q_offset, batch):
    if is_integer(q_offset):
        values = np.full(batch, np.clip(int(q_offset), -2**62, 2**62), np.int64)
    elif isinstance(q_offset, (bool, numbers.Number, np.generic)):
        raise type_error("q_offset", "an integer, or integers of shape (B,)", told(q_offset))
    else:
        values = take_integers("q_offset", q_offset, "pass an int or np.int32")
        if values.shape not in ((), (batch,)):
            raise value_error("q_offset", f"an integer or shape (B,) = ({batch},)", f"shape {values.shape}")
        # a uint64 beyond int64 must not wrap into a legal position
        values = np.minimum(values, 2**62) if values.dtype == np.uint64 else values
        values = np.broadcast_to(values.astype(np.int64), (batch,))
    return values


def is_integer(x):
    """Whether `x` is a whole number; bool is none."""
    return isinstance(x, numbers.Integral) and not isinstance(x, (bool, np.bool_))


def told(x):
    """How a message shows a value: small ones as they are, others by their type."""
    return repr(x) if isinstance(x,
                                 (str, bool, numbers.Number, tuple, list,
                                  type(None))) else f"a {type(x).__name__}"
