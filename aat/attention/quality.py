"""How well did a call spend its work? IFQ, CER and AE of `Info.metrics`, with the numbers that they are made of.

Each has one name, one unit and one formula, here in QUALITIES. CER and edge utilisation come from a call's own counts;
what needs the weights themselves takes a further pass over the scores, on the host in float64, a query tile at a time:
nothing of the size of all pairs is kept. Nothing here is ever a gate.
"""
import math
from dataclasses import dataclass

import numpy as np

from aat.arrays import widen
from aat.attention import arguments
from aat.attention.positions import visible
from aat.attention.tile_map import in_reach
from aat.errors import value_error
from aat.tiling import bounds

WEIGHTS, BEFORE, COUNTS = "the call's arguments", "the arguments of the call before", "nothing"
SIZE = 64               # keys and rows of a tile where a call had none, on the reference


@dataclass(frozen=True)
class Quality:
    """One number: what it is called, its unit, its formula, and what `Info.metrics` has to be given for it."""

    name: str
    unit: str
    formula: str
    needs: str


QUALITIES = {one.name: one for one in (
    Quality("ifq", "1", "information flow quality: mean of stability, cross_tile_mass, edge_utilisation and "
            "1 - row_entropy", f"{WEIGHTS} and {BEFORE}"),
    Quality("stability", "1", "1 - JS(F_t, F_t-1) / ln 2, mean over query tiles, weighted by rows; F their weight by "
            "key tile", f"{WEIGHTS} and {BEFORE}"),
    Quality("cross_tile_mass", "1", "1 - sum_a |a| F_aa / n: weight on keys outside of the tile where the row stands",
            WEIGHTS),
    Quality("edge_utilisation", "1", "(computed + replaced) / (visited + skipped_before + replaced) tiles", COUNTS),
    Quality("row_entropy", "1", "H / ln n of a row's weights on its n visible keys, mean over rows", WEIGHTS),
    Quality("effective_support", "keys", "e^H, mean over rows", WEIGHTS),
    Quality("cer", "1", "compute-efficiency ratio: multiply_adds_exact / multiply_adds", COUNTS),
    Quality("ae", "1", "adaptation efficiency: 1 - (multiply_adds - optimal) / (multiply_adds_exact - optimal)",
            f"{WEIGHTS}, with its tolerance: the exact weights say what is optimal"),
    Quality("multiply_adds", "multiply-adds", "what the call did", COUNTS),
    Quality("multiply_adds_exact", "multiply-adds", "what it does with the same tiles and none left out", COUNTS),
    Quality("multiply_adds_optimal", "multiply-adds", "no choice of whole tiles that keeps the tolerance in every row "
            "takes less", WEIGHTS),
)}


def measure(info, q=None, k=None, v=None, previous=None, **options):
    """{name of QUALITIES: value, or None where what it needs is missing or it has no value}; see Info.metrics."""
    found = dict.fromkeys(QUALITIES) | _counted(info)
    if q is None:
        if k is not None or v is not None or options or previous is not None:
            raise value_error("q, k, v", "all three, with the arguments of the call", "some",
                              "hand on what the call got")
        return found
    problem = arguments.check(q, k, v, **options).problem
    if problem.multiply_adds_dense != info.multiply_adds_dense:
        raise value_error("q, k, v", f"those of the call, {info.multiply_adds_dense} multiply-adds dense",
                          f"{problem.multiply_adds_dense}", "hand on the arguments of this Info's call")
    rows, keys = _sizes(info, problem)
    flux = Flux.of(problem, rows, keys)
    found |= dict(cross_tile_mass=flux.cross, row_entropy=flux.entropy, effective_support=flux.support)
    if problem.tolerance > 0:
        found |= _optimal(info, problem, flux, rows, keys)
    if previous is not None:
        found["stability"] = stability(flux, Flux.of(arguments.check(**previous).problem, rows, keys))
        parts = [found["stability"], flux.cross, found["edge_utilisation"], 1 - flux.entropy]
        found["ifq"] = None if any(x is None for x in parts) else float(np.mean(parts))
    return found


def _counted(info):
    tiles, done, whole = info.tiles, info.multiply_adds, info.multiply_adds_exact
    total = sum(tiles.get(name, 0) for name in ("visited", "skipped_before", "replaced"))
    used = tiles.get("visited", 0) - tiles.get("skipped_after", 0) + tiles.get("replaced", 0)
    return dict(multiply_adds=done, multiply_adds_exact=whole, cer=whole / done if done else None,
                edge_utilisation=used / total if total else None)


def _sizes(info, problem):
    """(query rows, keys) of the tiles of a call."""
    if info.config is None or info.config.columns:
        return SIZE, SIZE
    return info.config.rows_per_program(problem.dtype), info.config.keys_per_group


@dataclass(frozen=True)
class Flux:
    """Where the weight of query tiles goes. Rows that see nothing do not count.

    shares (B, Hq, A, T): F_ab, the mean over the rows of query tile a of their weight on key tile b. rows (B, Hq, A):
    how many count. least (B, Hq, A): the fewest key tiles that hold what the tolerance demands of the row of a that
    needs most; all rows together need at least as many. cross, entropy, support: means over rows, as in QUALITIES.
    """

    shares: np.ndarray
    rows: np.ndarray
    least: np.ndarray
    cross: float
    entropy: float
    support: float

    @classmethod
    def of(cls, problem, rows, keys):
        """The Flux of a Problem over tiles of rows x keys: its scores once more, in float64, a query tile at a time."""
        tiles, blocks = -(-problem.Lk // keys), -(-problem.Lq // rows)
        shape = (problem.B, problem.Hq, blocks)
        shares, counted, least = np.zeros((*shape, tiles)), np.zeros(shape), np.zeros(shape, np.int64)
        share, reach = _share(problem), in_reach(problem, rows, keys)
        sums = np.zeros(3)
        for b, h, a in np.ndindex(*shape):
            row = np.arange(a * rows, min((a + 1) * rows, problem.Lq))
            p, seen = weights(problem, b, h, row)
            row, p, seen = (x[seen.any(1)] for x in (row, p, seen))
            if not len(row):
                continue
            mass = np.add.reduceat(p, np.arange(0, problem.Lk, keys), 1)
            own = (problem.q_offset[b] + row) // keys
            there = (own >= 0) & (own < tiles)
            entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(1)
            n = seen.sum(1)
            sums += [np.where(there, mass[np.arange(len(row)), np.clip(own, 0, tiles - 1)], 0).sum(),
                     np.where(n > 1, entropy / np.log(np.maximum(n, 2)), 0).sum(), np.exp(entropy).sum()]
            shares[b, h, a], counted[b, h, a] = mass.mean(0), len(row)
            light = np.cumsum(np.sort(mass[:, reach[b, h, a]], 1), 1)
            least[b, h, a] = reach[b, h, a].sum() - (light <= share[b, h]).sum(1).min()
        own, entropy, support = (sums / max(counted.sum(), 1)).tolist()
        return cls(shares, counted, least, 1 - own, entropy, support)


def weights(problem, b, h, row):
    """(p, seen) of query rows of one head, float64 and bool (rows, Lk): softmax over the visible keys, without sinks,
    which take weight and are no keys."""
    s, seen = scores(problem, b, h, row)
    s = np.where(seen, s, -np.inf)
    top = s.max(1, keepdims=True, initial=-np.inf)
    p = np.exp(s - np.where(np.isneginf(top), 0, top))
    return p / np.maximum(p.sum(1, keepdims=True), np.finfo(np.float64).tiny), seen


def scores(problem, b, h, row):
    """(scores, visible) of query rows of one head, float64 and bool (rows, Lk), as the contract has them."""
    kv = h // problem.group
    q, k = (widen(_host(x)[b, head]).astype(np.float64) for x, head in ((problem.q, h), (problem.k, kv)))
    lens = problem.Lk if problem.kv_lens is None else int(problem.kv_lens[b])
    s = np.zeros((len(row), problem.Lk))
    s[:, :lens] = q[row] @ k[:lens].T * problem.scale           # what does not exist may be NaN
    if problem.softcap is not None:
        s = problem.softcap * np.tanh(s / problem.softcap)
    if problem.bias is not None:
        bias = problem.bias[min(b, problem.bias.shape[0] - 1), min(h, problem.bias.shape[1] - 1)]
        s = s + widen(bias if bias.shape[0] == 1 else bias[row]).astype(np.float64)
    whole = np.full(len(row), b), np.full(len(row), h), row
    return s, visible(problem, *whole)


def stability(now, before):
    """1 - JS / ln 2 of two Flux of as many query tiles; the key tiles that one of them lacks hold nothing there."""
    if now.shares.shape[:3] != before.shares.shape[:3]:
        raise value_error("previous", f"a call of (B, Hq, query tiles) = {now.shares.shape[:3]}",
                          f"{before.shares.shape[:3]}", "compare calls of as many rows and heads")
    T = max(now.shares.shape[3], before.shares.shape[3])
    f, g = (np.pad(x.shares, ((0, 0), (0, 0), (0, 0), (0, T - x.shares.shape[3]))) for x in (now, before))
    middle = (f + g) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = sum(np.where(x > 0, x * np.log(x / middle), 0).sum(3) for x in (f, g)) / 2
    rows = np.where((now.rows > 0) & (before.rows > 0), now.rows, 0)
    return float((rows * (1 - apart / math.log(2))).sum() / rows.sum()) if rows.any() else None


def _optimal(info, problem, flux, rows, keys):
    best = int(flux.least.sum()) * rows * keys * (problem.D + problem.Dv)
    room = info.multiply_adds_exact - best
    return dict(multiply_adds_optimal=best, ae=1 - (info.multiply_adds - best) / room if room > 0 else None)


def _share(problem):
    """(B, Hq): the share of a row's weight that the tolerance allows to be missing, by the range of the values."""
    v = _host(problem.v)
    largest, spread = np.zeros((2, problem.B, problem.Hk))
    for b, h in np.ndindex(problem.B, problem.Hk):
        values = widen(v[b, h, :problem.Lk if problem.kv_lens is None else problem.kv_lens[b]]).astype(np.float64)
        if values.size:
            low, high = values.min(0), values.max(0)
            largest[b, h], spread[b, h] = max(high.max(), -low.min()), (high - low).max()
    rho, _ = bounds.share(problem.tolerance, largest, 2 * largest if problem.sinks is not None else spread)
    return np.repeat(rho, problem.group, 1)


def _host(x):
    return x if isinstance(x, np.ndarray) else x.numpy()
