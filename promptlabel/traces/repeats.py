"""Keys that come back with other content, found in some 50 bytes a record."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterator

import numpy as np


class Repeats:
    """What has been read so far, as 64-bit hashes of keys and contents and the positions they stood at."""

    def __init__(self) -> None:
        self._keys = array("q")
        self._contents = array("q")
        self._positions = array("q")

    def add(self, key: Hashable, content: Hashable, position: int) -> None:
        """Nothing; `position` is what a conflict will be reported by."""
        self._keys.append(hash(key))
        self._contents.append(hash(content))
        self._positions.append(position)

    def conflicts(self) -> Iterator[tuple[int, int]]:
        """Positions (first, later) of each later record whose key was there before with other content."""
        keys, contents = np.asarray(self._keys), np.asarray(self._contents)
        order = np.argsort(keys, kind="stable")
        repeats = 1 + np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
        news = np.flatnonzero(np.diff(repeats, prepend=-1) > 1)  # of each run of repeats, where it begins
        first = order[np.repeat(repeats[news] - 1, np.diff(news, append=len(repeats)))]
        later = order[repeats]
        differ = contents[later] != contents[first]
        for again, earlier in sorted(zip(later[differ].tolist(), first[differ].tolist(), strict=True)):
            yield self._positions[earlier], self._positions[again]
