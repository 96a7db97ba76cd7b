"""Does this machine keep the contract? Every case and every law on a backend, and the matrix of what is supported."""

from collections.abc import Callable
from dataclasses import dataclass

from aat import operations
from aat.errors import BackendError
from aat.report.record import FAILED, OK, UNSUPPORTED
from aat.tiling import policy
from aat.validation import kernels, pipeline
from aat.validation.cases import CASES, KERNEL_CASES, any_by_name, by_name, kernel_cases, make, tagged
from aat.validation.properties import LAWS

LAW_CASES = ("plain", "mask-and-bias", "gqa", "dead-rows")


@dataclass(frozen=True)
class Outcome:
    """One case, or one law on one case, on one backend.

    status is "ok", "failed" or "not supported"; reason says why where it is not ok. error and budget are those of a
    case's worst element; a law has its margin (difference over what is allowed) in ratio alone.
    """

    name: str
    backend: str
    status: str
    features: tuple[str, ...]
    reason: str = ""
    error: float | None = None
    budget: float | None = None
    ratio: float | None = None


# What a case shows, by name; the order is that of the matrix.
FEATURES: dict[str, Callable] = {
    "float32": lambda c, o: c.dtype == "f32",
    "float16": lambda c, o: c.dtype == "f16",
    "bfloat16": lambda c, o: c.dtype == "bf16",
    "float64": lambda c, o: c.dtype == "f64",
    "one query (decode)": lambda c, o: c.Lq == 1,
    "odd lengths": lambda c, o: c.Lq % 8 and c.Lk % 8,
    "grouped heads (GQA, MQA)": lambda c, o: c.Hq != c.Hk,
    "head sizes beside 16 and 64": lambda c, o: c.D not in (16, 64) or c.Dv not in (16, 64),
    "causal": lambda c, o: "causal" in o,
    "window": lambda c, o: "window" in o,
    "boolean mask": lambda c, o: "mask" in o,
    "bias": lambda c, o: "bias" in o,
    "score_mod": lambda c, o: "score_mod" in o,
    "mask_mod": lambda c, o: "mask_mod" in o,
    "scale": lambda c, o: "scale" in o,
    "softcap": lambda c, o: "softcap" in o,
    "scores by distance or overlap": lambda c, o: "score" in o,
    "sinks": lambda c, o: "sinks" in o,
    "kv_lens": lambda c, o: "kv_lens" in o,
    "q_offset": lambda c, o: "q_offset" in o,
    "layout bshd": lambda c, o: o.get("layout") == "bshd",
    "three axes": lambda c, o: o.get("ndim") == 3,
    "strides": lambda c, o: "strides" in o,
    "empty axes": lambda c, o: 0 in (c.B, c.Lq, c.Lk),
    "rows that see nothing": lambda c, o: c.fill == "dead_rows" or c.Lk == 0 or 0 in _lens(o),
    "masked NaN and inf": lambda c, o: "poison" in c.fill,
    "large and shifted scores": lambda c, o: c.fill in ("large", "shifted", "shifted_by_keys"),
}
LAWS_FEATURE = "laws (permutation, merging, ...)"


def _lens(options):
    lens = options.get("kv_lens", ())
    return lens if isinstance(lens, tuple) else (lens,)


def features(case):
    """The features that a case shows."""
    options = dict(case.options)
    return tuple(name for name, shows in FEATURES.items() if shows(case, options))


def shown_by(name):
    """The features that an outcome of that name shows: a case's own, that of the laws ("merge on plain"), or the kernel
    beside attention that it is of."""
    case = name.partition(" on ")[2] or name
    if case in KERNEL_CASES:
        return (kernel_feature(KERNEL_CASES[case].kernel),)
    return features(CASES[name]) if name in CASES else (LAWS_FEATURE,) if " on " in name else ()


def kernel_feature(kernel):
    """The row of the matrix for a kernel beside attention."""
    return f"kernel {kernel}"


def cover(cases):
    """Few of `cases` that show every feature that any of them shows: again and again the one that adds most."""
    missing, chosen = {feature for case in cases for feature in features(case)}, []
    while missing:
        best = max(cases, key=lambda case: len(missing.intersection(features(case))))
        chosen.append(best)
        missing.difference_update(features(best))
    return chosen


def plan(*, quick=False, software=False, kernel=None):
    """What to run, as pairs (kind, name): "case" and "law:<case>"; "kernel" and "kernel law" for other kernels.

    quick is a few small cases that show every feature between them, and the laws on one; a software device gets the
    small cases, since the others would take it hours. `kernel` leaves that one alone.
    """
    if kernel:
        return _plan_of_kernels([kernel], quick, software)
    cases = cover(tagged("small")) if quick else tagged("small") if software else [*tagged("small"), *tagged("full")]
    where = LAW_CASES[:1] if quick else LAW_CASES
    attention = [("case", case.name) for case in cases] + [(f"law:{case}", law) for case in where for law in LAWS]
    return attention + _plan_of_kernels(operations.names(), quick, software)


def _plan_of_kernels(names, quick, software):
    """Each kernel's small cases (quick: the first), its full ones but on software devices, and its laws."""
    found = []
    for kernel in names:
        small = kernel_cases(kernel, "small")
        full = [] if quick or software else kernel_cases(kernel, "full")
        found += [("kernel", case.name) for case in (*(small[:1] if quick else small), *full)]
        found += [(f"kernel law:{kernels.law_case(kernel, law, software).name}", law) for law in kernels.LAWS]
    return found


def outcome(kind, name, backend):
    """Run one entry of the plan; BackendError is "not supported", any other exception is a failure with its text."""
    law_on = kind.partition(":")[2]
    label = f"{name} on {law_on}" if law_on else name
    try:
        if kind.startswith("kernel"):
            return _kernel_law(name, law_on, backend) if law_on else _kernel_case(name, backend)
        return _law(name, law_on, backend) if law_on else _case(name, backend)
    except BackendError as error:
        return Outcome(label, backend, UNSUPPORTED, shown_by(label), "; ".join(error.reasons))
    except Exception as error:  # the acceptance test goes on, and says what was raised
        return Outcome(label, backend, FAILED, shown_by(label), f"raised {type(error).__name__}: {error}")


def _case(name, backend):
    case = by_name(name)
    verdict = pipeline.check(case, backend)
    return Outcome(name, backend, OK if verdict.ok else FAILED, features(case), "; ".join(verdict.reasons),
                   verdict.error, verdict.budget, verdict.ratio)


def _kernel_case(name, backend):
    verdict = kernels.check(KERNEL_CASES[name], backend)
    return Outcome(name, backend, OK if verdict.ok else FAILED, shown_by(name), "; ".join(verdict.reasons),
                   verdict.error, verdict.budget, verdict.ratio)


def _kernel_law(name, case, backend):
    reason = kernels.law(name, KERNEL_CASES[case], backend)
    label = f"{name} on {case}"
    return Outcome(label, backend, FAILED if reason else OK, shown_by(label), reason)


def _law(name, case, backend):
    from aat.functional import attention

    call = make(by_name(case))
    with policy.held("never"):
        # laws about bits hold for one config, and the shapes that a law compares may have different ones
        *_, info = attention(**call, backend=backend, return_lse=True, return_info=True)
        tiling = "auto" if info.config is None else info.config

        def run(**call):
            return attention(**call, backend=backend, tiling=tiling, return_lse=True)

        result = LAWS[name].check(run, call)
    return Outcome(f"{name} on {case}", backend, OK if result.ok else FAILED, (LAWS_FEATURE,), result.detail,
                   ratio=result.margin)


def record(outcome):
    """The Record of an Outcome: it has no time."""
    from aat.validation.measure import untimed

    reason = outcome.reason if outcome.status != FAILED else f"check failed: {outcome.reason}"
    dtype = any_by_name(outcome.name.partition(" on ")[2] or outcome.name).dtype
    return untimed(outcome.name, outcome.backend, outcome.status, reason, dtype=dtype, error=outcome.error,
                   budget=outcome.budget)


def matrix(outcomes, backends):
    """{feature: {backend: cell}} with cells "ok 12", "failed 1 of 12", "not supported" or "" (nothing ran)."""
    found = {}
    for feature in (*FEATURES, LAWS_FEATURE, *map(kernel_feature, operations.names())):
        row = {}
        for backend in backends:
            mine = [o for o in outcomes if o.backend == backend and feature in o.features]
            row[backend] = _cell([o.status for o in mine])
        found[feature] = row
    return found


def _cell(statuses):
    if not statuses:
        return ""
    failed, ran = statuses.count(FAILED), len(statuses) - statuses.count(UNSUPPORTED)
    if failed:
        return f"failed {failed} of {ran}"
    return f"ok {ran}" if ran else UNSUPPORTED
