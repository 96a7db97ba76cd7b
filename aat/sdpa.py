"""`scaled_dot_product_attention` with the meaning of torch's, for every array that `attention` takes."""

import numpy as np

from aat import functional
from aat.arrays import STORAGE, Taken, give, take, take_float
from aat.attention import arguments
from aat.errors import type_error, value_error


def scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
                                 enable_gqa=False, *, backend="auto"):
    """torch.nn.functional.scaled_dot_product_attention, on NumPy arrays, CPU tensors or DeviceArrays.

    Parameters
    ----------
    q, k, v : arrays (..., H, L, E), (..., H, S, E), (..., H, S, Ev)
        Two axes or more; leading axes, heads among them, broadcast as in torch, without copies.
    attn_mask : array of two axes or more that broadcasts to (..., H, L, S), optional
        bool, True = takes part; or float (float32 or q's dtype), added to the scaled scores.
    dropout_p : 0.0
        Other values are refused: this is the function of an inference.
    is_causal : bool
        Query i sees keys j <= i (upper left), whatever L and S are. Excludes attn_mask.
    scale : float, default 1 / sqrt(E)
    enable_gqa : bool
        Allows fewer heads in k and v than in q; their number divides q's.
    backend : str
        As in `aat.attention`.

    Returns
    -------
    array (..., H, L, Ev) of q's type and dtype. A row that may attend to nothing is 0.

    Raises
    ------
    ValueError, TypeError, BackendError
        As `aat.attention`, where torch raises RuntimeError.
    """
    _check_flags(attn_mask, dropout_p, is_causal, enable_gqa)
    inputs = {name: take_float(name, x) for name, x in (("q", q), ("k", k), ("v", v))}
    shared = {"causal": "upper_left" if is_causal else None, "scale": scale, "backend": backend}
    if any(x.kind == "device" for x in inputs.values()):
        return _on_device(inputs, (q, k, v), attn_mask, enable_gqa, shared)
    for name, x in inputs.items():
        if x.view.ndim < 2:
            raise value_error(name, "two axes or more", f"shape {x.view.shape}")
    views, batch = _broadcast(inputs, enable_gqa)
    rows, keys = views[0].shape[-2], views[1].shape[-2]
    mask = _mask(attn_mask, (*batch, views[0].shape[-3], rows, keys), inputs)
    dtype = inputs["q"].dtype
    if len(batch) <= 1:
        out = _run(inputs, views, mask, None, shared)
    else:  # attention takes one batch axis: the others are walked
        out = np.empty((*views[0].shape[:-1], views[2].shape[-1]), STORAGE[dtype])
        for lead in np.ndindex(*batch[:-1]):
            part = None if mask is None else mask._replace(view=_at(mask.view, lead))
            _run(inputs, [view[lead] for view in views], part, out[lead], shared)
    flat = max(x.view.ndim for x in inputs.values()) == 2
    return give(out[0] if flat else out, dtype, q)


def _check_flags(attn_mask, dropout_p, is_causal, enable_gqa):
    if not isinstance(dropout_p, (int, float)) or dropout_p != 0:
        raise value_error("dropout_p", "0.0", repr(dropout_p), "there is no dropout here: this is inference")
    for name, flag in (("is_causal", is_causal), ("enable_gqa", enable_gqa)):
        if not isinstance(flag, (bool, np.bool_)):
            raise type_error(name, "True or False", f"a {type(flag).__name__}")
    if attn_mask is not None and is_causal:
        raise value_error("attn_mask", "None with is_causal=True", "both",
                          "put the causal part into attn_mask")


def _broadcast(inputs, enable_gqa):
    """([q, k, v] views of three axes or more with equal leading axes, those axes before the heads)."""
    views = [x.view if x.view.ndim > 2 else x.view[None] for x in inputs.values()]
    shapes = " and ".join(str(x.view.shape) for x in inputs.values())
    heads = [view.shape[-3] for view in views]
    if enable_gqa:
        if any(x.view.ndim < 3 for x in inputs.values()):
            raise value_error("enable_gqa", "q, k and v with an axis of heads", f"shapes {shapes}")
        if any(heads) and any(h == 0 or heads[0] % h for h in heads[1:]):
            raise value_error("k, v", f"numbers of heads that divide q's {heads[0]}",
                              f"{heads[1]} and {heads[2]}")
        if heads[1] != heads[2]:  # torch repeats each on its own
            views[1:] = [np.repeat(view, heads[0] // view.shape[-3], axis=-3) for view in views[1:]]
    elif len(set(heads) - {1}) > 1:
        raise value_error("enable_gqa", "True for k and v with fewer heads than q",
                          f"False for q, k and v with {heads[0]}, {heads[1]} and {heads[2]} heads",
                          "pass enable_gqa=True, or repeat the heads of k and v")
    else:
        wide = [h for h in heads if h != 1]
        many = wide[0] if wide else 1
        if heads[1:] != [1, 1]:  # one key head for all is grouping already
            views[1:] = [_expand(view, view.shape[:-3], many) for view in views[1:]]
        views[0] = _expand(views[0], views[0].shape[:-3], many)
    try:
        batch = np.broadcast_shapes(*(view.shape[:-3] for view in views))
    except ValueError:
        raise value_error("q, k, v", "leading axes that broadcast", f"shapes {shapes}") from None
    return [_expand(view, batch, view.shape[-3]) for view in views], batch


def _expand(view, batch, heads):
    return np.broadcast_to(view, (*batch, heads, *view.shape[-2:]))


def _mask(attn_mask, full, inputs):
    """attn_mask as Taken with as many axes as `full`, size-1 axes kept; None for None."""
    if attn_mask is None:
        return None
    taken = take("attn_mask", attn_mask)
    dtype = inputs["q"].dtype
    if taken.dtype not in ("bool", "f32", dtype):
        raise type_error("attn_mask", f"dtype bool, float32 or q's {dtype}", taken.dtype,
                         "bool: True takes part; float: added to the scores")
    view = taken.view
    most = max(x.view.ndim for x in inputs.values())
    shape = (1,) * (len(full) - view.ndim) + view.shape
    if not 2 <= view.ndim <= most or any(size not in (1, n) for size, n in zip(shape, full, strict=True)):
        raise value_error("attn_mask", f"two axes or more that broadcast to {full[len(full) - most:]}",
                          f"shape {view.shape}")
    return taken._replace(view=view[(None,) * (len(full) - view.ndim)])


def _at(mask, lead):
    return mask[tuple(0 if size == 1 else i for size, i in zip(mask.shape, lead, strict=False))]


def _run(inputs, views, mask, out, shared):
    """The canonical result of one call on three or four axes, without the axis that a third one lacks."""
    q, k, v = (Taken(view, x.dtype, "host") for view, x in zip(views, inputs.values(), strict=True))
    masks = {} if mask is None else {"mask" if mask.dtype == "bool" else "bias": mask._replace(kind="host")}
    target = None if out is None else Taken(out, q.dtype, "host")
    call = arguments.check(q, k, v, **masks, **shared, out=target)
    result, _ = functional.execute(call)
    return call.present(result.out, swap=False)


def _on_device(inputs, arrays, attn_mask, enable_gqa, shared):
    shapes = {name: x.view.shape for name, x in inputs.items()}
    heads = {shape[-3] for shape in shapes.values() if len(shape) in (3, 4)}
    if len(heads) > 1 and not enable_gqa:
        raise value_error("enable_gqa", "True where k and v have fewer heads than q", "False",
                          "pass enable_gqa=True")
    masks = {}
    if attn_mask is not None:
        masks["mask" if take("attn_mask", attn_mask).dtype == "bool" else "bias"] = attn_mask
    q, k, v = arrays
    return functional.attention(q, k, v, **masks, **shared)
