"""Whom is a GPU compared with? PyTorch on the first CUDA device: fused attention, and a matrix product, in float32."""

import importlib.util
import time

import numpy as np

from aat.validation.peers import Call

NAME = "torch-cuda"
PRODUCT = 4096       # rows and columns of the matrix product


def reason():
    """Why there is no such peer here; "" if there is one."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    import torch

    return "" if torch.cuda.is_available() else "torch finds no CUDA device"


class CudaPeer:
    """PyTorch on the first CUDA device, with inputs that stay there and without TF32.

    Attributes
    ----------
    device, version : str
        The card and PyTorch's version.
    """

    def __init__(self):
        import torch

        self._torch = torch
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        self.device, self.version = torch.cuda.get_device_name(0), torch.__version__

    def wait(self):
        """Until everything that was launched is finished."""
        self._torch.cuda.synchronize()

    def attention(self, arguments):
        """(run, result as float64, how it is called): fused attention of a call without mask, bias and lengths.

        Heads that share keys are given as such and as copies made before; the faster of what this PyTorch fuses is
        taken. Raises RuntimeError where it fuses neither.
        """
        torch, call = self._torch, Call(arguments)
        q, k, v = (torch.from_numpy(np.ascontiguousarray(x)).cuda() for x in (call.q, call.k, call.v))
        options = {"scale": call.scale, "is_causal": bool(call.plain_causal)}
        ways = {"": (k, v, options)}
        if call.Hq != call.Hk:
            copies = (x.repeat_interleave(call.Hq // call.Hk, 1) for x in (k, v))
            ways = {"enable_gqa": (k, v, options | {"enable_gqa": True}), "copies of shared heads": (*copies, options)}
        found = {}
        for told, (keys, values, given) in ways.items():
            run = self._fused(q, keys, values, given)
            try:
                out = run()
                found[told] = self._seconds(run), run, out
            except RuntimeError as error:  # no fused kernel takes it
                refusal = error
        if not found:
            raise refusal
        told = min(found, key=lambda name: found[name][0])
        return found[told][1], found[told][2].double().cpu().numpy(), told

    def _fused(self, q, k, v, options):
        from torch.nn.attention import SDPBackend, sdpa_kernel

        torch = self._torch
        fused = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]

        def run():
            with torch.inference_mode(), sdpa_kernel(fused):
                return torch.nn.functional.scaled_dot_product_attention(q, k, v, **options)

        return run

    def _seconds(self, run):
        """Of the second of two calls."""
        for _ in range(2):
            self.wait()
            start = time.perf_counter()
            run()
            self.wait()
        return time.perf_counter() - start

    def product(self):
        """(run, floating-point operations) of a matrix product."""
        torch = self._torch
        a, b = (torch.randn(PRODUCT, PRODUCT, device="cuda") for _ in range(2))
        out = torch.empty_like(a)
        return lambda: torch.matmul(a, b, out=out), 2.0 * PRODUCT**3
