"""The project's secret, from which delimiters in prompts are made; it never leaves this machine."""

from __future__ import annotations

import os
import secrets
from typing import Final

from promptlabel.settings import Project

_FILE: Final = "secret"
_BYTES: Final = 32


def project_secret(project: Project) -> bytes:
    """The secret kept in the project's state folder, readable by its owner alone; made when there is none.

    With another secret the same prompts are other requests: it belongs into a backup of the state folder.
    """
    path = project.state / _FILE
    project.state.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    secret = secrets.token_hex(_BYTES).encode()
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
    return secret
