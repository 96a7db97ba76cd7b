"""Which arrays does a function capture, and how is it called with something else in their place?

An ndarray's own indexing cannot be taught new indices, so a function is copied with its arrays exchanged: those in its
closure, its defaults, the globals that it names, in functions, tuples, lists, dicts and instances reached that way.
"""

import functools
import types

import numpy as np

# Modules whose functions capture nothing of the caller's.
_LIBRARIES = ("numpy", "math", "operator", "functools", "builtins", "aat.lane")


class Mod:
    """A caller's score_mod or mask_mod.

    Parameters
    ----------
    function : callable
    name : str
        The argument it was given as.
    """

    def __init__(self, function, name):
        self.function, self.name = function, name

    def bound(self, swap):
        """The function with each captured ndarray x as swap(x); reads what is captured now."""
        return _Copy(swap).of(self.function)

    @property
    def told(self):
        """The function's name and where it is, for messages."""
        return told(self.function)


def told(function):
    """A function's name, file and line, as a message tells them."""
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    code = getattr(inner, "__code__", None) or getattr(vars(type(inner)).get("__call__"), "__code__", None)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name


class _Copy:
    """Copies of what refers to arrays; what refers to none stays the same object."""

    def __init__(self, swap):
        self.swap, self.memo = swap, {}

    def of(self, x):
        """x with its arrays exchanged."""
        if isinstance(x, np.ndarray):
            key = id(x)
            if key not in self.memo:
                self.memo[key] = (x, self.swap(x))      # x stays alive: ids are not used again
            return self.memo[key][1]
        for kind, copy in _KINDS.items():
            if isinstance(x, kind):
                key = id(x)
                if key not in self.memo:
                    self.memo[key] = (x, x)             # a cycle ends here
                    self.memo[key] = (x, copy(self, x))
                return self.memo[key][1]
        return self._instance(x)

    def _function(self, x):
        module = x.__module__ or ""
        if module in _LIBRARIES or module.partition(".")[0] in _LIBRARIES:
            return x
        named = {name: x.__globals__[name] for name in _names(x.__code__) if name in x.__globals__}
        changed = {name: new for name, old in named.items() if (new := self.of(old)) is not old}
        cells = [_content(cell) for cell in x.__closure__ or ()]
        inside = [self.of(content) for content in cells]
        defaults, keywords = self.of(x.__defaults__), self.of(x.__kwdefaults__)
        if not changed and all(map(_same, cells, inside)) and defaults is x.__defaults__ and (
                keywords is x.__kwdefaults__):
            return x
        closure = tuple(types.CellType() if new is _EMPTY else types.CellType(new) for new in inside)
        copy = types.FunctionType(x.__code__, {**x.__globals__, **changed} if changed else x.__globals__, x.__name__,
                                  defaults, closure if x.__closure__ else None)
        copy.__kwdefaults__ = keywords
        return copy

    def _partial(self, x):
        named = {name: self.of(y) for name, y in x.keywords.items()}
        return functools.partial(self.of(x.func), *map(self.of, x.args), **named)

    def _method(self, x):
        return types.MethodType(self.of(x.__func__), self.of(x.__self__))

    def _sequence(self, x):
        inside = [self.of(y) for y in x]
        return x if all(map(_same, x, inside)) or type(x) not in (tuple, list) else type(x)(inside)

    def _dict(self, x):
        inside = {name: self.of(y) for name, y in x.items()}
        return x if all(inside[name] is y for name, y in x.items()) else inside

    def _instance(self, x):
        if isinstance(x, (type, types.ModuleType)) or not hasattr(x, "__dict__"):
            return x
        holds = any(isinstance(y, np.ndarray) for y in vars(x).values())
        return _Held(x, self) if holds else x


_KINDS = {types.FunctionType: _Copy._function, functools.partial: _Copy._partial, types.MethodType: _Copy._method,
          tuple: _Copy._sequence, list: _Copy._sequence, dict: _Copy._dict}
_EMPTY = object()


class _Held:
    """An instance whose arrays are exchanged as they are read."""

    def __init__(self, instance, copy):
        self.__dict__["_of"] = instance, copy

    def __getattr__(self, name):
        instance, copy = self.__dict__["_of"]
        x = getattr(instance, name)
        if isinstance(x, types.MethodType) and x.__self__ is instance:
            return types.MethodType(copy.of(x.__func__), self)
        return copy.of(x)

    def __call__(self, *arguments):
        return self.__getattr__("__call__")(*arguments)


def _same(a, b):
    return a is b


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:          # a variable that is not set yet
        return _EMPTY


def _names(code):
    """The names that a code object and those inside it look up."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found
