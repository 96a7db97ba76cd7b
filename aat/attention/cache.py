"""Which keys and values does a decoder keep, and what does attention over them mean?

The object that callers hold. It stands above `aat.functional`, by which it attends.
"""

from dataclasses import replace
from time import perf_counter

import numpy as np

from aat.arrays import STORAGE, Taken, round_into, take_float, widen
from aat.attention import arguments, decode, int8, steps
from aat.attention import cache_checks as checks
from aat.attention.paged import PagedKV, PageTable, aligned
from aat.attention.positions import LIMIT, is_integer, told
from aat.backends import select
from aat.backends.select import lock
from aat.errors import value_error
from aat.functional import account, answer, execute, where

DTYPES = {name: STORAGE[name] for name in ("f32", "f16", "bf16")} | {"int8": np.dtype(np.int8)}


class KVCache:
    """Keys and values of a batch of growing sequences, in pages: aat.KVCache(batch, heads, capacity, d).

    Parameters
    ----------
    batch, heads : int
        Sequences B, and key-value heads Hk.
    capacity : int
        Keys that one sequence may hold. With a window: those that the first new query still sees and the new
        ones, so at least `window`.
    d : int
        Head size D of the keys.
    dtype : "f32", "f16", "bf16" or "int8"
        How they are kept. What is appended is rounded once; int8 keeps a float32 scale for each key and head
        beside its codes (see `error_bound`).
    dv : int, default d
        Head size Dv of the values.
    page_size : int
        Keys in a page.
    window : int, optional
        Each query sees the last `window` keys, itself included; pages that no later query can see are freed.
        Positions stay those in the whole sequence.
    pages : int, optional
        Pages that the batch shares; by default so many that every sequence can be full at once.

    Attributes
    ----------
    batch, heads, capacity, d, dv, page_size, pages : int
    dtype : str
    window : int or None

    Notes
    -----
    A call that raises has changed nothing. Calls from several threads wait for each other.
    """

    def __init__(self, batch, heads, capacity, d, dtype="f32", *, dv=None, page_size=64, window=None,
                 pages=None):
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise value_error("dtype", ", ".join(f'"{name}"' for name in DTYPES), told(dtype))
        self.batch, self.heads = checks.count("batch", batch), checks.count("heads", heads)
        self.capacity, self.dtype = checks.count("capacity", capacity, LIMIT), dtype
        self.d = checks.count("d", d)
        self.dv = self.d if dv is None else checks.count("dv", dv)
        self.page_size = checks.count("page_size", page_size, LIMIT)
        self.window = None if window is None else checks.count("window", window, LIMIT)
        columns = -(-self.capacity // self.page_size)
        if self.window is not None:
            if self.window > self.capacity:
                raise value_error("capacity", f"at least window = {self.window}", str(self.capacity),
                                  "a query sees that many keys at once")
            # the first key that is needed may stand anywhere in its page
            columns = (self.capacity - 1 + self.page_size - 1) // self.page_size + 1
        self.pages = self.batch * columns if pages is None else checks.count("pages", pages)
        self._pages = PageTable(self.batch, columns, self.pages)
        self._kept = np.zeros(self.batch, np.int32)    # keys of each sequence in its pages
        self._starts = np.zeros(self.batch, np.int32)  # position of the first of them
        self._room = 0  # keys that every sequence can take before any check or any page is needed
        shape = (self.pages, self.heads, self.page_size)
        self._k, self._v = (aligned((*shape, n), DTYPES[dtype]) for n in (self.d, self.dv))
        scaled = dtype == "int8"
        self._k_scales, self._v_scales = (aligned(shape, np.float32) if scaled else None for _ in "kv")
        self._memory = [x for x in (self._k, self._v, self._k_scales, self._v_scales) if x is not None]

    def __repr__(self):
        lens = self.lens
        return (f"KVCache(batch={self.batch}, heads={self.heads}, capacity={self.capacity}, d={self.d}, "
                f"dtype={self.dtype!r}, dv={self.dv}, page_size={self.page_size}, window={self.window}: "
                f"{lens.min()} to {lens.max()} keys, {self.free_pages} of {self.pages} pages free, "
                f"{self.nbytes / 2**20:.1f} MiB)")

    @property
    def lens(self):
        """Keys of each sequence, dropped ones included: the position of the next one. (B,) int32."""
        return self._starts + self._kept

    @property
    def starts(self):
        """Position of the first key that each sequence still has; 0 without a window. (B,) int32."""
        return self._starts.copy()

    @property
    def nbytes(self):
        """Bytes of the pages, the scales and the table, whether used or not."""
        return sum(x.nbytes for x in self._memory) + self._pages.table.nbytes

    @property
    def free_pages(self):
        """Pages that no sequence has."""
        return len(self._pages.free)

    # what is kept

    def append(self, k, v, lens=None):
        """Add keys and values behind those of each sequence.

        Parameters
        ----------
        k, v : arrays (B, Hk, n, D), (B, Hk, n, Dv)
            As `aat.attention` takes them, on the host: floats of any width, any strides; three axes mean
            B = 1. Rounded once to the cache's dtype; beyond its range f16 and bf16 become infinite.
        lens : integer array (B,), optional
            How many of the n rows each sequence takes, the first ones; all by default.

        Raises
        ------
        ValueError
            Shapes; no room (capacity, or pages of a shared pool); int8: a row to take that is not finite.
        """
        with lock():
            k, v = checks.new_rows(self, "k", k, self.d), checks.new_rows(self, "v", v, self.dv)
            n = k.shape[2]
            if v.shape[2] != n:
                raise value_error("v", f"{n} keys as in k {k.shape}", f"shape {v.shape}")
            counts = n if lens is None else checks.lengths(self, "lens", lens, n, f"from 0 to n = {n}")
            rows = self._stored("k", k, counts) + self._stored("v", v, counts)
            # keys before scales in `rows` of each; memory in the same order
            targets = [x for x in (self._k, self._k_scales, self._v, self._v_scales) if x is not None]
            if n > self._room:
                self._reserve(counts)
            self._write(list(zip(targets, rows, strict=True)), counts, n)
            self._kept += counts
            self._room = self._room - n if n <= self._room else self._free_room()

    def truncate(self, lens):
        """Cut each sequence back to its first lens[b] keys; `lens` is (B,), or one integer for all.

        Raises ValueError for a length beyond the sequence, and with a window for one whose next query would
        see keys that were dropped (back to before the last append always works; 0 too).
        """
        with lock():
            now = self.lens
            wanted = checks.lengths(self, "lens", lens, now, "from 0 to what each sequence has", scalar=True)
            first = self._first_seen(wanted)
            for b in np.flatnonzero((wanted > 0) & (first < self._starts))[:1]:
                raise value_error("lens", f"0, or a length whose window of {self.window} keys is kept: the "
                                  f"first key of sequence {b} is at {self._starts[b]}", str(wanted[b]),
                                  "reset the sequence and append its keys again")
            self._room = 0
            self._starts[wanted == 0] = 0
            self._kept[:] = wanted - self._starts
            for b, kept in enumerate(self._kept.tolist()):
                self._pages.cut_back(b, -(-kept // self.page_size))

    def reset(self, sequence=None):
        """Empty one sequence of the batch, or all of them."""
        with lock():
            which = range(self.batch) if sequence is None else [checks.sequence(self, "sequence", sequence)]
            self._room = 0
            for b in which:
                self._starts[b] = self._kept[b] = 0
                self._pages.cut_back(b, 0)

    def fork(self, source, into):
        """Make sequence `into` one with `source` up to here, dropping what it had.

        Both share their pages; whoever writes into a shared page first copies that page.
        """
        with lock():
            source, into = checks.sequence(self, "source", source), checks.sequence(self, "into", into)
            if source != into:
                self._room = 0
                self._pages.share(source, into)
                self._starts[into], self._kept[into] = self._starts[source], self._kept[source]

    # reading

    def paged(self):
        """The PagedKV of now: views of the memory, true until the next change."""
        scales = self._k_scales, self._v_scales
        return PagedKV(self._k, self._v, self._pages.table, self._kept, *scales, self.page_size, self.dtype)

    def gather(self):
        """Contiguous float32 copies (k, v), (B, Hk, n, D) and (B, Hk, n, Dv); int8 as codes times scales.

        Row i of sequence b stands at position starts[b] + i; n is the most keys that a sequence still has,
        and rows past a sequence's own are 0.
        """
        with lock():
            return self.paged().gather()

    def attention(self, q, *, causal="lower_right", scale=None, softcap=None, sinks=None, bias=None,
                  mask=None, window=None, q_offset=None, score="dot", backend="auto", return_lse=False,
                  return_info=False, out=None):
        """Attention of q over what the cache holds, as `aat.attention` means it.

        Parameters
        ----------
        q : array (B, Hq, Lq, D), float16, bfloat16 or float32
            Computed in float32, whatever the cache's dtype. Hk divides Hq. Three axes mean B = 1.
        causal : None, True, "lower_right" or "upper_left"
            Row i stands at lens[b] - Lq + i, so that the last row sees the last key; with "upper_left" at i.
        q_offset : int or integer array (B,), optional
            The position of row 0 instead: after a ragged append, the `lens` from before it.
        mask, bias : arrays that broadcast to (B, Hq, Lq, max(lens)), optional: all keys, dropped ones included
        window : (left, right), optional
            As in `aat.attention`; by default the cache's own, (window - 1, None), which left may not exceed.
        scale, softcap, sinks, score, backend, return_lse, return_info, out
            As in `aat.attention`; with a score object the kept rows are gathered and prepared at each call.

        Returns
        -------
        out, or (out, lse), (out, info), (out, lse, info), of q's type and dtype, as `aat.attention`.

        Raises
        ------
        ValueError, TypeError, BackendError
            As `aat.attention`, and ValueError if a row would see keys that a window has dropped.
        """
        with lock():
            rows = checks.query_rows(self, q)
            offset = checks.offset(self, rows, causal, q_offset)
            window = checks.window(self, window)
            checks.seen(self, rows, offset, window[0])
            kind = steps.kind(self, q, out, (mask, bias, sinks, return_info), window, score,
                              (causal, scale, softcap, return_lse, backend))
            if (known := steps.again(kind, q, out, self._kept, offset - self._starts)) is not steps.UNKNOWN:
                return known
            if self.window is not None:
                mask, bias = checks.by_kept(self, "mask", mask), checks.by_kept(self, "bias", bias)
            call = self._call(q, causal=causal, scale=scale, softcap=softcap, sinks=sinks, bias=bias,
                              mask=mask, window=window, q_offset=offset - self._starts, score=score,
                              backend=backend, return_lse=return_lse, return_info=return_info, out=out)
            return answer(call, *_attend(call, self.paged(), kind))

    def error_bound(self, q, scale=None, sinks=None):
        """How far int8 can move each row of `attention(q)`: float64 (B, Hq, Lq), proven in docs/cache.md.

        |out - out^|_inf is at most that, where out^ is exact attention over the kept rows and out over the
        rows that were appended, whatever mask, bias, softcap, window and alignment are. Zeros for the other
        dtypes, which count from their rounded rows.
        """
        with lock():
            checks.query_rows(self, q)
            call = self._call(q, scale=scale, sinks=sinks)
            x = widen(call.problem.q).astype(np.float64)
            if self.dtype == "int8":
                group = call.problem.group
                key, value, spread = (np.repeat(part, group, 1)[..., None] for part in self._extent(sinks))
                move = abs(call.problem.scale) * int8.HALF * np.abs(x).sum(-1) * key
                bound = int8.output_bound(move, value, spread)
            else:
                bound = np.zeros(x.shape[:3])
            return call.present(bound, swap=False)

    # the steps of the above

    def _stored(self, name, x, counts):
        """[rows] as they are kept, or [codes, scales]; no copy where the caller's array is that already."""
        storage = DTYPES[self.dtype]
        if self.dtype != "int8":
            return [x if x.dtype == storage else round_into(np.empty(x.shape, storage), widen(x))]
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite and is refused
            x = widen(x).astype(np.float32, copy=False)
        if not is_integer(counts):  # rows that are not taken may hold anything
            x = np.where((np.arange(x.shape[2]) < counts[:, None])[:, None, :, None], x, np.float32(0))
        rows = int8.quantise(x)
        if rows is None:
            where = tuple(np.argwhere(~np.isfinite(x))[0].tolist())
            raise value_error(name, "finite float32 numbers, as int8 has no code for others",
                              f"{x[where]} at {where}", 'keep such data as "f32", "f16" or "bf16"')
        return list(rows)

    def _first_seen(self, lens):
        """Position of the first key that a query at position `lens` sees."""
        return np.zeros_like(lens) if self.window is None else np.maximum(lens - (self.window - 1), 0)

    def _reserve(self, counts):
        """Make room for `counts` more keys: drop dead pages, own the pages to write into, take new ones."""
        lens, size = self.lens, self.page_size
        first = self._first_seen(lens)
        after = lens + counts
        if (after - first > self.capacity).any() or (after >= LIMIT).any():
            raise checks.full(self, first, counts)
        dead = (first - self._starts) // size
        pages = (self._kept + (counts + size - 1)) // size
        if not (self._pages.shared or dead.any() or (pages > self._pages.used).any()):
            return
        moves = []
        for b, count in enumerate(np.broadcast_to(counts, lens.shape).tolist()):
            if count:
                column, slot = divmod(int(self._kept[b]), size)
                moves.append((b, int(dead[b]), int(pages[b] - dead[b]), column if slot else None))
        missing = self._pages.missing(moves)
        if missing > 0:
            raise value_error("k", f"keys for which there are pages ({self.free_pages} of {self.pages} free)",
                              f"{missing} pages too many",
                              "truncate or reset sequences, or make the cache with a larger pages=")
        for b, gone, _, _ in moves:
            self._pages.cut_front(b, gone)
            self._starts[b] += gone * size
            self._kept[b] -= gone * size
        for b, gone, pages_b, column in moves:
            copied = None if column is None else self._pages.unshare(b, column - gone)
            if copied is not None:
                for memory in self._memory:
                    memory[copied[1]] = memory[copied[0]]
            self._pages.grow(b, pages_b)

    def _free_room(self):
        """`_room` as it is: up to the capacity, the end of the last page, or the next page to drop."""
        if self._pages.shared:
            return 0
        first = self._first_seen(self.lens)
        room = np.minimum(self.capacity + first - self.lens, self._pages.used * self.page_size - self._kept)
        room = np.minimum(room, LIMIT - 1 - self.lens)
        if self.window is not None:
            room = np.minimum(room, self.page_size + self._starts - self.lens + self.window - 1)
        return int(room.min())

    def _write(self, pairs, counts, n):
        """Copy rows into the pages behind the kept ones; `pairs` are (memory, rows)."""
        size, table = self.page_size, self._pages.table
        if n == 1 and is_integer(counts):
            columns, slots = np.divmod(self._kept, size)
            pages = table[np.arange(self.batch), columns]
            for memory, rows in pairs:
                memory[pages, :, slots] = rows[:, :, 0]
            return
        for b, count in enumerate(np.broadcast_to(counts, self._kept.shape).tolist()):
            at, done = int(self._kept[b]), 0
            while done < count:
                column, slot = divmod(at + done, size)
                step = min(size - slot, count - done)
                for memory, rows in pairs:
                    memory[table[b, column], :, slot:slot + step] = rows[b, :, done:done + step]
                done += step

    def _call(self, q, **options):
        """The checked Call of `aat.attention` over the kept keys; k and v have shapes and no memory."""
        taken = take_float("q", q)
        alone = taken.view.ndim == 3
        nothing = np.zeros((), STORAGE[taken.dtype])
        k, v = (Taken(np.broadcast_to(nothing, shape[alone:]), taken.dtype, "numpy")
                for shape in self.paged().shapes)
        return arguments.check(q, k, v, kv_lens=self._kept, **options)

    def _extent(self, sinks):
        """Float64 (B, Hk): the largest scale of a key and of a value, and the spread of the values."""
        pages = self.paged()
        extent = np.zeros((3, self.batch, self.heads))
        for b in np.flatnonzero(self._kept):
            values = pages.rows("v", b).astype(np.float64)
            high, low = values.max(1), values.min(1)
            if sinks is not None:
                high, low = np.maximum(high, 0), np.minimum(low, 0)
            extent[:, b] = pages.scales("k", b).max(1), pages.scales("v", b).max(1), (high - low).max(-1)
        return extent


def _attend(call, pages, kind=None):
    """(Result, Info) of a checked call over a PagedKV: the one place that reads its rows.

    `call.problem` is complete but for k and v, which have shapes and no memory. Few queries on the CPU read the pages
    where they are, and are kept as `kind`; others get them gathered, in float32 and as large as what is kept.
    """
    given = call.problem
    way = where(call)
    few = given.Lq <= decode.QUERIES and given.dtype != "f64" and given.score is None
    if way[0] == "cpu" and given.rows and given.Lk and few:
        return _in_place(call, pages, way, kind)
    narrow = given.dtype != "f32"
    k, v = pages.gather()
    problem = replace(given, q=widen(given.q), k=k, v=v, dtype="f32", out=None if narrow else given.out)
    result, info = execute(replace(call, problem=problem))
    if narrow:
        out = np.empty(result.out.shape, STORAGE[given.dtype]) if given.out is None else given.out
        result.out = round_into(out, result.out)
    return result, info


def _in_place(call, pages, way, kind):
    start = perf_counter()
    with select.use(way[0]) as session:
        result = decode.run(call.problem, session, None, pages)
        steps.keep(kind, call, session, pages)
    return result, account(call.problem, result, way[0], way[1], session.device.name, 1, perf_counter() - start)
