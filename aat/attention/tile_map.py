"""What did a launch with a tolerance make of each tile? A TileMap, which people read in a terminal."""
from dataclasses import dataclass

import numpy as np

from aat.tiling.base import key_ranges

OUT_OF_REACH, COMPUTED, AFTER, BEFORE, REPLACED = range(5)
NAMES = ("out of reach", "computed", "skipped_after", "skipped_before", "replaced")
SIGNS = " #o.~"
MEANING = ("out of reach of the rows", "computed in full", "skipped after QK, by the gate",
           "skipped before QK, by the plan", "replaced by its mean")
WIDTH, HEIGHT = 96, 24          # characters of a map


@dataclass(frozen=True, eq=False)
class TileMap:
    """What became of each tile of one call; `str()` of it is the map of head 0 of batch entry 0.

    A tile is a group of `keys` keys for a query tile of `rows` query rows, as in Info.tiles. On a GPU each thread
    decides after QK for its own rows: a tile that only some left out is "computed" here, and counts by its share there.

    states (B, Hq, query tiles, groups) int8: indices into NAMES. rows, keys, queries, length: sizes; the last tiles may
    be shorter. tiling: who decided.
    """

    states: np.ndarray
    rows: int
    keys: int
    queries: int
    length: int
    tiling: str

    @property
    def counts(self):
        """{name: tiles} over all heads: "visited" (computed or skipped after QK), "skipped_before", "skipped_after",
        "replaced", as Info.tiles counts them."""
        found = np.bincount(self.states.ravel(), minlength=len(NAMES)).tolist()
        return {"visited": found[COMPUTED] + found[AFTER],
                **{NAMES[state]: found[state] for state in (BEFORE, AFTER, REPLACED)}}

    def __str__(self):
        return self.text()

    def text(self, batch=0, head=0, width=WIDTH, height=HEIGHT):
        """The map of one head: a line a query tile, a character a tile of keys. Where there are more, a character
        stands for several tiles and shows the commonest, of equals the dearest."""
        found = self.states[batch, head]
        high, wide = (max(1, -(-n // most)) for n, most in zip(found.shape, (height, width), strict=True))
        each = "" if high * wide == 1 else f"; a character is {high} x {wide} tiles, the commonest of them"
        lines = [f"tiles of batch entry {batch}, head {head}: {self.rows} query rows (down) by {self.keys} keys "
                 f"(across){each}"]
        lines += [f"|{''.join(SIGNS[state] for state in row)}|" for row in coarse(found, high, wide)]
        here = np.bincount(found.ravel(), minlength=len(NAMES)).tolist()
        lines += [f"{SIGNS[state]!r} {MEANING[state]}: {here[state]} tiles ({here[state] / max(found.size, 1):.1%})"
                  for state in range(len(NAMES)) if here[state]]
        return "\n".join(lines)


def coarse(states, high, wide):
    """The commonest state of each block of high x wide of an array (rows, columns), of equals the dearest."""
    dearest = np.array((COMPUTED, AFTER, REPLACED, BEFORE, OUT_OF_REACH))
    down, across = np.arange(0, states.shape[0], high), np.arange(0, states.shape[1], wide)
    votes = [np.add.reduceat(np.add.reduceat(states == state, down, 0, int), across, 1) for state in dearest]
    return dearest[np.argmax(votes, 0)]


def of_run(problem, config, trace, plan, tiling):
    """The TileMap of a launch: `trace` is what the kernel says that it did (allowance.traced), `plan` the TilePlan."""
    rows, size = config.rows_per_program(problem.dtype), config.keys_per_group
    states = np.where(in_reach(problem, rows, size), BEFORE, OUT_OF_REACH).astype(np.int8)
    if plan is not None:
        states[replaced_groups(problem, plan, size) & (states == BEFORE)] = REPLACED
    states[trace == 1], states[trace == 2] = COMPUTED, AFTER
    return TileMap(states, rows, size, problem.Lq, problem.Lk, tiling)


def in_reach(problem, rows, size):
    """bool (B, Hq, query tiles, groups): whether some row may see some key of the group, by position and length."""
    first = np.arange(0, problem.Lq, rows, dtype=np.int64)
    last = np.minimum(first + rows, problem.Lq) - 1
    lens = np.full(problem.B, problem.Lk) if problem.kv_lens is None else problem.kv_lens
    group = np.arange(-(-problem.Lk // size))
    reach = np.zeros((problem.B, 1, len(first), len(group)), bool)
    for b, (offset, length) in enumerate(zip(problem.q_offset.tolist(), lens.tolist(), strict=True)):
        begin, end, _, _ = (x[:, None] for x in key_ranges(first, last, offset, problem.left, problem.right, length))
        reach[b, 0] = (group >= begin // size) & (group < -(-end // size)) & (end > begin)
    return np.broadcast_to(reach, (problem.B, problem.Hq, len(first), len(group)))


def replaced_groups(problem, plan, size):
    """bool (B, Hq, query tiles, groups): the groups of `size` keys in the tiles that means stand in for."""
    marks = np.zeros((plan.counts.size, -(-problem.Lk // size)), bool)
    counts, each = plan.replaced_counts.reshape(-1), max(1, plan.block // size)
    at = np.repeat(np.arange(counts.size), counts)
    place = np.arange(at.size) - (np.cumsum(counts) - counts)[at]
    tile = plan.replaced[plan.replaced_starts[at] + place]
    for part in range(each):
        group = tile * each + part
        there = group < marks.shape[1]
        marks[at[there], group[there]] = True
    return marks.reshape(*plan.counts.shape, -1)
