"""What the demo reads of the standard library."""

import sys

import pytest

from aat.demo.texts import first_paragraphs, standard_library


@pytest.fixture(scope="module")
def library():
    return standard_library()


def test_about_two_hundred_modules_have_something_to_say(library):
    assert 150 <= len(library) <= 250
    assert all(text.strip() for text in library.values())


@pytest.mark.parametrize("name", [
    "argparse",            # plain source
    "os",                  # frozen into the interpreter
    "math", "itertools",   # written in C
    "hashlib",             # assigns to __doc__
    "urllib.parse",        # of a package without a docstring of its own
    "concurrent.futures",  # a package of such a package
])
def test_every_kind_of_module_is_read(library, name):
    assert len(library[name]) > 20


def test_private_modules_and_jokes_are_left_out(library):
    assert not [name for name in library if name.startswith("_") or "._" in name]
    assert "this" not in library
    assert "antigravity" not in library


def test_reading_imports_no_module_that_acts_on_import(library):
    assert not {"this", "antigravity", "idlelib", "turtle"} & set(sys.modules)


def test_whole_paragraphs_are_kept_up_to_the_limit():
    doc = "First line,\n  second line.\n\nAnother\nparagraph.\n\n" + "x" * 100
    assert first_paragraphs(doc, 60) == "First line, second line.\nAnother paragraph."
    assert first_paragraphs("y" * 100, 60) == "y" * 60
