"""Cases that are timed: a part of the case table. `case` makes one, as in aat/validation/cases.py."""


def bench(case):
    """Timed; checked too, but large for a test."""
    s = "bench"
    yield case(s, "launch", 8, 8, Hq=1)
    for S in (512, 1024):
        yield case(s, f"dense-{S}", S, S, Hq=8, D=64)
    for S in (2048, 4096):
        yield case(s, f"dense-{S}", S, S, Hq=8, D=64)
        yield case(s, f"causal-{S}", S, S, Hq=8, D=64, causal=True)
    yield case(s, "dense-1920-128", 1920, 1920, Hq=8, D=128)
    yield case(s, "mod-causal-4096", 4096, 4096, Hq=8, D=64, mask_mod="causal")
    yield case(s, "mod-alibi-2048", 2048, 2048, Hq=8, D=64, causal=True, score_mod="alibi")
    yield case(s, "mod-documents-4096", 4096, 4096, Hq=8, D=64, causal=True, mask_mod="documents")
    yield case(s, "window-4096", 4096, 4096, Hq=8, D=64, causal=True, window=(512, None))
    yield case(s, "gqa-2048", 2048, 2048, Hq=16, Hk=4, D=64, causal=True)
    yield case(s, "prefill-256-of-2304", 256, 2304, Hq=16, Hk=4, D=64, causal="lower_right")
    yield case(s, "cross-64x16384", 64, 16384, Hq=4, D=64)
    yield case(s, "cross-64x16384-1", 64, 16384, Hq=1, D=64)
    yield case(s, "odd-1021x1531", 1021, 1531, Hq=8, D=111)
    yield case(s, "call-64", 64, 64, Hq=8, D=64)
    for keys in (4096, 8192, 16384):
        yield case(s, f"decode-{keys}-128", 1, keys, Hq=32, Hk=8, D=128)
    yield case(s, "decode-4096", 1, 4096, B=8, Hq=16, Hk=4, D=64)
    yield case(s, "mask-1024", 1024, 1024, B=2, Hq=8, D=64, mask="b1qk")
    yield case(s, "f16-2048", 2048, 2048, Hq=8, D=64, dtype="f16")
    yield case(s, "bf16-2048", 2048, 2048, Hq=8, D=64, dtype="bf16")
    yield case(s, "minilm-ragged", 256, 256, B=16, Hq=12, D=32,
               kv_lens=(256, 201, 14, 33, 90, 128, 77, 250, 5, 61, 180, 143, 22, 110, 64, 199))


def grid(case):
    """Timed on demand: lengths by head sizes."""
    """Prefill over lengths and head sizes, and long decode: `aat bench --tag grid`."""
    for S in (128, 512, 2048):
        for D in (32, 64, 128, 256):
            yield case("grid", f"grid-{S}-{D}", S, S, Hq=8, D=D)
            yield case("grid", f"grid-{S}-{D}-causal", S, S, Hq=8, D=D, causal=True)
    yield case("grid", "grid-8192-64", 8192, 8192, Hq=2, D=64)
    yield case("grid", "grid-8192-64-causal", 8192, 8192, Hq=2, D=64, causal=True)
    yield case("grid", "grid-16384-64-window", 16384, 16384, Hq=2, D=64, causal=True, window=(256, None))
    yield case("grid", "decode-65536-128", 1, 65536, Hq=32, Hk=8, D=128)


def device(case):
    """`aat bench --device-suite`; data of a generator is computed with a tolerance, and without."""
    s, q = "device", "device-quick"
    yield case(s, "device-64", 2048, 2048, Hq=64, D=64)
    yield case(s, "device-128", 2048, 2048, Hq=32, D=128)
    yield case(s, "device-64-causal", 4096, 4096, Hq=32, D=64, causal=True)
    yield case(s, "device-decode", 1, 16384, B=8, Hq=32, Hk=8, D=128)
    yield case(s, "device-decode-1", 1, 16384, Hq=32, Hk=8, D=128)
    yield case(s, "device-gqa", 4096, 4096, Hq=32, Hk=8, D=128, causal=True)
    yield case(s, "device-32", 2048, 2048, Hq=64, D=32)
    yield case(s, "device-g1", 8192, 8192, Hq=16, D=64, fill="g1-topics-0.3")
    yield case(s, "device-64-8192", 8192, 8192, Hq=16, D=64)
    yield case(s, "device-64-8192-causal", 8192, 8192, Hq=16, D=64, causal=True)
    yield case(s, "device-128-8192", 8192, 8192, Hq=8, D=128)
    yield case(q, "device-tiny", 24, 32, Hq=4, D=8)
    yield case(q, "device-tiny-causal", 24, 24, Hq=4, Hk=2, D=8, causal=True)
    yield case(q, "device-tiny-g1", 40, 40, Hq=2, D=8, fill="g1-topics-0.3")
