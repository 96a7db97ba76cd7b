"""pyproject.toml against the tree, and the wheel against both."""

import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from repository import ROOT, modules, sources

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = None


def packages_in_folders():
    """Folders of aat/ and kernels/ with an __init__.py, under the names that they are imported by."""
    names = {".".join(path.parent.parts) for path in sources("aat", "kernels") if path.name == "__init__.py"}
    return {f"aat.{name}" if name.split(".")[0] == "kernels" else name for name in names}


def packages_in_pyproject():
    # read by hand where the standard library has no TOML parser yet (Python 3.10)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    if tomllib:
        return tomllib.loads(text)["tool"]["setuptools"]["packages"]
    listed = re.search(r"^packages = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    return re.findall(r'"([^"]+)"', listed[1])


def test_the_packages_are_the_folders():
    listed = packages_in_pyproject()
    assert sorted(listed) == sorted(packages_in_folders())
    assert len(set(listed)) == len(listed)


def test_every_folder_with_sources_is_a_package():
    bare = {path.parent for path in sources("aat", "kernels")
            if not (ROOT / path.parent / "__init__.py").is_file()}
    assert not bare


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names of the files in a wheel that is built from a copy of the tree."""
    if any(importlib.util.find_spec(name) is None for name in ("setuptools", "pip")):
        pytest.skip("setuptools and pip are needed to build a wheel; the extra dev brings them")
    # a copy: building in place leaves build/, whose stale modules would go into the next wheel
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in ("aat", "kernels"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
               "--disable-pip-version-check", "--wheel-dir", str(out), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    built, = out.glob("*.whl")
    return set(zipfile.ZipFile(built).namelist())


def test_the_wheel_has_every_module_and_nothing_else(wheel):
    # kernels/x.py travels as aat/kernels/x.py
    def packed(path):
        return ("aat/" if path.parts[0] == "kernels" else "") + path.as_posix()

    expected = {packed(path) for path in sources("aat", "kernels")}
    data = {packed(path.relative_to(ROOT)) for path in (ROOT / "kernels" / "lanes").rglob("*")
            if path.suffix == ".bc"} | {"aat/py.typed", "aat/report/page.html", "aat/validation/minilm.npz"}
    data |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "aat" / "tiling" / "tables").glob("*.jsonl")}
    data |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "aat" / "commands" / "templates").glob("*.txt")}
    found = {name for name in wheel if ".dist-info/" not in name}
    assert found == expected | data
    assert {name.rpartition(".")[2] for name in data} == {"bc", "typed", "html", "jsonl", "txt", "npz"}


def test_the_wheel_carries_its_licence(wheel):
    assert [name for name in wheel if name.endswith("LICENSE")]


def test_the_version_is_that_of_the_distribution():
    import importlib.metadata

    import aat
    assert aat.__version__ == importlib.metadata.version("adaptive-attention-tiling")


def test_modules_are_found_under_their_imported_names():
    assert {"aat", "aat.kernels", "aat.kernels.lanes", "aat.kernels.reference", "aat.env"} <= modules()
