"""Which laws does attention obey, whatever computes it?

A Law has a `check(run, call)` that returns a LawResult, and `broken(run)`: a run with a deliberate mistake that the law
must reject.  `run(**call)` is any implementation that returns (out, lse); `call` holds the arguments of
`aat.attention` in layout "bhsd" with 4-D arrays.  Two results may differ by the sum of their error budgets; the laws
about bits compare bits.  Exceptions propagate, and nothing is repaired before it is checked.
"""
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aat.validation import budget
from aat.validation.reading import canonical


@dataclass(frozen=True)
class LawResult:
    """ok; margin = largest difference over what is allowed (inf where NaN or bits differ); the first violation."""

    ok: bool
    margin: float
    detail: str = ""


@dataclass(frozen=True)
class Law:
    """A law, what it says, and its negative control."""

    name: str
    statement: str
    check: Callable
    broken: Callable


LAWS: dict[str, Law] = {}


def _law(name, broken):
    def register(check):
        LAWS[name] = Law(name, check.__doc__, check, broken)
        return check
    return register


def merged(parts):
    """Attention over the union of disjoint key sets from [(out, lse), ...], in float64: the softmax monoid."""
    outs = np.stack([np.asarray(out, np.float64) for out, _ in parts])
    lses = np.stack([np.asarray(lse, np.float64) for _, lse in parts])
    m = lses.max(0)
    weights = np.exp(lses - np.where(np.isneginf(m), 0, m))
    total = weights.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(total > 0, weights / total, 0)
        return (shares[..., None] * outs).sum(0), np.where(total > 0, m + np.log(total), -np.inf)


# --- the laws about values ---

def _drop_first_key(run):
    return lambda **call: run(**_take_keys(call, slice(1, None)))


@_law("permute-keys", _drop_first_key)
def permute_keys(run, call):
    """The order of the keys does not matter, as long as values, mask and bias move with them."""
    order = np.random.default_rng(1).permutation(call["k"].shape[2])
    return _same(run, call, _take_keys(call, order))


def _first_batch_only(run):
    def broken(**call):
        k, v = (np.broadcast_to(x[:1, :1], x.shape) for x in (call["k"], call["v"]))
        return run(**dict(call, k=k, v=v))
    return broken


@_law("permute-batch-and-heads", _first_batch_only)
def permute_batch_and_heads(run, call):
    """Batches and heads do not know their place: permuting the inputs permutes the outputs."""
    B, Hq = call["q"].shape[:2]
    Hk = call["k"].shape[1]
    batch, kv = np.arange(B)[::-1], np.arange(Hk)[::-1]
    heads = (kv[:, None] * (Hq // Hk) + np.arange(Hq // Hk)).ravel()
    moved = dict(call, q=call["q"][batch][:, heads], k=call["k"][batch][:, kv], v=call["v"][batch][:, kv])
    for name in ("mask", "bias"):
        if call.get(name) is not None:
            x = _four(call[name])
            x = x[batch] if x.shape[0] > 1 else x
            moved[name] = x[:, heads] if x.shape[1] > 1 else x
    for name, order in (("kv_lens", batch), ("sinks", heads)):
        if call.get(name) is not None:
            moved[name] = call[name][order]
    return _same(run, call, moved, carry=lambda out, lse: (out[batch][:, heads], lse[batch][:, heads]))


def _extra_logit(run):
    """softmax with a 1 in the denominator: the classical mistake that breaks every law of normalisation."""
    def broken(**call):
        out, lse = run(**call)
        total = np.logaddexp(np.asarray(lse, np.float64), 0)
        return np.asarray(out, np.float64) * np.exp(lse - total)[..., None], total
    return broken


@_law("shift-scores", _extra_logit)
def shift_scores(run, call):
    """A constant added to all scores of a row moves lse by that constant and leaves out as it was."""
    L = call["q"].shape[2]
    constants = (np.arange(L) % 7 - 3.0)[:, None] * 8  # small multiples of 8: the shift itself is exact
    bias = constants if call.get("bias") is None else call["bias"] + constants
    moved = dict(call, bias=bias.astype(np.float32))
    return _same(run, call, moved, undo=lambda out, lse: (out, lse - constants[:, 0]))


def _unmasked(run):
    return lambda **call: run(**dict(call, mask=None))


@_law("append-masked-keys", _unmasked)
def append_masked_keys(run, call):
    """Masked keys, whatever they hold, change nothing."""
    extra = 5
    poison = {name: np.concatenate([call[name], np.full_like(call[name][:, :, :extra], np.nan)], 2) for name in "kv"}
    Lk = call["k"].shape[2]
    added = poison["k"].shape[2] - Lk
    mask = np.ones((1, 1, 1, Lk), bool) if call.get("mask") is None else _full_keys(call["mask"], Lk)
    mask = np.concatenate([mask, np.zeros((*mask.shape[:3], added), bool)], 3)
    moved = dict(call, mask=mask, **poison)
    if call.get("bias") is not None:
        moved["bias"] = np.pad(_full_keys(call["bias"], Lk), ((0, 0), (0, 0), (0, 0), (0, added)))
    return _same(run, call, moved)


def _lse_in_bits(run):
    def broken(**call):
        out, lse = run(**call)
        return out, lse / np.log(2)
    return broken


@_law("split-and-merge", _lse_in_bits)
def split_and_merge(run, call):
    """Attention over disjoint parts of the keys, joined by their lse, is attention over all of them."""
    want = _expected(call)
    Lk = call["k"].shape[2]
    worst = LawResult(True, 0.0)
    for cuts in ((1,), (Lk // 2,), (Lk - 1,), (Lk // 3, Lk // 3, Lk // 2)):
        edges = (0, *cuts, Lk)
        calls = [_take_keys(call, slice(a, b)) for a, b in pairwise(edges)]
        parts = [run(**part) for part in calls]
        out, lse = merged(parts)
        # to first order: each part's error by its share, and its lse's error moves the shares
        allowed, allowed_lse = want.out_budget.copy(), want.lse_budget.copy()
        for part in (_expected(c) for c in calls):
            with np.errstate(invalid="ignore"):
                share = np.where(np.isneginf(part.lse), 0, np.exp(part.lse - want.lse))
            allowed += share[..., None] * (part.out_budget + part.lse_budget[..., None] * np.abs(part.out - want.out))
            allowed_lse += share * part.lse_budget
        worst = _worse(worst, _close(out, want.out, allowed, f"out, cut at {cuts}"))
        worst = _worse(worst, _close(lse, want.lse, allowed_lse, f"lse, cut at {cuts}"))
    return worst


@_law("duplicate-keys", _extra_logit)
def duplicate_keys(run, call):
    """Every key twice: out as it was, lse greater by ln 2."""
    Lk = call["k"].shape[2]
    twice = np.arange(2 * Lk) % Lk
    return _same(run, call, _take_keys(call, twice), undo=lambda out, lse: (out, lse - np.log(2)))


@_law("constant-values", _extra_logit)
def constant_values(run, call):
    """Where all values are equal the output is that value, and 0 where a row sees nothing."""
    constant = np.linspace(-3, 5, call["v"].shape[3]).astype(call["v"].dtype)
    moved = dict(call, v=np.broadcast_to(constant, call["v"].shape).copy())
    want = _expected(moved)
    seen = ~np.isneginf(want.lse)
    out, _ = run(**moved)
    return _close(out, seen[..., None] * constant.astype(np.float64), want.out_budget, "out")


def _not_causal(run):
    return lambda **call: run(**dict(call, causal=None))


@_law("causal-prefix", _not_causal)
def causal_prefix(run, call):
    """With causal attention the first t rows depend on the first t keys alone."""
    whole = dict(call, causal="upper_left")
    want = _expected(whole)
    out, lse = (np.asarray(x, np.float64) for x in run(**whole))
    t = min(call["q"].shape[2], call["k"].shape[2]) // 2 + 1
    poisoned = dict(whole, k=call["k"].copy(), v=call["v"].copy())
    poisoned["k"][:, :, t:], poisoned["v"][:, :, t:] = np.nan, np.nan
    part = dict(_take_rows(_take_keys(whole, slice(0, t)), slice(0, t)))
    worst = LawResult(True, 0.0)
    for what, other in (("a prefix", part), ("NaN behind the prefix", poisoned)):
        out2, lse2 = (np.asarray(x, np.float64)[:, :, :t] for x in run(**other))
        worst = _worse(worst, _close(out2, out[:, :, :t], 2 * want.out_budget[:, :, :t], f"out, {what}"))
        worst = _worse(worst, _close(lse2, lse[:, :, :t], 2 * want.lse_budget[:, :, :t], f"lse, {what}"))
    return worst


# --- the laws about bits, for one tile configuration ---

def _bits_depend_on_length(run):
    def broken(**call):
        out, lse = run(**call)
        return (np.nextafter(out, np.inf, dtype=out.dtype) if call["q"].shape[2] % 2 else out), lse
    return broken


@_law("row-bits", _bits_depend_on_length)
def row_bits(run, call):
    """A row's bits depend on that row's inputs alone: not on B, H, Lq or what the neighbours hold."""
    base = dict(call, q_offset=np.broadcast_to(np.asarray(call.get("q_offset", 0)), call["q"].shape[:1]))
    out, lse = (np.array(x) for x in run(**base))
    L, group = call["q"].shape[2], call["q"].shape[1] // call["k"].shape[1]
    worst = LawResult(True, 0.0)
    for rows in (slice(0, 1), slice(L // 2, L // 2 + 1), slice(L - 1, L), slice(3, L - 2), slice(1, L // 2)):
        shifted = dict(_take_rows(base, rows), q_offset=base["q_offset"] + rows.start)
        worst = _worse(worst, _equal_bits(run(**shifted), (out[:, :, rows], lse[:, :, rows]), f"rows {rows}"))
    single = _take_batch_head(base, 0, 0, group)
    worst = _worse(worst, _equal_bits(run(**single), (out[:1, :group], lse[:1, :group]), "one batch, one KV head"))
    other = dict(base, q=base["q"].copy())
    other["q"][:, :, 1::2] = 1e3
    got = tuple(np.asarray(x)[:, :, ::2] for x in run(**other))
    return _worse(worst, _equal_bits(got, (out[:, :, ::2], lse[:, :, ::2]), "other neighbours"))


def _bits_depend_on_call(run):
    calls: list[None] = []

    def broken(**call):
        out, lse = run(**call)
        calls.append(None)
        return (np.nextafter(out, np.inf, dtype=out.dtype) if len(calls) % 3 == 0 else out), lse
    return broken


@_law("repeat-bits", _bits_depend_on_call)
def repeat_bits(run, call):
    """Repeating a call repeats its bits."""
    first = tuple(np.array(x) for x in run(**call))
    worst = LawResult(True, 0.0)
    for i in range(3):
        worst = _worse(worst, _equal_bits(run(**call), first, f"repetition {i + 1}"))
    return worst


# --- comparisons ---

def _expected(call):
    return budget.expected(canonical(**call), call["q"].dtype)


def _budgets(call):
    want = _expected(call)
    return want.out_budget, want.lse_budget


def _same(run, call, moved, carry=lambda out, lse: (out, lse), undo=lambda out, lse: (out, lse)):
    """Compare carry(run(call)) with undo(run(moved)); each result may use up its own budget.

    `carry` moves elements about, in results and budgets alike; `undo` corrects values.
    """
    out, lse = carry(*run(**call))
    out2, lse2 = undo(*run(**moved))
    allowed, allowed_lse = carry(*_budgets(call))
    allowed2, allowed_lse2 = _budgets(moved)
    return _worse(_close(out2, out, allowed + allowed2, "out"), _close(lse2, lse, allowed_lse + allowed_lse2, "lse"))


def _close(got, want, allowed, what):
    part = budget.compare(what, got, np.asarray(want, np.float64), allowed)
    return LawResult(not part.reasons, part.ratio, "; ".join(part.reasons))


def _equal_bits(got, want, what):
    for name, a, b in zip(("out", "lse"), got, want, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.tobytes() != b.tobytes():
            count = np.count_nonzero(a != b) if a.shape == b.shape else "all"
            return LawResult(False, np.inf, f"{name}, {what}: {count} of {b.size} elements have other bits")
    return LawResult(True, 0.0)


def _worse(a, b):
    if a.ok != b.ok:
        return b if a.ok else a
    return a if a.margin >= b.margin else b


# --- parts of a call ---

def _four(x):
    return np.asarray(x).reshape((1,) * (4 - np.ndim(x)) + np.shape(x))


def _full_keys(x, Lk):
    x = _four(x)
    return np.repeat(x, Lk, 3) if x.shape[3] == 1 else x


def _take(call, axis, index, names):
    taken = dict(call)
    for name in names:
        taken[name] = np.take(call[name], np.arange(call[name].shape[2])[index], 2)
    for name in ("mask", "bias"):
        if call.get(name) is not None:
            x = _four(call[name])
            taken[name] = np.take(x, np.arange(x.shape[axis])[index], axis) if x.shape[axis] > 1 else x
    return taken


def _take_keys(call, index):
    return _take(call, 3, index, ("k", "v"))


def _take_rows(call, index):
    return _take(call, 2, index, ("q",))


def _take_batch_head(call, b, g, group):
    """Batch b and KV head g with its query heads."""
    heads = slice(g * group, (g + 1) * group)
    taken = dict(call, q=call["q"][b:b + 1, heads], k=call["k"][b:b + 1, g:g + 1], v=call["v"][b:b + 1, g:g + 1])
    for name in ("mask", "bias"):
        if call.get(name) is not None:
            x = _four(call[name])
            x = x[b:b + 1] if x.shape[0] > 1 else x
            taken[name] = x[:, heads] if x.shape[1] > 1 else x
    for name, index in (("kv_lens", slice(b, b + 1)), ("q_offset", slice(b, b + 1)), ("sinks", heads)):
        if call.get(name) is not None:
            taken[name] = call[name][index]
    return taken
