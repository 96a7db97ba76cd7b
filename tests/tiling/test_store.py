"""The file of tuned configs: what is written comes back, what cannot be read is told and left alone."""
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from aat import env
from aat.backends import select
from aat.backends.caches import share_of_caches
from aat.tiling import bucket as keys
from aat.tiling import store
from aat.tiling.base import TileConfig
from aat.tiling.bucket import Bucket
from aat.tiling.store import Entry

BUCKET = Bucket("f32", 64, 64, 2048, 2048, 8, 1, "causal")
CONFIG = TileConfig(16, 2, 8, 64, 64, 8)
ENTRY = Entry(BUCKET, CONFIG, (1.05, 1.1, 1.2), "2026-11-25T10:00:00+00:00", "k" * 16, "d" * 16,
              {"device": "a processor", "lanes": 16, "vendor": "GenuineIntel", "threads": 2}, 1e-7, 1e-6)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AAT_CACHE_DIR", str(tmp_path / "cache"))


def test_what_is_appended_comes_back():
    kept = replace(ENTRY, config=None, gain=(1.0, 1.0, 1.0))
    store.append(ENTRY)
    store.append(kept)
    assert store.read() == ([ENTRY, kept], [])
    assert store.path().parent == env.cache_dir() and store.path().name == "tuning.jsonl"


def test_a_missing_file_is_empty_and_reading_makes_none():
    assert store.read() == ([], []) and not store.path().exists()


def change(**fields):
    plain = json.loads(store.line(ENTRY))
    plain.update(fields)
    return json.dumps(plain)


BAD = {
    "cut off": store.line(ENTRY)[:-40],
    "another format": "case,seconds",
    "a list": "[1, 2]",
    "no schema": '{"config": null}',
    "a field that TileConfig has not": change(config={"lane_width": 16, "warp_tiles": 2}),
    "a config without a size": change(config={"lane_width": 16}),
    "a size that is a text": change(config=json.loads(store.line(ENTRY))["config"] | {"lane_vectors": "2"}),
    "a size that is a bool": change(config=json.loads(store.line(ENTRY))["config"] | {"lane_vectors": True}),
    "a config that is a number": change(config=7),
    "a bucket without sizes": change(bucket={"dtype": "f32"}),
    "a bucket of another kind": change(bucket=json.loads(store.line(ENTRY))["bucket"] | {"reach": "far"}),
    "a negative bucket": change(bucket=json.loads(store.line(ENTRY))["bucket"] | {"lq": -1}),
    "no gain": change(gain=[]),
    "a gain of NaN": change(gain=[1.0, float("nan"), 1.0]),
    "no date": change(date=3),
    "brackets": "[" * 100000,
}


@pytest.mark.parametrize("what", BAD)
def test_a_line_that_is_none_is_one_problem_and_the_others_count(what):
    store.append(ENTRY)
    with open(store.path(), "ab") as file:
        file.write(BAD[what].encode())  # without an end of line: the next append must not be swallowed
    later = replace(ENTRY, kernel="other")
    store.append(later)
    entries, problems = store.read()
    assert entries == [ENTRY, later] and len(problems) == 1
    assert f"{store.path()}:2: " in problems[0]


def test_bytes_and_folders_in_its_place_are_one_problem():
    store.path().parent.mkdir()
    store.path().write_bytes(bytes(range(256)))
    assert store.read()[0] == [] and store.read()[1]
    store.path().unlink()
    store.path().mkdir()
    assert store.read() == ([], [f"{store.path()}: Is a directory"])
    with pytest.raises(store.StoreError, match=r"cannot be written \(Is a directory\); set AAT_CACHE_DIR"):
        store.append(ENTRY)


def test_another_release_s_lines_are_passed_over_and_kept():
    store.append(ENTRY)
    other = change(schema=store.SCHEMA + 1, config="of a kind to come")
    with open(store.path(), "a", encoding="utf-8") as file:
        file.write(other + "\nrubbish\n")
    entries, problems = store.read()
    assert entries == [ENTRY] and len(problems) == 1
    assert store.rewrite() == 1
    assert store.read() == ([ENTRY], [])
    assert other in store.path().read_text()
    assert [name.name for name in store.path().parent.iterdir()] == ["tuning.jsonl"], "nothing is left beside it"


def test_rewriting_a_good_file_or_none_does_nothing():
    assert store.rewrite() == 0 and not store.path().exists()
    store.append(ENTRY)
    before = store.path().stat().st_mtime_ns
    assert store.rewrite() == 0 and store.path().stat().st_mtime_ns == before


def test_a_file_beyond_measure_is_not_read(monkeypatch):
    store.append(ENTRY)
    monkeypatch.setattr(store, "LARGEST", 10)
    entries, problems = store.read()
    assert entries == [] and "larger than" in problems[0]
    assert store.rewrite() == 1 and store.path().read_bytes() == b""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_clear_line(tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(store.StoreError, match=r"cannot be written .*; set AAT_CACHE_DIR to a folder that can"):
        store.append(ENTRY)


def test_a_cache_folder_that_cannot_be_is_one_clear_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AAT_CACHE_DIR", str(tmp_path / "file" / "below"))
    for write in (store.check_writable, lambda: store.append(ENTRY)):
        with pytest.raises(store.StoreError, match=r"cannot be written \(Not a directory\); set AAT_CACHE_DIR"):
            write()
    assert store.read()[0] == []


def test_a_full_disk_is_told(monkeypatch):
    whole = os.write
    monkeypatch.setattr(os, "write", lambda file, data: whole(file, data[:10]))
    with pytest.raises(store.StoreError, match="No space left on device"):
        store.append(ENTRY)


def test_processes_append_at_once_and_lose_nothing(tmp_path):
    code = ("import sys; from dataclasses import replace; sys.path.insert(0, sys.argv[1]);"
            "from test_store import ENTRY, store\n"
            "for i in range(100): store.append(replace(ENTRY, kernel=f'{sys.argv[2]}-{i}'))")
    children = [subprocess.Popen([sys.executable, "-c", code, os.path.dirname(__file__), str(n)]) for n in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    entries, problems = store.read()
    assert problems == [] and {e.kernel for e in entries} == {f"{n}-{i}" for n in range(4) for i in range(100)}


def test_an_entry_of_a_table_suits_by_lanes_vendor_and_the_fields_it_names():
    entry = store.for_table(ENTRY)
    assert (entry.kernel, entry.device) == ("", "") and entry.config == CONFIG
    assert entry.suits(16, "GenuineIntel", BUCKET)
    assert not entry.suits(8, "GenuineIntel", BUCKET) and not entry.suits(16, "AuthenticAMD", BUCKET)
    assert not entry.suits(16, "GenuineIntel", replace(BUCKET, lk=4096))
    wide = replace(entry, bucket={"dtype": "f32", "lq": 1})
    assert wide.suits(16, "GenuineIntel", replace(BUCKET, lq=1, lk=512)) and not wide.suits(16, "GenuineIntel", BUCKET)


def test_the_shipped_tables_can_be_read_and_held():
    entries, problems = store.shipped()
    assert problems == []
    from aat.backends.base import Limits

    for entry in entries:
        lanes, sizes = entry.facts["lanes"], entry.bucket
        usual = Limits(registers=32 if lanes == 16 else 16, lanes=lanes, l1_bytes=32768, l2_bytes=262144)
        assert entry.config.problems(backend="cpu", d=sizes["d"], dv=sizes["dv"], **usual.of_tiles()) == [], entry
        assert entry.gain[0] > 1.03 and entry.facts["vendor"] and entry.budget > entry.error


def test_keys_of_the_kernel_follow_its_source(tmp_path):
    for name in ("attention_forward.py", "lanes/cpu.py", "parts/queries.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a")
    found = {keys.kernel_key(tmp_path)}
    for name in ("attention_forward.py", "lanes/cpu.py", "parts/queries.py"):
        (tmp_path / name).write_text("b")
        keys.kernel_key.cache_clear()
        found.add(keys.kernel_key(tmp_path))
    assert len(found) == 4
    keys.kernel_key.cache_clear()
    assert keys.kernel_key() == keys.kernel_key() not in found


def test_keys_of_the_device_follow_threads_and_lanes(monkeypatch):
    found = set()
    for name, value in (("AAT_LANES", ""), ("AAT_LANES", "4"), ("AAT_NUM_THREADS", "1"), ("AAT_INTRINSICS", "0")):
        monkeypatch.setenv(name, value)
        select.close()
        with select.use("cpu") as session:
            found.add(keys.device_key(session))
            assert keys.device_facts(session)["lanes"] == session.lane_width
    select.close()
    assert len(found) >= 3


def test_caches_are_shares(tmp_path):
    tree = {"index0": ("1", "Data", "48K", "0,4"), "index1": ("1", "Instruction", "32K", "0"),
            "index2": ("2", "Unified", "2M", "0-3"), "index3": ("3", "Unified", "64M", "0-7")}
    for index, facts in tree.items():
        folder = tmp_path / "cpu0" / "cache" / index
        folder.mkdir(parents=True)
        for name, text in zip(("level", "type", "size", "shared_cpu_list"), facts, strict=True):
            (folder / name).write_text(text + "\n")
    assert share_of_caches(0, tmp_path) == (24576, 524288)
    assert share_of_caches(1, tmp_path) == (0, 0), "nobody tells"
    (tmp_path / "cpu0" / "cache" / "index2" / "size").write_text("large\n")
    share_of_caches.cache_clear()
    assert share_of_caches(0, tmp_path) == (24576, 0)
