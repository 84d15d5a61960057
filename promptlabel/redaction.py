"""Strings that look like keys and passwords, taken out of text before anybody else reads it."""

from __future__ import annotations

import re
from typing import Final

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
    "sk-",
    "sk_",
    "rk-",
    "rk_",
    "pk-",
    "pk_",
    "akia",
    "asia",
    "agpa",
    "aida",
    "aroa",
    "aiza",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xox",
    "hf_",
    "npm_",
    "pypi-",
    "sg.",
    "eyj",
    "key",
    "token",
    "secret",
    "passw",
    "bearer",
]


def redacted(text: str) -> str:
    """The text with what looks like an API key, a token, a private key or a named password replaced.

    Made for the shapes that providers document, and for values with a digit in them after a name such as
    ``password``; a secret without a shape or a name passes.
    """
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):
        return text
    return _NAMED.sub(rf"\g<1>{REDACTED}", _KEYS.sub(REDACTED, text))
