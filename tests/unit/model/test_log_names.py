from __future__ import annotations

import pytest

from taskrunner.data.objects.location import parse
from taskrunner.model.log_names import folder_of, part_name, part_range, safe_name


@pytest.mark.parametrize("odd", ["..", "a/b", "100%", "a b", "ü", "%2F"])
@pytest.mark.parametrize("base", ["/logs", "file:///logs/"])
def test_a_local_folder_is_the_same_however_its_base_is_written(base: str, odd: str) -> None:
    """A percent sign in a file's URI would else be decoded again, and lead out of the tree."""
    found = parse(folder_of(base, "df-1", odd) + "/x")
    assert found.key == f"/logs/df-1/{safe_name(odd)}/x"


def test_a_part_says_which_bytes_it_holds() -> None:
    assert part_range(part_name("StdOutput", 3, 70), "StdOutput") == (3, 70)
    for other in ("StdOutput.gz", "StdError@000000000000003-000000000000070.gz", "StdOutput@3.gz"):
        assert part_range(other, "StdOutput") is None
