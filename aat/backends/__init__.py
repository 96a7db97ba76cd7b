"""Which backend runs a kernel, what is it able to do, and where do its arrays live?

Importing this package imports no Taichi: that happens when a program is opened.
"""

from aat.backends.base import Backend, DeviceInfo, Limits, Probe
from aat.backends.memory import DeviceArray, to_device
from aat.backends.select import active, close, names, resolve, use
from aat.backends.session import Session

__all__ = [
    "Backend",
    "DeviceArray",
    "DeviceInfo",
    "Limits",
    "Probe",
    "Session",
    "active",
    "close",
    "names",
    "resolve",
    "to_device",
    "use",
]
