"""What the tests of the structure share: the repository's files, and who imports whom."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sources(*folders):
    """The Python files under `folders` of the repository, as paths relative to it, sorted."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path):
    """The name under which a source of aat/ or kernels/ is imported: kernels/x.py is aat.kernels.x."""
    parts = list(Path(path).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(["aat", *parts] if parts[0] == "kernels" else parts)


def parse(path):
    """The syntax tree of a source, given relative to the repository."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def imports(path, tree=None):
    """(line, module) for every import in a source, wherever it stands, relative ones resolved.

    `from a import b` counts as a.b where that is a module of this project, otherwise as a.
    """
    package = module_name(path).split(".")
    if Path(path).name != "__init__.py":
        package.pop()
    for node in ast.walk(tree or parse(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = [] if not node.level else package[:len(package) - node.level + 1]
            origin = ".".join(base + ([node.module] if node.module else []))
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield node.lineno, inner if inner in modules() else origin


def modules():
    """The names of all modules of the project."""
    return {module_name(path) for path in sources("aat", "kernels")}
