"""How does a kernel run again without Taichi's handling of its arguments?

`kernel(...)` looks at each argument anew, which takes 250 us for thirteen of them; launching with a context that was
filled before takes 1 us on the CPU and 5 us on a GPU (Taichi 1.7.4, 2026-11). What differs between launches is then in
memory that the context points to, or an array is put into the context anew.
"""

import weakref

import numpy as np

from aat.backends.program import launcher


class Relaunch:
    """A kernel with the arguments of one launch.

    `arguments` are those of a call of `kernel`: arrays, numbers, and 0 for an array that the kernel was compiled
    without. Arrays of the CPU, which are NumPy's, stay referenced; those of a GPU, ti.ndarray, do not: whoever goes
    again holds them, or has put others.

    Attributes
    ----------
    go : callable
        Runs it, to the end.
    """

    __slots__ = ("_arrays", "_context", "_names", "_places", "go")

    def __init__(self, kernel, arguments):
        on_host = not any(hasattr(x, "arr") for x in arguments)
        self.go, context, kinds = launcher(kernel, arguments, free=on_host)
        self._context, self._places, self._names = context, {}, {}
        self._arrays = {}
        place = 0
        for n, ((name, kind), value) in enumerate(zip(kinds, arguments, strict=True)):
            if kind == "template":
                continue
            self._places[n] = self._names[name] = (place,)
            if kind == "array":
                self._place(self._places[n], value)
            elif kind == "float":
                context.set_arg_float((place,), float(value))
            else:
                context.set_arg_int((place,), int(value))
            place += 1

    def _place(self, place, array):
        if isinstance(array, np.ndarray):
            self._arrays[place] = array
            shape = array.shape[:1]  # the axes of a vector belong to the element type
            self._context.set_arg_external_array_with_shape(place, array.ctypes.data, array.nbytes, shape, 0)
        else:
            self._arrays[place] = weakref.ref(array)
            self._context.set_arg_ndarray(place, array.arr)

    def move(self, n, address, nbytes):
        """Let argument n, an array, be `nbytes` bytes at `address` from now on; the caller keeps them alive."""
        self._context.set_arg_external_array_with_shape(self._places[n], address, nbytes, (nbytes,), 0)

    def put(self, name, array):
        """Let the argument of this name be the ti.ndarray `array` from now on."""
        place = self._names[name]
        if self._arrays[place]() is not array:
            self._place(place, array)
