"""Rules take turns on the same traces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from promptlabel.pipeline.voting.asking import interleaved


@given(st.lists(st.lists(st.integers(), max_size=30), max_size=5), st.integers(1, 7))
def test_every_item_comes_once_in_its_streams_order(streams, size):
    tagged = [[(place, item) for item in stream] for place, stream in enumerate(streams)]
    chunks = list(interleaved([iter(stream) for stream in tagged], size))
    assert all(0 < len(chunk) <= size for chunk in chunks)
    for place, stream in enumerate(tagged):
        assert [item for chunk in chunks for item in chunk if item[0] == place] == stream


def test_no_stream_is_a_chunk_ahead_of_the_others():
    chunks = [chunk[0][0] for chunk in interleaved([iter([(n, 0)] * 6) for n in "abc"], 2)]
    assert "".join(chunks) == "abcabcabc"
