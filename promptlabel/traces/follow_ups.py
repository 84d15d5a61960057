"""What the asker's own turns say of the answers between them: asked again in other words, came back hours later."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

from promptlabel.records import Message

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
    words = [words_of(turn.content) for turn in turns]
    likeness = [
        similarity(before, after) if min(len(before), len(after)) >= FEWEST_WORDS else 0.0
        for before, after in pairwise(words)
    ]
    signals = {
        "follow_up_similarity": max(likeness, default=0.0),
        "rephrased_turns": float(sum(share >= REPHRASED_FROM for share in likeness)),
    }
    if all(message.timestamp for message in conversation):
        signals["returned_after_hours"] = _returned_after(conversation, turns).total_seconds() / 3600
    return signals


def asked(conversation: Sequence[Message]) -> list[Message]:
    """The turns of the asker: of ``user``, else of the role that opened the conversation."""
    roles = [message.role for message in conversation if message.role != "system"]
    asker = "user" if "user" in roles else next(iter(roles), "user")
    return [message for message in conversation if message.role == asker]


def words_of(text: str) -> frozenset[str]:
    """The different words of a text, in lower case."""
    return frozenset(_WORD.findall(text.lower()))


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
    topic = _topic(turn)
    return any(similarity(topic, _topic(before)) >= SAME_TOPIC_FROM for before in earlier)


def _topic(turn: Message) -> frozenset[str]:
    return frozenset(word for word in words_of(turn.content) if len(word) >= _TOPIC_WORD)
