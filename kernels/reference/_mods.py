"""Attention whose scores and masks are changed by functions: the caller's own functions, run on arrays.

For each head, a block of rows at a time: x = scale q k^T, y = score_mod(x, b, h, p, j), softcap and bias on y, and
mask_mod's answer beside the mask. What then remains is attention with the scores y as its bias.
"""
import numpy as np

ELEMENTS = 1 << 20      # scores that are held at once


def joined(function, call, score_mod, mask_mod, dtype, unit=None):
    """(out, lse) of `function`, attention_forward or (with `unit`) attention_rounding, for a call with functions.

    call: the arguments of `function` without score_mod and mask_mod. Each of the functions is an object with
    `bound(swap)`, which gives it with captured arrays x as swap(x), or None. dtype: what floats are computed in.
    """
    q, k, v = (np.asarray(call[name]) for name in "qkv")
    (B, Hq, Lq), (Hk, Lk) = q.shape[:3], k.shape[1:3]
    offsets = np.zeros(B, np.int64) if call["q_offset"] is None else np.asarray(call["q_offset"], np.int64)
    shape, step = (B, Hq, Lq), max(1, ELEMENTS // max(Lk, 1))
    out, lse = np.zeros((*shape, v.shape[3]), dtype), np.zeros(shape, dtype)
    exact = dtype == np.float64 and unit is None
    score, mask = (None if mod is None else mod.bound(_wide if exact else lambda x: Looked(x, dtype))
                   for mod in (score_mod, mask_mod))
    for b, h in np.ndindex(B, Hq):
        keys = k[b, h // (Hq // Hk)].astype(dtype)
        for start in range(0, Lq, step):
            rows = slice(start, min(start + step, Lq))
            place = np.broadcast_arrays((offsets[b] + np.arange(rows.start, rows.stop))[:, None], np.arange(Lk)[None])
            p, j = place if exact else (Counted(x, 0.0, dtype) for x in place)
            y = _scores(q[b, h, rows].astype(dtype), keys, call["scale"], dtype)
            with np.errstate(all="ignore"):
                y = y if score is None else score(y.value if exact else y, b, h, p, j)
                seen = True if mask is None else _plain(mask(b, h, p, j))
            y = _float(y, place[0].shape, dtype)
            if call["softcap"] is not None:
                cap = dtype.type(call["softcap"])
                y = Counted._apply("tanh", y / cap) * cap
            part = _part(call, b, h, rows, y, np.broadcast_to(seen, y.value.shape))
            if unit is not None:
                with np.errstate(invalid="ignore"):
                    part |= {"unit": unit, "further": (y.steps + 3 * np.abs(y.value))[None, None]}
            else:
                part["compute"] = dtype
            found = function(v=v[b:b + 1, h // (Hq // Hk)][:, None], **part)
            out[b, h, rows], lse[b, h, rows] = (x[0, 0] for x in found)
    return out, lse


def _part(call, b, h, rows, y, seen):
    """The arguments of a block of rows, whose scores are its bias."""
    def cut(x):
        places = zip((slice(b, b + 1), slice(h, h + 1), rows), x.shape[:3], strict=True)
        return x[tuple(place if size > 1 else slice(None) for place, size in places)]

    nothing = np.zeros((1, 1, max(y.value.shape), 1))
    bias = y.value
    if call["bias"] is not None:
        given = np.broadcast_to(cut(call["bias"])[0, 0].astype(y.value.dtype), bias.shape)
        with np.errstate(invalid="ignore"):
            total = y + Counted(given, np.abs(given), y.value.dtype)
        hidden = given == -np.inf       # masks, whatever the score is
        bias, y.steps = np.where(hidden, -np.inf, total.value), np.where(hidden, 0, total.steps)
    if call["mask"] is not None:
        seen = seen & cut(call["mask"])[0, 0]
    lens, offsets = call["kv_lens"], call["q_offset"]
    return dict(q=nothing[:, :, :y.value.shape[0]], k=nothing[:, :, :y.value.shape[1]], bias=bias[None, None],
                mask=seen[None, None], left=call["left"], right=call["right"], scale=1.0, softcap=None,
                sinks=None if call["sinks"] is None else call["sinks"][h:h + 1],
                kv_lens=None if lens is None else lens[b:b + 1],
                q_offset=np.array([(0 if offsets is None else int(offsets[b])) + rows.start]))


def _scores(q, k, scale, dtype):
    """scale q k^T, summed in the order of the columns, and how far roundings reach: (sqrt(D) + 3) |scale| |q| |k|^T."""
    x = np.zeros((len(q), len(k)), dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        for d in range(q.shape[1]):
            x += q[:, d, None] * k[None, :, d]
        reach = np.abs(q).astype(np.float64) @ np.abs(k).astype(np.float64).T
        return Counted(x * dtype.type(scale), (q.shape[1]**0.5 + 3) * abs(scale) * reach, dtype)


def _wide(x):
    """A captured array as float64 where it holds floats."""
    return x if x.dtype.kind in "iub" else x.astype(np.float64)


def _plain(x):
    return x.value if isinstance(x, Counted) else x


def _float(y, shape, dtype):
    """A result as a Counted of floats in a shape."""
    y = y if isinstance(y, Counted) else Counted(y, 0.0, dtype)
    return Counted(np.broadcast_to(np.asarray(y.value, dtype), shape), np.broadcast_to(y.steps, shape), dtype)


_LANE = {"abs": "absolute"}
# What a function can add of its own, in units of the last place of its result.
OWN = {"exp": 3, "exp2": 3, "log": 3, "log2": 4, "sqrt": 2, "tanh": 4, "true_divide": 2}
EXACT = ("negative", "absolute", "minimum", "maximum", "floor", "where")


class Counted:
    """Numbers computed in a dtype, with the reach of all roundings so far, in unit roundoffs: the first-order error
    analysis of Higham, Accuracy and Stability of Numerical Algorithms (2002), ch. 3, run along with the function."""

    def __init__(self, value, steps, dtype):
        self.value, self.steps, self.dtype = np.asarray(value), steps, dtype

    @classmethod
    def _apply(cls, name, *arguments):
        dtype = next(x.dtype for x in arguments if isinstance(x, Counted))
        xs = [x if isinstance(x, Counted) else cls._of(x, dtype) for x in arguments]
        values, first = [x.value for x in xs], 1 if name == "where" else 0
        floats = any(x.dtype.kind == "f" for x in values[first:]) or name in OWN
        if floats:
            values[first:] = [x.astype(dtype) for x in values[first:]]
        with np.errstate(all="ignore"):
            value = getattr(np, name)(*values)
            if value.dtype.kind != "f":
                return cls(value, 0.0, dtype)
            value = value.astype(dtype)
            steps = cls._steps(name, value.astype(np.float64), [x.astype(np.float64) for x in values],
                               [x.steps for x in xs])
        return cls(value, steps, dtype)

    @classmethod
    def _of(cls, x, dtype):
        x = np.asarray(x)
        inexact = x.dtype.kind == "f" and not np.array_equal(x.astype(np.float32), x, equal_nan=True)
        return cls(x, np.abs(x) if inexact else 0.0, dtype)

    @staticmethod
    def _steps(name, z, x, e):
        size = np.where(np.isfinite(z), np.abs(z), 0.0)
        own = 0.0 if name in EXACT else OWN.get(name, 1) * size
        if name in ("add", "subtract"):
            return own + e[0] + e[1]
        if name == "multiply":
            return own + np.abs(x[1]) * e[0] + np.abs(x[0]) * e[1]
        if name == "true_divide":
            return own + e[0] / np.abs(x[1]) + np.abs(z / x[1]) * e[1]
        if name == "where":
            return np.where(x[0] != 0, e[1], e[2])
        if name in ("minimum", "maximum"):
            return np.where(z == x[0], e[0], e[1])
        slope = {"exp": z, "exp2": z * 0.6931471805599453, "log": 1 / np.abs(x[0]), "log2": 1.4427 / np.abs(x[0]),
                 "sqrt": 0.5 / z, "tanh": 1 - z * z, "floor": 0.0}.get(name, 1.0)
        moved = np.where(np.asarray(e[0]) == 0, 0.0, slope * e[0])
        # an exponential turns the rounding of its argument's change of base into a relative error
        return own + moved + (np.abs(x[0]) * size if name in ("exp", "exp2") else 0.0)

    def _lane(self, name, arguments):
        return self._apply(_LANE.get(name, name), *arguments)

    def __array_ufunc__(self, ufunc, method, *arguments):
        return self._apply(ufunc.__name__, *arguments)

    def __array_function__(self, function, types, arguments, keywords):
        return self._apply(function.__name__, *arguments)

    def __pow__(self, n):
        result = self
        for _ in range(n - 1):
            result = self._apply("multiply", result, self)
        return result

    def __abs__(self):
        return self._apply("absolute", self)

    def __neg__(self):
        return self._apply("negative", self)

    def __pos__(self):
        return self

    def __invert__(self):
        return self._apply("invert", self)


def _operators(cls):
    """Give a class its binary operators, by NumPy's names of them."""
    for name, function in {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
                           "floordiv": "floor_divide", "mod": "remainder", "and": "bitwise_and", "or": "bitwise_or",
                           "xor": "bitwise_xor", "lt": "less", "le": "less_equal", "gt": "greater",
                           "ge": "greater_equal", "eq": "equal", "ne": "not_equal"}.items():
        setattr(cls, f"__{name}__", lambda x, y, f=function: x._apply(f, x, y))
        setattr(cls, f"__r{name}__", lambda x, y, f=function: x._apply(f, y, x))


_operators(Counted)


class Looked:
    """A captured array that takes Counted whole numbers as indices."""

    def __init__(self, array, dtype):
        self.array, self.dtype, self.shape = array, dtype, array.shape

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        index = tuple(map(_plain, index if isinstance(index, tuple) else (index,)))
        found = self.array[index]
        if len(index) < self.array.ndim:
            return Looked(found, self.dtype)
        if self.array.dtype.kind in "iub":
            return Counted(found, 0.0, self.dtype)
        found = np.asarray(found)
        return Counted(found.astype(self.dtype), np.abs(found).astype(np.float64) if found.dtype.itemsize > 4 else 0.0,
                       self.dtype)
