"""What is taken is what was added, however it was cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.objects.pieces import Pieces

SIZES = st.lists(st.sampled_from([0, 1, 7, 1000, (1 << 16) - 1, 1 << 16, 200_000]), max_size=8)


@given(added=SIZES, taken=SIZES)
def test_bytes_come_out_in_order(added: list[int], taken: list[int]) -> None:
    pieces = Pieces()
    whole = b""
    for number, size in enumerate(added):
        data = bytes([number]) * size
        whole += data
        pieces.add(data)
    assert len(pieces) == len(whole)
    for size in taken:
        spare = bytearray(size)
        some = pieces.take(size, spare)
        assert some == whole[:size]
        assert (some is spare) == (len(whole) >= size), "its memory is used where it fits"
        whole = whole[size:]
        assert len(pieces) == len(whole)
        pieces.add(b"more")
        whole += b"more"
    assert pieces.take(len(whole) + 1) == whole
    pieces.add(b"x")
    pieces.clear()
    assert len(pieces) == len(pieces.take(1)) == 0
