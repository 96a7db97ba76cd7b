"""How a problem is cut into tiles, and who decides which of them are visited where a tolerance lets some be left out.

    aat.attention(q, k, v, tolerance=1e-2, tiling=aat.tiling.Certified(mixed=True))

Certified, Fixed, Budget, Dyadic and Flow are the strategies of aat.tiling.strategies; docs/tiling.md compares them.
"""
import importlib

_STRATEGIES = {name: f"aat.tiling.strategies.{name.lower()}"
               for name in ("Budget", "Certified", "Dyadic", "Fixed", "Flow")}

__all__ = list(_STRATEGIES)


def __getattr__(name):
    if name not in _STRATEGIES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_STRATEGIES[name]), name)


def __dir__():
    return sorted({*globals(), *__all__})
