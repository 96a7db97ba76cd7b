"""Whom do we compare with, and what can they express? Every peer answers with a reason where it cannot.

A peer gets the same inputs in the layout that suits it best: masks are built, heads packed and graphs compiled before
anything is timed, and where it has a faster way to say the same (is_causal), it is said that way.
"""

import importlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aat.validation.reading import canonical

REMEDY = "pip install 'adaptive-attention-tiling[peers]'"


@dataclass(frozen=True)
class Prepared:
    """What is timed, `run()`, and `collect(result)`: its output as (B, Hq, Lq, Dv), which is not."""

    run: Callable
    collect: Callable


@dataclass(frozen=True)
class Peer:
    """`unable(call)` gives the reason why a call cannot be expressed, or ""; `prepare(call, threads)` a Prepared."""

    name: str
    packages: tuple[str, ...]
    unable: Callable
    prepare: Callable

    def load(self):
        """Import the peer's packages, as far as they are installed.

        Before anything else computes: imported after Numba has started its OpenMP threads, torch's attention takes
        five times as long (2026-11: 320 ms in place of 64 ms on dense-2048).
        """
        for package in self.packages:
            if importlib.util.find_spec(package) is not None:
                importlib.import_module(package)

    def reason(self, arguments):
        """Why this peer has no figure for the arguments of `aat.attention`; "" if it can have one."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                return f"{package} is not installed; {REMEDY}"
        call = Call(arguments)
        return "it has no scores but scale q.k" if "score" in call.canonical else self.unable(call)


class Call:
    """The arguments of one call, read once for all peers."""

    def __init__(self, arguments):
        self.given = arguments
        self.canonical = canonical(**arguments)
        self.q, self.k, self.v = (self.canonical[name] for name in "qkv")
        self.dtype = self.q.dtype.name
        self.B, self.Hq, self.Lq, self.D = self.q.shape
        self.Hk, self.Lk, self.Dv = self.k.shape[1], self.k.shape[2], self.v.shape[3]
        self.scale, self.softcap, self.sinks = (self.canonical[name] for name in ("scale", "softcap", "sinks"))
        self.left, self.right = self.canonical["left"], self.canonical["right"]

    @property
    def empty(self):
        """Whether there is nothing to compute."""
        return 0 in (self.B, self.Lq, self.Lk)

    @property
    def plain_causal(self):
        """Whether all that hides a key is causal order from position 0."""
        others = (self.left, *(self.canonical[name] for name in ("kv_lens", "mask", "bias")))
        return self.right == 0 and not np.any(self.canonical["q_offset"]) and all(x is None for x in others)

    @property
    def lower_right(self):
        """Whether the last query stands at the last key of its batch and sees no later one."""
        if self.Lq == 1 and self.right is None and self.left is None:
            return True  # one query that sees everything
        offset = np.asarray(self.canonical["q_offset"])
        return self.right == 0 and bool(np.all(offset == self.lens - self.Lq))

    @property
    def lens(self):
        """(B,) keys that exist."""
        lens = self.canonical["kv_lens"]
        return np.full(self.B, self.Lk) if lens is None else np.asarray(lens)

    def bounds(self):
        """(B or 1, 1, Lq, Lk) bool of what causal, window and lengths leave; None where that is everything."""
        if self.left is None and self.right is None and self.canonical["kv_lens"] is None:
            return None
        p = np.asarray(self.canonical["q_offset"])[:, None, None] + np.arange(self.Lq)[:, None]
        j = np.arange(self.Lk)
        seen = j < self.lens[:, None, None]
        if self.right is not None:
            seen = seen & (j <= p + self.right)
        if self.left is not None:
            seen = seen & (j >= p - self.left)
        seen = np.broadcast_to(seen, (self.B, self.Lq, self.Lk))[:, None]
        return seen[:1] if (seen == seen[:1]).all() else seen

    def mask(self):
        """Everything that hides a key, as 4-D bool with size-1 axes kept; None for nothing."""
        mask, bounds = self.canonical["mask"], self.bounds()
        return bounds if mask is None else mask if bounds is None else mask & bounds

    def additive(self, hidden=-np.inf):
        """Mask and bias as one float32 array; None for neither."""
        mask, bias = self.mask(), self.canonical["bias"]
        if mask is None and bias is None:
            return None
        bias = np.float32(0) if bias is None else bias.astype(np.float32)
        return np.ascontiguousarray(bias if mask is None else np.where(mask, bias, np.float32(hidden)))


def _refuse(*reasons):
    """The first reason whose condition holds."""
    return next((reason for condition, reason in reasons if condition), "")


# --- plain NumPy: the formula in whole matrices ---

def _numpy(arguments, threads):
    call = Call(arguments)
    wide = np.float64 if call.dtype == "float64" else np.float32
    q, k, v = (np.ascontiguousarray(x, wide) for x in (call.q, call.k, call.v))
    q = q.reshape(call.B, call.Hk, call.Hq // call.Hk, call.Lq, call.D)
    k, v, hidden = k[:, :, None].swapaxes(-1, -2), v[:, :, None], None
    mask, bias = call.mask(), call.canonical["bias"]
    scores_shape = (call.B, call.Hk, call.Hq // call.Hk, call.Lq, call.Lk)

    def grouped(x):
        """(b, h, q, k) beside (B, Hk, group, Lq, Lk)."""
        return x[:, None] if x.shape[1] == 1 else x.reshape(x.shape[0], *scores_shape[1:3], *x.shape[2:])

    hidden = None if mask is None else grouped(~mask)
    bias = None if bias is None else grouped(bias.astype(wide))
    sinks = None if call.sinks is None else call.sinks.astype(wide).reshape(call.Hk, -1, 1, 1)

    def run():
        s = np.matmul(q, k)
        s *= wide(call.scale)
        if call.softcap is not None:
            s = np.tanh(s / wide(call.softcap)) * wide(call.softcap)
        if bias is not None:
            s += bias
        if hidden is not None:
            np.copyto(s, -np.inf, where=hidden)
        top = s.max(-1, keepdims=True)
        top = top if sinks is None else np.maximum(top, sinks)
        top[np.isneginf(top)] = 0
        s -= top
        np.exp(s, out=s)
        total = s.sum(-1, keepdims=True)
        total = total if sinks is None else total + np.exp(sinks - top)
        total[total == 0] = 1
        return np.matmul(s, v) / total

    return Prepared(run, lambda out: out.reshape(call.B, call.Hq, call.Lq, call.Dv))


# --- PyTorch: scaled_dot_product_attention ---

def _torch_unable(call):
    return _refuse((call.softcap is not None, "scaled_dot_product_attention has no softcap"),
                   (call.sinks is not None, "scaled_dot_product_attention has no sinks"))


def _torch(arguments, threads):
    import torch

    call = Call(arguments)
    torch.set_num_threads(threads)

    def tensor(x):
        x = np.ascontiguousarray(x)
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16) if x.dtype.name == "bfloat16" else (
            torch.from_numpy(x))

    q, k, v = (tensor(x) for x in (call.q, call.k, call.v))
    options = {"scale": call.scale, "enable_gqa": call.Hq != call.Hk}
    if call.plain_causal:
        options["is_causal"] = True
    elif call.canonical["bias"] is not None:
        options["attn_mask"] = torch.from_numpy(call.additive()).to(q.dtype)
    elif call.mask() is not None:
        options["attn_mask"] = torch.from_numpy(call.mask().copy())

    def run():
        with torch.inference_mode():
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, **options)

    return Prepared(run, lambda out: out.to(torch.float64).numpy())


# --- onnxruntime: MultiHeadAttention, and GroupQueryAttention where heads are shared or a window is asked for ---

def _grouped(call):
    return call.Hq != call.Hk or call.left is not None or call.softcap is not None


def _onnxruntime_unable(call):
    common = ((call.empty, "its operators take no empty axes"),
              (call.dtype != "float32", f"its CPU operators do not take {call.dtype}"),
              (call.scale == 0, "its operators read a scale of 0 as the default"),
              (call.sinks is not None, "its CPU operators take no sinks"))
    if not _grouped(call):
        return _refuse(*common, (call.softcap is not None, "MultiHeadAttention has no softcap"))
    name = "GroupQueryAttention"
    return _refuse(
        *common,
        (not call.lower_right, f"{name} is causal with the last query at the last key, always"),
        (call.canonical["mask"] is not None or call.canonical["bias"] is not None, f"{name} takes no mask or bias"),
        (call.Dv != call.D or call.D % 8, f"{name} wants one head size, a multiple of 8"),
        (call.Lq > 1 and call.Lk != call.Lq, f"{name} with a past takes one query a step"),
        (call.canonical["kv_lens"] is not None and call.Lq > 1, f"{name} pads a prompt on the right, with its queries"))


def _onnxruntime(arguments, threads):
    call = Call(arguments)
    inputs, node = (_gqa if _grouped(call) else _mha)(call)
    run, binding = _session(inputs, node, threads)
    return Prepared(run, lambda _: _packed_back(binding.copy_outputs_to_cpu()[0], call))


def _packed(x):
    """(B, H, L, D) -> (B, L, H D)."""
    B, H, L, D = x.shape
    return np.ascontiguousarray(np.swapaxes(x, 1, 2)).reshape(B, L, H * D)


def _packed_back(out, call):
    return np.swapaxes(out.reshape(call.B, call.Lq, call.Hq, call.Dv), 1, 2)


def _mha(call):
    inputs = {"query": _packed(call.q), "key": _packed(call.k), "value": _packed(call.v)}
    names = ["query", "key", "value"]
    attributes = {"num_heads": call.Hq, "scale": float(call.scale)}
    if call.plain_causal and call.Lq == call.Lk:
        attributes["unidirectional"] = 1
    elif (bias := call.additive(hidden=np.finfo(np.float32).min)) is not None:
        inputs["attention_bias"] = np.ascontiguousarray(
            np.broadcast_to(bias, (bias.shape[0], bias.shape[1], call.Lq, call.Lk)))
        names += ["", "", "attention_bias"]
    return inputs, ("MultiHeadAttention", names, ["out"], attributes)


def _gqa(call):
    new = call.Lq if call.Lk == call.Lq else 1
    past = call.Lk - new
    inputs = {"query": _packed(call.q)}
    # the newest key of each batch element; its past lies before it
    inputs |= {"key": _packed(call.k[:, :, past:]), "value": _packed(call.v[:, :, past:])}
    inputs |= {"past_key": np.ascontiguousarray(call.k[:, :, :past]),
               "past_value": np.ascontiguousarray(call.v[:, :, :past])}
    inputs |= {"seqlens_k": np.full(call.B, call.Lk - 1, np.int32), "total": np.array([call.Lk], np.int32)}
    attributes = {"num_heads": call.Hq, "kv_num_heads": call.Hk, "scale": float(call.scale),
                  "softcap": float(call.softcap or 0), "local_window_size": -1 if call.left is None else call.left + 1}
    return inputs, ("GroupQueryAttention", list(inputs), ["out", "present_key", "present_value"], attributes)


def _session(inputs, node, threads):
    import onnxruntime
    from onnx import TensorProto, helper

    operator, names, outputs, attributes = node
    kinds = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}
    graph = helper.make_graph(
        [helper.make_node(operator, names, outputs, domain="com.microsoft", **attributes)], "one",
        [helper.make_tensor_value_info(name, kinds[x.dtype.name], x.shape) for name, x in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, x in inputs.items():
        binding.bind_cpu_input(name, x)
    for name in outputs:
        binding.bind_output(name, "cpu")
    return lambda: session.run_with_iobinding(binding), binding


# --- OpenVINO: the ScaledDotProductAttention of opset 13 ---

def _openvino_unable(call):
    return _refuse(
        (call.empty, "the operator takes no empty axes"),
        (call.dtype != "float32", f"the operator is compared in float32 alone, the case is {call.dtype}"),
        (call.Hq != call.Hk, "ScaledDotProductAttention takes as many key-value heads as query heads"),
        (call.softcap is not None, "ScaledDotProductAttention has no softcap"),
        (call.sinks is not None, "ScaledDotProductAttention of opset 13 has no sinks"))


def _openvino(arguments, threads):
    import openvino
    from openvino import opset13

    call = Call(arguments)
    parts = [np.ascontiguousarray(x) for x in (call.q, call.k, call.v)]
    causal = call.plain_causal
    mask = None if causal else call.additive()
    if mask is not None or not math.isclose(call.scale, call.D**-0.5):
        parts.append(np.zeros((1, 1, 1, 1), np.float32) if mask is None else mask)
    parameters = [opset13.parameter(x.shape, np.float32) for x in parts]
    extra = {"scale": opset13.constant(np.float32(call.scale))} if not math.isclose(call.scale, call.D**-0.5) else {}
    result = opset13.scaled_dot_product_attention(*parameters, **extra, causal=causal)
    # its default on processors with bfloat16 arithmetic would be less exact than the case
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(openvino.Model([result], parameters, "one"), "CPU", settings)
    request = compiled.create_infer_request()
    for i, x in enumerate(parts):
        request.set_input_tensor(i, openvino.Tensor(x, shared_memory=True))

    def run(held=parts):  # a shared tensor does not keep its memory alive
        return request.infer()

    return Prepared(run, lambda _: np.array(request.get_output_tensor(0).data))


PEERS = {peer.name: peer for peer in (
    Peer("numpy", ("numpy",), lambda call: _refuse((call.empty, "np.max takes no empty axes")), _numpy),
    Peer("torch", ("torch",), _torch_unable, _torch),
    Peer("onnxruntime", ("onnxruntime", "onnx"), _onnxruntime_unable, _onnxruntime),
    Peer("openvino", ("openvino",), _openvino_unable, _openvino),
)}
