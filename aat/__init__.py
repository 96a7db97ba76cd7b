"""Exact attention for arrays, written once for CPU SIMD and GPU compute.

    import numpy as np, aat
    q = k = v = np.random.default_rng(0).standard_normal((1, 8, 1024, 64), np.float32)
    out = aat.attention(q, k, v, causal=True)

Importing this package loads NumPy and nothing heavier; Taichi, Numba and torch wait for the call that needs
them.
"""

import importlib
import sys

# The package `aat.attention` shares its name with the function. Importing a package binds its name here,
# once: so it is imported first, and the function, bound after it, stays.
import aat.attention  # noqa: F401 - bound here, and rebound two lines below
from aat.attention.mechanisms import Fidelity, Geometric
from aat.errors import BackendError
from aat.functional import attention

__version__ = "0.1.0"

_LAZY = {
    "BlockMask": "aat.mods.mask",
    "DeviceArray": "aat.backends.memory",
    "KVCache": "aat.attention.cache",
    "KeySummary": "aat.tiling.summary",
    "PackedWeights": "aat.operations.packed",
    "TileConfig": "aat.tiling.base",
    "block_mask": "aat.mods.mask",
    "empty": "aat.backends.memory",
    "explain": "aat.explanation",
    "get_num_threads": "aat.backends.cpu",
    "linear": "aat.operations.linear",
    "merge": "aat.attention.merge",
    "rope": "aat.operations.rope",
    "scaled_dot_product_attention": "aat.sdpa",
    "set_num_threads": "aat.backends.cpu",
    "set_tuning": "aat.tiling.policy",
    "supports": "aat.explanation",
    "sync": "aat.backends.memory",
    "to_device": "aat.backends.memory",
}

_ROOMS = ("backends", "geometry", "lane", "states", "tiling")

for _mechanism in (Fidelity, Geometric):       # aat.attention.Geometric, and from aat.attention import Geometric
    for _owner in (attention, sys.modules["aat.attention"]):
        setattr(_owner, _mechanism.__name__, _mechanism)

__all__ = ["BackendError", "__version__", "attention", *_LAZY, *_ROOMS]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"aat.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
