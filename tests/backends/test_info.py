"""`aat info` and the command line around it."""

import json
import subprocess
import sys

import pytest

from aat import cli, env
from aat.backends import info, select


def shown(capsys, *argv):
    status = cli.main(list(argv))
    return status, capsys.readouterr().out


def test_json_holds_everything(capsys):
    status, text = shown(capsys, "info", "--json")
    facts = json.loads(text)
    assert status == 0
    assert set(facts["backends"]) == set(select.names())
    for entry in facts["backends"].values():
        assert entry["ok"] or entry["reasons"]
    assert {entry["name"] for entry in facts["environment"]} == set(env.VARIABLES)
    assert facts["auto"]["backend"] in select.names()
    assert facts["cpu"]["lanes"] in (4, 8, 16)
    assert facts["versions"]["taichi"] == "1.7.4"
    assert facts["caches"]["folder"] == str(env.cache_dir())


def test_the_page_says_the_same_in_words(capsys):
    status, text = shown(capsys, "info")
    facts = info.collect()
    assert status == 0
    for entry in facts["backends"].values():
        for words in [*entry["reasons"], entry["device"]["name"] if entry["ok"] else "no"]:
            assert words in text
    for words in (
        *env.VARIABLES,
        facts["auto"]["reason"],
        facts["caches"]["folder"],
        facts["versions"]["platform"],
    ):
        assert words in text
    if facts["backends"]["vulkan"]["ok"] and facts["backends"]["vulkan"]["device"]["kind"] == "software":
        assert "never chosen by auto" in text


@pytest.mark.parametrize("name", ["AAT_LANES", "AAT_BACKEND", "AAT_NUM_THREADS", "AAT_INTRINSICS"])
def test_a_bad_variable_does_not_hide_the_rest(capsys, monkeypatch, name):
    monkeypatch.setenv(name, "nonsense")
    status, text = shown(capsys, "info")
    assert status == 0
    assert f"environment variable {name}: expected" in text
    assert "versions" in text


def test_nothing_works(capsys, monkeypatch):
    monkeypatch.setattr(
        info,
        "_probe",
        lambda name, refresh: {
            "ok": False,
            "reasons": ["broken; mend it"],
            "remembered": False,
            "device": None,
            "limits": None,
            "details": {},
        },
    )
    status, text = shown(capsys, "info")
    assert status == 1
    assert text.count("broken; mend it") == 4


def test_refresh_asks_again(capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(
        info,
        "get",
        lambda name: type(
            "Fake",
            (),
            {"probe": lambda self, refresh: asked.append((name, refresh)) or select.get(name).probe()},
        )(),
    )
    shown(capsys, "info", "--refresh")
    assert asked == [(name, True) for name in select.names()]


def test_unknown_commands_and_no_command(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["inform"])
    assert ended.value.code == 2
    assert "invalid choice: 'inform'" in capsys.readouterr().err
    assert cli.main([]) == 2
    assert "aat <command> --help" in capsys.readouterr().out


def test_it_runs_as_a_module_and_stops_with_its_reader():
    command = [sys.executable, "-m", "aat", "info"]
    whole = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert whole.stdout.startswith("backends\n")
    assert whole.stderr == ""
    cut = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    cut.stdout.close()
    assert cut.wait(60) == 0
    assert "Traceback" not in cut.stderr.read()
    cut.stderr.close()
