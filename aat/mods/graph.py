"""What is left of a traced function: a graph of operations, which is the key of the kernel that contains it."""

from dataclasses import dataclass
from functools import cached_property

INT, FLOAT, BOOL = "i", "f", "b"
ORDER = (BOOL, INT, FLOAT)      # kinds promote upwards

ARITHMETIC = ("add", "sub", "mul", "minimum", "maximum")        # of the wider kind
WHOLE = ("floordiv", "mod")                                     # of ints
COMPARE = ("lt", "le", "eq", "ne")
LOGIC = ("and", "or", "xor", "not")
FUNCTIONS = ("exp", "exp2", "log", "log2", "sqrt", "tanh", "floor")     # of floats
VARIABLES = ("s", "b", "h", "q", "k")


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    op : str
        "const", "var", "table", "div", "neg", "abs", "where", "cast", or one of the tuples above.
    kind : str
        "i" (int32), "f" (the kernel's float) or "b".
    args : tuple of int
        Numbers of earlier nodes; for "table" the indices, one an axis.
    value : int, str or None
        A constant (a float as its hexadecimal, so that -0.0, nan and 1 are themselves), a variable's name, or the
        number of an array.
    """

    op: str
    kind: str
    args: tuple = ()
    value: object = None


@dataclass(frozen=True)
class Graph:
    """A function of s, b, h, q and k; equal for functions that compute the same with other arrays.

    nodes : tuple of Node, arguments before what uses them.
    result : int
    arrays : tuple of (kind, axes)
        Of the captured arrays, which are no part of a graph.
    """

    nodes: tuple
    result: int
    arrays: tuple

    @cached_property
    def uses(self):
        """For each node, the set of variables that it depends on."""
        found: list = []
        for node in self.nodes:
            mine = {node.value} if node.op == "var" else set()
            found.append(frozenset(mine.union(*(found[a] for a in node.args))))
        return found

    @property
    def variables(self):
        """What the result depends on."""
        return self.uses[self.result]


def number(node):
    """The Python number of a "const" node."""
    if node.kind == FLOAT:
        return float.fromhex(node.value)
    return bool(node.value) if node.kind == BOOL else node.value
