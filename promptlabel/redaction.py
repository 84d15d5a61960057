"""Strings that look like keys and passwords, taken out of text before anybody else reads it."""

from __future__ import annotations

import re
from typing import Final

REDACTED: Final = "[secret removed]"

_PRIVATE_KEY: Final = (
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,10000}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
)
_SHAPES: Final = (
    r"\b(?:sk|rk|pk)[-_](?:[A-Za-z0-9]{1,20}[-_]){0,3}[A-Za-z0-9_-]{16,200}",
    r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}\b",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\bgh[pousr]_[A-Za-z0-9]{30,255}",
    r"\bgithub_pat_[A-Za-z0-9_]{30,255}",
    r"\bglpat-[A-Za-z0-9_-]{20,64}",
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,250}",
    r"\bhf_[A-Za-z0-9]{30,64}",
    r"\bnpm_[A-Za-z0-9]{36}\b",
    r"\bpypi-[A-Za-z0-9_-]{50,250}",
    r"\bSG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}",
    r"\beyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,1000}",
)
_NAMED: Final = (
    r"(?i)\b((?:api[-_ ]?key|secret[-_ ]?key|access[-_ ]?(?:key|token)|auth[-_ ]?token|client[-_ ]?secret"
    r"|password|passwd)[\"']?\s{0,3}[:=]\s{0,3}[\"']?|(?:authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?)?\bbearer\s{1,3})"
    r"(?=[^\s\"']{0,500}[0-9])([A-Za-z0-9+/_.~=-]{8,500})"
)
_SHAPED: Final = re.compile("|".join((_PRIVATE_KEY, *_SHAPES)))
_AFTER_A_NAME: Final = re.compile(_NAMED)
_NAMES: Final = ("api", "secret", "access", "auth", "client", "passw", "bearer")
_DIGIT: Final = re.compile("[0-9]")
_SHORTEST_SHAPED: Final = 15
_SHORTEST_NAMED: Final = 8


def redacted(text: str) -> str:
    """The text with what looks like an API key, a token, a private key or a named password replaced.

    Made for the shapes that providers document, and for values with a digit in them after a name such as
    ``password``; a secret without a shape or a name passes.
    """
    # Every prompt comes through here, and the patterns take a hundred times as long as a look at the words.
    words = text.split()
    if "-----BEGIN" in text or max(map(len, words), default=0) >= _SHORTEST_SHAPED:
        text = _SHAPED.sub(REDACTED, text)
    if _may_name_a_secret(text, words):
        text = _AFTER_A_NAME.sub(rf"\g<1>{REDACTED}", text)
    return text


def _may_name_a_secret(text: str, words: list[str]) -> bool:
    lowered = text.lower()
    if not any(name in lowered for name in _NAMES):
        return False
    return any(len(word) >= _SHORTEST_NAMED and _DIGIT.search(word) for word in words)
