"""`aat tune`: its table and its file, and one clear line for everything that can be wrong."""
import json
from dataclasses import replace

import numpy as np
import pytest
import wrong_kernels

import aat
from aat import cli
from aat.attention import dot
from aat.backends import select
from aat.commands import tune as command
from aat.tiling import policy, store
from aat.tiling.optimization import space
from aat.validation import tuning
from aat.validation.cases import by_name, make

SMALL = {"lane_vectors": (1, 2), "keys_per_block": (4,), "keys_per_group": (32,)}


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setenv("AAT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("AAT_BACKEND", raising=False)
    monkeypatch.setattr(space, "CPU_AXES", SMALL)
    monkeypatch.setattr(tuning, "FINAL", (3, 5))
    aat.set_tuning("cached")
    yield
    aat.set_tuning(None)


def aat_tune(*arguments):
    return cli.main(["tune", "--seconds", "5", "--backend", "cpu", *arguments])


def one_line(text):
    return text.count("\n") == 1 and text.startswith("aat tune: ")


def always_better(monkeypatch, gain=1.5):
    """Everything is found to be faster than the default by `gain`."""
    monkeypatch.setattr(tuning._Bench, "gain", lambda self, config, seconds: [gain, gain, gain])
    honest = tuning._Bench.measure
    monkeypatch.setattr(tuning._Bench, "measure", lambda self, config, effort: min(
        honest(self, config, effort), 1.0 if config == self.default else 0.5))


def test_what_wins_is_kept_and_used_by_the_next_call(monkeypatch, capsys):
    always_better(monkeypatch)
    call = make(by_name("plain"))
    before = aat.attention(**call, backend="cpu", return_info=True)[1].config
    assert aat_tune("plain") == 0
    printed = capsys.readouterr()
    assert "1.500 [1.500, 1.500]" in printed.out and f"kept in {store.path()}" in printed.out
    (entry,), problems = store.read()
    assert problems == [] and entry.config != before and entry.gain == (1.5, 1.5, 1.5)
    out, info = aat.attention(**call, backend="cpu", return_info=True)
    assert info.config == entry.config
    np.testing.assert_allclose(out, aat.attention(**call, backend="reference"), atol=1e-5)
    assert aat.explain(**call, backend="cpu").plan["why"] == f"tuned on {entry.date[:10]}, 1.50 x the default"


def test_a_default_that_stays_is_kept_too(monkeypatch, capsys):
    always_better(monkeypatch, gain=1.02)
    assert aat_tune("plain") == 0
    told = capsys.readouterr().out
    assert "the default" in told and "was best, and not 3 % faster beyond noise" in told
    (entry,), _ = store.read()
    assert entry.config is None and entry.gain == (1.0, 1.0, 1.0)


def test_a_shape_as_json(capsys):
    assert aat_tune("--shape", "1,4,2,9,33,16,8", "--causal", "--dtype", "f16", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["case"] == "1x4/2x9x33x16/8-causal" and told["measured"] == 3 and told["error"] <= told["budget"]
    (entry,), _ = store.read()
    assert (entry.bucket.dtype, entry.bucket.lq, entry.bucket.lk, entry.bucket.dv) == ("f16", 16, 64, 8)


def test_a_table_takes_what_won_and_the_cache_nothing(monkeypatch, tmp_path):
    table = tmp_path / "table.jsonl"
    assert aat_tune("plain", "--table", str(table)) == 0
    always_better(monkeypatch)
    assert aat_tune("one", "--table", str(table)) == 0
    assert store.read() == ([], [])
    entries, problems = store.read(table, table=True)
    assert problems == [] and {e.bucket["lq"] for e in entries} <= {1, 64} and 1 in {e.bucket["lq"] for e in entries}
    assert all(e.kernel == e.device == "" and e.facts["lanes"] for e in entries)


def test_a_case_that_fails_its_check_is_status_1_and_has_no_entry(monkeypatch, capsys):
    honest = dot.run

    def wrong(problem, session, config=None, **options):
        result = honest(problem, session, config, **options)
        if problem.Lq == 1:
            result.out[...] = 0
        return result
    wrong_kernels.plant(monkeypatch, wrong)
    assert aat_tune("decode", "plain") == 1
    printed = capsys.readouterr()
    assert "not timed, because the check failed: decode on cpu" in printed.err and "decode" not in printed.out
    assert len(store.read()[0]) == 1


@pytest.mark.parametrize(("arguments", "told"), [
    (["no-such-case"], "expected a name from aat.validation.cases.CASES, got 'no-such-case'"),
    (["--shape", "1,2,3"], "--shape: expected B,Hq,Hk,Lq,Lk,D or B,Hq,Hk,Lq,Lk,D,Dv as positive integers, got '1,2,3'"),
    (["--shape", "1,8,8,0,8,8"], "--shape: expected"),
    (["--shape", "1,8,8,x,8,8"], "--shape: expected"),
    (["--shape", "1,8,3,8,8,8"], "--shape: expected Hk to divide Hq, got Hq 8 and Hk 3"),
    (["plain", "--shape", "1,8,8,8,8,8"], "--shape: expected alone, got the cases plain too"),
    (["plain", "--causal"], "--causal, --window: expected together with --shape"),
    (["--shape", "1,8,8,8,8,8", "--window", "3"], "--window: expected LEFT,RIGHT, each a number or none, got '3'"),
    (["plain", "--seconds", "0"], "--seconds: expected more than 0"),
    (["plain", "--seconds", "nan"], "--seconds: expected more than 0"),
    (["no-keys"], "expected one with rows and keys, got 'no-keys'"),
    (["plain", "--table", "no/such\0folder"], "embedded null byte"),
])
def test_bad_input_is_one_line_and_status_2(arguments, told, capsys):
    assert aat_tune(*arguments) == 2
    printed = capsys.readouterr()
    assert one_line(printed.err) and told in printed.err and printed.out == ""


@pytest.mark.parametrize("argv", [["tune", "plain"], ["validate"], ["bench", "plain"]])
def test_a_policy_that_is_none_is_one_line_and_status_2(argv, monkeypatch, capsys):
    monkeypatch.setenv("AAT_TUNE", "foo")
    assert cli.main(argv) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"aat {argv[0]}: ") and told.count("\n") == 1
    assert "AAT_TUNE: expected one of never, cached, auto, got 'foo'" in told


def test_a_backend_that_is_absent_software_or_the_reference_is_status_2(monkeypatch, capsys):
    found = select.get("cuda").probe()
    if not found.ok:
        assert aat_tune("plain", "--backend", "cuda") == 2
        assert "backend 'cuda' cannot run here" in capsys.readouterr().err
    found = select.get("vulkan").probe()
    if found.ok and found.device.kind == "software":
        assert aat_tune("plain", "--backend", "vulkan") == 2
        assert "a software device: it proves correctness, never speed" in capsys.readouterr().err
    monkeypatch.setenv("AAT_BACKEND", "reference")
    assert aat_tune("plain", "--backend", "auto") == 2
    assert one_line(told := capsys.readouterr().err) and "AAT_BACKEND=reference has no tiles" in told


def test_a_folder_that_cannot_be_written_is_one_line_before_anything_runs(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AAT_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(tuning, "tune", None)
    assert aat_tune("plain") == 2
    told = capsys.readouterr().err
    assert one_line(told) and "cannot be written (Not a directory); set AAT_CACHE_DIR" in told


def test_a_foreign_file_is_rewritten_and_said_so(capsys):
    store.path().parent.mkdir()
    store.path().write_text("case,seconds\nplain,1\n")
    assert aat_tune("plain") == 0
    assert "dropped 2 lines that could not be read" in capsys.readouterr().err
    assert len(store.read()[0]) == 1 and store.read()[1] == []


def test_interrupted_it_keeps_what_it_has(monkeypatch, capsys):
    honest = tuning.tune

    def tune(case, *arguments, **named):
        if case.name == "one":
            raise KeyboardInterrupt
        return honest(case, *arguments, **named)
    monkeypatch.setattr(tuning, "tune", tune)
    assert aat_tune("plain", "one") == 130
    printed = capsys.readouterr()
    assert "stopped; what 1 cases found is kept" in printed.err and "plain" in printed.out
    assert len(store.read()[0]) == 1


def test_the_help_is_for_newcomers(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["tune", "--help"])
    text = capsys.readouterr().out
    assert stopped.value.code == 0 and "examples:" in text and "exit status: 0" in text
    assert all(option in text for option in ("--shape", "--backend", "--seconds", "--exhaustive", "--json", "AAT_TUNE"))


def test_short_names_of_configs_tell_them_apart():
    config = dot.TileConfig(16, 2, 8, 64, 64, 6)
    assert command.short(config) == command.short(str(config)) == "16/2x8/64/6"
    gpu = dot.TileConfig(1, 2, 8, 8, 32, 64, 128, True)
    assert command.short(str(gpu)) == "1/2x8/8/64 32 128 1"
    assert command.short(replace(gpu, team=2, pairs=True)) == "1/2x8/8/64 32 128 2p"


def test_the_default_is_all_bench_cases(monkeypatch, capsys):
    asked = []

    def tune(case, backend, **named):
        asked.append(case.name)
        raise KeyboardInterrupt
    monkeypatch.setattr(tuning, "tune", tune)
    assert aat_tune() == 130
    assert asked == ["launch"]
    assert policy.policy() == "cached", "the command changes no policy"
