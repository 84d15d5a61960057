"""What `--since` and its like mean: a date, a time, or so long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from promptlabel.errors import fail

_AGO: Final = re.compile(r"(\d+) ?([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since(text: str | None, now: datetime | None = None, option: str = "--since") -> datetime | None:
    """The moment that ``2026-11-01``, ``2026-11-01T06:00Z`` or ``7d`` names, UTC where it does not say; None for None.

    Raises:
        InputError: for anything else.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        fail(
            f"{option} {text}: write a date such as 2026-11-01, a time such as 2026-11-01T06:00Z, or 7d, 24h, 30m"
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
