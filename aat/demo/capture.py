"""What do q, k and v of a real model look like? `aat demo --capture FILE` writes those of one text, layer by layer."""
import json

import numpy as np

from aat.demo.attention import Recorder, plain
from aat.demo.model import MAX_TOKENS, MiniLM
from aat.demo.texts import standard_library
from aat.errors import value_error


def capture(path, layers=None, heads=None):
    """Write q, k and v of the model on the first text that fills its window; returns what was written, as a dict.

    The text is the first module's, by name, whose name and docstring have MAX_TOKENS tokens or more. The file is
    NumPy's npz: q, k, v float16 (layers, heads, MAX_TOKENS, 32), and `about`, JSON text: model, text, layers, heads.

    layers, heads: numbers from 1 and from 0; None: all. Raises ValueError for others, MissingExtraError.
    """
    model = MiniLM.load(MAX_TOKENS)
    layers = _chosen("layers", layers, range(1, model.depth + 1))
    heads = _chosen("heads", heads, range(model.heads))
    name, text = next((name, f"{name}: {doc}") for name, doc in standard_library().items()
                      if len(model.tokenizer.encode(f"{name}: {doc}").ids) >= MAX_TOKENS)
    recorder = Recorder(plain)
    model.embed([text], recorder)
    about = {"model": "sentence-transformers/all-MiniLM-L6-v2", "text": f"docstring of the Python module {name}",
             "layers": layers, "heads": heads, "tokens": MAX_TOKENS}
    q, k, v = (np.stack([recorder.calls[layer - 1][place][0].swapaxes(0, 1)[heads] for layer in layers])
               .astype(np.float16) for place in range(3))
    with open(path, "wb") as file:          # savez would add .npz to a name without it
        np.savez_compressed(file, about=np.array(json.dumps(about)), q=q, k=k, v=v)
    return about


def _chosen(name, given, known):
    given = list(known) if given is None else list(given)
    if not given or not set(given) <= set(known):
        raise value_error(name, f"numbers from {known[0]} to {known[-1]}", repr(given), "leave it out for all of them")
    return given
