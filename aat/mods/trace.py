"""How does a caller's function become a graph? It is called once with symbols, which note what is done to them."""

import sys
from dataclasses import replace

import numpy as np

from aat.errors import type_error, value_error
from aat.mods.graph import BOOL, COMPARE, FLOAT, FUNCTIONS, INT, LOGIC, ORDER, WHOLE, Graph, Node

ARGUMENTS = {"score_mod": ("s", "b", "h", "q", "k"), "mask_mod": ("b", "h", "q", "k")}
_INT32 = 2**31
_UFUNCS = {np.add: "add", np.subtract: "sub", np.multiply: "mul", np.true_divide: "div", np.floor_divide: "floordiv",
           np.remainder: "mod", np.negative: "neg", np.absolute: "abs", np.minimum: "minimum", np.maximum: "maximum",
           np.less: "lt", np.less_equal: "le", np.greater: "gt", np.greater_equal: "ge", np.equal: "eq",
           np.not_equal: "ne", np.bitwise_and: "and", np.bitwise_or: "or", np.bitwise_xor: "xor",
           np.logical_and: "and", np.logical_or: "or", np.logical_xor: "xor", np.invert: "not", np.logical_not: "not",
           np.exp: "exp", np.exp2: "exp2", np.log: "log", np.log2: "log2", np.sqrt: "sqrt", np.tanh: "tanh",
           np.floor: "floor", np.power: "pow", np.square: "square"}
_LANE = ("exp, exp2, log, log2, sqrt, tanh, floor, abs, minimum, maximum and where of aat.lane, and the operators "
         "+ - * / // % ** comparisons & | ^ ~")
_BRANCH = ("write & | ~ for `and`, `or` and `not`, (a < b) & (b < c) for `a < b < c`, aat.lane.where(condition, x, y) "
           "for `if`, and aat.lane.minimum and maximum for min and max")


def trace(mod):
    """(Graph, list of captured arrays) of an `aat.mods.capture.Mod`.

    Raises TypeError, with the function, the file and the line, for what cannot be compiled.
    """
    tracer = Tracer(mod)
    symbols = [tracer.symbol(tracer.node("var", FLOAT if name == "s" else INT, value=name))
               for name in ARGUMENTS[mod.name]]
    function = mod.bound(lambda x: Table(tracer, x))
    result = function(*symbols)
    if result is None:
        raise type_error(mod.name, "a function that returns its result", f"None from {mod.told}", "add a `return`")
    result = tracer.of(result)
    if mod.name == "score_mod":
        if result.kind == BOOL:
            raise type_error("score_mod", "a function that returns a score", f"True or False from {mod.told}",
                             "pass it as mask_mod=, or return aat.lane.where(condition, s, -numpy.inf)")
        result = tracer.cast(result, FLOAT)
    elif result.kind != BOOL:
        raise type_error("mask_mod", "a function that returns True or False", f"a number from {mod.told}",
                         "return a comparison, as `x != 0`; scores belong to score_mod=")
    kinds = tuple((table.kind, table.array.ndim) for table in tracer.tables)
    nodes, place = _pruned(tracer.nodes, result.place)
    return Graph(nodes, place, kinds), [table.array for table in tracer.tables]


def _pruned(nodes, result):
    """(nodes that the result needs, its number among them)."""
    needed = {result}
    for place in range(result, -1, -1):
        if place in needed:
            needed.update(nodes[place].args)
    places = {place: n for n, place in enumerate(sorted(needed))}
    kept = tuple(replace(nodes[place], args=tuple(places[a] for a in nodes[place].args)) for place in places)
    return kept, places[result]


class Tracer:
    """The graph of one call, as it grows; equal nodes are one node."""

    def __init__(self, mod):
        self.mod, self.nodes, self.places, self.tables = mod, [], {}, []

    def node(self, op, kind, args=(), value=None):
        """The number of a node."""
        node = Node(op, kind, tuple(args), value)
        if node not in self.places:
            self.places[node] = len(self.nodes)
            self.nodes.append(node)
        return self.places[node]

    def symbol(self, place):
        """The Symbol of a node."""
        return Symbol(self, place)

    def of(self, x):
        """Whatever meets a symbol as a Symbol."""
        if isinstance(x, Symbol):
            return x
        if isinstance(x, Table):
            return x.read()
        if isinstance(x, np.ndarray) and x.ndim == 0:       # NumPy's own scalars come like this
            x = x[()]
        if isinstance(x, (bool, np.bool_)):
            return self.symbol(self.node("const", BOOL, value=int(x)))
        if isinstance(x, (int, np.integer)):
            if not -_INT32 <= x < _INT32:
                raise self.error("whole numbers that fit an int32", str(x), "write it as a float")
            return self.symbol(self.node("const", INT, value=int(x)))
        if isinstance(x, (float, np.floating)):
            return self.symbol(self.node("const", FLOAT, value=float(x).hex()))
        raise self.error("numbers, NumPy arrays that the function captures, and its arguments",
                         f"a {type(x).__module__}.{type(x).__qualname__}",
                         "bind arrays to a variable, as NumPy arrays, before the function is defined")

    def cast(self, x, kind):
        """A Symbol as another kind."""
        if x.kind == kind:
            return x
        node = self.nodes[x.place]
        if node.op == "const":
            return self.of(float(node.value) if kind == FLOAT else int(node.value))
        return self.symbol(self.node("cast", kind, (x.place,)))

    def apply(self, op, *arguments):
        """An operation on whatever meets: promotes kinds and checks them."""
        if op == "square":
            op, arguments = "pow", (*arguments, 2)
        if op == "pow":
            return self._power(*arguments)
        if op in ("gt", "ge"):
            op, arguments = {"gt": "lt", "ge": "le"}[op], arguments[::-1]
        symbols = [self.of(x) for x in arguments]
        kinds = [x.kind for x in symbols]
        if op in LOGIC:
            if kinds.count(BOOL) < len(kinds):
                raise self.error(f"True or False on both sides of `{_sign(op)}`", "a number",
                                 "compare first; the bits of numbers cannot be combined")
            return self._make(op, BOOL, symbols)
        if op == "where":
            if kinds[0] != BOOL:
                raise self.error("a condition as the first argument of aat.lane.where", "a number", "compare first")
            kind = max(kinds[1:], key=ORDER.index)
            return self._make(op, kind, [symbols[0], *(self.cast(x, kind) for x in symbols[1:])])
        if op in FUNCTIONS or op == "div":
            return self._make(op, FLOAT, [self.cast(x, FLOAT) for x in symbols])
        kind = max(kinds, key=ORDER.index)
        kind = INT if kind == BOOL else kind
        if op in WHOLE and kind == FLOAT:
            raise self.error(f"whole numbers on both sides of `{_sign(op)}`", "a float", "use aat.lane.floor(x / y)")
        symbols = [self.cast(x, kind) for x in symbols]
        return self._make(op, BOOL if op in COMPARE else kind, symbols)

    def _make(self, op, kind, symbols):
        return self.symbol(self.node(op, kind, [x.place for x in symbols]))

    def _power(self, base, exponent):
        if not isinstance(exponent, (int, np.integer)) or isinstance(exponent, bool) or not 1 <= exponent <= 8:
            raise self.error("** with a whole number from 1 to 8", f"** {exponent!r}",
                             "write aat.lane.exp(y * aat.lane.log(x)), or 1 / x**n")
        result = base
        for _ in range(int(exponent) - 1):
            result = self.apply("mul", result, base)
        return self.of(result)

    def error(self, expected, got, remedy):
        """A TypeError that names the function and the line of it that is running."""
        frame = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__", "").startswith(_INSIDE):
            frame = frame.f_back    # type: ignore[assignment]
        place = self.mod.told if frame is None else (
            f"{self.mod.told}, at {frame.f_code.co_filename}:{frame.f_lineno}")
        return type_error(self.mod.name, expected, f"{got} in {place}", remedy)


_INSIDE = ("aat.mods.", "aat.lane", "numpy")


def _sign(op):
    return {"and": "&", "or": "|", "xor": "^", "not": "~", "floordiv": "//", "mod": "%"}[op]


def _binary(op):
    def left(self, other):
        return self._tracer.apply(op, self, other)

    def right(self, other):
        return self._tracer.apply(op, other, self)
    return left, right


class _Operators:
    """The operators of what a function is called with."""

    _tracer: Tracer
    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("sub")
    __mul__, __rmul__ = _binary("mul")
    __truediv__, __rtruediv__ = _binary("div")
    __floordiv__, __rfloordiv__ = _binary("floordiv")
    __mod__, __rmod__ = _binary("mod")
    __pow__, __rpow__ = _binary("pow")
    __and__, __rand__ = _binary("and")
    __or__, __ror__ = _binary("or")
    __xor__, __rxor__ = _binary("xor")
    __lt__, __gt__ = _binary("lt")
    __le__, __ge__ = _binary("le")
    __eq__, _ = _binary("eq")
    __ne__, _ = _binary("ne")
    __hash__ = None     # type: ignore[assignment]

    def __neg__(self):
        return self._tracer.apply("neg", self)

    def __pos__(self):
        return self

    def __abs__(self):
        return self._tracer.apply("abs", self)

    def __invert__(self):
        return self._tracer.apply("not", self)

    def _lane(self, name, arguments):
        return self._tracer.apply(name, *arguments)

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        if ufunc not in _UFUNCS or method != "__call__" or keywords:
            raise self._tracer.error(_LANE, f"numpy.{ufunc.__name__}", "write it with those")
        return self._tracer.apply(_UFUNCS[ufunc], *inputs)

    def __array_function__(self, function, types, arguments, keywords):
        if function is np.where and len(arguments) == 3:
            return self._tracer.apply("where", *arguments)
        raise self._tracer.error(_LANE, f"numpy.{function.__name__}", "write it with those")

    def _branch(self):
        raise self._tracer.error("a function without branches on its arguments",
                                 "the truth of a value that differs between queries and keys", _BRANCH)

    def _number(self):
        raise self._tracer.error(
            f"a function of {_LANE}", "a place that needs one Python number (math.*, int(), float(), range(), or an "
            "index into a list, a torch tensor or an array that is created inside the function)",
            "use aat.lane's functions, and index NumPy arrays that are made before the function is")

    __bool__ = _branch
    __int__ = __float__ = __index__ = __complex__ = __trunc__ = __round__ = __len__ = __iter__ = _number

    def __contains__(self, x):
        self._branch()

    def __array__(self, *arguments, **keywords):
        self._number()


class Symbol(_Operators):
    """A value of each (query, key) while a function is traced."""

    __slots__ = ("_tracer", "place")

    def __init__(self, tracer, place):
        self._tracer, self.place = tracer, place

    @property
    def kind(self):
        """"i", "f" or "b"."""
        return self._tracer.nodes[self.place].kind

    def __getitem__(self, index):
        raise self._tracer.error("numbers as arguments of the function", "an index into one", "index captured arrays")

    def __getattr__(self, name):
        raise self._tracer.error(_LANE, f"the attribute .{name} of a traced value", "write it with those")


class Table(_Operators):
    """A captured array while a function is traced; indexed by as many whole numbers as it has axes."""

    def __init__(self, tracer, array, taken=(), number=None):
        kinds = {"b": BOOL, "i": INT, "u": INT, "f": FLOAT, "V": FLOAT}
        if array.dtype.kind not in kinds or (array.dtype.kind == "V" and array.dtype.name != "bfloat16"):
            raise tracer.error("captured arrays of bool, whole numbers or floats", f"dtype {array.dtype}",
                               "convert it before the function is called")
        if array.dtype.kind in "iu" and array.size and not (
                int(array.min()) >= -_INT32 and int(array.max()) < _INT32):
            raise value_error(tracer.mod.name, "captured whole numbers that fit an int32",
                              f"{array.min()} to {array.max()} in {tracer.mod.told}", "subtract what they share")
        self._tracer, self.array, self.kind, self._taken = tracer, array, kinds[array.dtype.kind], taken
        self._number_of = number

    @property
    def shape(self):
        """The shape that is left to index."""
        return self.array.shape[len(self._taken):]

    @property
    def ndim(self):
        """The axes that are left to index."""
        return len(self.shape)

    @property
    def size(self):
        """The number of elements that are left."""
        return int(np.prod(self.shape))

    @property
    def dtype(self):
        """The array's own."""
        return self.array.dtype

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        tracer, taken = self._tracer, list(self._taken)
        for x in index if isinstance(index, tuple) else (index,):
            if isinstance(x, (slice, type(None), type(...), list, np.ndarray)):
                raise tracer.error("whole numbers as indices, one an axis", f"a {type(x).__name__} as index",
                                   "cut the array before the function is defined")
            x = tracer.of(x)
            if x.kind != INT:
                raise tracer.error("whole numbers as indices", "a float" if x.kind == FLOAT else "True or False",
                                   "use //, or aat.lane.where")
            node = tracer.nodes[x.place]
            if node.op == "const" and node.value < 0 and len(taken) < self.array.ndim:
                x = tracer.of(node.value + self.array.shape[len(taken)])
            taken.append(x)
        if len(taken) > self.array.ndim:
            raise tracer.error(f"at most {self.array.ndim} indices into an array of shape {self.array.shape}",
                               f"{len(taken)}", "check its shape")
        table = Table(tracer, self.array, tuple(taken), self)
        return table if len(taken) < self.array.ndim else table.read()

    def read(self):
        """The Symbol of an element."""
        tracer = self._tracer
        if len(self._taken) < self.array.ndim:
            raise tracer.error("captured arrays with an index for each axis",
                               f"an array of shape {self.array.shape} with {len(self._taken)}", "index it, as x[q, k]")
        numbers = [n for n, table in enumerate(tracer.tables) if table.array is self.array]
        if not numbers:
            tracer.tables.append(self)
        number = numbers[0] if numbers else len(tracer.tables) - 1
        return tracer.symbol(tracer.node("table", self.kind, [x.place for x in self._taken], number))

    def __iter__(self):
        self._number()

    def __getattr__(self, name):
        raise self._tracer.error("captured arrays that are indexed", f"the attribute .{name} of one",
                                 "compute with the array before the function is defined")
