"""A KVCache as plain lists: whole histories, pages as objects, and nothing of the library's bookkeeping."""

import numpy as np

from aat.attention import int8


def state(cache):
    """Every byte and number that a cache consists of."""
    pages = cache._pages
    return (*(x.tobytes() for x in cache._memory), pages.table.tobytes(), pages.used.tobytes(),
            tuple(pages.free), tuple(pages._owners), pages.shared, cache._kept.tobytes(),
            cache._starts.tobytes())


def rounded(x, dtype):
    """float32 rows as a cache of `dtype` keeps them, widened again; int8 is not predicted here."""
    if dtype == "bf16":
        import ml_dtypes
        return x.astype(ml_dtypes.bfloat16).astype(np.float32)
    return x.astype({"f32": np.float32, "f16": np.float16}[dtype]).astype(np.float32)


class Sequence:
    """What was appended (Hk, len, d), what is kept of it, the first kept position, and pages as objects."""

    def __init__(self, heads, d, dv):
        self.k, self.v = np.zeros((heads, 0, d), np.float32), np.zeros((heads, 0, dv), np.float32)
        self.stored_k, self.stored_v = self.k, self.v
        self.start, self.pages = 0, []

    @property
    def len(self):
        return self.k.shape[1]

    def cut(self, n):
        for name in ("k", "v", "stored_k", "stored_v"):
            setattr(self, name, getattr(self, name)[:, :n])


class Model:
    """Takes the calls of a cache after the cache did, and says beforehand which must fail."""

    def __init__(self, cache):
        self.cache = cache
        self.sequences = [Sequence(cache.heads, cache.d, cache.dv) for _ in range(cache.batch)]

    @property
    def lens(self):
        return np.array([sequence.len for sequence in self.sequences])

    def first_seen(self, n):
        return 0 if self.cache.window is None else max(0, n - self.cache.window + 1)

    def after(self, counts):
        """(start, pages) of each sequence after an append, pages as objects; None if it must be refused."""
        size, plans = self.cache.page_size, []
        for sequence, n in zip(self.sequences, counts, strict=True):
            first = self.first_seen(sequence.len)
            if sequence.len + n - first > self.cache.capacity:
                return None
            dead = (first - sequence.start) // size if n else 0
            plans.append([sequence.start + dead * size, sequence.pages[dead:]])
        for i, (sequence, n) in enumerate(zip(self.sequences, counts, strict=True)):
            start, pages = plans[i]
            if n and (sequence.len - start) % size:
                others = [page for j, plan in enumerate(plans) if j != i for page in plan[1]]
                if any(page is pages[-1] for page in others):
                    plans[i][1] = pages = [*pages[:-1], object()]
            whole = -(-(sequence.len + n - start) // size)
            plans[i][1] = pages + [object() for _ in range(whole - len(pages))]
        fits = len({id(page) for _, pages in plans for page in pages}) <= self.cache.pages
        return plans if fits else None

    def append(self, k, v, counts, plans):
        """Take over an append that the cache has done, its int8 rows included once they are checked."""
        gathered = self.cache.gather()
        for b, (sequence, n, (start, pages)) in enumerate(zip(self.sequences, counts, plans, strict=True)):
            begin = sequence.len - start
            sequence.start, sequence.pages = start, pages
            for name, x, kept in zip("kv", (k, v), gathered, strict=True):
                x, kept = x[b, :, :n], kept[b, :, begin:begin + n]
                if self.cache.dtype == "int8":
                    assert_int8_rows(x, kept)
                else:
                    np.testing.assert_array_equal(kept, rounded(x, self.cache.dtype))
                for which, rows in ((name, x), (f"stored_{name}", kept)):
                    setattr(sequence, which, np.concatenate([getattr(sequence, which), rows], 1))

    def may_truncate(self, lens):
        """Whether every length is one that the cache can go back to."""
        return all(0 <= n <= sequence.len and (n == 0 or sequence.start <= self.first_seen(n))
                   for sequence, n in zip(self.sequences, lens, strict=True))

    def truncate(self, lens):
        for sequence, n in zip(self.sequences, lens, strict=True):
            sequence.cut(n)
            sequence.start = sequence.start if n else 0
            del sequence.pages[-(-(n - sequence.start) // self.cache.page_size):]

    def fork(self, source, into):
        self.sequences[into].__dict__ = dict(vars(self.sequences[source]))
        self.sequences[into].pages = list(self.sequences[source].pages)

    def whole(self, prefix=""):
        """(k, v) with every key from position 0 on, (B, Hk, max len, d), zeros behind."""
        found = []
        for name in "kv":
            parts = [getattr(sequence, prefix + name) for sequence in self.sequences]
            out = np.zeros((len(parts), parts[0].shape[0], max(x.shape[1] for x in parts), parts[0].shape[2]),
                           np.float32)
            for b, part in enumerate(parts):
                out[b, :, :part.shape[1]] = part
            found.append(out)
        return found

    def check(self):
        """The cache against the lists, and its tables against themselves."""
        cache, size = self.cache, self.cache.page_size
        assert cache.lens.tolist() == self.lens.tolist()
        assert cache.starts.tolist() == [sequence.start for sequence in self.sequences]
        for b, (sequence, k, v) in enumerate(zip(self.sequences, *cache.gather(), strict=True)):
            for kept, whole in ((k, sequence.stored_k), (v, sequence.stored_v)):
                n = sequence.len - sequence.start
                np.testing.assert_array_equal(kept[:, :n], whole[:, sequence.start:])
                assert not kept[:, n:].any()
            assert cache._pages.used[b] == len(sequence.pages) == -(-n // size)
        held = {id(page) for sequence in self.sequences for page in sequence.pages}
        assert cache.free_pages == cache.pages - len(held)
        tables = cache._pages
        used = {int(page) for b in range(cache.batch) for page in tables.table[b, :tables.used[b]]}
        assert len(used) == len(held)
        assert tables.shared == int(tables.used.sum()) - len(held)
        assert used | set(tables.free) == set(range(cache.pages))


def assert_int8_rows(x, kept):
    """Each row is whole multiples, at most 127, of max|x| / 127, and the nearest ones."""
    x, kept = x.astype(np.float64), kept.astype(np.float64)
    scale = np.maximum(np.abs(x).max(-1, keepdims=True) / 127, float(np.finfo(np.float32).tiny))
    codes = kept / scale
    assert np.abs(codes - np.rint(codes)).max(initial=0) < 1e-4
    assert np.abs(codes).max(initial=0) < 127.01
    assert (np.abs(kept - x) <= int8.HALF * scale * (1 + 2.0**-23)).all()
