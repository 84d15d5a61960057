"""The store and the project's folder told of one another's forgettings, so that an old backup of one does not undo any."""

from __future__ import annotations

from promptlabel.settings import Project
from promptlabel.store.contract import Store
from promptlabel.store.forgettings import FOLDER, read_forgettings, write_forgetting, written_keys


def agree(store: Store, project: Project) -> None:
    """Nothing; the store has forgotten what the folder's files say, and the folder has a file of each forgetting.

    Raises:
        StoreDamagedError: for a file that does not hold what was written to it.
    """
    folder = project.root / FOLDER
    written, known = written_keys(folder), {one.key for one in store.forgettings()}
    for forgetting in read_forgettings(folder, written - known):
        store.forget(forgetting)
    for key in known - written:
        write_forgetting(folder, store.forgetting(key))
