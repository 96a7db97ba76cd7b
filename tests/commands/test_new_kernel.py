"""`aat new-kernel`: what it writes is green at once, in a copy of the repository; what it refuses."""
import json
import re

import pytest
from checkout import Checkout
from repository import ROOT

from aat import cli
from aat.backends import select
from aat.commands import new_kernel
from aat.operations import names


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A copy with a new kernel `twice_over`."""
    copy = Checkout(tmp_path_factory.mktemp("new"))
    status, told = copy.run("aat new-kernel twice_over")
    assert status == 0, told
    assert told.splitlines()[0] == "kernels/twice_over.py"
    return copy


def test_the_copy_is_what_runs(begun):
    status, told = begun.run('python -c "import aat, aat.kernels; print(aat.__file__, aat.kernels.__file__)"')
    assert status == 0, told
    assert told.split() == [str(begun.root / "aat/__init__.py"), str(begun.root / "kernels/__init__.py")]


def test_its_own_tests_pass_on_every_backend(begun):
    status, told = begun.run("python -m pytest tests/kernels/test_twice_over.py -q -rA -p no:cacheprovider")
    assert status == 0, told
    for backend in ("reference", "cpu", "vulkan"):
        if select.get(backend).probe().ok:
            assert f"PASSED tests/kernels/test_twice_over.py::test_small_cases[{backend}-twice_over-plain]" in told


def test_the_rules_of_the_repository_hold(begun):
    status, told = begun.run("python -m pytest tests/structure tests/validation/test_kernels.py -q -p no:cacheprovider "
                             "--deselect tests/structure/test_packaging.py")
    assert status == 0, told
    long = "a_kernel_with_a_name_of_30_let"
    status, told = begun.run(f"aat new-kernel {long}")
    assert status == 0 and len(long) == 30, told
    for line in ("ruff check .", "mypy aat kernels --no-incremental"):
        status, told = begun.run(line)
        assert status == 0, told


def test_validate_bench_and_report_show_it_without_another_edit(begun):
    status, told = begun.run("aat validate --kernel twice_over --backend reference --backend cpu")
    assert status == 0, told
    assert re.search(r"^kernel twice_over +ok 1\d +ok 1\d$", told, re.MULTILINE), told
    status, told = begun.run("aat bench --list")
    assert status == 0 and re.search(r"^twice_over-large .* bench$", told, re.MULTILINE), told
    status, told = begun.run("aat bench twice_over-large --backend cpu --seconds 0.05 --json")
    assert status == 0, told
    record = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
    assert record["status"] == "ok" and record["seconds_median"] > 0
    assert (record["multiply_adds"], record["bytes"]) == (4096 * 4096, 2 * 4 * 4096 * 4096)
    pytest.importorskip("matplotlib")
    status, told = begun.run("aat report --out page.html")
    assert status == 0, told
    page = (begun.root / "page.html").read_text()
    assert "twice_over-plain" in page and "twice_over-large" in page and "kernel twice_over" in page


@pytest.mark.parametrize(("where", "right", "wrong"), [
    ("kernels/twice_over.py", "* factor", "* (factor * 1.0001)"),
    ("kernels/twice_over.py", "if i < meta[Meta.NUMBERS]:", "if i + WIDTH <= meta[Meta.NUMBERS]:"),
    ("kernels/reference/twice_over.py", "s = x[i] * factor", "s = x[i] * factor + x.dtype.type(1e-3)"),
])
def test_a_mistake_in_it_is_found(begun, where, right, wrong):
    path = begun.root / where
    kept = path.read_text()
    assert kept.count(right) == 1
    path.write_text(kept.replace(right, wrong))
    try:
        status, told = begun.run("aat validate --kernel twice_over --backend cpu --no-records")
    finally:
        path.write_text(kept)
    assert status == 1 and "FAILED twice_over-plain on cpu" in told, told


def test_nothing_is_overwritten(begun):
    before = {path: path.read_bytes() for path in begun.root.rglob("*.py")}
    status, told = begun.run("aat new-kernel twice_over")
    assert status == 2 and "got 'twice_over', which kernels/twice_over.py has already" in told
    assert {path: path.read_bytes() for path in begun.root.rglob("*.py")} == before


@pytest.mark.parametrize("name", ["Softmax", "1x", "a", "with", "x-y", "np", "launch", "base", "linear", "attention",
                                  "lanes", "x", "x" * 31, "../up"])
def test_a_name_that_cannot_be_is_one_line(name, capsys):
    assert cli.main(["new-kernel", "--root", str(ROOT), "--", name]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1 and printed.err.startswith("aat new-kernel: NAME: expected") and not printed.out
    assert not (ROOT / f"kernels/reference/{name}.py").exists() or name in names()


def test_outside_of_a_checkout_it_says_where_to_go(tmp_path, capsys):
    assert cli.main(["new-kernel", "softsign", "--root", str(tmp_path)]) == 2
    assert "expected a checkout of aat" in capsys.readouterr().err


def test_validate_refuses_a_kernel_that_is_none(capsys):
    assert cli.main(["validate", "--kernel", "nope"]) == 2
    assert capsys.readouterr().err.startswith("aat validate: kernel: expected one of linear, ")


def test_every_template_is_used():
    folder = ROOT / "aat/commands/templates"
    assert {path.name for path in folder.iterdir()} == {*new_kernel.FILES, "cases.py.txt"}
