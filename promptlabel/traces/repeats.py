"""Keys that come back with other content, found in 24 bytes a record."""

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
        _, first_of_key, inverse = np.unique(keys, return_index=True, return_inverse=True)
        first = first_of_key[inverse]
        for later in np.flatnonzero(contents != contents[first]):
            yield self._positions[first[later]], self._positions[later]
