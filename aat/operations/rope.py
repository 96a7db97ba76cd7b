"""aat.rope: rotary position embedding of queries and keys."""

import math

import numpy as np

from aat.arrays import take_integers
from aat.errors import value_error
from aat.operations import launch
from aat.operations.base import Call, Operation, taken

TASK_NUMBERS = 1 << 14  # that a task turns, about
FARTHEST = 1 << 53      # positions below it are exact in float64


def rope(x, positions=None, offset=0, base=10000.0, dims=None, interleaved=False, layout="bhsd", backend="auto",
         out=None):
    """Turn pairs of x's columns by angles that grow with the position of their row (Su et al., 2021).

    Pair i of the first R = `dims` columns, at position p, is turned by p base^(-2 i / R).

    Parameters
    ----------
    x : array (B, H, L, D), (H, L, D) or (L, D)
        float16, bfloat16, float32 (both 16-bit types computed in float32) or float64; NumPy, PyTorch CPU tensors,
        __dlpack__; any strides (copied unless contiguous).
    positions : integer array (L,) or (B, L), optional
        Position of each row; by default offset, offset + 1, ...
    offset : int
        Position of row 0 where `positions` is not given: the tokens that a cache holds already.
    base : float above 0
    dims : even int up to D, optional
        How many columns are turned, by default all (D must be even then); the others are copied.
    interleaved : bool
        Pairs (2i, 2i + 1), as in RoFormer and GPT-J; by default (i, i + R / 2), as in GPT-NeoX and Llama's checkpoints
        on Hugging Face.
    layout : "bhsd" or "bshd"
        "bshd": x is (B, L, H, D), (L, H, D) or (L, D).
    backend : "auto", "cpu", "vulkan", "cuda" or "reference"
    out : array of x's shape and dtype, optional
        Where to write the result; shares no memory with an input.

    Returns
    -------
    Array of x's type, shape and dtype. Angles are computed in float64 at any position; their cosines and sines are
    rounded once to what the kernel computes in.

    Raises
    ------
    ValueError, TypeError
        Shapes and values, dtypes: argument, expected, got.
    BackendError
        The backend cannot run this here.
    """
    return OPERATION(x=x, positions=positions, offset=offset, base=base, dims=dims, interleaved=interleaved,
                     layout=layout, backend=backend, out=out)


class Rope(Operation):
    """The Operation behind `aat.rope`."""

    name = "rope"

    def check(self, *, x, positions=None, offset=0, base=10000.0, dims=None, interleaved=False, layout="bhsd"):
        """See `rope`."""
        found = taken("x", x)
        view = found.view
        if layout not in ("bhsd", "bshd"):
            raise value_error("layout", '"bhsd" or "bshd"', repr(layout))
        if not 2 <= view.ndim <= 4:
            raise value_error("x", "2 to 4 axes, (B, H, L, D) and fewer", f"shape {view.shape}")
        B, H, L, D = _axes(view.shape, layout)
        if not (isinstance(base, int | float | np.number) and math.isfinite(base) and base > 0):
            raise value_error("base", "a finite number above 0", repr(base))
        where = _positions(positions, offset, B, L)
        options = {"sizes": (B, H, L, D), "rotary": _rotary(dims, D), "base": float(base), "positions": where,
                   "interleaved": bool(interleaved), "layout": layout}
        return Call({"x": view}, found.dtype, view.shape, x, options)

    def run(self, call, session, out):
        """One launch."""
        from aat.kernels.lanes import columns_for
        from aat.kernels.rope import Meta, RopeSpec, build

        spec, dtype = RopeSpec(call.options["interleaved"]), call.dtype
        columns = columns_for(session.backend, session.lane_width, dtype, session.intrinsics)
        cos, sin = _table(call.options, launch.number_type(dtype))
        arrays = (launch.given(session, np.ascontiguousarray(call.arrays["x"]), dtype),
                  session.array(cos.reshape(-1)), session.array(sin.reshape(-1)), launch.output(session, out))
        facts, tasks = _facts(call.options, cos)
        count = launch.programs(session, tasks, 4 * out.size)
        places = (Meta.X_ADDRESS, Meta.COS_ADDRESS, Meta.SIN_ADDRESS, Meta.O_ADDRESS)
        meta = launch.describe(session, Meta.SIZE, facts, tasks, count, dict(zip(places, arrays, strict=True)))
        key = ("rope", dtype if session.backend == "cpu" else "f32", spec)
        arguments = (0,) * 4 if session.backend == "cpu" and columns.by_address else arrays
        launch.run(session, key, lambda: build(columns, spec), arguments, meta)
        launch.collect(session, arrays[3], out, dtype)

    def exact(self, call):
        """x as (B, H, L, D)."""
        options, (B, H, L, D) = call.options, call.options["sizes"]
        x = call.arrays["x"]
        x = x.reshape(B, L, H, D).swapaxes(1, 2) if options["layout"] == "bshd" else x.reshape(B, H, L, D)
        return {"x": x, **{name: options[name] for name in ("positions", "rotary", "base", "interleaved")}}

    def shaped(self, call, value):
        """Back to the caller's axes."""
        return (value.swapaxes(1, 2) if call.options["layout"] == "bshd" else value).reshape(call.shape)

    def inputs(self, case, random):
        """Sizes B, H, L, D (ndim of them); options positions ("random" or "batch"), offset, base, dims, ..."""
        v = case.values
        B, H, L, D = v.get("B", 1), v.get("H", 1), v["L"], v["D"]
        shape = (B, L, H, D) if v.get("layout") == "bshd" else (B, H, L, D)
        found = {name: v[name] for name in ("offset", "base", "dims", "interleaved", "layout") if name in v}
        if "positions" in v:
            rng = np.random.default_rng(case.seed)
            found["positions"] = rng.integers(0, 5000, (B, L) if v["positions"] == "batch" else L)
        return {"x": random(*shape[4 - v.get("ndim", 4):])} | found

    def multiply_adds(self, call):
        """Two for each number that is turned."""
        return 2 * math.prod(call.options["sizes"][:3]) * call.options["rotary"]


def _axes(shape, layout):
    """(B, H, L, D) of x's shape."""
    if len(shape) == 2:
        return (1, 1, *shape)
    *batch, first, second, D = shape
    H, L = (second, first) if layout == "bshd" else (first, second)
    return (*(batch or (1,)), H, L, D)


def _rotary(dims, D):
    if dims is None and D % 2:
        raise value_error("x", "an even last axis, as all of it is turned", f"{D} columns", "or give dims")
    if dims is not None and (isinstance(dims, bool) or not isinstance(dims, int | np.integer) or dims % 2
                             or not 0 <= dims <= D):
        raise value_error("dims", f"an even whole number from 0 to {D}", repr(dims))
    return D if dims is None else int(dims)


def _positions(positions, offset, B, L):
    """int64 (B, L), of stride 0 where all batches share them."""
    if positions is None:
        if isinstance(offset, bool) or not isinstance(offset, int | np.integer):
            raise value_error("offset", "a whole number", repr(offset), "an array goes into positions")
        found = int(offset) + np.arange(L)
    else:
        if not isinstance(offset, int | np.integer) or offset:
            raise value_error("offset", "0, as positions is given", repr(offset), "add it to positions")
        found = take_integers("positions", positions, "convert it with .astype(np.int64)")
        if found.shape not in ((L,), (B, L)):
            raise value_error("positions", f"shape ({L},) or ({B}, {L})", f"shape {found.shape}")
    if found.size and max(abs(int(found.min())), abs(int(found.max()))) > FARTHEST:
        raise value_error("positions", "numbers up to 2^53", f"{found.min()} to {found.max()}")
    return np.broadcast_to(found.astype(np.int64), (B, L))


def _table(options, number):
    """(cos, sin), a row a position: one column a pair, or for neighbours one a column with the sign of its sine."""
    positions, rotary = options["positions"], options["rotary"]
    rows = positions if positions.strides[0] else positions[:1]
    frequencies = options["base"] ** (-2.0 * np.arange(rotary // 2) / max(rotary, 1))
    angles = rows.reshape(-1, 1) * frequencies
    cos, sin = np.cos(angles).astype(number), np.sin(angles).astype(number)
    if options["interleaved"]:
        cos, sin = np.repeat(cos, 2, axis=1), np.stack([-sin, sin], axis=2).reshape(len(sin), -1)
    if not cos.size:  # no kernel takes an empty array
        cos = sin = np.zeros((1, 1), number)
    return np.ascontiguousarray(cos), np.ascontiguousarray(sin)


def _facts(options, cos):
    """(facts of the launch, tasks)."""
    from aat.kernels.rope import Meta

    B, H, L, D = options["sizes"]
    rows = B * H * L
    of_task = max(1, min(rows, TASK_NUMBERS // D))
    apart = options["positions"].strides[0] != 0 and B > 1
    return {Meta.ROWS: rows, Meta.TASK_ROWS: of_task, Meta.COLUMNS: D, Meta.ROTARY: options["rotary"],
            Meta.TABLE: cos.shape[1], Meta.BATCH_ROWS: H * L, Meta.STEP: H if options["layout"] == "bshd" else 1,
            Meta.LENGTH: L, Meta.TABLE_BATCH: L if apart else 0}, -(-rows // of_task)


OPERATION = Rope()
