"""What the demo does, in order: embed, answer, check, time. All of it ends in one dict of figures."""

import dataclasses
import platform
import time

import numpy as np

import aat
from aat.demo.attention import Recorder, ours, plain
from aat.demo.checks import check_layers
from aat.demo.measure import interleaved
from aat.demo.model import BATCH, MAX_TOKENS, MiniLM
from aat.demo.texts import standard_library

ANSWERS = 3
CHECKED = 16   # texts whose attention goes through the reference, of all lengths, in one ragged batch
TIMED = 32     # texts of all lengths that are embedded again and again to be timed
ROUNDS = 5
SECONDS = 30   # for either comparison: on a busy machine fewer rounds are better than a long wait
QUICK_TOKENS = 48
# Two float32 forward passes through six layers; the sum of their roundings is below 1e-5 on unit vectors.
EMBEDDINGS_AGREE = 1e-4


def demo(questions, backend, quick, bar):
    """Runs it all. `bar(description, total)` starts a line of progress and returns its advance(n).

    Returns a dict of plain values (see `--json`); its "ok" says whether every check passed. Raises
    MissingExtraError and BackendError.
    """
    model = MiniLM.load(QUICK_TOKENS if quick else MAX_TOKENS)
    library = standard_library()
    names = list(library)
    texts = [f"{name}: {doc}" for name, doc in library.items()]
    attend = ours(backend)

    where = _first_call(model, texts, backend)
    start = time.perf_counter()
    vectors = model.embed(texts, attend, bar("embedding the standard library", len(texts)))
    seconds = time.perf_counter() - start
    answers = answer(model, questions, names, library, vectors, attend)

    layers, checked = _check(model, _spread(texts, CHECKED), attend, bar)
    timing = _time(model, _spread(texts, 8 if quick else TIMED), attend, 1 if quick else ROUNDS, bar)
    agree = timing.pop("embeddings_differ")
    return {
        **where,
        "python": platform.python_version(),
        "texts": len(texts),
        "tokens": sum(int(lens.sum()) for _, _, lens in model.batches(texts)),
        "batches": -(-len(texts) // BATCH),
        "seconds": seconds,
        "answers": answers,
        "checked": checked,
        "layers": layers,
        "embeddings_differ": agree,
        "embeddings_allowed": EMBEDDINGS_AGREE,
        "timing": timing,
        "ok": all(layer["ok"] for layer in layers) and agree <= EMBEDDINGS_AGREE,
    }


def answer(model, questions, names, library, vectors, attend):
    """The best modules for each question: a list of {question, best: [{module, score, says}]}."""
    out = []
    for question, vector in zip(questions, model.embed(questions, attend), strict=True):
        scores = vectors @ vector  # unit vectors: the cosine
        best = np.argsort(-scores)[:ANSWERS]
        out.append({"question": question, "best": [
            {"module": names[i], "score": float(scores[i]), "says": library[names[i]].partition("\n")[0]}
            for i in best]})
    return out


def _spread(texts, count):
    """`count` texts of all lengths: every n-th in the order of their length."""
    order = sorted(texts, key=len)
    return [order[i * len(order) // count] for i in range(count)]


def _first_call(model, texts, backend):
    """One small call that compiles, or reads the compiler's cache; says where calls will run."""
    start = time.perf_counter()
    q = np.zeros((1, 8, model.heads, model.hidden // model.heads), np.float32)
    _, info = aat.attention(q, q, q, kv_lens=np.array([8], np.int32), layout="bshd", backend=backend,
                            return_info=True)
    model.embed(texts[:1], ours(backend))
    return {"backend": info.backend, "device": str(info.device), "reason": info.reason,
            "first_call_seconds": time.perf_counter() - start}


def _check(model, texts, attend, bar):
    recorder = Recorder(attend)
    model.embed(texts, recorder, size=len(texts))
    advance = bar("checking every layer", model.depth)
    layers = check_layers(recorder.calls, advance)
    lens = recorder.calls[0][3]
    return layers, {"texts": len(texts), "tokens": int(lens.sum()), "shortest": int(lens.min()),
                    "longest": int(lens.max())}


def _time(model, texts, attend, rounds, bar):
    """The whole model, then its attention alone on what the model really fed it."""
    recorder = Recorder(plain)
    reference = model.embed(texts, recorder)
    differ = float(np.abs(model.embed(texts, attend) - reference).max())
    calls = [call[:4] for call in recorder.calls]

    def all_calls(attention):
        for call in calls:
            attention(*call)

    advance = bar("timing, interleaved with plain NumPy", 2 * rounds)
    whole = interleaved(
        lambda: model.embed(texts, attend), lambda: model.embed(texts, plain), rounds, advance, SECONDS)
    alone = interleaved(lambda: all_calls(attend), lambda: all_calls(plain), rounds, advance, SECONDS)
    return {"texts": len(texts), "embeddings_differ": differ,
            "model": dataclasses.asdict(whole), "attention": dataclasses.asdict(alone)}
