"""aat.linear: activation(x W^T + b), the projections of a transformer."""

import math

import numpy as np

from aat.arrays import widen
from aat.errors import BackendError, value_error
from aat.operations import launch
from aat.operations.base import Call, Operation, same_dtype, taken
from aat.operations.packed import PackedWeights

ACTIVATIONS = (None, "relu", "gelu", "gelu_tanh", "silu")
TASK_ROWS = 1024  # of x that meet a panel of W before the next is packed
TASKS = 4         # a thread, at least, where there are rows enough


def linear(x, w, bias=None, activation=None, heads=None, layout="bhsd", backend="auto", out=None):
    """activation(x W^T + b), by default of (..., E) to (..., F), or straight into attention's layout.

    Parameters
    ----------
    x : array (..., E), or (B, L, E) with `heads`
        float16, bfloat16, float32 (both 16-bit types computed in float32) or float64; NumPy, PyTorch CPU tensors,
        __dlpack__. Any strides; copied unless its last axis is contiguous and the others step evenly.
    w : array (F, E) of x's dtype, or its `aat.PackedWeights`
        Row f holds the weights of output feature f, as torch.nn.Linear keeps them. Packed ones are read faster where
        x has few rows, with the same result.
    bias : array (F,) of x's dtype, optional
    activation : None, "relu", "gelu" (exact, by erf), "gelu_tanh" or "silu"
    heads : int, optional
        H dividing F: feature f becomes column f % D of head f // D, D = F / H.
    layout : "bhsd" or "bshd"
        With `heads`, the result is (B, H, L, D) or (B, L, H, D), what `aat.attention` takes under the same name.
    backend : "auto", "cpu", "vulkan", "cuda" or "reference"
    out : array of the result's shape and dtype, optional
        Where to write it; shares no memory with an input.

    Returns
    -------
    Array of x's type and dtype. A sum runs over E in order, in parts of the tile's depth: the bits of an element
    depend on its row of x, its row of w and its bias, on nothing else.

    Raises
    ------
    ValueError, TypeError
        Shapes and values, dtypes: argument, expected, got.
    BackendError
        The backend cannot run this here (float64 on a GPU, more than 2^31 - 1 elements).
    """
    return OPERATION(x=x, w=w, bias=bias, activation=activation, heads=heads, layout=layout, backend=backend, out=out)


class Linear(Operation):
    """The Operation behind `aat.linear`."""

    name = "linear"

    def check(self, *, x, w, bias=None, activation=None, heads=None, layout="bhsd"):
        """See `linear`."""
        packed = w if isinstance(w, PackedWeights) else None
        given = {"x": taken("x", x), "w": taken("w", w) if packed is None else packed.taken}
        if bias is not None:
            given["bias"] = taken("bias", bias)
        dtype = same_dtype(given)
        arrays = {name: found.view for name, found in given.items()}
        rows, weights = arrays["x"], arrays["w"]
        if weights.ndim != 2:
            raise value_error("w", "shape (F, E)", f"shape {weights.shape}")
        features, depth = weights.shape
        if rows.ndim < 1 or rows.shape[-1] != depth:
            raise value_error("x", f"shape (..., {depth}), as w has {depth} columns", f"shape {rows.shape}")
        if bias is not None and arrays["bias"].shape != (features,):
            raise value_error("bias", f"shape ({features},)", f"shape {arrays['bias'].shape}")
        if activation not in ACTIVATIONS:
            raise value_error("activation", f"one of {', '.join(map(repr, ACTIVATIONS))}", repr(activation))
        options = {"activation": activation, "packed": packed, **_shape(rows.shape[:-1], features, heads, layout)}
        return Call(arrays, dtype, options.pop("shape"), x, options)

    def run(self, call, session, out):
        """One launch."""
        from aat.kernels.lanes import columns_for
        from aat.kernels.linear import LinearSpec, LinearTiles, build

        backend, width = session.backend, session.lane_width
        tiles = LinearTiles.default(backend, session.limits.registers)
        if tiles.shared_bytes() > session.limits.shared_bytes and backend != "cpu":
            raise BackendError(backend, [f"linear needs {tiles.shared_bytes()} bytes of shared memory, and the device "
                                         f"has {session.limits.shared_bytes}"])
        columns = columns_for(backend, width, call.dtype, session.intrinsics)
        narrow = call.arrays["w"].shape[1] < columns.lanes.columns
        spec = LinearSpec(call.options["activation"] or "", "bias" in call.arrays, narrow,
                          backend == "cpu" and call.options["packed"] is not None)
        dtype = call.dtype if backend == "cpu" else "f32"
        arguments, meta, numbers = _Description(call, session, out, columns, tiles).made()
        launch.run(session, ("linear", dtype, tiles, spec), lambda: build(columns, tiles, spec), arguments, meta,
                   numbers)
        launch.collect(session, arguments[3], out, call.dtype)

    def exact(self, call):
        """The reference's x is 2-D, and its result (rows, F) is brought to the call's axes there."""
        return {"x": _rows(call.arrays["x"]), "w": call.arrays["w"], "bias": call.arrays.get("bias"),
                "activation": call.options["activation"], "heads": call.options["heads"],
                "length": call.options["length"]}

    def inputs(self, case, random):
        """Sizes B, L, E, F; options activation, heads, layout, bias (True), packed (True), scale (of x)."""
        v = case.values
        x = random(v.get("B", 1), v["L"], v["E"]) * np.array(v.get("scale", 1), np.float32)
        found = {"x": x.astype(random(0).dtype), "w": random(v["F"], v["E"])}
        if v.get("bias"):
            found["bias"] = random(v["F"])
        if v.get("packed"):
            found["w"] = PackedWeights(found["w"])
        return found | {name: v[name] for name in ("activation", "heads", "layout") if name in v}

    def multiply_adds(self, call):
        """Rows of x times the numbers of w."""
        x, w = call.arrays["x"], call.arrays["w"]
        return x.size // max(1, x.shape[-1]) * w.size


def _shape(lead, features, heads, layout):
    """{shape, heads, length, ...} of a result: length is the rows of a batch, heads None where rows stay whole."""
    if layout not in ("bhsd", "bshd"):
        raise value_error("layout", '"bhsd" or "bshd"', repr(layout))
    if heads is None:
        return {"shape": (*lead, features), "heads": None, "length": 1}
    if isinstance(heads, bool) or not isinstance(heads, int | np.integer) or heads < 1 or features % heads:
        raise value_error("heads", f"a whole number that divides the {features} rows of w", repr(heads))
    if len(lead) != 2:
        raise value_error("x", "shape (B, L, E), as heads is given", f"{len(lead) + 1} axes")
    (B, L), H, D = lead, int(heads), features // int(heads)
    if layout == "bshd":
        return {"shape": (B, L, H, D), "heads": None, "length": 1}
    return {"shape": (B, H, L, D), "heads": H, "length": L}


class _Description:
    """The kernel's arguments for one call."""

    def __init__(self, call, session, out, columns, tiles):
        self.call, self.session, self.out, self.columns, self.tiles = call, session, out, columns, tiles
        self.rows = out.size // call.arrays["w"].shape[0]

    def made(self):
        """(arguments, meta, numbers) of the launch."""
        from aat.kernels.linear import Meta

        call, session = self.call, self.session
        dtype = call.dtype
        x, stride = _evenly(call.arrays["x"], session)
        kept = call.options["packed"] if session.backend == "cpu" else None
        w, w_stride = (call.arrays["w"], 0) if kept is not None else _evenly(call.arrays["w"], session)
        bias = call.arrays.get("bias")
        numbers = launch.number_type(dtype)
        arguments = [_flat(session, x, stride, dtype), self._weights(kept, w, w_stride),
                     0 if bias is None else session.array(_as_numbers(bias, numbers)), launch.output(session, self.out)]
        facts, tasks = self._facts(x.shape[-1], stride, w_stride)
        count = launch.programs(session, tasks, self.rows * w.size)
        scratch, stage, strides = self._memory(facts[Meta.TASK_ROWS], count)
        addresses = {Meta.X_ADDRESS: arguments[0], Meta.W_ADDRESS: arguments[1], Meta.O_ADDRESS: arguments[3],
                     Meta.SCRATCH_ADDRESS: scratch, Meta.STAGE_ADDRESS: stage}
        meta = launch.describe(session, Meta.SIZE, facts, tasks, count, addresses)
        return (*arguments, scratch, stage), meta, strides

    def _weights(self, kept, w, stride):
        """The kernel argument: w, or its panels where they are kept."""
        if kept is None:
            return _flat(self.session, w, stride, self.call.dtype)
        return kept.panels(self.call.options["heads"] or 1, self.columns.width, self.tiles.vectors)

    def _facts(self, depth, stride, w_stride):
        from aat.kernels.linear import Meta

        options, tiles = self.call.options, self.tiles
        features = self.call.arrays["w"].shape[0]
        H, L = options["heads"] or 1, options["length"]
        D = features // H
        vectors = -(-D // self.columns.width)
        across = -(-H * vectors // (tiles.vectors * tiles.lane_threads))
        rows = self._task_rows(across)
        # The result's strides over batch, row and head.
        steps = (H * L * D, D, L * D) if options["heads"] else (features, 0, 0)
        facts = {Meta.ROWS: self.rows, Meta.DEPTH: depth, Meta.HEAD: D, Meta.VECTORS: vectors,
                 Meta.ALL_VECTORS: H * vectors, Meta.TASK_ROWS: rows, Meta.ACROSS: across, Meta.X_STRIDE: stride,
                 Meta.W_STRIDE: w_stride, Meta.LENGTH: L, Meta.O: steps[0], Meta.O + 1: steps[1],
                 Meta.O + 2: steps[2]}
        return facts, across * -(-self.rows // rows)

    def _task_rows(self, across):
        """Rows of a task: a thread group's on a GPU; else as many as leave every thread some tasks."""
        tiles = self.tiles
        if self.session.backend != "cpu":
            return tiles.threads // tiles.lane_threads * tiles.rows
        shares = -(-TASKS * self.session.threads // across)
        rows = min(TASK_ROWS, max(-(-self.rows // shares), 8 * tiles.rows))
        return -(-min(rows, self.rows) // tiles.rows) * tiles.rows

    def _memory(self, rows, count):
        """(scratch, stage, strides of a program in both)."""
        from aat.kernels.linear import scratch_lanes

        if self.session.backend != "cpu":
            return 0, 0, (0, 0)
        number, columns = launch.number_type(self.call.dtype), self.columns
        lanes = scratch_lanes(columns, self.tiles, rows)
        scratch = self.session.empty(count * lanes * columns.width, number).reshape(-1, columns.width)
        if self.call.dtype not in ("f16", "bf16"):
            return scratch, 0, (lanes, 0)
        staged = rows * (self.tiles.depth + columns.width)
        return scratch, self.session.empty(count * staged, number), (lanes, staged)


def _rows(x):
    """(..., E) as (rows, E): a view where the leading axes step evenly."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _evenly(x, session):
    """(x, stride): rows of contiguous numbers, `stride` apart; a copy of what is otherwise, or goes to a device."""
    flat = _rows(x)
    forward = flat.shape[0] < 2 or flat.strides[0] > 0
    if session.backend != "cpu" or not forward or (flat.shape[1] > 1 and flat.strides[1] != flat.itemsize):
        flat = np.ascontiguousarray(flat)
    return flat, flat.strides[0] // flat.itemsize if flat.shape[0] > 1 and flat.size else flat.shape[1]


def _flat(session, x, stride, dtype):
    """The kernel argument of rows that lie `stride` apart."""
    if not x.size or session.backend != "cpu":
        return launch.given(session, x, dtype)
    length = (x.shape[0] - 1) * stride + x.shape[1]
    return np.lib.stride_tricks.as_strided(x, (length,), (x.itemsize,))


def _as_numbers(bias, number):
    """The bias as the kernel's own numbers."""
    return np.ascontiguousarray(widen(bias), number)


OPERATION = Linear()
