"""The real texts of the demo: what Python's standard library says about itself.

Docstrings are read from the modules' sources; only modules without a source (written in C) are imported, and
those do nothing at import.
"""

import ast
import importlib
import re
import sys
import sysconfig
import warnings
from pathlib import Path

MAX_CHARACTERS = 1500  # about the 256 tokens that the model reads
SKIPPED = {
    "antigravity", "this",    # jokes
    "distutils", "lib2to3",   # not in every Python from 3.10 to 3.13
}


def standard_library(max_characters=MAX_CHARACTERS):
    """{module name: the first paragraphs of its docstring}, sorted by name.

    Every public top-level module of this Python that has a docstring; of a package that has none, such as
    urllib, its public modules.
    """
    texts: dict[str, str] = {}
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in SKIPPED:
            continue
        source = _source(name)
        doc = _docstring(source) if source else _compiled_docstring(name)
        found = {name: doc} if doc else _children(name, source)
        texts.update((at, first_paragraphs(text, max_characters)) for at, text in found.items())
    return texts


def first_paragraphs(doc, max_characters):
    """As many whole paragraphs of `doc` as fit `max_characters`, at least one, each on one line."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", doc.strip())]
    size = 0
    kept: list[str] = []
    for paragraph in paragraphs:
        size += len(paragraph) + 1
        if kept and size > max_characters:
            break
        kept.append(paragraph)
    return "\n".join(kept)[:max_characters]


def _source(name):
    """The path of a top-level module's source, or None for one in C or one that this Python lacks."""
    # looked up by hand: other packages may put themselves before the standard library's distutils
    library = Path(sysconfig.get_path("stdlib"))
    paths = (library / f"{name}.py", library / name / "__init__.py")
    return next((path for path in paths if path.is_file()), None)


def _docstring(path):
    """The docstring of the module at `path`, or what it assigns to __doc__; "" for none."""
    # UTF-8 is the default of Python sources, and the standard library keeps to it
    tree = ast.parse(path.read_text(encoding="utf-8"))
    doc = ast.get_docstring(tree)
    if doc:
        return doc
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name("__doc__")], value=ast.Constant(str(doc))):
                return doc.strip()
    return ""


def _compiled_docstring(name):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a module on its way out says so at import
            return (importlib.import_module(name).__doc__ or "").strip()
    except ImportError:  # for another system, or left out of this build
        return ""


def _children(name, source):
    if source is None or source.name != "__init__.py":
        return {}
    folder = source.parent
    paths = {path.stem: path for path in folder.glob("[a-z]*.py")}
    paths |= {path.parent.name: path for path in folder.glob("[a-z]*/__init__.py")}
    docs = {f"{name}.{child}": _docstring(path) for child, path in sorted(paths.items())}
    return {at: doc for at, doc in docs.items() if doc}
