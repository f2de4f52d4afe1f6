from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.objects.s3_sums import crc32_joined


@given(first=st.binary(), second=st.binary(), times=st.sampled_from([1, 5000]))
def test_the_crc32_of_two_pieces_is_made_of_theirs(first: bytes, second: bytes, times: int) -> None:
    second *= times
    joined = crc32_joined(zlib.crc32(first), zlib.crc32(second), len(second))
    assert joined == zlib.crc32(first + second)
