"""Text with NUL in it, which PostgreSQL cannot hold, written so that it can."""

from __future__ import annotations

import re
from typing import Final

from psycopg import AsyncConnection, Connection
from psycopg.adapt import Buffer, Dumper, Loader

_MARK: Final = "\u2400"
_MARK_BYTES: Final = _MARK.encode()
_ESCAPED: Final = re.compile(f"{_MARK}(.)")


def escaped(text: str) -> str:
    """The text with NUL as a mark and a zero; the mark itself is doubled."""
    if "\0" not in text and _MARK not in text:
        return text
    return text.replace(_MARK, _MARK * 2).replace("\0", f"{_MARK}0")


def unescaped(text: str) -> str:
    """The text that `escaped` made this of."""
    return _ESCAPED.sub(lambda found: "\0" if found[1] == "0" else _MARK, text)


class _TextDumper(Dumper):
    oid = 0

    def dump(self, obj: str) -> Buffer:
        return escaped(obj).encode()


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        content = bytes(data)
        text = content.decode()
        return unescaped(text) if _MARK_BYTES in content else text


def hold_any_text(connection: Connection | AsyncConnection) -> None:
    """Nothing; text goes to and comes from this connection as it is, NUL included."""
    connection.adapters.register_dumper(str, _TextDumper)
    for kind in ("text", "varchar"):
        connection.adapters.register_loader(kind, _TextLoader)
