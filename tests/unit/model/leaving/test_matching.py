from __future__ import annotations

import pytest

from taskrunner.errors import UsageError
from taskrunner.model.leaving.manifest import Manifest, unique_id_for
from taskrunner.model.leaving.matching import match

OLD = Manifest(name="a", unique_id="u", pipeline_id="df-OLD")
NEW = Manifest(name="a", unique_id="u", pipeline_id="df-NEW")
OTHER = Manifest(name="b", unique_id=unique_id_for("b"), pipeline_id="df-B")


def test_the_same_service_knows_it_by_its_id_another_by_name_and_unique_id() -> None:
    assert match([OLD], [NEW, OLD]).pairs == ((OLD, OLD),)
    found = match([OLD], [NEW, OTHER])
    assert found.pairs == ((OLD, NEW),)
    assert found.rest == (OTHER,)
    assert match([Manifest(name="b")], [OTHER]).pairs[0][1] is OTHER


def test_the_same_unique_id_with_another_name_is_another_pipeline() -> None:
    assert match([Manifest(name="c", unique_id="u")], [NEW]).pairs[0][1] is None


@pytest.mark.parametrize("there", [[], [NEW]])
def test_two_folders_of_one_pipeline_are_refused(there: list[Manifest]) -> None:
    copy = Manifest(name="a", unique_id="u", tags={"x": "y"})
    with pytest.raises(UsageError, match="two folders are the pipeline 'a'"):
        match([OLD, copy], there)
