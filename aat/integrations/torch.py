"""How do PyTorch's CPU tensors become NumPy views, and how do results become tensors?

Imported only once a caller has passed a tensor.
"""

import numpy as np
import torch

from aat.errors import type_error, value_error

_NAMES = {torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32", torch.float64: "f64"}


def take(argument, x):
    """Return (view, dtype): the tensor's own memory as a NumPy array, bfloat16 as its bits in uint16.

    Raises ValueError for a tensor of another device or one that wants a gradient, TypeError for a layout or a
    dtype without a NumPy counterpart.
    """
    if x.requires_grad and torch.is_grad_enabled():
        raise value_error(argument, "a tensor that needs no gradient", "one with requires_grad=True",
                          "there is no backward pass yet: detach() it or use torch.no_grad()")
    if x.device.type != "cpu":
        raise value_error(argument, "a tensor in CPU memory", f"one on {x.device}", "move it with .cpu()")
    if x.layout is not torch.strided:
        raise type_error(argument, "a dense tensor", f"layout {x.layout}", "convert it with .to_dense()")
    # a lazy negation has no memory of its own values; for every other tensor this is the tensor itself
    plain = x.detach().resolve_neg()
    if x.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(np.uint16), "bf16"
    try:
        view = plain.numpy()
    except (TypeError, RuntimeError) as error:
        raise type_error(argument, "a tensor that NumPy can read", f"dtype {x.dtype} ({error})",
                         "convert it, for example with .float()") from error
    return view, _NAMES.get(x.dtype, view.dtype.name)


def give(view, dtype):
    """Return the NumPy array `view` as a tensor that shares its memory; `dtype` "bf16" reads uint16 as
    bfloat16.
    """
    if dtype == "bf16":
        return torch.from_numpy(view.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(view)
