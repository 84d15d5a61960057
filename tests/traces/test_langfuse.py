"""Langfuse exports, hand-made with their exact field names, as traces and events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

import orjson
import pytest

from promptlabel.records import Event, Message, Trace
from promptlabel.traces.plain import Record

Reader: TypeAlias = Callable[..., list[Record]]

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
CHAT = (Message("user", "Weather in Paris?"), Message("assistant", "Rainy, 57°F"))


class TestLangfuse:
    ROW: ClassVar[dict[str, Any]] = {
        "id": "lf-1", "timestamp": "2026-01-31T12:00:00.000Z", "name": "support", "userId": "u", "sessionId": "s",
        "tags": ["beta"], "environment": "production", "bookmarked": False, "metadata": {"plan": "free"},
        "input": {"messages": [{"role": "user", "content": "Weather in Paris?"}]},
        "output": {"role": "assistant", "content": "Rainy, 57°F"},
    }  # fmt: skip

    def test_a_chat(self, read_rows: Reader) -> None:
        [trace] = read_rows(self.ROW)
        metadata = {
            "name": "support",
            "tags": ["beta"],
            "environment": "production",
            "bookmarked": False,
            "plan": "free",
        }
        assert trace == Trace("lf-1", NOON, None, None, CHAT, "support", "s", "u", metadata)

    @pytest.mark.parametrize(
        "sent", [[{"role": "user", "content": "Weather in Paris?"}], "Weather in Paris?"]
    )
    @pytest.mark.parametrize("as_text", [True, False])
    def test_inputs_of_other_shapes(self, read_rows: Reader, sent: object, as_text: bool) -> None:
        cell = orjson.dumps(sent).decode() if as_text and not isinstance(sent, str) else sent
        [trace] = read_rows({**self.ROW, "input": cell, "output": "Rainy, 57°F"})
        assert trace.transcript.endswith("user: Weather in Paris?\nassistant: Rainy, 57°F")

    def test_any_other_json_stays_as_text(self, read_rows: Reader) -> None:
        [trace] = read_rows({**self.ROW, "input": {"query": "x"}, "output": None})
        assert (trace.input, trace.output) == ('{"query":"x"}', None)

    def test_scores_are_events(self, read_rows: Reader) -> None:
        scores = [
            {"id": "s1", "name": "thumbs", "value": 1, "timestamp": "2026-01-31T12:00:00Z", "source": "API"},
            {
                "id": "s2",
                "name": "tone",
                "value": 0,
                "stringValue": "rude",
                "source": "ANNOTATION",
                "comment": "!",
            },
        ]
        _, *events = read_rows({**self.ROW, "scores": scores})
        assert events == [
            Event("lf-1", NOON, "thumbs", 1, {"source": "API", "id": "s1"}),
            Event("lf-1", NOON, "tone", "rude", {"source": "ANNOTATION", "comment": "!", "id": "s2"}),
        ]
