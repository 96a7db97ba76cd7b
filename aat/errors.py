"""Which mistakes are reported, and with what message?

Every message has the same four parts: the argument, what was expected, what came, what to do.
"""


class BackendError(RuntimeError):
    """A backend cannot run here, or an array belongs to a program that is gone.

    Attributes
    ----------
    backend : str
        The backend that was asked for ("cpu", "vulkan", "cuda", "reference", or the name that was given).
    reasons : list of str
        One sentence for each obstacle, each with what to do about it.
    """

    def __init__(self, backend, reasons):
        self.backend = backend
        self.reasons = [reasons] if isinstance(reasons, str) else list(reasons)
        super().__init__(self._message())

    def _message(self):
        if len(self.reasons) == 1:
            return f"backend {self.backend!r}: {self.reasons[0]}"
        listed = "".join(f"\n  - {reason}" for reason in self.reasons)
        return f"backend {self.backend!r} cannot run:{listed or ' no reason was recorded'}"

    def __reduce__(self):
        # the default would pickle the finished message in place of the two arguments
        return type(self), (self.backend, self.reasons)


def describe(argument, expected, got, remedy=""):
    """The one sentence shape of this library: "<argument>: expected <expected>, got <got>; <remedy>"."""
    return f"{argument}: expected {expected}, got {got}" + (f"; {remedy}" if remedy else "")


def value_error(argument, expected, got, remedy=""):
    """A ValueError (shapes and values) in the four parts; the caller raises it."""
    return ValueError(describe(argument, expected, got, remedy))


def type_error(argument, expected, got, remedy=""):
    """A TypeError (types and dtypes) in the four parts; the caller raises it."""
    return TypeError(describe(argument, expected, got, remedy))
