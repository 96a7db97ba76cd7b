"""What data does a case hold?  Deterministic recipes, each aimed at one sentence of the contract."""
from collections.abc import Callable

import numpy as np

from aat.attention import scores
from aat.validation import captured, mods
from aat.validation.generators import GENERATORS

DTYPES = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}


def numpy_dtype(name):
    """The NumPy dtype of "f16", "bf16" (needs ml_dtypes), "f32" or "f64"."""
    if name == "bf16":
        import ml_dtypes
        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(DTYPES[name])


def make(case):
    """Return the keyword arguments of `aat.attention` for a case; the same arrays every time, from its seed."""
    rng = np.random.default_rng(case.seed)
    options = dict(case.options)
    dtype = numpy_dtype(case.dtype)
    sizes = {"b": case.B, "h": case.Hq, "q": case.Lq, "k": case.Lk}
    q = rng.standard_normal((case.B, case.Hq, case.Lq, case.D))
    k = rng.standard_normal((case.B, case.Hk, case.Lk, case.D))
    v = rng.standard_normal((case.B, case.Hk, case.Lk, case.Dv))
    call = {name: options[name] for name in ("causal", "window", "scale", "softcap", "layout") if name in options}
    if "mask" in options:
        call["mask"] = rng.random(_shape(options["mask"], sizes)) < options.get("density", 0.7)
    if "bias" in options:
        call["bias"] = rng.standard_normal(_shape(options["bias"], sizes))
    if "sinks" in options:
        call["sinks"] = np.linspace(-2, 3, case.Hq)
    for name in ("kv_lens", "q_offset"):
        if name in options:
            value = options[name]
            call[name] = value if isinstance(value, int) else np.array(value, np.int32)
    for name in ("score_mod", "mask_mod"):
        if name in options:
            call[name] = mods.make(options[name], case)[0]
    if "score" in options:
        call["score"] = _score(*options["score"])
    FILLS[case.fill](rng, q, k, v, call)
    q, k, v = (x.astype(dtype) for x in (q, k, v))
    for name in ("bias", "sinks"):
        if name in call:
            call[name] = call[name].astype(np.float64 if case.dtype == "f64" else
                                           np.float32 if name == "sinks" else dtype)
    if options.get("ndim") == 3:
        q, k, v = q[0], k[0], v[0]
    if call.get("layout") == "bshd":
        q, k, v = (np.ascontiguousarray(np.swapaxes(x, -2, -3)) for x in (q, k, v))
    arrange = ARRANGEMENTS[options.get("strides", "contiguous")]
    call.update(q=arrange(q), k=arrange(k), v=arrange(v))
    for name in ("mask", "bias"):
        if name in call:
            call[name] = arrange(call[name])
    return call


def _score(name, *parameters):
    """A score object by the name of its class; tuples are one number a head."""
    made = {key: np.array(value) if isinstance(value, tuple) else value for key, value in parameters}
    return getattr(scores, name)(**made)


def _shape(axes, sizes):
    """"b1qk" -> (B, 1, Lq, Lk); fewer than four letters leave out leading axes."""
    return tuple(1 if a == "1" else sizes[a] for a in axes)


# How the arrays lie in memory: every arrangement holds the same values.

def _strided(x):
    """Every second element of a larger array, which holds NaN in between."""
    wide = np.full([2 * n for n in x.shape], np.nan if x.dtype != bool else True).astype(x.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def _transposed(x):
    """Heads and sequence exchanged in memory, as a model's (B, L, H, D) projections are."""
    if x.ndim < 3:
        return x
    return np.swapaxes(np.ascontiguousarray(np.swapaxes(x, -2, -3)), -2, -3)


def _negative(x):
    """All axes run backwards in memory."""
    turn = tuple(slice(None, None, -1) for _ in x.shape)
    return np.ascontiguousarray(x[turn])[turn]


def _offset(x):
    """Contiguous, but starting one element after an aligned address."""
    room = np.zeros(x.size + 1, x.dtype)
    room[1:] = x.reshape(-1)
    return room[1:].reshape(x.shape)


ARRANGEMENTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "strided": _strided,
    "transposed": _transposed,
    "negative": _negative,
    "offset": _offset,
}


# What the arrays hold. Each recipe changes q, k, v and the call in place.

def _normal(rng, q, k, v, call):
    """Standard normal everything: scores of unit variance."""


def _large(rng, q, k, v, call):
    """Scores out to +-1e4, as the contract demands."""
    q *= np.sqrt(1e4 / 4)
    k *= np.sqrt(1e4 / 4)


def _equal(rng, q, k, v, call):
    """All keys equal: equal scores, the mean of the values."""
    k[...] = k[:, :, :1]


def _keys_are_queries(rng, q, k, v, call):
    """Distances of 0, where a root has no derivative, and next to 0."""
    n, group = min(q.shape[2], k.shape[2]), q.shape[1] // k.shape[1]
    k[:, :, :n] = q[:, ::group, :n]
    k[:, :, 1:n:2] *= 1 + 1e-4


def _far_rows(rng, q, k, v, call):
    """Rows of lengths up to 20, in the direction of their neighbours."""
    for x in (q, k):
        x += 3 * np.cumsum(x, 2) / np.sqrt(np.arange(1, x.shape[2] + 1))[:, None]
        x *= rng.uniform(0, 20, (*x.shape[:3], 1)) / np.linalg.norm(x, axis=-1, keepdims=True)


def _small_rows(rng, q, k, v, call):
    """Rows of length 1 or so: distances that leave a softmax something to mix."""
    q /= np.sqrt(q.shape[3])
    k /= np.sqrt(k.shape[3])


def _zero_queries(rng, q, k, v, call):
    """All scores zero before the bias."""
    q[...] = 0


def _constant_values(rng, q, k, v, call):
    """Every key has the same value: the output is that value wherever anything is visible."""
    v[...] = v[:, :, :1]


def _positive(rng, q, k, v, call):
    """No cancellation anywhere: partial sums as large as they get."""
    for x in (q, k, v):
        np.abs(x, out=x)


def _shifted(rng, q, k, v, call):
    """Every logit of a row moved by the same large constant, another one in every row."""
    call["bias"] = np.broadcast_to(1e4 * np.cos(np.arange(q.shape[2]))[:, None], (q.shape[2], 1)).copy()


def _shifted_by_keys(rng, q, k, v, call):
    """Every score near 1e4, through one large common component of queries and keys."""
    q[..., 0], k[..., 0] = 100, 100 * np.sqrt(q.shape[3])


def _hidden_poison(rng, q, k, v, call):
    """Keys that no row may see hold NaN and inf, in the key and in the value."""
    mask = call["mask"]
    hidden = rng.random(k.shape[2]) < 0.3
    hidden[:2] = True
    mask[..., hidden] = False
    k[:, :, hidden] = np.nan
    v[:, :, hidden] = np.inf
    k[:, :, 1], v[:, :, 1] = -np.inf, np.nan


def _past_poison(rng, q, k, v, call):
    """NaN and inf past kv_lens."""
    for b, n in enumerate(call["kv_lens"]):
        k[b, :, n:], v[b, :, n:] = np.nan, np.inf
        v[b, :, n + 1:] = np.nan


def _outside_poison(rng, q, k, v, call):
    """One key and its value are NaN: only the rows that see them may show it."""
    j = k.shape[2] // 2
    k[:, :, j] = np.nan
    v[:, :, j] = np.nan


def _value_poison(rng, q, k, v, call):
    """A visible value holds NaN in one column and inf in another: other columns stay finite."""
    j = k.shape[2] // 2
    v[:, :, j, 0] = np.nan
    v[:, :, j, -1] = np.inf


def _score_plus_inf(rng, q, k, v, call):
    """Row 1 has a score of +inf: NaN there, as IEEE has inf - inf, and nowhere else."""
    q[:, :, :, 0] = np.abs(q[:, :, :, 0]) + 0.1
    q[:, :, 1, 0] = np.inf
    k[:, :, :, 0] = np.abs(k[:, :, :, 0]) + 0.1


def _score_minus_inf(rng, q, k, v, call):
    """Key 2 scores -inf in every row, which masks it: its NaN value is not read."""
    q[:, :, :, 0] = np.abs(q[:, :, :, 0]) + 0.1
    k[:, :, 2, 0] = -np.inf
    v[:, :, 2] = np.nan


def _bias_minus_inf(rng, q, k, v, call):
    """-inf in the bias masks: some entries, a whole row, and a whole column whose key and value are NaN."""
    bias = call["bias"]
    bias[rng.random(bias.shape) < 0.3] = -np.inf
    bias[..., 0, :] = -np.inf
    bias[..., :, 1] = -np.inf
    k[:, :, 1], v[:, :, 1] = np.nan, np.nan


def _bias_lowest(rng, q, k, v, call):
    """finfo.min is a number, not a mask: beside others it weighs nothing, alone in its row it weighs equally."""
    bias = call["bias"]
    bias[rng.random(bias.shape) < 0.3] = np.finfo(np.float32).min
    bias[..., 0, :] = np.finfo(np.float32).min
    q[:, :, 0] = 0


def _bias_lowest_f16(rng, q, k, v, call):
    """The same with the lowest number of float16."""
    _bias_lowest(rng, q, k, v, call)
    np.maximum(call["bias"], np.finfo(np.float16).min, out=call["bias"])


def _dead_rows(rng, q, k, v, call):
    """Rows that may attend to nothing, first, last and in between."""
    mask = call["mask"]
    mask[..., ::3, :] = False
    mask[..., -1, :] = False


def _wide_values(rng, q, k, v, call):
    """Values over many orders of magnitude: small columns must not be judged by large ones."""
    v *= 10.0 ** np.linspace(-6, 6, v.shape[3])


FILLS: dict[str, Callable] = {
    "normal": _normal, "large": _large, "equal": _equal, "zero_queries": _zero_queries,
    "constant_values": _constant_values, "positive": _positive, "shifted": _shifted,
    "shifted_by_keys": _shifted_by_keys, "hidden_poison": _hidden_poison, "past_poison": _past_poison,
    "outside_poison": _outside_poison, "value_poison": _value_poison, "score_plus_inf": _score_plus_inf,
    "score_minus_inf": _score_minus_inf, "bias_minus_inf": _bias_minus_inf, "bias_lowest": _bias_lowest,
    "bias_lowest_f16": _bias_lowest_f16, "dead_rows": _dead_rows, "wide_values": _wide_values,
    "keys_are_queries": _keys_are_queries, "far_rows": _far_rows, "small_rows": _small_rows, **GENERATORS,
    **captured.FILLS,
}
