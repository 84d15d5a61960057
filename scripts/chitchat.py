"""Writes the conversations of the package chitchat-dataset as traces, and the ratings that mean something as gold.

    python scripts/chitchat.py OUT_DIR     ->  OUT_DIR/traces.jsonl, OUT_DIR/gold.jsonl

A trace holds only what could be known when the conversation ended: who wrote what and when, and the topic that was
proposed. Ratings never go into it; they become gold of the task `engagement`, given by one of the two people, whom
the dataset does not name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import chitchat_dataset
import orjson

ENGAGED_FROM = 8
BORED_TO = 3
ROLES = "ab"

Conversation = Mapping[str, Any]


def main(out: Path) -> None:
    """Nothing; both files are written, and what is in them is printed."""
    conversations: Mapping[str, Conversation] = chitchat_dataset.Dataset()
    out.mkdir(parents=True, exist_ok=True)
    traces = write(out / "traces.jsonl", (trace(*item) for item in conversations.items()))
    gold = write(out / "gold.jsonl", (row for item in conversations.items() for row in gold_of(*item)))
    print(f"{traces:,} conversations and {gold:,} ratings written to {out}")


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """The number of rows written to `path`, one JSON object a line."""
    lines = [orjson.dumps(row) + b"\n" for row in rows]
    path.write_bytes(b"".join(lines))
    return len(lines)


def trace(trace_id: str, conversation: Conversation) -> Mapping[str, Any]:
    """The conversation as a trace, its people named ``a`` and ``b`` in the order in which they first wrote."""
    said = list(messages(conversation))
    senders = list(dict.fromkeys(message["sender"] for message in said))
    role = dict(zip(senders, ROLES, strict=False))
    prompt = conversation.get("prompt")
    return {
        "trace_id": trace_id,
        "timestamp": said[0]["timestamp"],  # `start` is on another clock, hours ahead of the messages'
        "messages": [
            {"role": role[m["sender"]], "content": m["text"], "timestamp": m["timestamp"]} for m in said
        ],
        "category": prompt or "no topic",
        "metadata": {"prompt": prompt} if prompt else {},
    }


def gold_of(trace_id: str, conversation: Conversation) -> Iterator[Mapping[str, Any]]:
    """The label of a clearly high or low rating of `interesting`, given when the conversation had ended."""
    label = engagement(conversation.get("ratings") or {})
    if label:
        yield {
            "trace_id": trace_id,
            "task": "engagement",
            "label": label,
            "reviewer": "participant",
            "timestamp": max(message["timestamp"] for message in messages(conversation)),
        }


def engagement(ratings: Mapping[str, int]) -> str | None:
    """The label of a rating; 4 to 7 say little, and 5 is where the slider stood when nobody touched it."""
    interesting = ratings.get("interesting", 5)
    if interesting >= ENGAGED_FROM:
        return "engaged"
    return "bored" if interesting <= BORED_TO else None


def messages(conversation: Conversation) -> Iterator[Mapping[str, str]]:
    """The messages in order; the dataset keeps them in turns of one sender each."""
    return (message for turn in conversation["messages"] for message in turn)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
