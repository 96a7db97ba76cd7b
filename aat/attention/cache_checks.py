"""Which calls of a KVCache are legal? Its arguments against what it holds; nothing here changes it."""

import math

import numpy as np

from aat.arrays import Taken, take, take_float, take_integers
from aat.attention import positions
from aat.attention.positions import LIMIT, is_integer, told
from aat.errors import type_error, value_error


def count(name, x, limit=math.inf):
    """A whole number from 1 to below `limit`."""
    if not is_integer(x):
        raise type_error(name, "a whole number", told(x))
    if not 1 <= x < limit:
        raise value_error(name, "at least 1" + ("" if limit == math.inf else f" and below {limit}"), str(x))
    return int(x)


def sequence(cache, name, b):
    """An index of the batch."""
    if not is_integer(b):
        raise type_error(name, "an index of the batch", told(b))
    if not 0 <= b < cache.batch:
        raise value_error(name, f"an index from 0 to {cache.batch - 1}", str(b))
    return int(b)


def lengths(cache, name, lens, most, range_of, scalar=False):
    """Integers (B,), or one for all if `scalar`, from 0 to `most` (an int or (B,)), as int64 (B,)."""
    if scalar and is_integer(lens):
        values = np.full(cache.batch, min(max(int(lens), -1), LIMIT))
    else:
        values = take_integers(name, lens, "pass np.int32")
    if values.shape != (cache.batch,):
        raise value_error(name, f"shape (B,) = ({cache.batch},)", f"shape {values.shape}",
                          "one for each sequence")
    for bad in np.flatnonzero((values < 0) | (values > most))[:1]:
        limit = "" if np.ndim(most) == 0 else f", here {most[bad]}"
        raise value_error(name, f"lengths {range_of}{limit}", f"{values[bad]} for sequence {bad}")
    return values.astype(np.int64)


def new_rows(cache, name, x, d):
    """The view (B, Hk, n, d) of an array to append."""
    taken = take_float(name, x)
    if taken.kind == "device":
        raise type_error(name, "an array in host memory", "a DeviceArray", "pass its .numpy()")
    shape = taken.view.shape
    view = taken.view[None] if len(shape) == 3 else taken.view
    if view.ndim != 4 or (view.shape[0], view.shape[1], view.shape[3]) != (cache.batch, cache.heads, d):
        alone = f" or ({cache.heads}, n, {d})" if cache.batch == 1 else ""
        raise value_error(name, f"shape ({cache.batch}, {cache.heads}, n, {d}){alone}", f"shape {shape}",
                          "batch, heads and head sizes are those of the cache")
    return view


def full(cache, first, counts):
    """The ValueError of an append that is over the capacity; `first` (B,) is the first key still seen."""
    lens = cache.lens
    counts = np.broadcast_to(counts, lens.shape)
    over = np.flatnonzero((lens + counts - first > cache.capacity) | (lens + counts >= LIMIT))[0]
    room = min(cache.capacity + int(first[over]), LIMIT - 1) - int(lens[over])
    window = "" if cache.window is None else f", window {cache.window}"
    return value_error("k", f"at most {room} new keys for sequence {over}, which has {lens[over]} "
                       f"(capacity {cache.capacity}{window})", str(counts[over]),
                       "truncate or reset it, append less at a time with a window, or make the cache with a "
                       "larger capacity")


def query_rows(cache, q):
    """The number of rows of q, after a check of what is the cache's own about it."""
    taken = take_float("q", q)
    if taken.kind == "device":
        raise type_error("q", "an array in host memory, where the cache is", "a DeviceArray",
                         "pass its .numpy()")
    if taken.dtype == "f64":
        raise type_error("q", "dtype float16, bfloat16 or float32", "f64", "a cache holds float32 at most")
    shape = taken.view.shape
    whole = (1, *shape) if len(shape) == 3 else shape
    if len(whole) != 4 or (whole[0], whole[3]) != (cache.batch, cache.d) or whole[1] % cache.heads:
        raise value_error("q", f"shape ({cache.batch}, Hq, Lq, {cache.d}), Hq a multiple of {cache.heads}",
                          f"shape {shape}", "batch, heads and head size are those of the cache")
    return whole[2]


def offset(cache, rows, causal, q_offset):
    """Position of query row 0 in each sequence, int64 (B,); `causal` as aat.attention takes it."""
    causal = positions.alignment(causal)
    if q_offset is not None:
        return positions.offsets(None, q_offset, None, (cache.batch, 0, rows, 0))
    if causal == "upper_left":
        return np.zeros(cache.batch, np.int64)
    return cache.lens.astype(np.int64) - rows


def window(cache, given):
    """(left, right) of a call: `given`, or the cache's own for None."""
    own = None if cache.window is None else cache.window - 1
    if given is None:
        return own, None
    left, right = positions.bounds(None, given)
    if own is not None and (left is None or left > own):
        raise value_error("window", f"left of at most {own}, as the cache has window = {cache.window}",
                          told(given), "what is further back is dropped")
    return left, right


def seen(cache, rows, first, left):
    """Raise ValueError if the row at position `first` (B,) sees keys that are dropped."""
    if cache.window is None or rows == 0:
        return
    starts = cache.starts
    for b in np.flatnonzero(starts > np.maximum(first - left, 0))[:1]:
        raise value_error("q", f"rows that see no key before position {starts[b]}, the first that sequence "
                          f"{b} still has", f"row 0 at position {first[b]}, which sees {left} keys back",
                          "with a window, attend with the rows of one append before the next")


def by_kept(cache, name, x):
    """A mask or bias of a cache with a window: its last axis, over all keys, from the first kept one."""
    if x is None:
        return None
    taken, lens, starts = take(name, x), cache.lens, cache.starts
    if taken.kind == "device" or taken.view.ndim == 0 or taken.view.shape[-1] == 1:
        return taken
    view, longest = taken.view[(None,) * (4 - taken.view.ndim)], int(lens.max())
    if view.ndim > 4 or view.shape[0] not in (1, cache.batch) or view.shape[-1] != longest:
        raise value_error(name, f"a shape that broadcasts to ({cache.batch}, Hq, Lq, {longest})",
                          f"shape {taken.view.shape}", "the last axis counts all keys, dropped ones included")
    kept = np.zeros((cache.batch, *view.shape[1:3], int((lens - starts).max())), view.dtype)
    for b, start in enumerate(starts.tolist()):
        part = view[b % len(view), ..., start:start + kept.shape[-1]]
        kept[b, ..., :part.shape[-1]] = part
    return Taken(kept, taken.dtype, "numpy")
