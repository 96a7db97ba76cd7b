"""What does a call of `aat.attention` mean? Arguments -> one checked Problem -> a backend -> the caller's
types.
"""

import time
from dataclasses import replace
from importlib import import_module

import numpy as np

from aat.arrays import STORAGE, give, round_into
from aat.attention import arguments, repeated, scored
from aat.attention.base import Info, Result
from aat.attention.positions import pairs_in_bounds
from aat.attention.split import INDEX_LIMIT, run_in_parts
from aat.errors import BackendError, value_error


def attention(q, k, v, *, mask=None, bias=None, causal=None, window=(None, None), scale=None, softcap=None,
              sinks=None, kv_lens=None, q_offset=None, score="dot", score_mod=None, mask_mod=None,
              tolerance=0.0, tiling="auto", layout="bhsd", backend="auto", return_lse=False, return_info=False,
              out=None):
    """Exact attention: softmax(softcap(score_mod(scale q k^T)) + bias, over the visible keys) v.

    Parameters
    ----------
    q, k, v : arrays (B, Hq, Lq, D), (B, Hk, Lk, D), (B, Hk, Lk, Dv)
        NumPy arrays, PyTorch CPU tensors, objects with `__dlpack__` on the CPU (any strides, zero-copy), or
        three `DeviceArray`. One dtype of float16, bfloat16, float32 (computed in float32) and float64. Hk
        divides Hq: query head h reads KV head h // (Hq / Hk). Three axes mean B = 1.
    mask : bool array that broadcasts to (B, Hq, Lq, Lk), optional
        True = may attend. A row that may attend to nothing gives 0 and lse -inf.
    bias : float array that broadcasts to (B, Hq, Lq, Lk), optional
        Added to the score after scale and softcap; -inf masks.
    causal : None, True, "upper_left" or "lower_right"
        Keys j <= p for the query at position p. "upper_left" puts query row 0 at position 0, "lower_right" at
        Lk - Lq (kv_lens[b] - Lq with kv_lens). True is for calls where both agree: Lq == Lk and no kv_lens,
        or q_offset.
    window : (left, right), each an int or None
        Keys p - left <= j <= p + right, both ends included.
    scale : float, default 1 / sqrt(D)
    softcap : float, optional
        s -> softcap * tanh(s / softcap), after scale, before bias and mask.
    sinks : float array (Hq,), optional
        Extra logits that take weight and have no value.
    kv_lens : integer array (B,), optional
        Keys at or past it do not exist.
    q_offset : int or integer array (B,), optional
        Position of query row 0; goes before what `causal` says.
    score : "dot" or a score object
        `aat.attention.Geometric` and `aat.attention.Fidelity` make some (docs/kernels/scores.md): the score is then a
        function of the two rows with parameters of its own, and scale is not given. softcap, bias and all that hides
        keys apply as to any score. A row that is not finite scores NaN. Not together with a score_mod or mask_mod.
    score_mod : function (s, b, h, q, k) -> float, optional
        What stands in the place of the scaled score s of query head h of sequence b, for the query at position q and
        key k; goes before softcap. Compiled into the kernel (docs/score_mod.md): operators, functions of aat.lane,
        and NumPy arrays that it captures, indexed.
    mask_mod : function (b, h, q, k) -> bool, optional
        Whether a query may attend to a key, as `mask`; tiles of which it leaves nothing are not visited.
    tolerance : float, default 0
        How far an element of out may be from the exact one, over max |v| of its head: groups of keys are then left
        out whose weight provably makes no more than that (docs/tiling.md; Info.error_bound is the proof of each row).
        0 leaves nothing out.
    tiling : "auto", TileConfig or TilingStrategy
        Tile sizes, or with a tolerance who chooses what is left out (aat.tiling.strategies); "auto" then leaves
        nothing out unless a sample of the queries promises a gain.
    layout : "bhsd" or "bshd"
        "bshd": q, k, v and out are (B, L, H, D). lse is (B, Hq, Lq) in both.
    backend : "auto", "cpu", "vulkan", "cuda" or "reference"
        A name never falls back to another backend. "auto" is a real GPU that passed its probe, else the CPU.
    return_lse, return_info : bool
    out : array of q's type and dtype, optional
        Where to write the result; shares no memory with an input. On a device `aat.empty` makes one.

    Returns
    -------
    out, or (out, lse), (out, info), (out, lse, info)
        out has q's type and dtype; lse = log of the sum of exp(score), float32 (float64 for float64), q's
        type; info is an `aat.attention.base.Info`.

    Raises
    ------
    ValueError
        Shapes and values, TypeError for types and dtypes: argument, expected, got, what to do.
    BackendError
        The backend cannot run this here, with each reason.
    """
    further = None if mask is bias is sinks is kv_lens is q_offset is None else (mask, bias, sinks, kv_lens, q_offset)
    anew = score_mod is not None or mask_mod is not None or type(score) is not str
    kind = repeated.kind(q, k, v, out, further, (causal, window, scale, softcap, score, tolerance, tiling, layout,
                                                 backend, return_lse, return_info), anew)
    known = repeated.UNKNOWN if kind is None else repeated.again(kind, q, k, v, out, further)
    if known is not repeated.UNKNOWN:
        return known
    call = arguments.check(
        q, k, v, mask=mask, bias=bias, causal=causal, window=window, scale=scale, softcap=softcap,
        sinks=sinks, kv_lens=kv_lens, q_offset=q_offset, score=score, score_mod=score_mod, mask_mod=mask_mod,
        tolerance=tolerance, tiling=tiling, layout=layout, backend=backend, return_lse=return_lse,
        return_info=return_info, out=out)
    return answer(call, *execute(call, kind))


def execute(call, kind=None):
    """Run a checked call, and keep it as `kind`; return (Result in canonical order and storage of its dtype, Info)."""
    from aat.backends import select

    backend, reason = where(call)
    problem = _with_out(call)
    with select.lock():
        start = time.perf_counter()
        if problem.rows == 0 or problem.Lk == 0:
            result, parts, device = _without_keys(problem), 0, ""
        elif backend == "reference":
            from aat.attention import reference

            result, parts, device = reference.run(problem), 1, "host"
        else:
            with select.use(backend) as session:
                result, parts = _launch(problem, session, call.tiling, call.return_info)
                device = session.device.name
                if kind is not None and parts == 1 and not adaptive(problem, call.tiling):
                    repeated.keep(kind, replace(call, problem=problem), session, call.tiling, reason)
        if call.kind != "device":
            result.out = _stored(problem, result.out)
        seconds = time.perf_counter() - start
    if backend == "reference" and call.return_info:
        result.counts["pairs"] = pairs_in_bounds(problem)
    return result, account(problem, result, backend, reason, device, parts, seconds)


def _stored(problem, out):
    """`out` in problem.out if that is given, in the storage of the dtype: a mechanism may leave float32."""
    storage = STORAGE[problem.dtype]
    if out is problem.out or (problem.out is None and out.dtype == storage):
        return out
    return round_into(np.empty(out.shape, storage) if problem.out is None else problem.out, out)


def where(call):
    """(backend, reason) of a checked call; arrays on a device decide "auto" and must agree with a name."""
    from aat.backends import select

    if call.kind != "device":
        return select.resolve(call.backend)
    places = {name: getattr(call.problem, name).backend for name in ("q", "k", "v")}
    for name in places:
        getattr(call.problem, name).session.check()
    wanted = places["q"] if call.backend == "auto" else select.resolve(call.backend)[0]
    if set(places.values()) != {wanted}:
        raise value_error("backend", f"the one where q, k and v are ({', '.join(places.values())})",
                          repr(wanted),
                          "move arrays with aat.to_device(x, backend=...), or to the host with .numpy()")
    return wanted, "q, k and v are there"


def _with_out(call):
    """The Problem, with memory for its result where the caller's axes have another order than the
    canonical.
    """
    problem = call.problem
    if call.layout == "bhsd" or problem.out is not None:
        return problem
    out = np.empty((problem.B, problem.Lq, problem.Hq, problem.Dv), STORAGE[problem.dtype])
    return replace(problem, out=out.swapaxes(1, 2))


def _without_keys(problem):
    """The Result of a problem without rows or without keys, without a launch: zeros, and the sinks as lse."""
    shape = (problem.B, problem.Hq, problem.Lq)
    out = np.zeros((*shape, problem.Dv), STORAGE[problem.dtype])
    lse = np.full(shape, -np.inf, STORAGE[problem.lse_dtype]) if problem.return_lse else None
    if lse is not None and problem.sinks is not None:
        lse[...] = problem.sinks[:, None]
    if isinstance(problem.q, np.ndarray):
        return Result(out, lse)
    put = problem.q.session.put
    if problem.out is not None:
        problem.q.session.zero(problem.out.target)
        return Result(problem.out, None if lse is None else put(lse, problem.lse_dtype))
    return Result(put(out, problem.dtype), None if lse is None else put(lse, problem.lse_dtype))


def adaptive(problem, tiling):
    """Whether something may be left out."""
    from aat.tiling.strategies.base import TilingStrategy

    return problem.tolerance > 0 or isinstance(tiling, TilingStrategy)


def _launch(problem, session, tiling, counted):
    from aat.tiling.strategies.base import TilingStrategy

    mechanism = import_module("aat.attention." + ("adaptive" if adaptive(problem, tiling) else "dot"))
    reasons = obstacles(problem, tiling, session.backend, session.limits)
    if reasons:
        raise BackendError(session.backend, reasons)
    limit = min(INDEX_LIMIT, session.limits.max_index)
    host = isinstance(problem.q, np.ndarray) or problem.score is not None       # which is waited for anyway
    more = {} if host else {"counted": counted}
    strategy = tiling if isinstance(tiling, TilingStrategy) else None

    def launch(part, own=tiling):
        return mechanism.run(part, session, own, **more)

    if problem.score is None:
        return run_in_parts(problem, launch, limit, strategy)
    with session.scope():
        result, parts = run_in_parts(scored.prepared(problem, session), launch, limit, strategy)
    return scored.returned(problem, result), parts


def obstacles(problem, tiling, backend, limits):
    """Every reason why a backend with `limits` cannot run `problem` with `tiling` (None: the default)."""
    reasons = []
    from aat.attention.dot import COMPUTES
    from aat.tiling.base import TileConfig

    takes = [dtype for dtype in COMPUTES[backend] if dtype in limits.dtypes]
    if problem.dtype not in takes:
        reasons.append(f"dtype {problem.dtype} is not computed on this device, which takes {', '.join(takes)}; "
                       'convert the inputs, or use backend="cpu"')
    if isinstance(tiling, TileConfig):
        if (problem.mods is not None or problem.score is not None) and tiling.columns:
            reasons.append("tiles of attention_decode (columns=True) take no score_mod, mask_mod or score object; "
                           "leave tiling= away")
        if problem.score is not None and (tiling.team > 1 or tiling.pairs):
            reasons.append("threads share no columns (team, pairs) with a score object; leave tiling= away")
        reasons += tiling.problems(backend=backend, d=problem.D, dv=problem.Dv, **limits.of_tiles())
    return reasons


def account(problem, result, backend, reason, device, parts, seconds):
    """The Info of a call."""
    tiles = {name: count for name, count in result.counts.items()
             if name not in ("pairs", "multiply_adds", "multiply_adds_exact")}
    pairs = result.counts.get("pairs", 0)
    done = result.counts.get("multiply_adds", pairs * (problem.depth + problem.Dv))
    return Info(backend=backend, config=result.config, seconds=seconds,
                multiply_adds=done, multiply_adds_exact=result.counts.get("multiply_adds_exact", done),
                multiply_adds_dense=problem.multiply_adds_dense, tiles=tiles, device=device,
                kernel=result.kernel, reason=reason, parts=parts, error_bound=_error_bound(problem, result),
                tiling=result.tiling)


def _error_bound(problem, result):
    """(B, Hq, Lq) of a call with a tolerance: 0 where a mechanism left nothing out."""
    if result.bound is None and problem.tolerance > 0:
        return np.zeros((problem.B, problem.Hq, problem.Lq), np.float32)
    return result.bound


def answer(call, result, info):
    """The result in the caller's types: `out`, or a tuple with lse and info behind it."""
    out, lse = call.present(result.out, swap=True), result.lse
    if call.out is not None:
        out = call.out
    elif call.kind != "device":
        out = give(out, call.problem.dtype, call.like)
    parts = [out]
    if call.return_lse:
        lse = call.present(lse, swap=False)
        parts.append(lse if call.kind == "device" else give(lse, call.problem.lse_dtype, call.like))
    if call.return_info:
        parts.append(info)
    return parts[0] if len(parts) == 1 else tuple(parts)
