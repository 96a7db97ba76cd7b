"""Lane arithmetic: every intrinsic and its plain path against NumPy, special values included."""
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from aat.kernels.lanes import generate

from aat.backends import select

WIDTHS = (16, 8, 4)
FLAVOURS = [pytest.param((width, dtype, intrinsics), id=f"{width}-{dtype}-{'bitcode' if intrinsics else 'plain'}")
            for width in WIDTHS for dtype in ("f32", "f64") for intrinsics in (True, False)]


def apply(session, lanes, key, body, *columns):
    """body(L, *lanes) on flat arrays of equal length, a multiple of the lane width."""
    import taichi as ti

    count = len(columns[0])
    numbers = ti.types.ndarray(lanes.scalar, 1)

    def build():
        @ti.kernel
        def run(a: numbers, b: numbers, c: numbers, out: numbers, groups: ti.i32):
            for t in range(groups):
                at = lanes.affine(lanes.rows(t * lanes.width, 2**30), 1, 0)
                x = lanes.gather(a, at, 0, "plain")
                y = lanes.gather(b, at, 0, "plain")
                z = lanes.gather(c, at, 0, "plain")
                result = body(lanes, x, y, z)
                lanes.scatter_plain(out, None, at, result)
        return run

    dtype = np.float64 if lanes.scalar_name == "f64" else np.float32
    with session.scope():
        padded = [session.array(np.ascontiguousarray(x, dtype)) for x in (*columns, *[columns[0]] * (3 - len(columns)))]
        out = session.empty(count, np.dtype(dtype))
        kernel = session.kernel((key, lanes.backend, lanes.width, lanes.scalar_name, getattr(lanes, "bitcode", None)),
                                build)
        with session.launching():
            kernel(*padded, out, count // lanes.width)
        return session.read(out, count, np.empty(count, dtype)).copy()


@pytest.fixture(params=FLAVOURS)
def cpu(request):
    """(session, CPU lanes of one width, dtype and flavour)."""
    from aat.kernels.lanes.cpu import CpuLanes

    width, dtype, intrinsics = request.param
    with select.use("cpu") as session:
        if intrinsics and not session.intrinsics:
            pytest.skip("this host has no x86-64 FMA: no bitcode")
        yield session, CpuLanes(width, dtype, intrinsics)


def ulps(got, exact):
    """Largest distance in units of the last place of the exact result."""
    rounded = exact.astype(got.dtype)
    normal = np.abs(rounded) >= np.finfo(got.dtype).tiny
    gap = np.spacing(np.abs(rounded[normal]))
    return float(np.max(np.abs(got[normal].astype(np.longdouble) - exact[normal]) / gap))


def exact(function, x):
    return function(np.asarray(x, np.longdouble))


def unary(lanes, name, x, session):
    return apply(session, lanes, name, lambda L, a, b, c: getattr(L, name)(a), x)


RANGES = {
    # name: (NumPy's name, low, high in f32, high in f64, allowed ulps)
    "exp": ("exp", -87, 88, 700, 2), "exp2": ("exp2", -125, 127, 1000, 2), "log": ("log", 1e-30, 1e30, 1e300, 2),
    "log2": ("log2", 1e-30, 1e30, 1e300, 3), "sqrt": ("sqrt", 0, 1e30, 1e300, 1), "tanh": ("tanh", -20, 20, 20, 3),
    "log1p": ("log1p", -0.99, 1e38, 1e300, 2), "sinh": ("sinh", -88, 88, 700, 4), "arcsin": ("arcsin", -1, 1, 1, 3),
}


@pytest.mark.parametrize("name", RANGES)
def test_elementary_functions_are_within_ulps(cpu, name):
    session, lanes = cpu
    if name == "exp2" and not lanes.bitcode:
        pytest.skip("plain exp2 multiplies its argument: no ulp claim")
    numpy_name, low, high32, high64, allowed = RANGES[name]
    high = high64 if lanes.scalar_name == "f64" else high32
    dtype = np.float64 if lanes.scalar_name == "f64" else np.float32
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(low, high, 2048), rng.uniform(max(low, -3), min(high, 3), 1536),
                        np.geomspace(1e-6, min(high, 2), 512)])
    x = x.astype(dtype)
    assert ulps(unary(lanes, name, x, session), exact(getattr(np, numpy_name), x)) <= allowed


def test_arccosh1p_is_within_ulps(cpu):
    session, lanes = cpu
    dtype = np.float64 if lanes.scalar_name == "f64" else np.float32
    x = np.concatenate([np.geomspace(1e-30, 1e30, 4096 - 16), np.zeros(16)]).astype(dtype)
    wide = x.astype(np.longdouble)
    assert ulps(unary(lanes, "arccosh1p", x, session), np.log1p(wide + np.sqrt(wide * (wide + 2)))) <= 4
    assert np.isnan(unary(lanes, "arccosh1p", np.full(16, np.nan), session)).all()


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh", "log1p", "sinh", "arcsin"])
def test_special_values_are_ieee(cpu, name):
    session, lanes = cpu
    x = np.array([0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, -0.0, 2.0] * 2)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(x)
    got = unary(lanes, name, x, session)
    assert np.array_equal(np.isnan(got), np.isnan(want))
    whole = ~np.isfinite(want) | (want == 0) | (x == 0)
    np.testing.assert_array_equal(got[whole], want[whole])


def test_exp_sub_is_one_at_the_maximum_and_flushes_far_below(cpu):
    session, lanes = cpu
    x = np.array([3.0, -np.inf, 0.0, np.nan, -1e30, 5.0, 1.0, -2000.0] * 2)
    m = np.array([3.0, 0.0, 0.0, 1.0, 0.0, np.inf, np.nan, 0.0] * 2)
    got = apply(session, lanes, "exp_sub", lambda L, a, b, c: L.exp_sub(a, b), x, m)
    np.testing.assert_array_equal(got, np.array([1.0, 0.0, 1.0, np.nan, 0.0, 0.0, np.nan, 0.0] * 2))


def test_exp_sub_is_as_accurate_as_a_weight_needs(cpu):
    session, lanes = cpu
    dtype = np.float64 if lanes.scalar_name == "f64" else np.float32
    x = -np.linspace(0, 87, 4096).astype(dtype)
    got = apply(session, lanes, "exp_sub", lambda L, a, b, c: L.exp_sub(a, b), x, np.zeros(4096))
    # The largest weight is 1, so an error of e^x counts by its size: rounding x log2 e costs |x| e^x / 2 of an eps.
    error = np.abs(got - exact(np.exp, x)) / np.finfo(dtype).eps
    assert np.all(error <= np.exp(x.astype(float)) * (1.5 + np.abs(x)) + 1e-30)


def test_fma_rounds_once_with_intrinsics(cpu):
    session, lanes = cpu
    dtype = np.float64 if lanes.scalar_name == "f64" else np.float32
    x = np.full(16, 1 + np.finfo(dtype).eps, dtype)
    total = np.full(16, -(1 + 2 * np.finfo(dtype).eps), dtype)

    def body(L, a, b, c):
        from aat.kernels.lanes.base import element, local

        scalar = local(element(a, 0))
        result = local(c)
        L.fma(scalar, b, result)
        return result

    got = apply(session, lanes, "fma", body, x, x, total)
    assert np.all(got == (np.finfo(dtype).eps ** 2 if lanes.bitcode else 0))


def test_maximum_and_where_equal(cpu):
    session, lanes = cpu
    a = np.array([1.0, -np.inf, 3.0, 0.0] * 4)
    b = np.array([2.0, -5.0, -3.0, 0.0] * 4)
    got = apply(session, lanes, "max", lambda L, x, y, z: L.maximum(x, y), a, b)
    np.testing.assert_array_equal(got, np.maximum(a, b))
    got = apply(session, lanes, "where", lambda L, x, y, z: L.where_equal(x, -np.inf, y, z), a, b,
                np.full(16, 7.0))
    np.testing.assert_array_equal(got, np.where(a == -np.inf, b, 7))


def test_add_square_is_the_square_of_a_difference(cpu):
    from aat.kernels.lanes.base import element, local

    session, lanes = cpu
    rng = np.random.default_rng(2)
    x = np.repeat(rng.integers(-9, 9, 64 // lanes.width), lanes.width).astype(float)
    y, total = rng.integers(-9, 9, (2, 64)).astype(float)

    def body(L, a, b, c):
        result = local(c)
        L.add_square(local(element(a, 0)), b, result)
        return result

    np.testing.assert_array_equal(apply(session, lanes, "square", body, x, y, total), total + (y - x) ** 2)


def test_where_less_is_false_for_nan(cpu):
    session, lanes = cpu
    a = np.array([1.0, 2.0, -np.inf, np.nan, 0.0, 5.0, -3.0, np.inf] * 2)
    b = np.array([2.0, 1.0, np.inf, 1.0, 0.0, np.nan, -2.0, np.inf] * 2)
    got = apply(session, lanes, "where_less", lambda L, x, y, z: L.where_less(x, y, x, z), a, b, np.full(16, 7.0))
    np.testing.assert_array_equal(got, np.where(a < b, a, 7))


def test_a_bucket_is_a_line_between_powers_of_two(cpu):
    from aat.kernels.lanes.columns import CpuColumns

    session, lanes = cpu
    if lanes.scalar_name == "f64":
        pytest.skip("buckets are f32")
    zero, high = 127 * 16, 127 * 16 + 64
    x = np.array([zero, zero + 0.99, zero + 1, zero + 15.5, zero + 16, zero - 16, -1e30, np.nan, np.inf, -np.inf,
                  zero + 63, zero + 65, 31, 33.5, zero - 100, zero + 40])
    body = lambda L, a, b, c: CpuColumns(L).bucket(a, 32.0, 1.0 * high)
    limited = np.floor(np.where(np.isnan(x), high, np.clip(x, 32, high)))
    want = (1 + limited % 16 / 16) * 2.0 ** (limited // 16 - 127)
    np.testing.assert_array_equal(apply(session, lanes, "bucket", body, x), want)


def test_keep_leaves_the_half_open_range(cpu):
    session, lanes = cpu
    count = 2 * lanes.width
    s = np.arange(count, dtype=float)

    def body(L, x, y, z):
        rows = L.rows(0, 2**20)
        return L.keep(x, 5, rows, L.affine(rows, 1, 3))         # lane w sees w <= 5 < w + 3

    lane = np.arange(count) % lanes.width
    want = np.where((lane <= 5) & (lane + 3 > 5), s, -np.inf)
    np.testing.assert_array_equal(apply(session, lanes, "keep", body, s), want)


def test_nonfinite_counts_nan_and_infinities(cpu):
    session, lanes = cpu
    x = np.array([1.0, np.nan, np.inf, -np.inf, 0.0, -1e30, 1e-30, 5.0] * 2)
    got = apply(session, lanes, "nonfinite", lambda L, a, b, c: L.nonfinite(a), x)
    np.testing.assert_array_equal(got, ~np.isfinite(x))


@pytest.mark.vulkan
@pytest.mark.parametrize("backend", ["vulkan"], indirect=True)
def test_gpu_log_and_tanh_keep_their_relative_accuracy(backend):
    from aat.kernels.lanes.gpu import GpuLanes

    with select.use(backend) as session:
        lanes = GpuLanes(backend)
        x = np.concatenate([np.geomspace(1e-20, 1e20, 500), np.linspace(0.9, 1.1, 524)]).astype(np.float32)
        assert ulps(unary(lanes, "log", x, session), exact(np.log, x)) <= 4
        x = np.concatenate([np.linspace(-9, 9, 500), np.geomspace(1e-6, 1, 524)]).astype(np.float32)
        assert ulps(unary(lanes, "tanh", x, session), exact(np.tanh, x)) <= 8
        for name, x in (("log1p", np.concatenate([np.geomspace(1e-20, 1e35, 1000), np.linspace(-0.9, 0, 24)])),
                        ("sinh", np.concatenate([np.linspace(-88, 88, 500), np.geomspace(1e-6, 2, 524)])),
                        ("arcsin", np.concatenate([np.linspace(-1, 1, 500), np.geomspace(1e-6, 1, 524)]))):
            x = x.astype(np.float32)
            assert ulps(unary(lanes, name, x, session), exact(getattr(np, name), x)) <= 8, name
        a = np.array([1.0, 2.0, -np.inf, 0.0] * 16, np.float32)
        got = apply(session, lanes, "less", lambda L, x, y, z: L.where_less(x, y, x, z), a, a[::-1].copy(),
                    np.full_like(a, 7))
        np.testing.assert_array_equal(got, np.where(a < a[::-1], a, 7))


def test_bitcode_matches_its_source():
    assembler = shutil.which("llvm-as-15")
    if assembler is None:
        # The committed files are those of the generator in any case; the bytes need the assembler.
        wanted = {generate.file_name(name, text) for name, text in generate.every().items()}
        assert {path.name for path in generate.FOLDER.iterdir()} == wanted
        pytest.skip("llvm-as-15 (Debian: llvm-15) is not here: names compared, bytes not")
    command = [sys.executable, "-m", "aat.kernels.lanes.generate", "--check"]
    check = subprocess.run(command, capture_output=True, text=True)
    assert check.returncode == 0, check.stderr


def test_a_stale_bitcode_file_is_noticed(tmp_path, monkeypatch):
    if shutil.which("llvm-as-15") is None:
        pytest.skip("llvm-as-15 is not here")
    shutil.copytree(generate.FOLDER, tmp_path / "intrinsics")
    next(Path(tmp_path, "intrinsics").glob("*.bc")).write_bytes(b"stale")
    monkeypatch.setattr(generate, "FOLDER", tmp_path / "intrinsics")
    with pytest.raises(SystemExit, match=r"stale: .*make intrinsics"):
        generate.main(["--check"])
