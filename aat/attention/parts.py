"""How does a launch run whose keys are cut into parts? Memory of the parts, and the kernel that merges them."""

import numpy as np

from aat.backends.relaunch import Relaunch

ITEMS = 1 << 16  # threads of a merge on a GPU at most


class Parts:
    """The parts of a launch of attention_forward: what its programs leave, and the merge of it.

    Parameters
    ----------
    launch : aat.attention.dot._Launch
        With `keys_per_part`. The merge is described in its `meta`, and reads that.
    empty : callable
        (purpose, n, dtype) -> kernel argument.

    Attributes
    ----------
    outputs : tuple
        The arguments of attention_forward in the place of out, lse and sums.
    make, arguments : callable, tuple
        The kernel of the merge and what it is called with, once prepared.
    """

    def __init__(self, launch, empty):
        from aat.kernels.attention_merge import Merge, MergeSpec, padded
        from aat.kernels.lanes import columns_for

        problem, session, config = launch.problem, launch.session, launch.config
        self._session, self._on_cpu = session, launch.on_cpu
        dtype = problem.dtype if launch.on_cpu else "f32"
        columns = columns_for(session.backend, config.lane_width, dtype, session.intrinsics)
        number, width = np.dtype(np.float64 if dtype == "f64" else np.float32), problem.Dv
        stride, rows = padded(columns.width, width), problem.B * problem.Hq * problem.Lq
        sums = empty("parts_a", launch.parts * rows * stride, number)
        if stride > width:  # whole vectors are merged
            sums[:launch.parts * rows * stride].reshape(-1, stride)[:, width:] = 0
        self.outputs = (sums, *(empty(f"parts_{name}", launch.parts * rows, number) for name in "ml"))
        spec = MergeSpec(width, dtype, problem.return_lse, problem.sinks is not None)
        self._key = ("attention_merge", config.lane_width, session.intrinsics, launch.Meta.MERGE, spec)
        self._columns, self._spec, self._base = columns, spec, launch.Meta.MERGE
        self._programs = 1 if launch.on_cpu else min(rows * width, ITEMS)
        self._describe(launch, Merge, stride, rows)

    def _describe(self, launch, Merge, stride, rows):
        problem, Meta, meta = launch.problem, launch.Meta, launch.meta_host
        meta[[Meta.PARTS, Meta.PART_KEYS]] = launch.parts, launch.config.keys_per_part
        meta[Meta.O:Meta.O + 3] = problem.Hq * problem.Lq * stride, problem.Lq * stride, stride
        merge = meta[Meta.MERGE:Meta.MERGE + Merge.SIZE]
        merge[[Merge.ROWS, Merge.PARTS, Merge.HEADS]] = rows, launch.parts, problem.Hq
        merge[[Merge.QUERIES, Merge.FIRST, Merge.ALL_QUERIES]] = problem.Lq, 0, problem.Lq
        merge[Merge.O:Merge.O + 3] = launch.out_strides
        for place, at, argument in zip((Meta.O_ADDRESS, Meta.LSE_ADDRESS, Meta.SUMS_ADDRESS),
                                       (Merge.A_ADDRESS, Merge.M_ADDRESS, Merge.L_ADDRESS), self.outputs, strict=True):
            launch._address(place, argument)
            launch._address(Meta.MERGE + at, argument)
        launch._address(Meta.MERGE + Merge.O_ADDRESS, launch.out_argument)
        launch._address(Meta.MERGE + Merge.LSE_ADDRESS, launch.lse_argument)

    def prepare(self, launch, meta, sinks):
        """Make the kernel, with the description in the kernel argument `meta`."""
        from aat.kernels.attention_merge import build

        self.make = lambda: self._session.kernel(self._key, lambda: build(self._columns, self._spec, self._base))
        kernel = self.make()
        arrays = (*self.outputs, launch.out_argument, launch.lse_argument if self._spec.lse else 0)
        if self._on_cpu and self._columns.by_address:
            arrays = (0, 0, 0, 0, 0)
        self.arguments = (*arrays, sinks, meta, self._programs)
        if self._on_cpu:
            self._relaunch = Relaunch(kernel, self.arguments)
            self.go = self._relaunch.go
        else:
            self.go = lambda: kernel(*self.arguments)
