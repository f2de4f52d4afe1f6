from __future__ import annotations

from taskrunner.cli.snapshot import Snapshot
from taskrunner.cli.stillness import PATIENCE_S, Stillness, why_of
from taskrunner.model.why.causes import Cause, Code
from taskrunner.model.why.pipelines import Waiting, Why
from taskrunner.testing import FakeClock, ServiceInProcess
from tests.unit.cli.pictures import instance, picture
from tests.unit.service.worlds import ON_DEMAND, check, ref, shell


def cause(code: Code, about: str, *behind: Cause) -> Cause:
    says = f"{about} is {code}"
    return Cause(code=code, object_id=about, says=says, command="c", because=behind)


def waiting(*causes: Cause) -> Waiting:
    return Waiting(instance_id="@A", component_id="A", status="S", causes=causes)


class Watched:
    """What is said of one snapshot after another."""

    def __init__(self, found: Why) -> None:
        self.clock = FakeClock()
        self.said: list[str] = []
        self.asked = 0
        self._found = found
        self._still = Stillness(self._ask, self.said.append, self.clock)

    def _ask(self) -> Why:
        self.asked += 1
        return self._found

    def look(self, snapshot: Snapshot, seconds: float = 0) -> None:
        self.clock.advance(seconds)
        self._still.look(snapshot)


NOBODY = Why(
    pipeline_id="df-1",
    state="SCHEDULED",
    waiting=(
        waiting(cause(Code.NO_RUNNER, "prod")),
        waiting(cause(Code.DEPENDENCY_NOT_FINISHED, "@A", cause(Code.NO_RUNNER, "prod"))),
        waiting(cause(Code.FAILED, "@B")),
        waiting(cause(Code.PAUSED, "@C")),
    ),
)
STILL = picture(instance("A", "WAITING_FOR_RUNNER"))


def test_each_root_is_told_once_when_nothing_has_moved_for_a_while() -> None:
    watched = Watched(NOBODY)
    for _ in range(10):
        watched.look(STILL, PATIENCE_S / 3)
    assert watched.said == [
        "Nothing has moved for 15 s: prod is NO_RUNNER",
        "Nothing has moved for 15 s: @C is PAUSED",
    ]
    assert watched.asked == 1


def test_what_moves_has_it_begin_again() -> None:
    watched = Watched(NOBODY)
    watched.look(STILL)
    watched.look(picture(instance("A", "WAITING_FOR_RUNNER", attempt_count=1)), PATIENCE_S)
    assert watched.said == []
    watched.look(picture(instance("A", "WAITING_FOR_RUNNER", attempt_count=1)), PATIENCE_S)
    assert len(watched.said) == 2


def test_what_works_is_no_stillness_but_a_resource_or_a_precondition_is() -> None:
    watched = Watched(NOBODY)
    works = picture(instance("A", "RUNNING"))
    for _ in range(3):
        watched.look(works, PATIENCE_S)
    assert watched.said == []
    up = instance("R", "RUNNING", category="resource")
    for n in range(3):
        status = "RUNNING" if n % 2 else "WAITING_FOR_RUNNER"
        asked = instance("P", status, category="precondition", attempt_count=1)
        watched.look(picture(up, asked, instance("A", "WAITING_ON_DEPENDENCIES")), PATIENCE_S)
    assert len(watched.said) == 2


def test_it_asks_the_service_of_the_run() -> None:
    with ServiceInProcess() as world:
        objects = [ON_DEMAND, shell("A", precondition=ref("P")), check("P")]
        pipeline = world.run(objects)
        world.conclude(world.take(), "FALSE", None, "no such key")
        watched = Watched(why_of(world.service, pipeline))
        for _ in range(2):
            watched.look(Snapshot.take(world.service, pipeline), PATIENCE_S)
    (said,) = watched.said
    assert "the precondition 'P' (Exists) does not hold: looked at once, last just now" in said
