"""What may a launch of attention_forward leave out, and what did it leave out? The arrays of kernels/parts/gate.py."""
from dataclasses import dataclass
from typing import Any

import numpy as np

from aat.attention import mods


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a launch may leave out, a row: the arrays of kernels/parts/gate.py.

    kappa (B, Hq) float64: what may be missing over what is kept; 0: nothing may.
    planned (B, Hq, Lq) float32: ln T, the bound on what a plan leaves out before any score; -inf: nothing.
    tiles: None, or the Tiles to visit.
    means: None, or (mean keys (B, Hk, T, D), mean values (B, Hk, T, Dv), ln of counts (B, Hk, T)) of tiles to replace.
    trace: whether the launch says of each group of each query tile what it did with it, by another kernel.
    """

    kappa: np.ndarray
    planned: np.ndarray
    tiles: Any = None
    means: Any = None
    trace: bool = False


@dataclass(frozen=True, slots=True)
class Tiles:
    """Lists of tiles of `number` query tiles in one int32 array `flat`: how many each visits, how many are replaced,
    and lists of `width` places, in which the tiles to visit come first and those to replace behind them."""

    flat: np.ndarray
    number: int
    width: int

    @classmethod
    def of(cls, plan):
        """Those of a TilePlan."""
        visited, replaced = plan.counts.reshape(-1), plan.replaced_counts.reshape(-1)
        number = visited.size
        if plan.replaced is plan.indices and plan.indices.size:      # the plan kernel's lists are laid out like this
            width = plan.indices.size // max(number, 1)
            return cls(np.concatenate([visited, replaced, plan.indices]), number, width)
        width = int((visited + replaced).max(initial=1))
        lists, place = np.zeros((number, width), np.int32), np.arange(width)
        for counts, starts, indices, first in ((visited, plan.starts, plan.indices, 0 * visited),
                                               (replaced, plan.replaced_starts, plan.replaced, visited)):
            turn = place - first[:, None]
            there = (turn >= 0) & (turn < counts[:, None])
            lists[there] = indices[(starts[:number, None] + turn)[there]]
        return cls(np.concatenate([visited, replaced, lists.reshape(-1)]), number, width)


def describe(launch):
    """Add the arguments of a launch (aat.attention.dot._Launch) to it: kappa and ln T, lists of tiles, their means."""
    allowance, problem, session, Meta = launch.allowance, launch.problem, launch.session, launch.Meta
    lists = mods.describe(launch)
    launch.arguments |= {"allowed": 0, "tiles": session.array(lists) if lists.size else 0, "means": 0}
    if allowance is None:
        return
    number = np.dtype(np.float64 if launch.on_cpu and problem.dtype == "f64" else np.float32)
    allowed = np.concatenate([allowance.kappa.ravel(), allowance.planned.ravel()]).astype(number)
    launch.meta_host[Meta.PLANNED] = allowance.kappa.size
    launch.arguments["allowed"] = session.array(allowed)
    launch.missing = session.empty(problem.rows, number)
    launch._address(Meta.SHARES_ADDRESS, launch.missing)
    if allowance.tiles is not None:
        launch.meta_host[[Meta.NUMBER, Meta.LISTED]] = allowance.tiles.number, allowance.tiles.width
        lists = allowance.tiles.flat
    if allowance.trace:
        groups = -(-problem.Lk // launch.config.keys_per_group)
        launch.meta_host[[Meta.TRACE, Meta.GROUPS]] = lists.size, groups
        lists = np.concatenate([lists, np.zeros(problem.B * problem.Hq * launch.tiles * groups, np.int32)])
    if allowance.tiles is not None or allowance.trace:
        launch.arguments["tiles"] = session.array(lists)
    if allowance.means is not None:
        parts = [x.ravel() for x in allowance.means]
        launch.meta_host[Meta.MEANS] = allowance.means[2].shape[2]
        launch.meta_host[[Meta.MEAN_VALUES, Meta.MEAN_SIZES]] = parts[0].size, parts[0].size + parts[1].size
        launch.arguments["means"] = session.array(np.concatenate(parts).astype(number))


def shares(launch):
    """(B, Hq, Lq) T / (l + T) of the rows, or None where nothing may be left out."""
    if launch.allowance is None:
        return None
    problem = launch.problem
    shape = (problem.B, problem.Hq, problem.Lq)
    if launch.on_cpu:
        return launch.missing.reshape(shape)
    return launch.session.read(launch.missing, problem.rows, np.empty(shape, np.float32))


def left_out(launch):
    """Groups left out by their scores ("light") and by their weights ("weighed"), of whole programs; {} if none may."""
    if launch.allowance is None:
        return {}
    mine, Counts = launch.counts.view(np.uint32).reshape(-1, launch.step).sum(0, dtype=np.uint64), launch.Counts
    each = 1 if launch.on_cpu else launch.config.threads // launch.config.team
    return {"light": int(mine[Counts.LIGHT]) // each, "weighed": int(mine[Counts.WEIGHED]) // each}


def traced(launch):
    """What a traced launch did with each group of keys: int8 (B, Hq, query tiles, groups), 0 not visited, 1 computed,
    2 left out by the gate. On a GPU, where each thread decides for its own rows, 2 is what all of them left out.
    """
    from aat.kernels.parts.gate import LEFT

    allowance, problem = launch.allowance, launch.problem
    if allowance is None or not allowance.trace:
        return None
    groups = -(-problem.Lk // launch.config.keys_per_group)
    start = int(launch.meta_host[launch.Meta.TRACE])
    shape = (problem.B, problem.Hq, launch.tiles, groups)
    size = start + int(np.prod(shape))
    told = launch.session.read(launch.arguments["tiles"], size, np.empty(size, np.int32))[start:].reshape(shape)
    return np.where(told == 0, 0, np.where(told % LEFT == 0, 2, 1)).astype(np.int8)
