"""Functions as graphs: what they compute, what they capture, and what cannot be compiled."""
import functools
import math
import re

import numpy as np
import pytest

from aat import lane
from aat.mods.capture import Mod
from aat.mods.intervals import Ranges, evaluate
from aat.mods.trace import trace

SLOPES = np.array([0.5, -0.25, 2.0], np.float32)
DOCUMENT = np.arange(40, dtype=np.int32) // 7
TABLE = np.random.default_rng(0).standard_normal((3, 100))
FLAGS = np.arange(40) % 3 == 0
NUMBER = np.array(1.5)


def of_tables(b, h, q, k):
    return (DOCUMENT[q] == DOCUMENT[k]) & FLAGS[k] | (TABLE[h][q - k + 50] > SLOPES[h])


def of_arithmetic(b, h, q, k):
    return (q // 3 + k % 5 - (-q) // 4 + abs(q - k) ** 2 > 7 * h) ^ ((q - k) % -3 == b)


def of_functions(b, h, q, k):
    x = lane.exp(-0.1 * lane.abs(q - k)) + np.tanh(k / 7) * lane.log(q + 1.5) - lane.floor(q / 3)
    return lane.where(q < k, lane.minimum(x, 1.0), lane.maximum(-x, lane.sqrt(k + 0.25))) >= lane.exp2(-1.0 * q) + h


def of_numpy(b, h, q, k):
    return ~np.where(np.less(q, k), q != 3, np.logical_or(k > 2, np.float32(2.5) * q < NUMBER))


FUNCTIONS = [of_tables, of_arithmetic, of_functions, of_numpy]


def points():
    grid = np.meshgrid(range(2), range(3), range(0, 40, 3), range(0, 40, 2), indexing="ij")
    return [x.reshape(-1) for x in grid]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_graph_computes_what_the_function_does(function):
    b, h, q, k = points()
    graph, arrays = trace(Mod(function, "mask_mod"))
    box = {name: (x, x) for name, x in zip("bhqk", (b, h, q, k), strict=True)}
    certain, possible = evaluate(graph, [Ranges(x) for x in arrays], box)[graph.result]
    want = [bool(function(*map(np.int64, place))) for place in zip(b, h, q, k, strict=True)]
    assert not (certain & ~np.array(want)).any() and not (np.array(want) & ~possible).any()
    # intervals of a point decide but for roundings: a graph of True alone would not pass
    assert (certain == possible).mean() > 0.9


def test_equal_functions_are_one_graph_and_arrays_are_no_part_of_it():
    def made(slopes, n):
        return trace(Mod(lambda s, b, h, q, k: s + slopes[h] * (q - k + n), "score_mod"))
    (one, first), (two, second), (three, _) = (made(SLOPES, 1), made(2 * SLOPES, 1), made(SLOPES, 2))
    assert one == two and hash(one) == hash(two) and one != three
    assert first[0] is SLOPES and second[0][0] == 1.0


class Biases:
    def __init__(self, slopes):
        self.slopes = slopes

    def mod(self, s, b, h, q, k):
        return s * self.slopes[h]

    def __call__(self, s, b, h, q, k):
        return self.mod(s, b, h, q, k)


def with_default(s, b, h, q, k, slopes=SLOPES):
    return s * slopes[h]


def helper(h):
    return SLOPES[h]


def captures():
    closed, pair = SLOPES, {"x": (SLOPES,)}
    biases = Biases(SLOPES)
    return {
        "closure": lambda s, b, h, q, k: s * closed[h], "global": lambda s, b, h, q, k: s * SLOPES[h],
        "container": lambda s, b, h, q, k: s * pair["x"][0][h], "default": with_default, "method": biases.mod,
        "helper": lambda s, b, h, q, k: s * helper(h), "callable": biases, "instance": (
            lambda s, b, h, q, k: s * biases.slopes[h]), "partial": functools.partial(with_default, slopes=SLOPES)}


@pytest.mark.parametrize("how", captures())
def test_arrays_are_found_however_they_are_captured(how):
    graph, arrays = trace(Mod(captures()[how], "score_mod"))
    assert len(arrays) == 1 and arrays[0] is SLOPES and graph.arrays == (("f", 1),)


def branch(b, h, q, k):
    if q > k:
        return q > 3
    return k > 3


def either(b, h, q, k):
    return q > k or k > 3


def chain(b, h, q, k):
    return 0 <= q - k < 5


def of_math(s, b, h, q, k):
    return math.exp(s)


def sine(s, b, h, q, k):
    return np.sin(s)


def a_list(s, b, h, q, k):
    return s + [1.0, 2.0][h]


def a_sum(s, b, h, q, k):
    return s + np.sum(TABLE[h])


def a_cut(s, b, h, q, k):
    return s + TABLE[h, 1:]


def too_few(s, b, h, q, k):
    return s + TABLE[h]


def too_many(s, b, h, q, k):
    return s + SLOPES[h, q]


def by_float(s, b, h, q, k):
    return s + SLOPES[s]


def nothing(b, h, q, k):
    pass


def a_number(b, h, q, k):
    return q - k


def a_truth(s, b, h, q, k):
    return q > k


def bits(b, h, q, k):
    return (q & 3) == k


def large(b, h, q, k):
    return q + 2**31 > k


def of_floats(s, b, h, q, k):
    return s // 2


def power(s, b, h, q, k):
    return s**0.5


def builtin(s, b, h, q, k):
    return max(s, 0.0)


def text(s, b, h, q, k):
    return s + "1"


WRONG = {
    branch: "aat.lane.where", either: "write & | ~", chain: "(a < b) & (b < c)", of_math: "aat.lane's functions",
    sine: "numpy.sin", a_list: "index NumPy arrays", a_sum: "numpy.sum|the attribute|add.reduce|numpy.add",
    a_cut: "a slice as index", too_few: "index it", too_many: "at most 1 indices", by_float: "whole numbers as indices",
    nothing: "add a `return`", a_number: "return a comparison", a_truth: "pass it as mask_mod=", bits: "compare first",
    large: "int32", of_floats: "aat.lane.floor", power: "whole number from 1 to 8", builtin: "aat.lane.minimum",
    text: "a builtins.str",
}


@pytest.mark.parametrize("function", WRONG, ids=lambda function: function.__name__)
def test_what_cannot_be_compiled_names_the_function_the_place_and_the_remedy(function):
    name = "score_mod" if "s" in function.__code__.co_varnames[:1] else "mask_mod"
    with pytest.raises(TypeError) as caught:
        trace(Mod(function, name))
    message = str(caught.value)
    assert message.startswith(f"{name}: expected ")
    assert re.search(WRONG[function].replace("(", r"\(").replace(")", r"\)"), message), message
    line = function.__code__.co_firstlineno
    assert f"{function.__name__} ({__file__}:{line})" in message
    if "return_" not in message and function not in (nothing, a_number, a_truth):
        assert f"at {__file__}:{line + 1}" in message


def test_captured_arrays_of_other_types_are_refused():
    names, wide = np.array(["a"]), np.array([2**40])
    with pytest.raises(TypeError, match="dtype <U1"):
        trace(Mod(lambda s, b, h, q, k: s + names[h], "score_mod"))
    with pytest.raises(ValueError, match="fit an int32"):
        trace(Mod(lambda s, b, h, q, k: s + wide[h], "score_mod"))
