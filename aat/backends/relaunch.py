"""How does a kernel run again without Taichi's handling of its arguments?

`kernel(...)` looks at each argument anew, which takes 250 us for thirteen of them; launching with a context that was
filled before takes 3 us, and what changed is set in it (Taichi 1.7.4, 2026-11).
"""

import numpy as np

from aat.backends.program import launcher


class Relaunch:
    """A kernel with the arguments of one launch, on the CPU, of which arrays can be replaced.

    `arguments` are those of a call of `kernel`, which must have run before: arrays, numbers, and 0 for an array that
    the kernel was compiled without. The arrays stay referenced; a replaced one is the caller's to keep.

    Attributes
    ----------
    go : callable
        Runs it, to the end, inside `session.launching()`.
    """

    __slots__ = ("_arrays", "_context", "_slots", "go")

    def __init__(self, kernel, arguments):
        self.go, self._context, kinds = launcher(kernel, arguments)
        self._arrays = [x for x in arguments if isinstance(x, np.ndarray)]
        self._slots = {}
        place = 0
        for number, (kind, value) in enumerate(zip(kinds, arguments, strict=True)):
            if kind == "template":
                continue
            if kind == "array":
                shape = value.shape[:1]  # the axes of a vector belong to the element type
                self._slots[number] = ((place,), value.nbytes, shape)
                self._context.set_arg_external_array_with_shape((place,), value.ctypes.data, value.nbytes, shape, 0)
            elif kind == "float":
                self._context.set_arg_float((place,), float(value))
            else:
                self._context.set_arg_int((place,), int(value))
            place += 1

    def replace(self, number, pointer):
        """Let argument `number` be the array of the same size at this address."""
        place, nbytes, shape = self._slots[number]
        self._context.set_arg_external_array_with_shape(place, pointer, nbytes, shape, 0)
