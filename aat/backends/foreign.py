"""How do arrays of other libraries come to a backend? Views of host memory, and memory of a CUDA device.

A CUDA array stays on its device where the backend is "cuda": it is copied there. Any other backend has memory of its
own, Vulkan on the same card too, so the copy goes through the host, and the logger "aat" says so.
"""

import importlib.util
import logging

import numpy as np

from aat.backends.dtypes import LOGICAL, logical_name
from aat.errors import type_error

_log = logging.getLogger("aat")
_DLPACK_CUDA = (2, 13)  # kDLCUDA, kDLCUDAManaged
_TORCH = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64", "bool": "bool", "int32": "i32"}


def host_array(x):
    """(array, logical type) of anything on the host that `to_device` takes; zero-copy. TypeError for anything else."""
    if _is_torch(x):
        x = x.detach()
        if str(x.dtype) == "torch.bfloat16":
            import torch

            return x.view(torch.uint16).numpy(), "bf16"
        return host_array(x.numpy())
    if not isinstance(x, (np.ndarray, np.generic)) and hasattr(x, "__dlpack__"):
        x = np.from_dlpack(x)
    if not isinstance(x, (np.ndarray, np.generic)):
        raise type_error(
            "x",
            "a NumPy array, a PyTorch tensor or an object with __dlpack__",
            type(x).__name__,
            "convert it with numpy.asarray",
        )
    name = logical_name(x.dtype)
    if name not in LOGICAL or not x.dtype.isnative:
        raise _refused(f"dtype {x.dtype}", "convert it with x.astype")
    return np.asarray(x), name


def on_cuda(x):
    """Whether `x` is memory of a CUDA device: a PyTorch tensor, or what says so by DLPack or the CUDA array
    interface."""
    if isinstance(x, (np.ndarray, np.generic)):
        return False
    if _is_torch(x):
        return x.device.type == "cuda"
    if hasattr(type(x), "__dlpack_device__"):
        return int(x.__dlpack_device__()[0]) in _DLPACK_CUDA
    return hasattr(type(x), "__cuda_array_interface__")


def put_cuda(x, session):
    """A DeviceArray with a copy of the CUDA array `x` (see `on_cuda`).

    Raises TypeError for a dtype that no DeviceArray has, and for an array of another library than PyTorch where
    PyTorch, which reads it, is not installed.
    """
    tensor = _tensor(x)
    name = _TORCH.get(str(tensor.dtype).removeprefix("torch."))
    if name is None:
        raise _refused(f"dtype {tensor.dtype}", "convert it with x.to")
    if session.backend != "cuda":
        _log.info("to_device: a CUDA array goes to %s through the host; the two share no memory", session.backend)
        return session.put(*host_array(tensor.cpu()))
    return session.put_from_device(_flat(tensor, session.storage(name)), tuple(tensor.shape), name)


def _flat(tensor, storage):
    """The tensor's numbers side by side on Taichi's device, of the stored type, when PyTorch has written them."""
    import torch

    stored = {"float32": torch.float32, "float64": torch.float64, "int32": torch.int32}[storage.name]
    flat = tensor.to("cuda:0", stored).contiguous().reshape(-1)
    torch.cuda.synchronize(tensor.device)
    torch.cuda.synchronize(flat.device)
    return flat


def _tensor(x):
    """`x` as a PyTorch tensor without a gradient, of the same memory."""
    if _is_torch(x):
        return x.detach()
    if importlib.util.find_spec("torch") is None:
        got = f"{type(x).__name__} on a CUDA device, which is read through PyTorch, and that is not installed"
        raise type_error("x", "an array in host memory or a PyTorch tensor", got,
                         "copy it to the host, as with x.get() or x.copy_to_host()")
    import torch

    return torch.from_dlpack(x) if hasattr(x, "__dlpack__") else torch.as_tensor(x, device="cuda")


def _is_torch(x):
    return type(x).__module__.split(".")[0] == "torch"


def _refused(got, remedy):
    return type_error("x", f"dtype {', '.join(LOGICAL)} in native byte order", got, remedy)
