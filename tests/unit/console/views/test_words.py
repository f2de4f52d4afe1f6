from __future__ import annotations

from taskrunner.console.views.words import plural, sign
from taskrunner.model.run_status import RunStatus
from taskrunner.model.states import AttemptStatus, InstanceStatus
from taskrunner.service.v1.shapes import HealthStatus, State

KINDS = [InstanceStatus, AttemptStatus, RunStatus, HealthStatus, State]


def test_every_status_has_a_glyph_a_word_and_a_style() -> None:
    for kind in KINDS:
        for status in kind:
            shown = sign(status)
            assert shown.glyph != "?", status
            assert shown.word
            assert shown.style in {"ok", "bad", "cascade", "run", "wait", "hold", "off"}


def test_what_is_not_there_yet_and_what_is_new_are_shown_as_such() -> None:
    assert sign(None).word == "nothing yet"
    assert sign("SOME_NEW_ONE").word == "some new one"


def test_counts_are_told_in_words() -> None:
    assert [plural(0, "run"), plural(1, "run"), plural(12345, "run")] == [
        "0 runs",
        "1 run",
        "12,345 runs",
    ]
