from __future__ import annotations

from taskrunner.model.leaving.folder_names import folder_names
from taskrunner.model.leaving.manifest import Manifest


def names(*pipelines: str, **present: str) -> list[str]:
    """Folders of pipelines with these names, whose ids are df-0, df-1, ..."""
    found = [Manifest(name=name, pipeline_id=f"df-{at}") for at, name in enumerate(pipelines)]
    given = {key.replace("_", "-"): folder for key, folder in present.items()}
    return list(folder_names(found, given).values())


def test_a_folder_has_the_pipelines_name_as_far_as_files_may() -> None:
    assert names("orders", "Täglich / neu", "../../etc", "-rf", "...") == [
        "orders",
        "T-glich-neu",
        "etc",
        "rf",
        "pipeline",
    ]
    assert len(names("x" * 1024)[0]) == 100


def test_names_that_several_have_are_told_apart_by_their_ids() -> None:
    assert names("a", "A", "b") == ["a.df-0", "A.df-1", "b"]


def test_a_pipeline_keeps_its_folder_whatever_comes() -> None:
    assert names("a", "a", df_0="a") == ["a", "a.df-1"]
    assert names("renamed", df_0="old") == ["old"]
    assert names("a", df_9="A") == ["a.df-0"], "the folder of one that is gone"
