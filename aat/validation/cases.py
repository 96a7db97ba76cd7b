"""On which problems is everything both checked and timed?  One table.

A Case is a name, sizes, a dtype, options and a recipe for the data; `make(case)` gives the keyword arguments of
`aat.attention`, the same ones every time.  Tags:

    small        runs in seconds on a software Vulkan device: D and Dv of 16 (a few others), short sequences
    full         CPU and real GPUs only
    bench        timed; checked too, but large for a test
    grid         timed on demand: lengths by head sizes
    device       timed on arrays that stay on a GPU, in the order in which they matter; device-quick: tiny ones
    adversarial  aims at one failure: poison, extremes, empty rows
    mods         scores and masks by functions (aat/validation/mods.py)
    adaptive     data of aat/validation/generators.py and captured.py, for adaptive tiling

Those of bench, grid and device stand in aat/validation/timed.py. A KernelCase is a problem of a kernel beside attention
(aat/operations): tags small, full and bench.
"""
from dataclasses import dataclass, field

from aat.validation import captured, timed
from aat.validation.generators import GENERATORS
from aat.validation.inputs import make

__all__ = ["CASES", "KERNEL_CASES", "Case", "KernelCase", "any_by_name", "by_name", "kernel_cases", "make", "tagged"]


@dataclass(frozen=True)
class Case:
    """One problem. options: contract arguments, and mask/bias as axes ("b1qk": 1 = size 1), strides, ndim, density; a
    score as the name of its class and pairs of parameters."""

    name: str
    Lq: int
    Lk: int
    B: int = 1
    Hq: int = 2
    Hk: int = 2
    D: int = 16
    Dv: int = 16
    dtype: str = "f32"
    fill: str = "normal"
    options: tuple[tuple[str, object], ...] = ()
    seed: int = 0
    tags: frozenset[str] = field(default_factory=frozenset)

    @property
    def multiply_adds(self):
        """Multiply-adds of the dense problem: QK and PV."""
        return self.B * self.Hq * self.Lq * self.Lk * (self.D + self.Dv)


_SIZES = ("B", "Hq", "Hk", "D", "Dv", "dtype", "fill")


def _case(tags, name, Lq, Lk, **rest):
    """A case from a flat list: sizes by name, everything else is an option.  Hk follows Hq, Dv follows D."""
    sizes = {key: rest.pop(key) for key in _SIZES if key in rest}
    if "Hq" in sizes:
        sizes.setdefault("Hk", sizes["Hq"])
    if "D" in sizes:
        sizes.setdefault("Dv", sizes["D"])
    seed = sum(ord(c) * (i + 1) for i, c in enumerate(name))
    return Case(name, Lq, Lk, options=tuple(sorted(rest.items())), seed=seed, tags=frozenset(tags.split()), **sizes)


def _small():
    s, a = "small", "small adversarial"
    yield _case(s, "plain", 33, 47, B=2)
    yield _case(s, "one", 1, 1)
    yield _case(s, "decode", 1, 239, Hq=4, Hk=2)
    yield _case(s, "tail-of-one", 65, 65)
    yield _case(s, "batch-0", 5, 7, B=0)
    yield _case(s, "no-queries", 0, 5)
    yield _case(s, "no-keys", 5, 0)
    yield _case(s, "no-keys-sinks", 5, 0, sinks=True)
    yield _case(s, "gqa", 19, 37, B=2, Hq=6, Hk=2)
    yield _case(s, "mqa", 19, 37, Hq=5, Hk=1)
    yield _case(s, "gqa-bf16", 19, 37, B=2, Hq=6, Hk=2, dtype="bf16", bias="hqk")
    yield _case(s, "3d", 17, 21, Hq=4, Hk=2, ndim=3)
    yield _case(s, "bshd", 17, 21, B=2, Hq=4, Hk=2, layout="bshd")
    yield _case(s, "bshd-3d", 17, 21, Hq=4, Hk=2, layout="bshd", ndim=3)
    yield _case(s, "scale", 17, 40, scale=0.7)
    yield _case(s, "scale-0", 17, 40, scale=0.0)
    yield _case(s, "scale-negative", 17, 40, scale=-0.3)
    for axes in ("bhqk", "b1qk", "1hqk", "11qk", "b11k", "bhq1", "1111", "hqk", "qk", "k", "1k", "q1"):
        yield _case(s, f"mask-{axes}", 21, 35, B=2, Hq=4, Hk=2, mask=axes)
    for axes in ("bhqk", "b1qk", "1hqk", "b11k", "bhq1", "hqk", "qk", "k"):
        yield _case(s, f"bias-{axes}", 21, 35, B=2, Hq=4, Hk=2, bias=axes)
    yield _case(s, "mask-and-bias", 21, 35, B=2, Hq=4, Hk=2, mask="b11k", bias="hqk")
    yield _case(s, "mask-sparse", 40, 200, mask="qk", density=0.03)
    yield _case(s, "causal", 37, 37, B=2, causal=True)
    for align in ("upper_left", "lower_right"):
        yield _case(s, f"causal-{align}-wide", 19, 50, causal=align)
        yield _case(s, f"causal-{align}-tall", 50, 19, causal=align)
    yield _case(s, "causal-offset", 9, 60, causal="upper_left", q_offset=31)
    yield _case(s, "causal-offset-negative", 12, 20, causal="upper_left", q_offset=-4)
    yield _case(s, "causal-offset-batch", 9, 60, B=3, causal="upper_left", q_offset=(0, 17, 51))
    yield _case(s, "causal-lens", 9, 40, B=3, causal="lower_right", kv_lens=(40, 9, 3))
    yield _case(s, "causal-lens-upper", 9, 40, B=2, causal="upper_left", kv_lens=(40, 5))
    yield _case(s, "offset-block", 30, 60, causal="upper_left", q_offset=21)
    yield _case(s, "offset-batch-block", 30, 60, B=3, causal="upper_left", q_offset=(-12, 7, 29))
    yield _case(s, "causal-lens-block", 30, 60, B=3, causal="lower_right", kv_lens=(60, 30, 7))
    yield _case(s, "causal-lens-upper-block", 30, 60, B=2, causal="upper_left", kv_lens=(60, 11))
    yield _case(s, "window", 50, 50, window=(7, 4))
    yield _case(s, "window-left", 50, 50, window=(7, None))
    yield _case(s, "window-right", 50, 50, window=(None, 4))
    yield _case(s, "window-0", 40, 40, window=(0, 0))
    yield _case(s, "window-past-the-keys", 60, 20, window=(5, 5))
    yield _case(s, "window-offset", 20, 90, window=(11, 3), q_offset=45)
    yield _case(s, "window-causal", 50, 50, causal=True, window=(9, None))
    yield _case(s, "window-causal-lower", 21, 70, causal="lower_right", window=(9, 30))
    yield _case(s, "window-lens", 30, 40, B=2, window=(6, 6), kv_lens=(40, 13))
    yield _case(s, "softcap", 21, 35, softcap=5.0, scale=1.0)
    yield _case(s, "softcap-bias-mask", 21, 35, B=2, Hq=4, softcap=2.0, scale=1.0, bias="hqk", mask="b11k")
    yield _case(s, "sinks", 21, 35, Hq=4, sinks=True)
    yield _case(s, "sinks-causal-lens", 21, 35, B=2, Hq=4, Hk=2, sinks=True, causal="lower_right", kv_lens=(35, 6))
    yield _case(s, "lens", 21, 70, B=4, kv_lens=(70, 0, 1, 33))
    yield _case(s, "everything", 23, 61, B=2, Hq=4, Hk=2, mask="b1qk", bias="hqk", causal="lower_right",
                window=(20, None), softcap=4.0, scale=0.5, sinks=True, kv_lens=(61, 30))
    yield _case(s, "values-8", 21, 35, Dv=8)
    yield _case(s, "head-7-5", 21, 35, D=7, Dv=5)
    for strides in ("fortran", "strided", "transposed", "negative", "offset"):
        yield _case(s, f"strides-{strides}", 21, 35, B=2, Hq=4, Hk=2, mask="bhqk", bias="qk", strides=strides)
    for dtype in ("f16", "bf16"):
        yield _case(s, dtype, 33, 47, B=2, Hq=4, Hk=2, dtype=dtype)
        yield _case(s, f"{dtype}-bias", 33, 47, B=2, Hq=4, Hk=2, dtype=dtype, bias="hqk", causal="lower_right")
    yield _case(s, "f64", 33, 47, B=2, Hq=4, Hk=2, dtype="f64")
    yield _case(s, "f64-everything", 23, 61, B=2, Hq=4, Hk=2, dtype="f64", mask="b1qk", bias="hqk", sinks=True,
                causal="lower_right", softcap=4.0, kv_lens=(61, 30))
    yield _case(a, "large-logits", 33, 70, fill="large")
    yield _case(a, "large-logits-causal", 33, 33, fill="large", causal=True)
    yield _case(a, "shifted-rows", 33, 70, fill="shifted")
    yield _case(a, "shifted-by-keys", 33, 70, fill="shifted_by_keys")
    yield _case(a, "equal-keys", 33, 70, fill="equal")
    yield _case(a, "constant-values", 33, 70, fill="constant_values")
    yield _case(a, "positive", 33, 70, fill="positive")
    yield _case(a, "wide-values", 33, 70, fill="wide_values")
    yield _case(a, "poison-masked", 21, 35, B=2, fill="hidden_poison", mask="bhqk")
    yield _case(a, "poison-masked-column", 21, 35, B=2, fill="hidden_poison", mask="k")
    yield _case(a, "poison-masked-large", 21, 150, fill="hidden_poison", mask="qk", density=0.1)
    yield _case(a, "poison-past-lens", 21, 70, B=4, fill="past_poison", kv_lens=(70, 0, 1, 33))
    yield _case(a, "poison-past-lens-causal", 21, 70, B=2, fill="past_poison", kv_lens=(40, 33), causal="lower_right")
    yield _case(a, "poison-causal", 37, 37, fill="outside_poison", causal=True)
    yield _case(a, "poison-window", 50, 50, fill="outside_poison", window=(5, 3))
    yield _case(a, "poison-visible-value", 21, 35, fill="value_poison")
    yield _case(a, "score-plus-inf", 21, 35, fill="score_plus_inf")
    yield _case(a, "score-minus-inf", 21, 35, fill="score_minus_inf")
    yield _case(a, "bias-minus-inf", 21, 35, B=2, fill="bias_minus_inf", bias="bhqk")
    yield _case(a, "bias-lowest", 21, 35, fill="bias_lowest", bias="bhqk")
    yield _case(a, "bias-lowest-f16", 21, 35, fill="bias_lowest_f16", bias="bhqk", dtype="f16")
    yield _case(a, "dead-rows", 31, 35, fill="dead_rows", mask="qk")
    yield _case(a, "dead-rows-sinks", 31, 35, fill="dead_rows", mask="qk", sinks=True)


def _mods():
    """Scores and masks by functions: the recipes of aat/validation/mods.py."""
    s = "small mods"
    yield _case(s, "mod-alibi", 37, 70, B=2, Hq=4, Hk=2, score_mod="alibi", q_offset=5)
    yield _case(s, "mod-relative", 37, 70, Hq=4, Hk=2, score_mod="relative", q_offset=-9)
    yield _case(s, "mod-clipped", 37, 70, score_mod="clipped", dtype="bf16", causal="lower_right")
    yield _case(s, "mod-gated", 37, 70, B=2, Hq=4, Hk=2, score_mod="gated")
    yield _case(s, "mod-documents", 70, 70, B=2, mask_mod="documents")
    yield _case(s, "mod-prefix", 50, 50, B=3, mask_mod="prefix", q_offset=(0, 3, 20))
    yield _case(s, "mod-sink-keys", 90, 90, mask_mod="sink_keys", kv_lens=(70,))
    yield _case(s, "mod-dilated", 40, 60, Hq=4, Hk=2, mask_mod="dilated", causal="lower_right")
    yield _case(s, "mod-causal-one-row", 1, 90, Hq=4, Hk=2, mask_mod="causal", q_offset=80)
    yield _case(s, "mod-dead-rows", 40, 50, mask_mod="nothing")
    yield _case(s, "mod-dead-rows-sinks", 40, 50, mask_mod="nothing", sinks=True)
    yield _case(s, "mod-everything", 23, 61, B=2, Hq=4, Hk=2, score_mod="gated", mask_mod="documents", mask="b1qk",
                bias="hqk", causal="lower_right", window=(20, None), softcap=4.0, scale=0.5, sinks=True,
                kv_lens=(61, 30))
    yield _case("small mods adversarial", "mod-poison", 37, 70, B=2, fill="past_poison", kv_lens=(41, 33),
                score_mod="alibi", mask_mod="dilated")
    f = "full mods"
    yield _case(f, "mod-f64", 37, 70, B=2, Hq=4, Hk=2, dtype="f64", score_mod="gated", mask_mod="documents")
    yield _case(f, "mod-f16", 90, 170, Hq=4, Hk=2, D=64, dtype="f16", score_mod="relative", mask_mod="sink_keys")
    yield _case(f, "mod-causal-64", 300, 300, D=64, mask_mod="causal")
    yield _case(f, "mod-documents-64", 260, 500, B=2, Hq=4, Hk=2, D=64, mask_mod="documents", q_offset=120)
    yield _case(f, "mod-cross-50x5000", 50, 5000, Hq=1, Hk=1, D=64, score_mod="alibi", mask_mod="dilated",
                causal="lower_right")
def _scores():
    """Scores that are functions of two rows, each with other options; a score is a class and its parameters."""
    def case(name, score, Lq=21, Lk=35, tags="small", **rest):
        sizes = dict(B=2, Hq=4, Hk=2, D=8) | rest
        return _case(tags, f"score-{name}", Lq, Lk, score=score, **sizes)

    beta = ("beta", (0.1, 0.2, 0.4, 0.8))
    yield case("euclidean", ("Euclidean", beta), causal="lower_right")
    yield case("euclidean-distance", ("Euclidean", beta, ("form", "distance")), bias="hqk", mask="b11k")
    yield case("euclidean-difference", ("Euclidean", beta, ("product", "difference")), kv_lens=(35, 9))
    yield case("hyperbolic", ("Hyperbolic", beta, ("curvature", (-1.0, -0.2))), sinks=True, Lq=33)
    yield case("hyperbolic-everything", ("Hyperbolic", beta, ("form", "distance")), Lq=23, Lk=61, mask="b1qk",
               bias="hqk", causal="lower_right", window=(20, None), softcap=4.0, sinks=True, kv_lens=(61, 30))
    yield case("hyperbolic-difference", ("Hyperbolic", beta, ("product", "difference"), ("chart", "exp")),
               fill="far_rows", mask="qk")
    yield case("hyperbolic-inner", ("Hyperbolic", beta, ("form", "inner")), window=(9, 3), dtype="f16")
    yield case("spherical", ("Spherical", beta, ("curvature", (0.1, 0.3))), softcap=2.0)
    yield case("spherical-difference", ("Spherical", beta, ("product", "difference")), dtype="bf16", Lq=1)
    yield case("fidelity", ("Fidelity", ("beta", (2.0, 4.0, 8.0, 1.0))), causal="lower_right", sinks=True)
    yield case("fidelity-log", ("Fidelity", beta, ("form", "log"), ("floor", 0.01)), bias="k", layout="bshd")
    yield case("fidelity-angle", ("Fidelity", beta, ("form", "angle"), ("real", True)), kv_lens=(35, 0))
    yield case("dot", ("Dot", ("scale", (0.3, -0.1, 0.2, 0.0))), mask="bhqk", bias="qk")
    yield case("f64", ("Hyperbolic", beta), dtype="f64", D=8)
    yield case("fidelity-f64", ("Fidelity", beta, ("form", "angle")), dtype="f64")
    poison = dict(tags="small adversarial")
    yield case("poison-masked", ("Fidelity", beta), fill="hidden_poison", mask="bhqk", **poison)
    yield case("poison-past-lens", ("Hyperbolic", beta), fill="past_poison", kv_lens=(35, 9), **poison)
    yield case("poison-causal", ("Euclidean", beta), Lq=37, Lk=37, fill="outside_poison", causal=True, **poison)
    yield case("equal-rows", ("Euclidean", beta, ("form", "distance")), fill="keys_are_queries", **poison)
    for name in ("Euclidean", "Hyperbolic", "Fidelity"):
        yield case(f"{name.lower()}-64", (name, beta), 130, 261, "full", D=64, fill="small_rows", causal="lower_right")


def _full():
    s, a = "full", "full adversarial"
    for D in (1, 7, 33, 59, 64, 72, 111, 128, 256):
        yield _case(s, f"head-{D}", 37, 83, D=D, causal="lower_right")
    yield _case(s, "head-64-values-128", 37, 83, D=64, Dv=128)
    yield _case(s, "head-192-values-128", 20, 83, D=192, Dv=128)
    yield _case(s, "head-33-values-1", 37, 83, D=33, Dv=1)
    yield _case(s, "head-1-values-59", 37, 83, D=1, Dv=59)
    for Lq, Lk in ((1, 239), (3, 799), (113, 203), (127, 512)):
        yield _case(s, f"{Lq}x{Lk}", Lq, Lk, B=2, Hq=4, Hk=2, D=64)
        yield _case(s, f"{Lq}x{Lk}-causal", Lq, Lk, Hq=4, Hk=2, D=59, causal="lower_right")
    yield _case(s, "1023x1024", 1023, 1024, Hq=2, D=64, causal="lower_right")
    yield _case(s, "1024x1023", 1024, 1023, Hq=2, D=64, causal="upper_left")
    yield _case(s, "window-long", 700, 700, D=64, window=(128, 0))
    yield _case(s, "window-long-both", 300, 1500, D=64, window=(100, 50), q_offset=600)
    # few queries of heads that share a KV head
    yield _case(s, "group-24x700", 24, 700, B=2, Hq=8, Hk=2, D=64, causal="lower_right", window=(500, None))
    yield _case(s, "group-17x300", 17, 300, B=2, Hq=8, Hk=2, D=32, mask="bhqk", bias="1h1k", sinks=True,
                kv_lens=(300, 150))
    # few rows and many keys, which are cut into parts
    yield _case(s, "cross-50x5000", 50, 5000, Hq=1, Hk=1, D=64)
    yield _case(s, "cross-20x9001", 20, 9001, B=2, Hq=2, Hk=1, D=64, causal="lower_right", kv_lens=(9001, 3000),
                sinks=True)
    yield _case(s, "lens-long", 130, 513, B=5, D=32, kv_lens=(513, 0, 64, 65, 200))
    yield _case(s, "everything-64", 130, 261, B=2, Hq=8, Hk=2, D=64, mask="b1qk", bias="hqk", causal="lower_right",
                window=(150, None), softcap=8.0, scale=0.5, sinks=True, kv_lens=(261, 140))
    yield _case(s, "many-heads", 40, 70, B=3, Hq=24, Hk=8, D=32)
    yield _case(s, "minilm-mask", 77, 77, B=3, Hq=12, D=32, mask="b11k")
    yield _case(s, "minilm-lens", 77, 77, B=3, Hq=12, D=32, kv_lens=(77, 12, 41))
    for dtype in ("f16", "bf16", "f64"):
        yield _case(s, f"{dtype}-64", 130, 261, B=2, Hq=4, Hk=2, D=64, dtype=dtype, causal="lower_right")
    for dtype, strides in (("f16", "negative"), ("bf16", "strided"), ("f64", "transposed")):
        yield _case(s, f"{dtype}-{strides}", 40, 50, B=2, Hq=4, Hk=2, D=33, dtype=dtype, strides=strides)
    yield _case(s, "f16-bshd", 70, 90, B=2, Hq=4, Hk=2, D=64, dtype="f16", layout="bshd")
    yield _case(a, "large-logits-64", 130, 261, D=64, fill="large", causal="lower_right")
    yield _case(a, "shifted-64", 130, 261, D=64, fill="shifted")
    yield _case(a, "equal-long", 20, 1500, D=64, fill="equal")
    yield _case(a, "constant-long", 64, 1500, D=64, fill="constant_values")
    yield _case(a, "zero-queries-long", 64, 1500, D=64, fill="zero_queries")
    yield _case(a, "poison-64", 130, 261, B=2, D=64, fill="hidden_poison", mask="b1qk", bias="k")
    yield _case(a, "poison-lens-64", 70, 261, B=3, D=64, fill="past_poison", kv_lens=(64, 65, 200), bias="qk")


def _adaptive():
    # not g7-tight: its 236 equal small weights are added in turn to a large sum, each addition rounds the same way, and
    # the dense kernel's error was 1.45 of its budget, which takes roundings to be independent (CPU, 2026-11)
    for name in (name for name in GENERATORS if name != "g7-tight"):
        yield _case("full adaptive", name, 100, 300, D=32, fill=name)
    for name in captured.LAYERS:
        yield _case("full adaptive", name, fill=name, **captured.SIZES)


@dataclass(frozen=True)
class KernelCase:
    """One problem of a kernel beside attention. values: sizes and options, which its Operation's `inputs` reads."""

    kernel: str
    name: str
    dtype: str = "f32"
    options: tuple[tuple[str, object], ...] = ()
    seed: int = 0
    tags: frozenset[str] = field(default_factory=frozenset)

    @property
    def values(self):
        """Sizes and options by name."""
        return dict(self.options)


def _of(kernel, tags, name, dtype="f32", **values):
    """A case of a kernel, called <kernel>-<name>."""
    name = f"{kernel}-{name}"
    seed = sum(ord(c) * (i + 1) for i, c in enumerate(name))
    return KernelCase(kernel, name, dtype, tuple(sorted(values.items())), seed, frozenset(tags.split()))


def _kernels():
    s = "small"
    yield _of("linear", s, "plain", B=2, L=7, E=33, F=21)
    yield _of("linear", s, "one", L=1, E=1, F=1, bias=True)
    yield _of("linear", s, "empty", L=0, E=5, F=6)
    yield _of("linear", s, "no-columns", L=4, E=0, F=6, bias=True)
    yield _of("linear", s, "bhsd", B=2, L=9, E=40, F=36, heads=3, bias=True)
    yield _of("linear", s, "bshd", B=2, L=9, E=40, F=36, heads=3, layout="bshd")
    yield _of("linear", s, "gelu", L=40, E=24, F=70, activation="gelu", bias=True)
    yield _of("linear", s, "f16", B=2, L=9, E=40, F=32, heads=2, dtype="f16", bias=True)
    yield _of("linear", s, "bf16", L=19, E=20, F=24, dtype="bf16")
    yield _of("linear", s, "f64", L=19, E=50, F=24, dtype="f64", bias=True)
    yield _of("linear", s, "packed", B=2, L=9, E=40, F=75, heads=3, bias=True, packed=True)
    yield _of("linear", s, "packed-f64", L=7, E=11, F=9, dtype="f64", packed=True)
    yield _of("linear", "full", "packed-deep", L=13, E=1100, F=65, packed=True)
    for activation in ("relu", "gelu_tanh", "silu"):
        yield _of("linear", "full", activation, L=40, E=24, F=70, activation=activation)
    for activation in ("gelu", "gelu_tanh", "silu"):
        yield _of("linear", "full", f"{activation}-wide", L=40, E=24, F=70, activation=activation, scale=8)
        yield _of("linear", "full", f"{activation}-f64", L=40, E=24, F=70, activation=activation, dtype="f64")
    for E in (3, 15, 16, 17, 511, 512, 513, 528, 529, 1100):
        yield _of("linear", "full", f"depth-{E}", L=13, E=E, F=65)
    for dtype in ("f16", "bf16"):
        yield _of("linear", "full", f"{dtype}-narrow", L=13, E=11, F=30, dtype=dtype)
        yield _of("linear", "full", f"{dtype}-deep", L=70, E=600, F=130, dtype=dtype, activation="silu", bias=True)
    yield _of("linear", "full threads", "many-rows", B=3, L=1111, E=48, F=96, heads=4, bias=True)
    yield _of("linear", "full", "many-columns", L=3, E=77, F=3001)
    yield _of("linear", "bench", "2048", L=2048, E=2048, F=2048)
    yield _of("linear", "bench", "qkv-512", B=4, L=512, E=768, F=2304, heads=36, bias=True)
    yield _of("linear", "bench", "mlp-512", B=4, L=512, E=768, F=3072, activation="gelu", bias=True)
    yield _of("linear", "bench", "decode-8", B=8, L=1, E=4096, F=4096)
    yield _of("linear", "bench", "decode-8-packed", B=8, L=1, E=4096, F=4096, packed=True)
    yield _of("linear", "bench", "f16-1024", L=1024, E=1024, F=1024, dtype="f16")
    for name, pairs in (("halves", False), ("neighbours", True)):
        yield _of("rope", s, name, B=2, H=3, L=7, D=36, interleaved=pairs, offset=5)
        yield _of("rope", s, f"{name}-partial", H=2, L=5, D=40, dims=22, interleaved=pairs, base=500.0)
        yield _of("rope", s, f"{name}-bshd", B=2, H=3, L=4, D=8, layout="bshd", positions="batch", interleaved=pairs)
        for dtype in ("f16", "bf16", "f64"):
            yield _of("rope", s, f"{name}-{dtype}", H=2, L=9, D=34, dtype=dtype, interleaved=pairs)
        yield _of("rope", "full", f"{name}-far", L=70, D=64, offset=10**9, interleaved=pairs)
        yield _of("rope", "full", f"{name}-wide", B=2, H=4, L=90, D=256, positions="random", interleaved=pairs)
        yield _of("rope", "bench", f"{name}-2048", H=32, L=2048, D=128, interleaved=pairs)
    yield _of("rope", "full threads", "many-rows", B=2, H=4, L=1111, D=64, positions="batch")
    yield _of("rope", s, "none", L=3, D=5, dims=0)
    yield _of("rope", s, "empty", L=0, D=4)
    yield _of("rope", s, "2d", L=6, D=16, ndim=2, offset=-3)
    yield _of("rope", s, "3d-bshd", H=2, L=6, D=16, ndim=3, layout="bshd")
    yield _of("rope", "bench", "decode", B=8, H=32, L=1, D=128, positions="batch")
    # `aat new-kernel` writes the cases of a new kernel above this line


def _table(cases):
    table = {}
    for case in cases:
        if case.name in table:
            raise ValueError(f"cases: two cases are called {case.name!r}; names must be unique")
        table[case.name] = case
    return table


_CHECKED = sorted((*_small(), *_mods(), *_scores(), *_full()), key=lambda case: "full" in case.tags)    # small first
CASES: dict[str, Case] = _table((*_CHECKED, *_adaptive(), *timed.bench(_case), *timed.grid(_case),
                                 *timed.device(_case)))
KERNEL_CASES: dict[str, KernelCase] = _table(_kernels())


def by_name(name):
    """The case of that name; ValueError lists near names."""
    if name not in CASES:
        near = [n for n in CASES if n.split("-")[0] == name.split("-")[0]] or sorted(CASES)
        raise ValueError(f"case: expected a name from aat.validation.cases.CASES, got {name!r}; try {', '.join(near)}")
    return CASES[name]


def tagged(*tags, without=()):
    """The cases that carry all `tags` and none of `without`, in the order of the table."""
    return [case for case in CASES.values() if case.tags.issuperset(tags) and case.tags.isdisjoint(without)]


def kernel_cases(kernel, *tags):
    """The cases of a kernel that carry all `tags`, in the order of the table."""
    return [case for case in KERNEL_CASES.values() if case.kernel == kernel and case.tags.issuperset(tags)]


def any_by_name(name):
    """The Case or KernelCase of that name; ValueError as `by_name`."""
    return KERNEL_CASES[name] if name in KERNEL_CASES else by_name(name)
