"""Strings that look like keys and passwords, taken out of text before anybody else reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

REDACTED: Final = "[secret removed]"

_SHAPES: Final = (
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,10000}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
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
_NAMED: Final = re.compile(
    r"(?i)\b((?:api[-_ ]?key|secret[-_ ]?key|access[-_ ]?(?:key|token)|auth[-_ ]?token|client[-_ ]?secret"
    r"|password|passwd)[\"']?\s{0,3}[:=]\s{0,3}[\"']?|(?:authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?)?\bbearer\s{1,3})"
    r"(?=[^\s\"']{0,500}[0-9])([A-Za-z0-9+/_.~=-]{8,500})"
)
_KEYS: Final = re.compile("|".join(_SHAPES))
_HINTS: Final = [
    "-----begin",
    "k-",
    "k_",
    "akia",
    "asia",
    "agpa",
    "aida",
    "aroa",
    "aiza",
    "gh",
    "github_pat_",
    "glpat-",
    "xox",
    "hf_",
    "npm_",
    "pypi-",
    "sg.",
    "eyj",
]
_NAMES: Final = ("key", "token", "secret", "passw", "bearer")
_FEWEST: Final = 16
"""Characters of the shortest text in which a key or a named password is looked for."""


def may_hold_secrets(text: str) -> bool:
    """Whether anything in the text could be a secret; found in a fraction of the time that redacting takes."""
    if len(text) < _FEWEST:
        return False
    lowered = text.lower()
    return any(map(lowered.__contains__, _HINTS)) or any(map(lowered.__contains__, _NAMES))


def redacted(text: str) -> str:
    """The text with what looks like an API key, a token, a private key or a named password replaced.

    Made for the shapes that providers document, and for values with a digit in them after a name such as
    ``password``; a secret without a shape or a name passes.
    """
    if not may_hold_secrets(text):
        return text
    return _NAMED.sub(rf"\g<1>{REDACTED}", _KEYS.sub(REDACTED, text))


def without_secrets(value: Any) -> Any:
    """The value with every text in it, however deep, as `redacted` leaves it."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: without_secrets(item) for key, item in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list | tuple) else value
