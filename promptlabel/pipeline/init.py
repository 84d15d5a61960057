"""`init`: a new project folder with one small task, which `check` accepts and `vote` can run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Final

from promptlabel.errors import Fault, fail

_HIDDEN: Final = ("gitignore", "schema", "vscode")
"""What begins with a dot in a project; packages are often built without such files."""


@dataclass(frozen=True, slots=True)
class InitReport:
    """The folder that was made and the files in it, relative to the folder."""

    path: str
    files: tuple[str, ...]


def init(folder: Path) -> InitReport:
    """The new project folder.

    Raises:
        InputError: when the folder exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fail(Fault("exists and is not empty; give the name of a new folder", file=str(folder)))
    with as_file(files("promptlabel.pipeline") / "starter") as starter:
        copytree(starter, folder, dirs_exist_ok=True, ignore=ignore_patterns("__pycache__"))
    for name in _HIDDEN:
        (folder / name).rename(folder / f".{name}")
    made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return InitReport(path=str(folder), files=tuple(made))
