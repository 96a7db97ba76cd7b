"""Tile sizes of a kernel, and what a launch visits with them."""
from dataclasses import dataclass, replace

import numpy as np

CPU_REGISTERS = {16: 32, 8: 16, 4: 16}      # vector registers of the instruction set that a lane width stands for

GROUPED = 0.95                              # a cost below which heads of a group are taken together
CPU_TASKS, PART_WORK = 16, 1 << 24          # tasks that keys are cut for; multiply-adds of one of them at least
GPU_TASKS, GPU_PART_KEYS = 256, 256         # thread groups, two for each processor of a large GPU; keys of one
GPU_SHARED = 24 << 10                       # bytes of a group: four of them fit a processor (NVIDIA H100, Vulkan)


@dataclass(frozen=True, slots=True)
class TileConfig:
    """How a kernel cuts its work. Configs change speed, never results beyond the error budget.

    Attributes:
        lane_width: queries in a lane variable: 16, 8 or 4 on the CPU (f32 lanes; f64 has half as many), 1 on a GPU.
        lane_vectors: lane variables that a program or thread holds; each scalar of K and V that is read feeds as
            many FMAs.
        keys_per_block: keys whose scores are held in registers at once.
        keys_per_group: keys between two updates of the running maximum.
        keys_per_tile: keys that are staged at once; equals keys_per_group on the CPU.
        columns_per_block: output columns held in registers at once.
        threads: threads of a program: 1 on the CPU, a thread group on a GPU.
        registers: scores and outputs live in registers (everything unrolled) instead of scratch memory.
        packed: a tile of keys and values is copied next to each other before it is used (CPU): their rows may lie far
            apart, as with layout="bshd". 16-bit tiles are converted, hence copied, in any case.
        columns: lanes are columns and not queries (kernels/attention_decode.py); then lane_vectors x keys_per_block,
            the scores of a block of rows and keys, is lane_width, and keys_per_tile keys are a task of their own.
        keys_per_part: so many keys, counted from key 0, are tasks of their own, whose results are merged: where there
            are fewer blocks of rows than a device has threads for. 0: a task walks over all keys that its rows see.
        team: threads of a GPU that share a row, each with its part of the columns: 1, 2, 4 or 8.
        pairs: K and V lie in a GPU's shared memory as 64-bit pairs of columns.
    """

    lane_width: int
    lane_vectors: int
    keys_per_block: int
    keys_per_group: int
    keys_per_tile: int
    columns_per_block: int
    threads: int = 1
    registers: bool = False
    packed: bool = False
    columns: bool = False
    keys_per_part: int = 0
    team: int = 1
    pairs: bool = False

    def rows_per_program(self, dtype="f32"):
        """Query rows of one program."""
        width = self.lane_width // 2 if dtype == "f64" and self.lane_width > 1 else self.lane_width
        return width * self.lane_vectors * (self.threads // self.team)

    @classmethod
    def default(cls, lane_width, d, dv, shared_bytes=0, queries=None, group=1, pairs=False):
        """The measured default for head sizes d and dv and, where they are few, for so many queries of each of `group`
        heads that share a KV head (docs/kernels/attention_forward.md has the arithmetic). pairs: as
        Limits.pairs of the device."""
        if lane_width > 1:
            return cls._default_cpu(lane_width, d, dv, queries, group)
        return cls._default_gpu(d, dv, shared_bytes, pairs)

    @classmethod
    def _default_cpu(cls, lane_width, d, dv, queries, group):
        # 32 registers: 4 x 6, 3 x 8 or 2 x 12 accumulators, the queries, a broadcast. With groups of 48 keys the scores
        # of 64 queries take 12 KB. Of 3 x 6, 3 x 8, 4 x 6, 2 x 8 and 2 x 12 with groups of 24 to 192 keys, 4 x 6 with
        # 48 was fastest at D 64 to 256 and level with 3 x 8 with 96 at D 32 (2026-11, AVX-512 server). The group does
        # not follow the number of queries, so neither do a row's bits.
        many = CPU_REGISTERS[lane_width] == 32
        blocks = {4: 6, 3: 8, 2: 12, 1: 12} if many else {2: 4, 1: 8}
        cost, vectors = cls._fewest_idle(lane_width, blocks, queries)
        if group > 1 and queries is not None:
            together, fewer = cls._fewest_idle(lane_width, blocks, group * queries)
            vectors = fewer if together < GROUPED * group * cost else vectors
        block = blocks[vectors]
        if max(d, dv) > 160:  # many sums to scale: less often, or room for them
            group = 96 if many else 32
        else:
            group = 48 if many else 64
        return cls(lane_width, vectors, block, group, group, min(block, dv))

    @staticmethod
    def _fewest_idle(lane_width, vectors, queries):
        """(cost, vectors) of the number of `vectors` with which `queries` cost least: rows that only fill a program
        cost as much as others, and fewer vectors share each key that is read."""
        if queries is None:
            return 0.0, max(vectors)
        share = {4: 1.0, 3: 1.03, 2: 1.1, 1: 1.6}
        costs = [(-(-max(queries, 1) // (lane_width * n)) * n * share[n], n) for n in sorted(vectors, reverse=True)]
        return min(costs, key=lambda cost: cost[0])

    @classmethod
    def _default_gpu(cls, d, dv, shared_bytes, pairs):
        width = max(d, dv)
        if width > 256:
            tile = max(1, min(16, shared_bytes // (4 * (d + dv))))
            return cls(1, 1, min(tile, 4), tile - tile % min(tile, 4), tile - tile % min(tile, 4), min(8, dv), 64)
        # Registers hold lane_vectors (d + dv) / team numbers a thread; unrolled code grows with them times the keys.
        pairs = pairs and d % 2 == dv % 2 == 0
        teams = [n for n in (1, 2, 4, 8) if d % (n * (1 + pairs)) == dv % (n * (1 + pairs)) == 0]
        team = next((n for n in teams if width <= 32 * n), teams[-1]) if pairs else 1
        vectors = 2 if width <= 64 * team else 1
        usual = cls(1, vectors, 8 if width <= 128 * team else 4, 0, 0, dv, 128, True, team=team, pairs=pairs)
        tile = 32
        while tile > usual.keys_per_block and usual.shared_bytes(d, dv, tile) > min(shared_bytes, GPU_SHARED):
            tile //= 2
        while tile > 1 and usual.shared_bytes(d, dv, tile) > shared_bytes > 0:  # 16 KB, the least there is
            tile //= 2
            usual = replace(usual, keys_per_block=tile)
        return replace(usual, keys_per_group=usual.keys_per_block, keys_per_tile=tile)

    def shared_bytes(self, d, dv, tile=None):
        """Shared memory of a group of threads: a tile of keys and values, and the parts of scores that teams add."""
        parts = 4 * self.lane_vectors * self.keys_per_block * self.threads if self.team > 1 else 0
        return 4 * (tile or self.keys_per_tile) * (d + dv) + parts

    @classmethod
    def adaptive(cls, lane_width, d, dv, block, shared_bytes=0, queries=None, pairs=False):
        """The measured default where tiles of `block` keys may be left out: as `default`, and a group is a tile.

        Query tiles of 64 rows keep step with tiles of 64 keys; with 16 sums 4 x 4 is as fast as 4 x 6 and 3 x 8
        within 3 % (2026-11, AVX-512 server). Tiles that a GPU's shared memory does not hold are halved until it does.
        """
        usual = cls.default(lane_width, d, dv, shared_bytes, queries, pairs=pairs)
        step = next(n for n in (4, 2, 1) if block % n == 0)
        if lane_width > 1:
            step = 8 if usual.lane_vectors < 4 and block % 8 == 0 and usual.keys_per_block >= 8 else step
            return replace(usual, keys_per_block=step, keys_per_group=block, keys_per_tile=block)
        steps = [n for n in (8, 4, 2, 1) if n <= (usual.keys_per_block if usual.registers else 4)]
        vectors = min(2, usual.lane_vectors) if usual.team > 1 else 1
        usual = replace(usual, lane_vectors=vectors, threads=min(128, 64 * usual.team // vectors))
        while True:
            step = next(n for n in steps if block % n == 0)
            found = replace(usual, keys_per_block=step, keys_per_group=step, keys_per_tile=block)
            if not shared_bytes or block % 2 or found.shared_bytes(d, dv) <= shared_bytes:
                return found
            block //= 2

    @classmethod
    def decode(cls, lane_width, rows, keys, key_bytes=0, page_size=0):
        """The measured default for `rows` rows that share a KV head (docs/kernels/attention_decode.md).

        key_bytes: of one number of a key. One block of rows over f32 keys that no cache holds waits for memory, which
        wants short groups; otherwise arithmetic counts, which wants longer ones. A group lies in one page,
        of `page_size` keys, where it can: its place is then looked up once.
        """
        block = next(n for n in (1, 2, 4) if n >= min(rows, 4, lane_width))
        columns = {1: 8, 2: 8, 4: 4}[block] * lane_width
        tile = 256 if keys <= 2048 else 512 if keys <= 8192 else 1024
        short = key_bytes == 4 and keys > 4096 and rows <= block and lane_width >= 4 * block
        group = lane_width // block if short else 32 if key_bytes == 1 and keys > 1024 and page_size % 32 == 0 else 16
        return cls(lane_width, block, lane_width // block, group, tile, columns, columns=True)

    def in_parts(self, tasks, rows, keys, columns):
        """This config with `keys_per_part` for a launch of `tasks` programs of `rows` rows, which walk over `keys` keys
        with `columns` columns of keys and values: the same for any number of threads, so that bits are too.

        On the CPU up to CPU_TASKS tasks, of 0.2 ms at least: less work is not worth a second thread. With 2 threads, 1
        task became 1.4 to 1.7 times as fast and 3 1.2 times, 4 lost 0 to 3 % (2026-11, AVX-512 server).
        """
        on_cpu = self.lane_width > 1
        least = max(1, PART_WORK // (rows * columns)) if on_cpu else GPU_PART_KEYS
        parts = min(-(-(CPU_TASKS if on_cpu else GPU_TASKS) // max(1, tasks)), keys // least)
        if self.columns or parts < 2:
            return self
        tiles = -(-keys // (parts * self.keys_per_tile))
        return replace(self, keys_per_part=tiles * self.keys_per_tile)

    def needs(self, d, dv, lanes=0):
        """What a program occupies: {resource: amount} with the names of the limits of `problems`.

        A lane variable takes one vector register of `lanes` f32 lanes, or several where it is wider (0: as wide).
        """
        vectors, block = self.lane_vectors, max(self.keys_per_block, self.columns_per_block)
        if self.lane_width == 1:  # a thread's own registers hold numbers
            held = (d + dv) // self.team + self.keys_per_block if self.registers else block + 1
            return {"registers": vectors * held}
        pieces = max(1, self.lane_width // lanes) if lanes else 1
        lane_variable = 4 * self.lane_width  # bytes; f64 has half as many lanes
        return {"registers": pieces * (vectors * (block + 1) + 1),  # sums, the operands that meet them, a broadcast
                "l1_bytes": lane_variable * vectors * self.keys_per_group,
                "l2_bytes": lane_variable * vectors * (self.keys_per_group + d + dv)}

    def problems(self, *, backend, d, dv, shared_bytes=0, max_threads=1, registers=0, lanes=0, l1_bytes=0, l2_bytes=0,
                 pairs=False):
        """Every reason why a device cannot hold this config; an empty list says that it can.

        The single statement of the constraints: defaults, tuning and `tiling=` all call it. Of registers, lanes and
        caches 0 means that the device does not say, and what the default needs counts as there.
        """
        reasons = []
        sizes = {name: getattr(self, name) for name in self.__slots__
                 if name not in ("registers", "packed", "columns", "keys_per_part", "pairs")}
        for name, value in sizes.items():
            if not isinstance(value, int) or value < 1:
                reasons.append(f"{name} must be a positive integer, got {value!r}")
        if reasons:
            return reasons
        if self.keys_per_group % self.keys_per_block:
            reasons.append(f"keys_per_group ({self.keys_per_group}) must be a multiple of keys_per_block "
                           f"({self.keys_per_block})")
        if self.keys_per_tile % self.keys_per_group:
            reasons.append(f"keys_per_tile ({self.keys_per_tile}) must be a multiple of keys_per_group "
                           f"({self.keys_per_group})")
        unit, part = 0 if self.columns else self.keys_per_tile, self.keys_per_part
        if type(part) is not int or part < 0 or (part and (not unit or part % unit)):
            reasons.append(f"keys_per_part must be 0{f' or a multiple of keys_per_tile ({unit})' if unit else ''}, "
                           f"got {part!r}")
        if self.columns:
            return reasons + self._column_problems(backend)
        if self.columns_per_block > dv:
            reasons.append(f"columns_per_block ({self.columns_per_block}) must not exceed the value columns ({dv})")
        if backend == "cpu":
            reasons += self._cpu_problems()
        else:
            reasons += self._gpu_problems(backend, d, dv, shared_bytes, max_threads, pairs)
        limits = {"registers": registers, "l1_bytes": l1_bytes, "l2_bytes": l2_bytes}
        return reasons or self._excess(d, dv, shared_bytes, lanes, limits, pairs)

    def _excess(self, d, dv, shared_bytes, lanes, limits, pairs):
        """What a program occupies beyond `limits`, and beyond what the default does: that one always runs."""
        usual = TileConfig.default(self.lane_width, d, dv, shared_bytes, pairs=pairs).needs(d, dv, lanes)
        vectors = f"lane_vectors ({self.lane_vectors})"
        asked = {"registers": (f"keys_per_block ({self.keys_per_block}) and columns_per_block "
                               f"({self.columns_per_block}) with {vectors}", "registers"),
                 "l1_bytes": (f"keys_per_group ({self.keys_per_group}) with {vectors}", "bytes of L1 cache for scores"),
                 "l2_bytes": (f"{vectors} with keys_per_group ({self.keys_per_group})",
                              "bytes of L2 cache for scores, queries and sums")}
        return [f"{asked[name][0]} needs {need} {asked[name][1]}, the device has {limits[name]}"
                for name, need in self.needs(d, dv, lanes).items() if limits[name] and need > max(limits[name],
                                                                                                 usual[name])]

    def _column_problems(self, backend):
        reasons = []
        if backend != "cpu":
            reasons.append(f"columns must be False on the {backend} backend (attention_decode is a CPU kernel)")
        if self.lane_width not in (4, 8, 16):
            reasons.append(f"lane_width must be 4, 8 or 16 on the cpu backend, got {self.lane_width}")
        if self.lane_vectors * self.keys_per_block != self.lane_width:
            reasons.append(f"lane_vectors x keys_per_block ({self.lane_vectors} x {self.keys_per_block}) must be "
                           f"lane_width ({self.lane_width}) where lanes are columns")
        if self.columns_per_block % self.lane_width:
            reasons.append(f"columns_per_block ({self.columns_per_block}) must be a multiple of lane_width "
                           f"({self.lane_width}) where lanes are columns")
        return reasons

    def _cpu_problems(self):
        reasons = []
        if self.lane_width not in (4, 8, 16):
            reasons.append(f"lane_width must be 4, 8 or 16 on the cpu backend, got {self.lane_width}")
        if self.threads != 1:
            reasons.append(f"threads must be 1 on the cpu backend (a program is one thread), got {self.threads}")
        if self.registers:
            reasons.append("registers must be False on the cpu backend (scores live in L1)")
        if self.team != 1 or self.pairs:
            reasons.append(f"team must be 1 and pairs False on the cpu backend, got {self.team} and {self.pairs}")
        if self.keys_per_tile != self.keys_per_group:
            reasons.append("keys_per_tile must equal keys_per_group on the cpu backend (nothing is staged)")
        return reasons

    def _gpu_problems(self, backend, d, dv, shared_bytes, max_threads, pairs):
        reasons = []
        if self.lane_width != 1:
            reasons.append(f"lane_width must be 1 on the {backend} backend (a lane is a thread), got {self.lane_width}")
        if self.threads > max_threads:
            reasons.append(f"threads ({self.threads}) exceeds the device's {max_threads} per group")
        unit = self.team * (2 if self.pairs else 1)
        if self.team not in (1, 2, 4, 8) or self.threads % self.team or d % unit or dv % unit:
            reasons.append(f"team must be 1, 2, 4 or 8 and divide threads ({self.threads}), and its columns, "
                           f"{unit // self.team} for each, must divide {d} and {dv}; got {self.team}")
        if (self.team > 1 or self.pairs) and not self.registers:
            reasons.append("team and pairs need registers")
        if self.pairs and not pairs:
            reasons.append("pairs must be False on a device without 64-bit integers, and on cuda")
        need = self.shared_bytes(d, dv)
        if need > shared_bytes:
            reasons.append(f"keys_per_tile ({self.keys_per_tile}) needs {need} bytes of shared memory, the device has "
                           f"{shared_bytes}")
        if self.registers and (self.keys_per_group != self.keys_per_block or self.columns_per_block != dv):
            reasons.append("registers needs keys_per_group == keys_per_block and columns_per_block == the value "
                           "columns")
        return reasons


def key_ranges(first_row, last_row, offset, left, right, keys):
    """Keys that rows first_row .. last_row see: (begin, end, full_begin, full_end), each an integer array.

    [begin, end) holds every key that some row sees, [full_begin, full_end) those that every row sees (empty when
    full_end <= full_begin). left and right may be None. The kernel computes the same for each of its programs.
    """
    first, last = first_row + offset, last_row + offset
    zero = np.zeros_like(first + keys)
    begin = zero if left is None else np.clip(first - left, 0, keys)
    full_begin = zero if left is None else np.clip(last - left, 0, keys)
    end = zero + keys if right is None else np.clip(last + right + 1, 0, keys)
    full_end = zero + keys if right is None else np.clip(first + right + 1, 0, keys)
    return begin, end, full_begin, full_end


def count_groups(config, dtype, batch_offsets, batch_keys, heads, queries, keys, left, right, rows=None, group=1):
    """What a launch visits, exactly: the same arithmetic as the kernel's, on the host.

    `rows` of a program are those of the config where they are not given; they may belong to `group` query heads that
    share a KV head, head by head.

    Returns:
        dict of ints: groups `visited`, of those `full` (the mask-free path), `total` (all programs x all groups), and
        `pairs`, the (row, key) pairs that the positions leave visible.
    """
    rows = rows or config.rows_per_program(dtype)
    size, heads = config.keys_per_group, heads // group
    first = np.arange(0, group * queries, rows, dtype=np.int64)
    last = np.minimum(first + rows, group * queries) - 1
    several = first // max(queries, 1) != last // max(queries, 1)
    first, last = (np.where(several, edge, x % max(queries, 1)) for edge, x in ((0, first), (queries - 1, last)))
    visited = full = pairs = 0
    every_row = np.arange(queries, dtype=np.int64)
    for offset, length in zip(batch_offsets.tolist(), batch_keys.tolist(), strict=True):
        begin, end, full_begin, full_end = key_ranges(first, last, offset, left, right, length)
        some = end > begin
        low, high = begin // size, -(-end // size)
        visited += int(np.where(some, high - low, 0).sum())
        inner = np.minimum(full_end // size, high) - np.maximum(-(-full_begin // size), low)
        full += int(np.where(some, np.maximum(inner, 0), 0).sum())
        row_begin, row_end, _, _ = key_ranges(every_row, every_row, offset, left, right, length)
        pairs += int(np.maximum(row_end - row_begin, 0).sum())
    total = len(batch_offsets) * len(first) * -(-keys // size)
    return {"visited": visited * heads, "full": full * heads, "total": total * heads, "pairs": pairs * heads * group}
