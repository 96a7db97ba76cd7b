"""How does a kernel run again without Taichi's handling of its arguments?

`kernel(...)` looks at each argument anew, which takes 250 us for thirteen of them; launching with a context that was
filled before takes 1 us (Taichi 1.7.4, 2026-11). What differs between launches is then in memory that the context
points to.
"""

import numpy as np

from aat.backends.program import launcher


class Relaunch:
    """A kernel with the arguments of one launch, on the CPU.

    `arguments` are those of a call of `kernel`: arrays, which stay referenced, numbers, and 0 for an array that the
    kernel was compiled without.

    Attributes
    ----------
    go : callable
        Runs it, to the end.
    """

    __slots__ = ("_arrays", "_context", "_places", "go")

    def __init__(self, kernel, arguments):
        self.go, context, kinds = launcher(kernel, arguments)
        self._context, self._places = context, {}
        self._arrays = [x for x in arguments if isinstance(x, np.ndarray)]
        place = 0
        for n, (kind, value) in enumerate(zip(kinds, arguments, strict=True)):
            if kind == "template":
                continue
            self._places[n] = (place,)
            if kind == "array":
                shape = value.shape[:1]  # the axes of a vector belong to the element type
                context.set_arg_external_array_with_shape((place,), value.ctypes.data, value.nbytes, shape, 0)
            elif kind == "float":
                context.set_arg_float((place,), float(value))
            else:
                context.set_arg_int((place,), int(value))
            place += 1

    def move(self, n, address, nbytes):
        """Let argument n, an array, be `nbytes` bytes at `address` from now on; the caller keeps them alive."""
        self._context.set_arg_external_array_with_shape(self._places[n], address, nbytes, (nbytes,), 0)
