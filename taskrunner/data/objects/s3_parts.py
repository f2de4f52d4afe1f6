"""How large the parts of a multipart upload are; here, for those who need not load S3's library."""

from __future__ import annotations

#: The least that S3 takes for a part: small parts keep the memory of a copy small.
PART_SIZE = 5 << 20
#: Parts grow by 28 % every so often, so that 10,000 of them hold more than 1 TiB.
_GROW_EVERY = 500


def part_size(number: int) -> int:
    """The size in bytes of the part with this number (from 1)."""
    return int(PART_SIZE * 1.28 ** ((number - 1) // _GROW_EVERY))
