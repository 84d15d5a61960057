"""A missing key or price is named before the first call."""

from __future__ import annotations

import pytest

from promptlabel.errors import InputError
from promptlabel.llm.connecting import connect
from promptlabel.pipeline.voting.readiness import require_ready
from promptlabel.settings import Budget, ModelSettings, Price


def client(**settings):
    return connect("judge", ModelSettings(model="openai/made-up-model", **settings))


def test_key_and_price_are_asked_for_together(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError) as caught:
        require_ready([client()], Budget(usd=1.0))
    messages = [fault.message for fault in caught.value.faults]
    assert any("OPENAI_API_KEY" in message for message in messages)
    assert any("price" in message for message in messages)
    assert {fault.key for fault in caught.value.faults} == {"models.judge"}


def test_a_price_is_only_needed_where_money_is_limited(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    require_ready([client()], Budget(calls=10))
    require_ready([client(price=Price(input=1.0, output=2.0))], Budget(usd=1.0))


def test_a_scripted_model_needs_neither(tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text("- {answer: yes}\n")
    settings = ModelSettings(provider="scripted", model=str(script))
    require_ready([connect("default", settings)], Budget(usd=1.0))
