"""Records that nothing measured, for tests of what is drawn and written from records."""

from aat.report.record import Record

CONFIG = ("TileConfig(lane_width=16, lane_vectors=3, keys_per_block=6, keys_per_group=96, keys_per_tile=96, "
          "columns_per_block=6, threads=1, registers=False)")
MACHINE = dict(device="Test CPU", device_kind="cpu", driver="llvm", cpu_model="Test CPU", cpu_flags=("AVX2", "FMA3"),
               peak_gflops=200.0, sgemm_gflops=160.0, bandwidth_gbs=20.0, host="h1",
               versions={"python": "3.11.7", "aat": "0.1.0", "numpy": "2.4.0"}, threads=4)
REASON = "onnxruntime: MultiHeadAttention has no window <b>"


def fake(case, backend="cpu", provider="aat", seconds=0.05, **more):
    """A record with a time whose numbers agree with each other."""
    work = more.pop("work", 4_000_000_000)
    given = dict(MACHINE, config=CONFIG, commit="a" * 40, started="2026-11-20T10:00:00+00:00", error=2e-7, budget=1e-6,
                 multiply_adds=work, multiply_adds_useful=work, multiply_adds_dense=2 * work, bytes=8_000_000,
                 launches=1, tiles={"visited": 900, "full": 800, "total": 1800}, seconds_p10=0.9 * seconds,
                 seconds_median=seconds, seconds_p90=1.2 * seconds, rounds=21, compile_seconds=1.5,
                 peak_bytes=12_000_000, gflops=2e-9 * work / seconds, fraction_of_peak=1e-11 * work / seconds,
                 fraction_of_sgemm=1.25e-11 * work / seconds, arithmetic_intensity=work / 4e6, bound="compute",
                 aa_control=[0.98, 1.0, 1.03], status="ok" if provider == "aat" else "")
    return Record(case, backend, provider, **{**given, **more})


def without_time(case, backend="cpu", provider="aat", reason="", **more):
    """A record that says why there is no time."""
    return Record(case, backend, provider, reason=reason, started="2026-11-20T10:00:00+00:00", commit="a" * 40,
                  **MACHINE, **more)


def suite():
    """A bench of two commits: sizes, peers, blank cells, threads, a slow backend, a wrong result, hostile text."""
    found = []
    for size in (1024, 2048, 4096):
        for number, (family, seconds) in enumerate((("dense", 0.08), ("causal", 0.05))):
            case, seconds = f"{family}-{size}", seconds * (size / 2048) ** 2
            work = (2 - number) * 1024 * size * size // 2
            ratio = {"torch": [0.8, 0.85, 0.9], "numpy": [0.2, 0.22, 0.25]}
            found += [fake(case, seconds=seconds, ratio_to=ratio, work=work),
                      fake(case, provider="torch", seconds=seconds / 0.85, error=4e-7, work=work),
                      fake(case, provider="numpy", seconds=seconds / 0.22, error=6e-7, work=work),
                      fake(case, backend="vulkan", seconds=9 * seconds, config=None, peak_gflops=40.0, work=work,
                           device="Test GPU", device_kind="gpu")]
    found += [fake("window-4096", seconds=0.04), fake("decode-4096", seconds=0.004, work=16_000_000, bytes=64_000_000,
                                                      arithmetic_intensity=0.5, bound="memory", error=0.0)]
    found += [without_time("window-4096", provider="onnxruntime", reason=REASON),
              without_time("window-4096", backend="vulkan", reason="check failed: 3 elements of out pass their budget",
                           status="failed", error=3e-6, budget=1e-6)]
    for threads in (1, 2):
        found.append(fake("causal-2048", seconds=0.2 / threads ** 0.9, threads=threads))
    older = [r.but(commit="b" * 40, started="2026-11-19T10:00:00+00:00", seconds_median=1.1 * r.seconds_median)
             for r in found if r.timed and r.provider == "aat"]
    return older + found
