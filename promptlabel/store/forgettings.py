"""What was forgotten, as marks: digests that say of whom only to who knows the name, and refuse it from then on."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from promptlabel.errors import StoreDamagedError
from promptlabel.store.journal import decode, encode

Kind = Literal["trace", "user", "session"]

FOLDER: Final = "forgotten"
"""The folder of the project where every forgetting is a file: a restored backup of the store learns from it."""
_DIGITS: Final = 32
_SALT_BYTES: Final = 16
_NUL: Final = "\u2400"


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Names that the store forgets and takes no more, or, where they are `remembered`, takes again.

    Attributes:
        key: 32 hexadecimal digits of its own; the same forgetting is done once.
        at: when; of two that mark the same, the later counts.
        salt: what the digests are made with, one for the whole store as long as it keeps it.
        marks: see `mark_of`.
    """

    key: str
    at: datetime
    salt: str
    marks: tuple[str, ...]
    remembered: bool = False

    @classmethod
    def of(
        cls, names: Iterable[tuple[Kind, str]], at: datetime, salt: str | None, *, remembered: bool = False
    ) -> Self:
        """The forgetting of these names; without a salt, of a store that has forgotten nothing yet, with a new one."""
        salt = salt or secrets.token_hex(_SALT_BYTES)
        marks = tuple(dict.fromkeys(mark_of(salt, kind, name) for kind, name in names))
        return cls(uuid.uuid4().hex, at, salt, marks, remembered)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A forgetting as the store keeps it.

    Attributes:
        marks: how many of its marks still count.
        erased: whether the store's files have been rewritten since, so that no byte of it is left in them.
        traces: how many stored traces went with it.
    """

    key: str
    at: datetime
    salt: str
    remembered: bool
    marks: int
    erased: bool
    traces: int


def mark_of(salt: str, kind: Kind, name: str) -> str:
    """32 hexadecimal digits: half the SHA-256 of salt, kind and name, as the stores' `mark_of` computes it."""
    told = name.replace(_NUL, _NUL * 2).replace("\0", f"{_NUL}0")
    return hashlib.sha256("\x1f".join((salt, kind, told)).encode()).hexdigest()[:_DIGITS]


def write_forgetting(folder: Path, forgetting: Forgetting) -> None:
    """Nothing; the forgetting is a file of the folder, whole and durable."""
    from promptlabel.store.files import replace_file

    replace_file(_path(folder, forgetting), encode(asdict(forgetting) | {"at": forgetting.at.isoformat()}))


def written_keys(folder: Path) -> frozenset[str]:
    """The keys of the forgettings in the folder; no file is read."""
    return frozenset(path.stem.rpartition("-")[2] for path in _files(folder))


def read_forgettings(folder: Path, keys: Iterable[str]) -> Iterator[Forgetting]:
    """The forgettings of these keys that the folder has, oldest first.

    Raises:
        StoreDamagedError: for a file that does not hold what was written to it.
    """
    wanted = frozenset(keys)
    found = (_read(path) for path in _files(folder) if path.stem.rpartition("-")[2] in wanted)
    yield from sorted(found, key=lambda forgetting: forgetting.at)


def _path(folder: Path, forgetting: Forgetting) -> Path:
    return folder / f"{forgetting.at.astimezone(UTC):%Y-%m-%d}-{forgetting.key}.json"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*-{'[0-9a-f]' * _DIGITS}.json"))


def _read(path: Path) -> Forgetting:
    entry: Any = decode(path.read_bytes())
    if entry is None:
        raise StoreDamagedError(
            f"{path} is damaged: restore it from version control or another machine, or delete it and forget again"
        )
    fields = entry | {"at": datetime.fromisoformat(entry["at"]), "marks": tuple(entry["marks"])}
    return Forgetting(**fields)
