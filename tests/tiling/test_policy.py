"""Which config a call gets under each policy, what is said about it, and what a bad file can do."""
import logging
import time
from dataclasses import replace

import numpy as np
import pytest

import aat
from aat.attention.arguments import check
from aat.backends import select
from aat.tiling import policy, store
from aat.tiling.base import TileConfig
from aat.tiling.bucket import Bucket, bucket, device_facts, device_key, kernel_key
from aat.tiling.optimization import child

RNG = np.random.default_rng(0)
Q, K = RNG.standard_normal((1, 2, 20, 16), np.float32), RNG.standard_normal((1, 2, 40, 16), np.float32)
CONFIG = TileConfig(4, 2, 3, 12, 12, 4)


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    monkeypatch.setenv("AAT_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("AAT_TUNE", raising=False)
    monkeypatch.setattr(store, "TABLES", tmp_path / "tables")
    monkeypatch.setattr(policy._state, "warned", set())
    aat.set_tuning(None)
    yield
    aat.set_tuning(None)


def entry(config=CONFIG, q=Q, k=K, **changes):
    with select.use("cpu") as session:
        made = store.Entry(bucket(check(q, k, k).problem), config, (1.05, 1.12, 1.2), "2026-11-25T10:00:00+00:00",
                           kernel_key(), device_key(session), device_facts(session), 1e-7, 1e-6)
    return replace(made, **changes)


def used(q=Q, k=K, **more):
    return aat.attention(q, k, k, backend="cpu", return_info=True, **more)[1].config


def default(d=16, queries=None):
    with select.use("cpu") as session:
        return TileConfig.default(session.lane_width, d, d, queries=queries or Q.shape[2])


def why(q=Q, k=K):
    return aat.explain(q, k, k, backend="cpu").plan["why"]


def test_cached_takes_what_was_tuned_and_says_when_and_what_it_gained():
    store.append(entry())
    assert used() == CONFIG
    assert why() == "tuned on 2026-11-25, 1.12 x the default"
    np.testing.assert_allclose(aat.attention(Q, K, K, backend="cpu"), aat.attention(Q, K, K, backend="reference"),
                               atol=1e-6)


@pytest.mark.parametrize("how", ["variable", "function"])
def test_never_takes_the_default(monkeypatch, how):
    store.append(entry())
    if how == "variable":
        monkeypatch.setenv("AAT_TUNE", "never")
    else:
        aat.set_tuning("never")
    assert used() == default() != CONFIG
    assert "tuning is off" in why()
    aat.set_tuning("cached")
    assert used() == CONFIG


def test_what_is_named_goes_before_what_was_tuned():
    store.append(entry())
    other = TileConfig(4, 1, 2, 8, 8, 2)
    assert used(tiling=other) == other


def test_of_two_entries_the_later_counts_and_another_key_never():
    store.append(entry())
    store.append(entry(replace(CONFIG, lane_vectors=1)))
    for change in ({"kernel": "0" * 16}, {"device": "0" * 16}):
        store.append(entry(replace(CONFIG, keys_per_block=1), **change))
    assert used() == replace(CONFIG, lane_vectors=1)
    assert used(np.repeat(Q, 2, axis=2)) == default(queries=2 * Q.shape[2]), "another bucket"
    assert used(Q[:, :, :17]) == replace(CONFIG, lane_vectors=1), "the same power of two"


def test_an_entry_without_a_config_is_the_default_and_said_to_be_tuned():
    store.append(entry(None))
    assert used() == default()
    assert why() == "default, which nothing beat by enough (tuned on 2026-11-25)"


def test_unknown_is_the_default():
    assert used() == default() and why() == policy.DEFAULT


def test_the_user_s_file_goes_before_the_shipped_table(tmp_path):
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables" / "x.jsonl"
    shipped = store.for_table(entry())
    store.append(replace(shipped, bucket={"d": 16}), table)
    store.append(replace(shipped, facts={**shipped.facts, "vendor": "Nobody"}, config=default()), table)
    assert used() == CONFIG
    assert why() == "shipped table, measured on 2026-11-25, 1.12 x the default"
    assert used(K, K) == CONFIG, "the table's line names only d"
    mine = replace(CONFIG, lane_vectors=1)
    store.append(entry(mine))
    assert used() == CONFIG, "looked up already"
    aat.set_tuning(None)
    assert used() == mine


BROKEN = [b"case,seconds\nplain,1\n", b"\x00\xff" * 1000, b'{"schema":1}\n']


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_one_warning_ignored_and_left_alone(content, caplog):
    store.path().write_bytes(content)
    with caplog.at_level(logging.WARNING, "aat"):
        assert used() == default() and used(K, K) == default(queries=K.shape[2])
        aat.set_tuning(None)
        assert used() == default()
    told, = caplog.records
    assert "tuning.jsonl:1: " in told.getMessage() and "`aat tune` rewrites it" in told.getMessage()
    assert store.path().read_bytes() == content


def test_a_config_that_the_device_cannot_hold_is_one_warning_and_the_default(caplog):
    store.append(entry(TileConfig(16, 7, 14, 14, 14, 14)))
    with caplog.at_level(logging.WARNING, "aat"):
        assert used() == default() and used() == default()
    told, = caplog.records
    assert "lane_vectors (7) needs" in told.getMessage() and "registers, the device has" in told.getMessage()


def test_a_bad_policy_is_named(monkeypatch):
    monkeypatch.setenv("AAT_TUNE", "foo")
    with pytest.raises(ValueError, match="AAT_TUNE: expected one of never, cached, auto, got 'foo'; unset AAT_TUNE"):
        used()
    with pytest.raises(ValueError, match=r'policy: expected "never" or "cached" or "auto", or None .*, got \'foo\''):
        aat.set_tuning("foo")


def test_auto_tunes_an_unknown_bucket_once_and_explain_does_not(monkeypatch):
    calls = []

    def tune(problem, wanted, session):
        calls.append(wanted)
        store.append(entry())
        return True
    monkeypatch.setattr(child, "tune", tune)
    aat.set_tuning("auto")
    assert why() == "default until the first call tunes it (AAT_TUNE=auto)" and calls == []
    assert used() == used() == CONFIG and len(calls) == 1
    assert why() == "tuned on 2026-11-25, 1.12 x the default"


def test_auto_that_fails_is_tried_once_and_the_call_is_answered(monkeypatch):
    calls = []
    monkeypatch.setattr(child, "tune", lambda *arguments: calls.append(arguments))
    aat.set_tuning("auto")
    assert used() == used() == default() and len(calls) == 1
    assert why() == "default, since tuning on the first call failed (AAT_TUNE=auto)"


def test_a_child_that_fails_is_a_warning_with_its_reason(monkeypatch, caplog, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AAT_CACHE_DIR", str(tmp_path / "file"))
    problem = check(Q, K, K).problem
    with select.use("cpu") as session, caplog.at_level(logging.WARNING, "aat"):
        assert child.tune(problem, bucket(problem), session, seconds=0.1) is False
    told, = caplog.records
    assert "is not tuned, the default is used: aat tune: " in told.getMessage()
    assert "cannot be written" in told.getMessage()


def test_a_child_that_hangs_is_ended(monkeypatch, caplog):
    problem = check(Q, K, K).problem
    with select.use("cpu") as session, caplog.at_level(logging.WARNING, "aat"):
        assert child.tune(problem, bucket(problem), session, limit=0.05) is False
    assert "no answer within 0.05 s" in caplog.text


@pytest.mark.slow
def test_auto_tunes_for_real_and_leaves_its_answer(caplog):
    aat.set_tuning("auto")
    with caplog.at_level(logging.INFO, "aat"):
        start = time.perf_counter()
        out, info = aat.attention(Q, K, K, backend="cpu", return_info=True)
        took = time.perf_counter() - start
    assert "tuning f32 32 x 64, D 16" in caplog.text and "done in" in caplog.text, caplog.text
    (found,), problems = store.read()
    assert problems == [] and found.bucket == bucket(check(Q, K, K).problem)
    assert info.config == (found.config or default())
    np.testing.assert_allclose(out, aat.attention(Q, K, K, backend="reference"), atol=1e-6)
    assert took < child.KILL_SECONDS


@pytest.mark.parametrize(("options", "reach"), [
    ({}, "full"), ({"causal": "lower_right"}, "causal"), ({"window": (3, 3)}, "window"),
    ({"causal": "lower_right", "window": (3, None)}, "window"), ({"window": (None, 2)}, "causal")])
def test_buckets_round_sizes_and_tell_reaches_apart(options, reach):
    q, k = np.zeros((3, 6, 100, 8), np.float32), np.zeros((3, 2, 129, 8), np.float32)
    assert bucket(check(q, k, k, **options).problem) == Bucket("f32", 8, 8, 128, 256, 32, 3, reach)
    one = bucket(check(q[:, :, :1], k, k, **options).problem)
    assert one.lq == 1 and one.reach == ("window" if reach == "window" else "full")
    many = np.zeros((40, 6, 2, 8), np.float32)
    assert bucket(check(many, many, many).problem).heads == 64


@pytest.mark.parametrize("options", [{}, {"causal": "lower_right"}, {"window": (3, 2)}, {"window": (None, 2)},
                                     {"causal": "lower_right", "window": (5, None)}])
@pytest.mark.parametrize("shape", [(1, 2, 2, 20, 40, 16, 16), (40, 6, 2, 1, 33, 8, 4), (3, 80, 1, 5, 5, 8, 8)])
def test_the_child_tunes_the_very_bucket(options, shape):
    from aat.commands.tune import _shape, parser
    from aat.validation.cases import make

    B, Hq, Hk, Lq, Lk, D, Dv = shape
    q, k, v = (np.zeros(s, np.float32) for s in ((B, Hq, Lq, D), (B, Hk, Lk, D), (B, Hk, Lk, Dv)))
    problem = check(q, k, v, **options).problem
    wanted = bucket(problem)
    given = parser().parse_args(child.arguments(problem, wanted, "cpu", 5)[1:])
    case = _shape(given)
    assert bucket(check(**make(case)).problem) == wanted
    assert case.B * case.Hq < 64 + Hq, "no more heads than it takes"


def test_a_lookup_of_a_known_bucket_costs_less_than_two_microseconds():
    store.append(entry())
    wanted = bucket(check(Q, K, K).problem)
    with select.use("cpu") as session:
        assert policy.tuned(wanted, session)[0] == CONFIG
        best = min(_timed(wanted, session) for _ in range(20))
    assert best < 2e-6, f"{best * 1e6:.2f} us"


def _timed(wanted, session, calls=2000):
    start = time.perf_counter()
    for _ in range(calls):
        policy.tuned(wanted, session)
    return (time.perf_counter() - start) / calls


def test_a_policy_can_be_held_for_a_while():
    store.append(entry())
    aat.set_tuning("cached")
    def fails_inside():
        with policy.held("never"):
            assert used() == default()
            raise KeyError

    with pytest.raises(KeyError):
        fails_inside()
    assert policy.policy() == "cached" and used() == CONFIG


def test_laws_about_bits_are_checked_with_one_config(monkeypatch):
    from aat.validation import acceptance
    from aat.validation.cases import by_name, make

    call = make(by_name("plain"))
    store.append(entry(q=call["q"], k=call["k"]))
    assert used(call["q"], call["k"]) == CONFIG
    assert used(call["q"][:1, :, :7], call["k"][:1]) != CONFIG, "a law compares such calls"
    assert acceptance.outcome("law:plain", "row-bits", "cpu").status == "ok"


def test_the_epoch_changes_when_answers_may():
    before = policy.epoch()
    aat.set_tuning("cached")
    policy.forget()
    assert policy.epoch() == before + 2
