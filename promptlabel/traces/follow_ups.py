"""What the asker's own turns say of the answers between them: asked again in other words, came back hours later."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

from promptlabel.records import Message, Trace

REPHRASED_FROM: Final = 0.5
"""The share of common words from which a turn says again what the one before it said."""

FEWEST_WORDS: Final = 3
"""Shorter turns, such as yes or thanks, say nothing again."""

RETURNED_AFTER: Final = timedelta(hours=1)
SAME_TOPIC_FROM: Final = 0.2
_TOPIC_WORD: Final = 4
_NONE: Final = timedelta(0)

_WORD: Final = re.compile(r"\w+")


def follow_up_signals(conversation: Sequence[Message]) -> dict[str, float]:
    """The signals of the asker's turns, those that need timestamps where all messages have them."""
    turns = asked(conversation)
    likeness = [likeness_of(before.content, after.content) for before, after in pairwise(turns)]
    signals = {
        "follow_up_similarity": max(likeness, default=0.0),
        "rephrased_turns": float(sum(share >= REPHRASED_FROM for share in likeness)),
    }
    if all(message.timestamp for message in conversation):
        signals["returned_after_hours"] = _returned_after(conversation, turns).total_seconds() / 3600
    return signals


def spoken(trace: Trace) -> Sequence[Message]:
    """The trace's messages; where it has none, its input as the user's and its output as the assistant's."""
    if trace.messages:
        return trace.messages
    sides = (("user", trace.input), ("assistant", trace.output))
    return [Message(role, content) for role, content in sides if content is not None]


def asked(conversation: Sequence[Message]) -> list[Message]:
    """The turns of the asker: of ``user``, else of the role that opened the conversation."""
    roles = [message.role for message in conversation if message.role != "system"]
    asker = "user" if "user" in roles else next(iter(roles), "user")
    return [message for message in conversation if message.role == asker]


def words_of(text: str) -> frozenset[str]:
    """The different words of a text, in lower case, letter by letter."""
    return frozenset(_WORD.findall(text.replace("İ", "i").lower().replace("ς", "σ")))


def likeness_of(before: str, after: str) -> float:
    """The share of common words of two questions; 0 where one is too short to say anything again."""
    one, other = words_of(before), words_of(after)
    return similarity(one, other) if min(len(one), len(other)) >= FEWEST_WORDS else 0.0


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of common words among all of two texts (Jaccard 1912): 1 the same words, 0 none in common."""
    return len(one & other) / len(one | other) if one or other else 0.0


def _returned_after(conversation: Sequence[Message], turns: Sequence[Message]) -> timedelta:
    """The longest silence, of an hour or more, after which the asker spoke of an earlier topic again; 0 if none."""
    silences = {id(turn): _silence(before, turn) for before, turn in pairwise(conversation)}
    back = [
        silence
        for place, turn in enumerate(turns)
        if (silence := silences.get(id(turn), _NONE)) >= RETURNED_AFTER and _is_known(turn, turns[:place])
    ]
    return max(back, default=_NONE)


def _silence(before: Message, turn: Message) -> timedelta:
    if before.timestamp is None or turn.timestamp is None:
        return _NONE
    return turn.timestamp - before.timestamp


def _is_known(turn: Message, earlier: Sequence[Message]) -> bool:
    return any(same_topic(turn.content, before.content) for before in earlier)


def same_topic(one: str, other: str) -> bool:
    """Whether two texts share a fifth or more of their words of four letters or more."""
    return similarity(_topic(one), _topic(other)) >= SAME_TOPIC_FROM


def _topic(text: str) -> frozenset[str]:
    return frozenset(word for word in words_of(text) if len(word) >= _TOPIC_WORD)
