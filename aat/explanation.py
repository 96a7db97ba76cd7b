"""What would a call do, and what stands in its way? Answered without running it, but for the map of its tiles."""

from dataclasses import dataclass, field, replace
from typing import Any

from aat import functional
from aat.attention import arguments, scored
from aat.attention.split import INDEX_LIMIT, count_parts


@dataclass(frozen=True)
class Explanation:
    """What `aat.explain` found; `str()` of it is a page for people.

    Attributes
    ----------
    backend, reason : str
        Where the call would run, and why there.
    device : str
    plan : dict
        Kernel, tiles, threads and what else the mechanism tells; empty if no program could be asked.
    parts : int
        Launches after splitting at the index limit; 0 if no launch is needed.
    multiply_adds_dense : int
    obstacles : list of str
        Why the call would raise BackendError; empty if it would run.
    note : str
    tiles : aat.attention.tile_map.TileMap or None
        With `tile_map`, what the call makes of each tile; None where nothing may be left out.
    """

    backend: str
    reason: str
    device: str = ""
    plan: dict = field(default_factory=dict)
    parts: int = 1
    multiply_adds_dense: int = 0
    obstacles: list = field(default_factory=list)
    note: str = ""
    tiles: Any = None

    def __str__(self):
        facts = {"backend": f"{self.backend} ({self.reason})", "device": self.device, **self.plan,
                 "launches": self.parts,
                 "multiply-adds": f"{self.multiply_adds_dense:,} dense", "note": self.note}
        lines = [f"{name}: {fact}" for name, fact in facts.items() if fact not in ("", None)]
        lines += [f"cannot run: {reason}" for reason in self.obstacles]
        return "\n".join(lines + ([str(self.tiles)] if self.tiles is not None else []))


def supports(q, k, v, **arguments_of_attention):
    """Why a backend cannot do a call: aat.supports(...) with the arguments of `aat.attention` -> list of str.

    An empty list says that it can. Nothing is opened or run; a backend is probed once in a child process.
    Arguments that no backend would take raise ValueError or TypeError as the call itself would.
    """
    call = arguments.check(q, k, v, **arguments_of_attention)
    return _obstacles(call, functional.where(call)[0])


def _obstacles(call, backend):
    from aat.backends import select

    if backend == "reference":
        return []
    found = select.get(backend).probe()
    if not found.ok:
        return list(found.reasons)
    reasons = functional.obstacles(call.problem, call.tiling, backend, found.limits)
    try:
        count_parts(call.problem, min(INDEX_LIMIT, found.limits.max_index))
    except ValueError as error:
        reasons.append(str(error))
    return reasons


def explain(q, k, v, *, tile_map=False, **arguments_of_attention):
    """Which kernel, tiles and threads a call would use, and why: the arguments of `aat.attention` ->
    Explanation.

    The call is checked and not run. The backend's program is opened, unless that would close another one.

    tile_map: whether to show what a call with a tolerance makes of each tile of keys (docs/tiling.md). What the gate
    after QK leaves out is only known from scores, so the call is then run, by a kernel that keeps account of each tile;
    its result goes nowhere, `out` is not written.
    """
    call = arguments.check(q, k, v, **arguments_of_attention)
    problem = call.problem
    backend, reason = functional.where(call)
    dense = problem.multiply_adds_dense
    if problem.rows == 0 or problem.Lk == 0:
        return Explanation(backend, reason, parts=0, note="no rows or no keys: answered without a launch")
    if backend == "reference":
        return Explanation(backend, reason, "host",
                           {"kernel": "kernels/reference/attention_forward.py, float64 in Numba"},
                           multiply_adds_dense=dense)
    obstacles = _obstacles(call, backend)
    if obstacles:
        return Explanation(backend, reason, parts=0, multiply_adds_dense=dense, obstacles=obstacles)
    parts = count_parts(problem)
    prepared = problem if problem.score is None else scored.prepared(problem)
    plan, device, note, tiles = _plan(prepared, backend, call.tiling, tile_map and parts == 1)
    if tile_map and parts > 1:
        note = "no map of the tiles: the call is cut into several launches"
    return Explanation(backend, reason, device, plan, parts, dense, note=note, tiles=tiles)


def _plan(problem, backend, tiling, tile_map):
    """(plan, device, note, TileMap or None) from the open program of `backend`."""
    from aat.attention import adaptive, dot
    from aat.backends import select

    with select.lock():
        session = select.active()
        if session is not None and session.backend != backend:
            return {}, "", (f"the plan needs the program of {backend!r}, and opening it would close that of "
                            f"{session.backend!r} (aat.backends.close() does)"), None
        with select.use(backend) as session:
            name = session.device.name
            if not functional.adaptive(problem, tiling):
                note = "no map of the tiles: without a tolerance none is left out" if tile_map else ""
                return dot.plan(problem, session, tiling), name, note, None
            facts = adaptive.facts(problem, session, tiling)
            if not tile_map:
                return facts, name, "", None
            result, tiles = adaptive.run_and_map(replace(problem, out=None), session, tiling)
            facts |= {"tiling": result.tiling, "tiles": str(result.config)}
            return facts, name, "" if tiles else "no map of the tiles: nothing may be left out", tiles
