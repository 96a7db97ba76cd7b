"""The arrows between the rooms, and what `import aat` may cost."""

import ast
import subprocess
import sys
import textwrap

import pytest
from repository import ROOT, imports, module_name, sources

EVERY_FILE = sources("aat", "kernels")

# Each room with the rooms that it may import, besides itself. The longest prefix of a module's name decides.
FOUNDATION = {"aat.errors", "aat.env"}
LAUNCH = FOUNDATION | {"aat.backends"}
PLAN = LAUNCH | {"aat.tiling"}
MODS = {"aat.mods", "aat.lane"}
KERNELS = {"aat.kernels", "aat.kernels.lanes", "aat.kernels.parts"}
CALL = PLAN | KERNELS | MODS | {"aat.attention", "aat.arrays", "aat.integrations", "aat.geometry", "aat.states"}
CHECK = CALL | {"aat", "aat.functional", "aat.sdpa", "aat.explanation", "aat.operations", "aat.validation"}
MAY_IMPORT = {
    "aat": CALL | {"aat.functional", "aat.sdpa", "aat.explanation", "aat.operations",
                   "aat.attention.mechanisms"},  # aat/__init__.py alone
    "aat.errors": set(),
    "aat.env": {"aat.errors"},
    "aat.lane": set(),
    "aat.mods": FOUNDATION | {"aat.lane"},
    "aat.backends": LAUNCH,
    "aat.tiling": PLAN | KERNELS,  # kernels make summaries and plans
    "aat.geometry": FOUNDATION,
    "aat.states": FOUNDATION,
    "aat.arrays": LAUNCH | {"aat.integrations"},
    "aat.integrations": LAUNCH,
    "aat.attention": CALL,
    "aat.attention.cache": CALL | {"aat.functional"},  # what a decoder holds: its calls are those of functional
    "aat.attention.mechanisms": CALL | {"aat.functional"},  # scores that can be called
    "aat.functional": CALL,
    "aat.operations": PLAN | KERNELS | {"aat.arrays", "aat.integrations"},  # beside attention, not upon it
    "aat.sdpa": CALL | {"aat.functional"},
    "aat.explanation": CALL | {"aat.functional"},
    "aat.validation": CHECK | {"aat.report.record"},  # what measure() returns
    "aat.report": CHECK | {"aat.report.record"},
    "aat.report.record": set(),
    "aat.commands": CHECK | {"aat.report", "aat.report.record"},
    "aat.demo": CHECK,
    "aat.__main__": {"aat.cli"},
    "aat.cli": CHECK | {"aat.commands", "aat.demo", "aat.report"},
    "aat.kernels": {"aat.kernels.lanes", "aat.kernels.parts", "aat.tiling.base"},
    "aat.kernels.parts": {"aat.kernels.lanes", "aat.tiling.base"},
    "aat.kernels.lanes": set(),
    "aat.kernels.reference": set(),
}
# Who may read the float64 reference: what computes by it, and what judges by it.
READS_REFERENCE = ("aat.attention.reference", "aat.operations.base", "aat.validation")

# Packages outside the standard library, and the rooms that may import them.
OUTSIDE = {
    "numpy": ("aat",),
    "taichi": ("aat.backends", "aat.attention", "aat.kernels", "aat.validation.peaks"),
    "numba": ("aat.kernels.reference", "aat.backends.probe_child"),  # the probe tries the import
    "ml_dtypes": ("aat.arrays", "aat.backends", "aat.validation"),
    # to_device takes tensors
    "torch": ("aat.integrations", "aat.backends.foreign", "aat.validation.peers", "aat.validation.cuda_peer"),
    "onnx": ("aat.validation.peers",),
    "onnxruntime": ("aat.validation.peers",),
    "openvino": ("aat.validation.peers",),
    "mlflow": ("aat.report",),
    "matplotlib": ("aat.report",),
    "rich": ("aat.demo", "aat.cli", "aat.commands"),
    "tokenizers": ("aat.demo",),
    "safetensors": ("aat.demo",),
}


def within(module, room):
    return module == room or module.startswith(room + ".")


def room_of(module):
    """The longest name in MAY_IMPORT that the module lies within; "aat" is the package's own file alone."""
    return max((room for room in MAY_IMPORT if within(module, room) and (room != "aat" or module == "aat")),
               key=len, default=None)


def objection(importer, imported):
    """Why `importer` may not import `imported`, both names of modules; None when it may."""
    if not within(imported, "aat"):
        top = imported.partition(".")[0]
        allowed = OUTSIDE.get(top, ())
        if top in sys.stdlib_module_names or any(within(importer, room) for room in allowed):
            return None
        return f"{top} may be imported by {', '.join(allowed) or 'nobody'}"
    mine, theirs = room_of(importer), room_of(imported)
    if mine is None or theirs is None:
        return "it has no room; give it one in MAY_IMPORT"
    if mine == theirs:
        return None
    if theirs == "aat.kernels.reference":
        readers = any(within(importer, reader) for reader in READS_REFERENCE)
        return None if readers else f"the reference is for {' and '.join(READS_REFERENCE)}"
    allowed = MAY_IMPORT[mine]
    if theirs in allowed or imported in allowed:
        return None
    return f"{mine} may import {', '.join(sorted(allowed)) or 'nothing of aat'}"


@pytest.mark.parametrize("path", EVERY_FILE, ids=str)
def test_imports_follow_the_arrows(path):
    wrong = [f"{path}:{line}: imports {name}: {why}" for line, name in imports(path)
             if (why := objection(module_name(path), name))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("importer", "imported"), [
    ("aat.backends.cpu", "aat.tiling.base"),
    ("aat.backends.cpu", "aat.attention.base"),
    ("aat.tiling.base", "aat.attention.base"),
    ("aat.attention.dot", "aat.validation.cases"),
    ("aat.attention.dot", "aat.kernels.reference.attention_forward"),
    ("aat.functional", "aat.kernels.reference.attention_forward"),
    ("aat.kernels.attention_forward", "aat.kernels.reference.attention_forward"),
    ("aat.kernels.attention_forward", "aat.tiling.strategies.fixed"),
    ("aat.kernels.attention_forward", "aat.backends.select"),
    ("aat.kernels.lanes.cpu", "aat.kernels.attention_forward"),
    ("aat.kernels.reference.attention_forward", "aat.kernels.lanes"),
    ("aat.env", "aat.backends.select"),
    ("aat.errors", "aat.env"),
    ("aat.validation.cases", "aat.demo.model"),
    ("aat.functional", "torch"),
    ("aat.backends.cpu", "numba"),
    ("aat.demo.page", "pandas"),
    ("aat.a_module_without_a_room", "aat.errors"),
])
def test_an_import_against_the_arrows_is_found(importer, imported):
    assert objection(importer, imported)


@pytest.mark.parametrize(("importer", "imported"), [
    ("aat.functional", "aat.attention.dot"),
    ("aat.attention.dot", "aat.kernels.attention_forward"),
    ("aat.kernels.attention_forward", "aat.kernels.lanes.base"),
    ("aat.kernels.attention_forward", "aat.tiling.base"),
    ("aat.kernels.attention_forward", "taichi"),
    ("aat.validation.budget", "aat.kernels.reference.attention_forward"),
    ("aat.attention.reference", "aat.kernels.reference.attention_forward"),
    ("aat.demo.attention", "aat"),
    ("aat.cli", "aat.demo.cli"),
    ("aat.backends.cpu", "concurrent.futures"),
])
def test_an_import_along_the_arrows_passes(importer, imported):
    assert objection(importer, imported) is None


def test_relative_imports_are_resolved():
    tree = ast.parse("from . import base\nfrom ..errors import value_error\nfrom .base import Backend")
    assert [name for _, name in imports("aat/backends/cpu.py", tree)] == [
        "aat.backends.base", "aat.errors", "aat.backends.base"]


HEAVY = ("taichi", "numba", "torch", "mlflow", "matplotlib", "ml_dtypes", "rich", "tokenizers")


def test_importing_aat_loads_nothing_heavy():
    code = textwrap.dedent(f"""
        import sys
        import aat
        aat.attention, aat.errors
        print(sorted(set({HEAVY}) & set(sys.modules)))
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_listed_and_there():
    import aat
    assert "attention" in aat.__all__
    assert not [name for name in aat.__all__ if not hasattr(aat, name)]
    assert set(aat.__all__) <= set(dir(aat))


def test_every_module_can_be_parsed_by_the_oldest_python():
    for path in EVERY_FILE:
        ast.parse((ROOT / path).read_text(encoding="utf-8"), feature_version=(3, 10))
