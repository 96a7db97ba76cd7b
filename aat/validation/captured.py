"""What does attention of a real model get? q, k and v of all-MiniLM-L6-v2 on one text, in `minilm.npz`.

Written by `aat demo --capture aat/validation/minilm.npz --heads 0,6` (2026-11): six layers, heads 0 and 6 of twelve,
256 tokens (the model's window) of the docstring of Python's module aifc, float16. No position is masked: the model
attends both ways. NOT synthetic, and one text of one small model of sentences, not of language generation.
"""
import json
from functools import cache, partial
from importlib.resources import files

import numpy as np

LAYERS = tuple(f"minilm-{layer}" for layer in range(1, 7))
SIZES = dict(Lq=256, Lk=256, Hq=2, D=32)


@cache
def _file():
    with files("aat.validation").joinpath("minilm.npz").open("rb") as file:
        return dict(np.load(file))


def about():
    """Where the tensors come from: {"model", "text", "layers", "heads", "tokens"}."""
    return json.loads(str(_file()["about"]))


def fill(name, q, k, v):
    """Write the tensors of a layer, by its name in LAYERS, over q, k and v (B, 2, 256, 32), for every B."""
    place = about()["layers"].index(int(name.rpartition("-")[2]))
    for into, x in ((q, "q"), (k, "k"), (v, "v")):
        into[...] = _file()[x][place]


def make_call(name, dtype=np.float32):
    """The keyword arguments of `aat.attention` for a layer."""
    call = {x: np.zeros((1, SIZES["Hq"], SIZES["Lq"], SIZES["D"]), dtype) for x in "qkv"}
    fill(name, *call.values())
    return call


def _recipe(name, rng, q, k, v, call):
    fill(name, q, k, v)


FILLS = {name: partial(_recipe, name) for name in LAYERS}
