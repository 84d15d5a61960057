"""What tokens cost: the project's own price, else LiteLLM's bundled map, read as data and never imported."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import orjson

from promptlabel.records import Usage
from promptlabel.settings import ModelSettings

_MAP = "model_prices_and_context_window_backup.json"
_DECODER: Final = json.JSONDecoder()
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """US dollars for one token: of input, of output, of input the provider had cached."""

    input: float
    output: float
    cached: float

    def usd(self, usage: Usage) -> float:
        """US dollars for the usage; cached tokens are part of the input tokens."""
        fresh = max(0, usage.input_tokens - usage.cached_tokens)
        return fresh * self.input + usage.cached_tokens * self.cached + usage.output_tokens * self.output

    def times(self, factor: float) -> TokenPrice:
        """The price, every part of it times the factor."""
        return TokenPrice(self.input * factor, self.output * factor, self.cached * factor)


FREE: Final = TokenPrice(0.0, 0.0, 0.0)


def token_price(settings: ModelSettings, *, batch: bool = False) -> TokenPrice | None:
    """The model's price, None where it is unknown; of a batch file: the project's discount, else LiteLLM's price."""
    price = _own_price(settings)
    discount = settings.batch_discount if batch else None
    if price is None:
        entry = bundled_entry(settings.model or "")
        if not entry or "input_cost_per_token" not in entry:
            return None
        price = _bundled_price(entry, "_batches" if batch and discount is None else "")
    return price.times(1 - (discount or 0.0))


def _own_price(settings: ModelSettings) -> TokenPrice | None:
    if settings.price is None:
        return None
    per_input, per_output = settings.price.input / _MILLION, settings.price.output / _MILLION
    return TokenPrice(per_input, per_output, per_input)


@lru_cache(maxsize=64)
def bundled_entry(model: str) -> Mapping[str, Any] | None:
    """LiteLLM's entry for a model, named with or without its provider, or None.

    Only that entry is parsed: the whole map would take 30 MB.
    """
    path = bundled_file(_MAP)
    if path is None:
        return None
    table = path.read_text(encoding="utf-8")
    return entry_of(table, model) or _of_provider(table, *_provider_and_model(model))


def entry_of(table: str, key: str) -> Mapping[str, Any] | None:
    """The value of a key of the one JSON object that the text is, where that value is an object."""
    before_a_key = table[1 : table.index('"')]
    if "\n" not in before_a_key:  # nothing tells outer keys from inner ones
        value = orjson.loads(table).get(key)
    else:
        found = re.search(rf"{before_a_key}{re.escape(json.dumps(key, ensure_ascii=False))}\s*:\s*", table)
        value = _DECODER.raw_decode(table, found.end())[0] if found else None
    return value if isinstance(value, dict) else None


def _provider_and_model(model: str) -> tuple[str, str]:
    """The provider and the model's bare name, without the way Bedrock is to be asked (``bedrock/converse/...``)."""
    provider, _, bare = model.partition("/")
    return provider, bare.removeprefix("converse/").removeprefix("invoke/") if provider == "bedrock" else bare


def _of_provider(table: str, provider: str, bare: str) -> Mapping[str, Any] | None:
    """The entry of a bare name, if it is the provider's: the map says ``bedrock_converse`` and the like too."""
    entry = entry_of(table, bare) or {}
    known = str(entry.get("litellm_provider"))
    return entry if known == provider or known.startswith((f"{provider}-", f"{provider}_")) else None


def bundled_file(name: str) -> Path | None:
    """A file that lies inside the LiteLLM package, found without running it; None where there is none."""
    package = find_spec("litellm")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / name
    return path if path.exists() else None


def _bundled_price(entry: Mapping[str, Any], suffix: str) -> TokenPrice:
    def cost(key: str, otherwise: float) -> float:
        value = entry.get(key + suffix, entry.get(key))
        return otherwise if value is None else float(value)

    per_input = cost("input_cost_per_token", 0.0)
    return TokenPrice(
        per_input,
        cost("output_cost_per_token", 0.0),
        cost("cache_read_input_token_cost", per_input),
    )
