"""attention_merge: parts of rows against the float64 reference, and the laws of a monoid."""
import numpy as np
import pytest
from aat.kernels.reference.attention_merge import attention_merge

from aat.backends import select


@pytest.fixture(params=[(16, "f32"), (8, "f32"), (4, "f32"), (16, "f64")], ids=lambda p: f"{p[0]}-{p[1]}")
def columns(request):
    from aat.kernels.lanes import columns_for

    width, dtype = request.param
    with select.use("cpu") as session:
        yield session, columns_for("cpu", width, dtype, session.intrinsics), dtype


def merged(columns, a, m, l, sinks=None):
    """(out, lse) by the kernel; rows are the heads of one batch, one query each."""
    from aat.kernels.attention_merge import Merge, MergeSpec, build, padded

    session, C, dtype = columns
    number = np.float64 if dtype == "f64" else np.float32
    parts, rows, dv = a.shape
    stride = padded(C.width, dv)
    spec = MergeSpec(dv, dtype, lse=True, sinks=sinks is not None)
    wide = np.zeros((parts, rows, stride), number)  # whole vectors; what is past the columns is 0
    wide[..., :dv] = a
    arrays = {"A": wide, "M": m.astype(number), "L": l.astype(number),
              "O": np.full((rows, dv), np.nan, number), "LSE": np.full(rows, np.nan, number)}
    meta = np.zeros(Merge.SIZE, np.int32)
    meta[[Merge.ROWS, Merge.PARTS, Merge.HEADS, Merge.QUERIES, Merge.ALL_QUERIES]] = rows, parts, rows, 1, 1
    meta[Merge.O:Merge.O + 3] = rows * dv, dv, dv
    for name, x in arrays.items():
        at = Merge[f"{name}_ADDRESS"]
        meta[at:at + 2] = np.array([x.ctypes.data], np.uint64).view(np.int32)
    by_address = C.by_address
    given = [0 if by_address else arrays[name].reshape(-1) for name in ("A", "M", "L", "O", "LSE")]
    kernel = session.kernel(("attention_merge", C.width, dtype, by_address, spec), lambda: build(C, spec))
    with session.launching():
        kernel(*given, 0 if sinks is None else sinks.astype(number), meta, 2)
    return arrays["O"], arrays["LSE"], meta[Merge.NONFINITE]


def parts_of(parts=5, rows=7, dv=21, seed=0):
    rng = np.random.default_rng(seed)
    m = rng.normal(0, 20, (parts, rows))
    m[rng.random((parts, rows)) < 0.3] = -np.inf
    m[:, 2] = -np.inf  # a row that saw no key
    l = np.where(np.isneginf(m), 0, rng.uniform(1, 9, m.shape))
    a = rng.standard_normal((parts, rows, dv)) * l[..., None]
    return a, m, l


def close(got, want, dtype):
    eps = np.finfo(np.float64 if dtype == "f64" else np.float32).eps
    scale = np.abs(want).max(initial=1, where=np.isfinite(want))
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
    finite = np.isfinite(want)
    assert np.abs(got[finite] - want[finite]).max(initial=0) <= 16 * eps * scale


@pytest.mark.parametrize("dv", [1, 16, 21, 150])
@pytest.mark.parametrize("with_sinks", [False, True])
def test_parts_become_the_whole(columns, dv, with_sinks):
    a, m, l = parts_of(dv=dv)
    sinks = np.linspace(-3, 4, m.shape[1]) if with_sinks else None
    out, lse, flag = merged(columns, a, m, l, sinks)
    want, want_lse = attention_merge(a, m, l, sinks)
    close(out, want, columns[2])
    close(lse, want_lse, columns[2])
    assert flag == 0
    if not with_sinks:
        assert not out[2].any() and np.isneginf(lse[2])


def test_an_empty_part_is_the_identity_to_the_bit_and_is_not_read(columns):
    a, m, l = parts_of()
    empty = np.full((1, *m.shape[1:]), -np.inf)
    poisoned = np.full((1, *a.shape[1:]), np.nan)
    longer = np.concatenate([a, poisoned]), np.concatenate([m, empty]), np.concatenate([l, np.full_like(empty, np.nan)])
    for x, y in zip(merged(columns, a, m, l), merged(columns, *longer), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_constant_added_to_all_logits_moves_lse_alone(columns):
    a, m, l = parts_of()
    shifted = merged(columns, a, m + 64, l)
    plain = merged(columns, a, m, l)
    close(shifted[0], plain[0].astype(np.float64), columns[2])
    close(shifted[1], plain[1].astype(np.float64) + 64, columns[2])


def test_what_is_not_finite_is_flagged(columns):
    a, m, l = parts_of()
    a[np.isfinite(m)] = np.inf
    assert merged(columns, a, m, l)[2] == 1


def test_the_reference_agrees_with_one_softmax():
    rng = np.random.default_rng(3)
    s, v = rng.normal(0, 5, (4, 30)), rng.standard_normal((4, 30, 6))
    pieces = np.split(np.arange(30), [3, 11, 12])
    m = np.array([s[:, p].max(1) for p in pieces])
    weights = [np.exp(s[:, p] - top[:, None]) for p, top in zip(pieces, m, strict=True)]
    l = np.array([w.sum(1) for w in weights])
    a = np.array([np.einsum("rj,rjc->rc", w, v[:, p]) for w, p in zip(weights, pieces, strict=True)])
    out, lse = attention_merge(a, m, l)
    p = np.exp(s - s.max(1, keepdims=True))
    np.testing.assert_allclose(out, np.einsum("rj,rjc->rc", p / p.sum(1, keepdims=True), v), atol=1e-14)
    np.testing.assert_allclose(lse, np.log(np.exp(s).sum(1)), atol=1e-13)
