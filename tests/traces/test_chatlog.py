"""Logged requests and responses, hand-made with their exact field names, as traces."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

import pytest

from promptlabel.errors import InputError
from promptlabel.records import Message, Trace
from promptlabel.traces.plain import Record

Reader: TypeAlias = Callable[..., list[Record]]

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
CHAT = (Message("user", "Weather in Paris?"), Message("assistant", "Rainy, 57°F"))


class TestChatLogs:
    ROW: ClassVar[dict[str, Any]] = {
        "timestamp": 1769860800, "workload_id": "router", "client_id": "dev",
        "request": {"model": "llama", "messages": [{"role": "user", "content": "Weather in Paris?"}], "temperature": 0},
        "response": {
            "id": "chatcmpl-1", "object": "chat.completion", "model": "llama-3.1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Rainy, 57°F"}, "finish_reason": "stop"}],
        },
    }  # fmt: skip

    def test_a_record_of_the_nvidia_flywheel(self, read_rows: Reader) -> None:
        assert read_rows(self.ROW) == [
            Trace(
                "chatcmpl-1",
                NOON,
                messages=CHAT,
                category="router",
                user_id="dev",
                metadata={"model": "llama-3.1"},
            )
        ]

    def test_without_an_id_its_content_is_its_name(self, read_rows: Reader) -> None:
        row = {**self.ROW, "response": {"choices": self.ROW["response"]["choices"]}}
        [first], [again] = read_rows(row), read_rows(row)
        assert first.trace_id == again.trace_id != read_rows({**row, "timestamp": 5})[0].trace_id

    def test_a_reply_in_anthropics_form(self, read_rows: Reader) -> None:
        response = {"id": "msg_1", "role": "assistant", "content": [{"type": "text", "text": "Rainy, 57°F"}]}
        [trace] = read_rows({**self.ROW, "response": response})
        assert trace.messages == CHAT

    def test_a_request_without_messages_is_a_fault(self, read_rows: Reader) -> None:
        with pytest.raises(
            InputError, match=r"export\.jsonl:1: looks like a logged chat call, but lacks 'messages'"
        ):
            read_rows({"request": {}, "response": {}})
