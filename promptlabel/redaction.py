"""Strings that look like keys and passwords, taken out of text before anybody else reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

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
_IN_SHAPES: Final = {
    "A": ("AKIA", "ASIA", "AGPA", "AIDA", "AROA", "AIza"),
    "G": ("SG.",),
    "J": ("eyJ",),
    "-": ("-----BEGIN", "sk-", "rk-", "pk-", "glpat-", "xox", "pypi-"),
    "_": ("sk_", "rk_", "pk_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "hf_", "npm_"),
}
"""Letters one of which is in every text that holds a shape, by a sign in them that many texts are without."""


def redacted(text: str) -> str:
    """The text with what looks like an API key, a token, a private key or a named password replaced.

    Made for the shapes that providers document, and for values with a digit in them after a name such as
    ``password``; a secret without a shape or a name passes.
    """
    # Every prompt comes through here, and the patterns take a hundred times as long as a look for a few letters.
    if _may_hold_a_shape(text):
        text = _SHAPED.sub(REDACTED, text)
    if _may_name_a_secret(text):
        text = _AFTER_A_NAME.sub(rf"\g<1>{REDACTED}", text)
    return text


def _may_hold_a_shape(text: str) -> bool:
    return any(sign in text and any(letters in text for letters in some) for sign, some in _IN_SHAPES.items())


def _may_name_a_secret(text: str) -> bool:
    lowered = text.lower()
    return any(name in lowered for name in _NAMES)


def without_secrets(value: Any) -> Any:
    """The value with every text in it, however deep, as `redacted` leaves it."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: without_secrets(item) for key, item in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list | tuple) else value
