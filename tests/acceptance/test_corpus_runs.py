"""Published definitions run here, whatever machines they ask for: see the package `corpus`.

`make chaos` runs all of them; each run of the tests as many as have every type of object.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.acceptance.corpus import published
from tests.acceptance.corpus.__main__ import told
from tests.acceptance.corpus.runs import Servers, work_off

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not published.FOLDER.is_dir(),
        reason="needs the corpus of published definitions at ../shared/corpus",
    ),
]


def test_published_definitions_run_to_their_ends(
    tmp_path: Path, s3_endpoint: str, mariadb_url: str, postgresql_url: str
) -> None:
    found = published.with_activities()
    readable = {name: definition for name, definition in found.items() if definition}
    chosen = readable
    if os.environ.get("TASKRUNNER_CHAOS") != "full":
        fit = {name: held for name, held in readable.items() if name not in published.UNFIT}
        chosen = published.few(fit)
    stand_ins = Servers(moto=s3_endpoint, mariadb=mariadb_url, postgresql=postgresql_url)
    outcomes = work_off(chosen, tmp_path, stand_ins)
    lines = [told(name, outcomes.get(name)) for name in chosen]
    assert [line for line, is_right in lines if not is_right] == []
    assert len(outcomes) == len(chosen)


def test_what_is_unfit_is_there_and_says_so() -> None:
    found = published.with_activities()
    assert found.keys() >= published.UNFIT.keys()
    unreadable = {name for name, definition in found.items() if definition is None}
    assert unreadable <= published.UNFIT.keys()
