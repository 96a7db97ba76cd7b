"""The two attentions that the model runs on.

Both take q, k, v (B, L, H, D), float32 views into one projection, and lens (B,), the tokens of each text;
both return (B, L, H, D).
"""

import numpy as np

import aat


def ours(backend="auto"):
    """Attention by `aat.attention` on `backend`: a ragged batch is `kv_lens`, no mask is built."""
    def attend(q, k, v, lens):
        return aat.attention(q, k, v, kv_lens=lens, layout="bshd", backend=backend)
    return attend


def plain(q, k, v, lens):
    """Attention as one writes it in NumPy: two batched matrix products (BLAS) around a softmax, in place."""
    q, k, v = (x.transpose(0, 2, 1, 3) for x in (q, k, v))
    score = q @ k.swapaxes(-1, -2)
    score *= np.float32(1 / np.sqrt(q.shape[-1]))
    padding = np.arange(k.shape[2]) >= lens[:, None]
    np.copyto(score, -np.inf, where=padding[:, None, None, :])
    score -= score.max(axis=-1, keepdims=True)
    np.exp(score, out=score)
    score /= score.sum(axis=-1, keepdims=True)
    return (score @ v).transpose(0, 2, 1, 3)


class Recorder:
    """An attention that keeps each call's arguments and result, in the order of the layers."""

    def __init__(self, attend):
        self.attend = attend
        self.calls = []

    def __call__(self, q, k, v, lens):
        """As the attention that is recorded."""
        out = self.attend(q, k, v, lens)
        self.calls.append((q, k, v, lens, out))
        return out
