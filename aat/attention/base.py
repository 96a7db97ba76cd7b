"""What does every attention promise: the checked problem, the result, and what is told about the run."""

from dataclasses import dataclass, field
from typing import Any

DTYPES = ("f16", "bf16", "f32", "f64")


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """One checked call in canonical order. Its arrays are views of the caller's memory and are never written.

    Attributes
    ----------
    q, k, v : ndarray or DeviceArray
        (B, Hq, Lq, D), (B, Hk, Lk, D), (B, Hk, Lk, Dv); any strides that are whole elements. bf16 is uint16.
    dtype : str
        One of DTYPES, the same for q, k, v and out.
    mask : ndarray of bool or None
        4-D; each axis has size 1 or that of (B, Hq, Lq, Lk). True = may attend.
    bias : ndarray or None
        4-D as mask; float16, float32, float64, or uint16 for bf16, whatever `dtype` is.
    left, right : int or None
        Query at p sees keys p - left <= j <= p + right; None is unbounded; causal is right = 0.
    scale : float
    softcap : float or None
    sinks : ndarray or None
        (Hq,), float32 (float64 for f64).
    kv_lens : ndarray or None
        (B,) int32 in 0..Lk: keys at or past it do not exist.
    q_offset : ndarray
        (B,) int32: the position p of query row 0. Every p, left and right is below 2**30 in magnitude, so
        that p - left and p + right fit an int32.
    return_lse : bool
    out : ndarray or None
        Where to write the result, (B, Hq, Lq, Dv) of any strides and the storage of `dtype`; None: allocate
        it.
    tolerance : float
        The error that may be made, over max |v| of a head; 0 asks for the exact result.
    mods : aat.mods.call.Mods or None
        Functions that change the scaled score, and that say who may attend to whom.
    score : aat.attention.scores.base.Score or None
        What makes a score of a query and a key; None: scale q.k. `scale` is then 1.
    form : aat.kernels.parts.scores.Form or None
        Set where rows of q and k are prepared for a kernel (aat/attention/scored.py): columns and numbers, score None.
    """

    q: Any
    k: Any
    v: Any
    dtype: str
    mask: Any
    bias: Any
    left: int | None
    right: int | None
    scale: float
    softcap: float | None
    sinks: Any
    kv_lens: Any
    q_offset: Any
    return_lse: bool
    out: Any = None
    tolerance: float = 0.0
    mods: Any = None
    score: Any = None
    form: Any = None

    @property
    def B(self):
        """Batch size."""
        return self.q.shape[0]

    @property
    def Hq(self):
        """Query heads."""
        return self.q.shape[1]

    @property
    def Hk(self):
        """Key-value heads."""
        return self.k.shape[1]

    @property
    def Lq(self):
        """Query rows."""
        return self.q.shape[2]

    @property
    def Lk(self):
        """Keys."""
        return self.k.shape[2]

    @property
    def D(self):
        """Head size of queries and keys."""
        return self.q.shape[3]

    @property
    def Dv(self):
        """Head size of values and of the result."""
        return self.v.shape[3]

    @property
    def depth(self):
        """Multiply-adds of a score."""
        if self.form is not None:
            return self.form.columns * self.form.products
        return self.D if self.score is None else self.score.columns(self.D) * self.score.products

    @property
    def group(self):
        """Query heads that share a key-value head."""
        return self.Hq // self.Hk if self.Hk else 0

    @property
    def lse_dtype(self):
        """"f64" for f64, else "f32"."""
        return "f64" if self.dtype == "f64" else "f32"

    @property
    def rows(self):
        """Rows of the result, over batch and heads."""
        return self.B * self.Hq * self.Lq

    @property
    def multiply_adds_dense(self):
        """Multiply-adds of q k^T and p v without any mask, bound or length."""
        return self.rows * self.Lk * (self.depth + self.Dv)


@dataclass(slots=True)
class Info:
    """What one call did.

    Attributes
    ----------
    backend, device, kernel : str
        Where it ran, on what, and by which kernel.
    reason : str
        Why that backend.
    config : TileConfig or None
        The tiles that were used; None where nothing is tiled.
    seconds : float
        From the launch to the finished result, without the checks of the arguments.
    multiply_adds, multiply_adds_dense : int
        Multiply-adds inside the visited tiles, and those of the dense problem.
    tiles : dict
        "visited", "full" (took the mask-free path) and "total" counts of tiles.
    parts : int
        Launches that the problem was split into to stay below the index limit; 0 when none was needed.
    error_bound : ndarray or None
        With a tolerance, (B, Hq, Lq) float32: a proven bound on |out - exact| of each row, in the units of v; inf in a
        head whose values are not all finite. The rounding of the computation is apart from it. `tiles` then also holds
        "skipped_before" and "skipped_after" (their scores were computed), "replaced" (by their means), and "redone",
        rows that were computed again without leaving anything out.
    tiling : str
        With a tolerance, which strategy decided, and why.
    multiply_adds_exact : int
        What a run with the same tiles does that leaves nothing out.
    """

    backend: str
    config: Any
    seconds: float
    multiply_adds: int
    multiply_adds_dense: int
    tiles: dict = field(default_factory=dict)
    device: str = ""
    kernel: str = ""
    reason: str = ""
    parts: int = 1
    error_bound: Any = None
    tiling: str = ""
    multiply_adds_exact: int = 0

    def metrics(self, q=None, k=None, v=None, *, previous=None, **arguments_of_attention):
        """IFQ, CER and AE of this call, with their components: {name: value}, docs/tiling.md and quality.QUALITIES.

        Without arguments: what the call's own counts say (cer, edge_utilisation, multiply_adds). With those of the
        call, tolerance included, also what its exact weights say: cross_tile_mass, row_entropy, effective_support, ae.
        They take a pass over all scores on the host in float64, which may be far slower than the call. `previous`: a
        dict of the arguments of the call before (a step earlier, as many rows and heads), for stability and ifq. None
        stands for what is missing or has no value, as ae where nothing can be left out.

        Raises ValueError and TypeError as `aat.attention`, and ValueError for arguments of another call.
        """
        from aat.attention import quality

        return quality.measure(self, q, k, v, previous, **arguments_of_attention)


@dataclass(slots=True)
class Result:
    """What a mechanism returns for one Problem, in canonical order.

    out (B, Hq, Lq, Dv): problem.out if that was given; lse (B, Hq, Lq) or None; counts: "visited", "full" and
    "total" tiles and "pairs", the (row, key) pairs within bounds; config: the TileConfig that was used.
    shares (B, Hq, Lq): with a tolerance, the share of a row's mass that may be missing; bound: the error that it makes
    possible; tiling: who decided. trace: of a traced launch, what it did with each group (allowance.traced).
    """

    out: Any
    lse: Any = None
    counts: dict = field(default_factory=dict)
    config: Any = None
    kernel: str = ""
    shares: Any = None
    bound: Any = None
    tiling: str = ""
    trace: Any = None
