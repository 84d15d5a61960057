import json
import subprocess
import sys

import pytest

from promptlabel.llm.pricing import FREE, TokenPrice, bundled_entry, bundled_file, entry_of, token_price
from promptlabel.records import Usage
from promptlabel.settings import ModelSettings, Price


def price(model, **settings):
    return token_price(ModelSettings(model=model, **settings))


def test_the_projects_own_price_comes_first():
    found = price("openai/gpt-5-mini", price=Price(input=1.0, output=4.0))
    assert found.usd(Usage(1_000_000, 500_000)) == pytest.approx(3.0)


def test_a_known_model_is_priced_from_the_bundled_map():
    assert price("openai/gpt-5-mini") == TokenPrice(2.5e-07, 2e-06, 2.5e-08)
    assert price("gpt-5-mini") == price("openai/gpt-5-mini")


def test_cached_tokens_are_cheaper():
    found = price("openai/gpt-5-mini")
    assert found.usd(Usage(1000, 0, 1000)) == pytest.approx(found.usd(Usage(1000)) / 10)


def test_batch_files_have_their_discount():
    settings = ModelSettings(model="openai/gpt-5-mini")
    usage = Usage(1000, 100)
    assert token_price(settings, batch=True).usd(usage) == pytest.approx(token_price(settings).usd(usage) / 2)


@pytest.mark.parametrize("model", ["openai/no-such-model", "mistral/gpt-5-mini", "no-such-model", "a/b/c"])
def test_an_unknown_model_has_no_price(model):
    assert price(model) is None


def test_free_is_free():
    assert FREE.usd(Usage(10**9, 10**9, 10**9)) == 0.0


@pytest.mark.filterwarnings("ignore")  # LiteLLM's own
def test_prices_agree_with_litellm_and_are_had_without_it():
    code = (
        "import json, sys; from promptlabel.llm.pricing import token_price;"
        "from promptlabel.settings import ModelSettings; from promptlabel.records import Usage;"
        "names = json.loads(sys.argv[1]);"
        "print(json.dumps([token_price(ModelSettings(model=n)).usd(Usage(1000, 100)) for n in names]));"
        "assert not {'litellm', 'tiktoken', 'openai'} & set(sys.modules)"
    )
    names = [
        "openai/gpt-4o-mini",
        "gpt-5-mini",
        "mistral/mistral-small-latest",
        "anthropic/claude-haiku-4-5",
        "gemini/gemini-2.5-flash",
        "vertex_ai/gemini-2.5-flash",
        "vertex_ai/claude-haiku-4-5",
        "bedrock/anthropic.claude-haiku-4-5-20251001-v1:0",
        "bedrock/converse/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "azure/gpt-4o-mini",
    ]
    run = subprocess.run([sys.executable, "-c", code, json.dumps(names)], capture_output=True, check=True)
    ours = json.loads(run.stdout)
    theirs = [_litellm_usd(name) for name in names]
    assert ours == pytest.approx(theirs)


def _litellm_usd(name):
    from promptlabel.llm.translated import load_litellm

    parts = load_litellm().cost_per_token(model=name, prompt_tokens=1000, completion_tokens=100)
    return sum(parts)


def test_every_entry_of_the_map_can_be_asked_for():
    assert bundled_entry("sample_spec") is not None
    assert bundled_entry("") is None


@pytest.mark.parametrize("indent", [None, 2, 4])
def test_one_entry_is_found_as_if_all_had_been_parsed(indent):
    table = {"a": {"b": {"x": 1}, "price": 2.5}, "b": {"c": '\n  "a": {'}, 'q"uote': {"é": None}, "text": "a"}
    text = json.dumps(table, indent=indent, ensure_ascii=False)
    for key in (*table, "x", "c", "none"):
        value = table.get(key)
        assert entry_of(text, key) == (value if isinstance(value, dict) else None)


def test_entries_of_the_bundled_map_are_found_as_if_all_had_been_parsed():
    text = bundled_file("model_prices_and_context_window_backup.json").read_text(encoding="utf-8")
    table = json.loads(text)
    for key in list(table)[::50]:
        assert entry_of(text, key) == table[key]


def test_a_batch_costs_the_projects_discount_less_or_what_litellms_table_says():
    own = ModelSettings(model="x/y", price=Price(input=2.0, output=4.0), batch_discount=0.25)
    assert token_price(own, batch=True).usd(Usage(1_000_000, 1_000_000)) == pytest.approx(4.5)
    assert token_price(own).usd(Usage(1_000_000, 1_000_000)) == pytest.approx(6.0)
    known = token_price(ModelSettings(model="openai/gpt-4o-mini"))
    listed = token_price(ModelSettings(model="openai/gpt-4o-mini"), batch=True)
    assert (listed.input, listed.output) == pytest.approx((known.input / 2, known.output / 2))
    told = token_price(ModelSettings(model="openai/gpt-4o-mini", batch_discount=0.1), batch=True)
    assert told.input == pytest.approx(0.9 * known.input)
