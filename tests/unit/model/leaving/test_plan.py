from __future__ import annotations

from typing import Any

import pytest

from taskrunner.model.leaving.changes import Change, tag_changes
from taskrunner.model.leaving.manifest import Manifest
from taskrunner.model.leaving.plan import Difference, Wishes, plan

CHANGE = Change(what="object 'A'", before=None, after=("x",))
GO = Wishes(activate=True)


def wanted(state: str = "SCHEDULED", **tags: str) -> Manifest:
    return Manifest(name="a", unique_id="u", state=state, tags=tags)


def there(state: str = "SCHEDULED", **tags: str) -> Manifest:
    return Manifest(name="a", unique_id="u", state=state, tags=tags, pipeline_id="df-1")


def steps(
    files: Manifest, service: Manifest | None, wishes: Wishes = GO, **more: Any
) -> tuple[str, list[str]]:
    found = plan(
        Difference(
            wanted=files,
            there=service,
            tags=tag_changes(service or Manifest(name="a"), files),
            **{"is_defined": True, "on_demand": False, **more},
        ),
        wishes,
    )
    return found.sign + " " + " ".join(found.steps), [note.split()[0] for note in found.notes]


@pytest.mark.parametrize(
    ("state", "wishes", "said"),
    [
        ("SCHEDULED", GO, ("+ create put activate", [])),
        ("SCHEDULED", Wishes(), ("+ create put", ["it"])),
        ("PENDING", GO, ("+ create put", [])),
        ("INACTIVE", GO, ("+ create put", [])),
        ("FINISHED", GO, ("+ create put", [])),
        ("", GO, ("+ create put", [])),
    ],
)
def test_a_new_pipeline(state: str, wishes: Wishes, said: object) -> None:
    assert steps(wanted(state, team="bi"), None, wishes) == said


def test_one_without_any_definition_is_only_made() -> None:
    assert steps(wanted("PENDING"), None, is_defined=False) == ("+ create", [])
    assert steps(wanted("PENDING"), there("PENDING"), is_defined=False) == ("= ", [])


def test_what_is_the_same_is_left_alone() -> None:
    for state in ("SCHEDULED", "FINISHED", "PAUSED"):
        assert steps(wanted(), there(state)) == ("= ", [])
    assert steps(wanted("INACTIVE"), there("PENDING")) == ("= ", [])
    assert steps(wanted(), there("INACTIVE")) == ("~ activate", [])


def test_a_change_is_put_and_activated_where_that_is_wished() -> None:
    assert steps(wanted(), there(), definition=[CHANGE]) == ("~ put activate", [])
    assert steps(wanted(), there(), Wishes(), definition=[CHANGE]) == ("~ put", ["what"])
    assert steps(wanted("INACTIVE"), there(), definition=[CHANGE]) == ("~ put", ["what"])
    assert steps(wanted(), there(), Wishes(put_all=True)) == ("~ put", ["what"])


def test_what_runs_on_demand_is_never_activated() -> None:
    assert steps(wanted(), None, on_demand=True) == ("+ create put", ["it"])
    assert steps(wanted(), there("PENDING"), on_demand=True) == ("= ", [])


def test_tags_are_set_and_removed_but_for_aws_own() -> None:
    found = plan(
        Difference(
            wanted=wanted(team="bi", same="x"),
            there=there(team="ops", same="x", old="y", **{"aws:stack": "z"}),
            is_defined=True,
            on_demand=False,
            tags=[CHANGE],
        ),
        Wishes(),
    )
    assert (found.sign, [*found.steps]) == ("~", ["tags"])
    assert (found.added_tags, found.removed_tags) == ({"team": "bi"}, ("old",))


def test_what_cannot_be_changed_is_told() -> None:
    fixed = [Change(what="description", before=("a",), after=("b",))]
    assert steps(wanted(), there(), fixed=fixed) == ("= ", ["description"])
