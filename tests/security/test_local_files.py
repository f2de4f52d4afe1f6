"""Local files that a hostile definition names: nothing beyond its user's rights, or local_paths."""

from __future__ import annotations

import gzip
import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agent_harness import AgentProcess, FakeService, running_agent
from tests.integration.other_users import people, shared_folder
from tests.security.hostile_definitions import CANARY, KEY, Attack, House, copy_of

pytestmark = pytest.mark.xdist_group("alone")

#: The agent without what is tested here.
MUTANT = ("tests.chaos.mutants", "local-files-unchecked")
#: What is told in other words, since it does not come to a file.
OTHERWISE = {
    "create-vacuum": "SQLite runs no VACUUM in a transaction",
    "extension": "SQLite's own function for it is off",
    "folder-of-links": "links that lead out are not listed",
}


#: What SQLite itself does not do: it follows no link to a journal, runs no ATTACH for its rows, and
#: needs no temporary file for so little.
SQLITES_OWN = {"wal-link", "select-attach", "temporary"}


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService()
    yield fake
    fake.close()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all attacks came to."""

    verdicts: Mapping[str, Mapping[str, Any]]
    #: What each one got.
    reached: Mapping[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> set[str]:
        """Those that were told that it is not allowed."""
        return {n for n, told in self.verdicts.items() if told.get("errorId") == "NotAllowed"}


@pytest.fixture(autouse=True)
def _open_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start agents where each user gets: one of the attacks goes by the folder they start in."""
    monkeypatch.chdir("/")


@contextmanager
def agent_of(
    service: FakeService,
    *,
    user: bool,
    root: bool = False,
    program: tuple[str, ...] = ("taskrunner",),
) -> Iterator[tuple[House, AgentProcess]]:
    """An agent as its unit starts it, or root, in a house of its own."""
    who = people()
    owner = pwd.getpwuid(0) if root else who.agent
    with shared_folder(owner) as folder:
        house = House(root=folder)
        house.furnish()
        # Only a user for tasks has to write where the agent does.
        house.open.chmod(0o777 if user else 0o755)
        source = folder / "s3" / "bucket" / "in.csv"
        source.parent.mkdir(parents=True)
        source.write_text("1\n")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        # Without users to change to it needs none of the rights for it, which would protect it.
        options = ["--run-as-user", who.task.pw_name] if user else []
        options += [] if user else ["--local-paths", str(house.open)]
        under = who.unprivileged() if user else who.unprivileged(capabilities="")
        environ = {} if root else who.environ
        with running_agent(
            service,
            folder,
            *options,
            under=() if root else under,
            environ=environ,
            program=program,
        ) as agent:
            yield house, agent


def attacked(service: FakeService, house: House, agent: AgentProcess) -> Outcome:
    """Run every attack, and see what came of it."""
    attacks = list(house.attacks())
    assert len({attack.name for attack in attacks}) == len(attacks) >= 60
    before = _contents(house.home)
    verdicts = {}
    for attack in attacks:
        service.tasks.put(attack.task())
        verdicts[attack.name] = service.verdict(attack.name)
    agent.stop()
    now = _contents(house.home)
    changed = {path for path in now.keys() | before.keys() if now.get(path) != before.get(path)}
    reached = {}
    for attack in attacks:
        mine = {path for path in changed if attack.changes and path.startswith(attack.changes)}
        changed -= mine
        got = min(mine, default=None) or _got(attack, verdicts[attack.name], house, agent)
        if got is not None:
            reached[attack.name] = got
    return Outcome(verdicts, reached | {f"nobody's {path}": path for path in changed})


def _contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def _got(
    attack: Attack, verdict: Mapping[str, Any], house: House, agent: AgentProcess
) -> str | None:
    """Where the canary has come to, or what the verdict gives away."""
    if attack.answer and attack.answer in {verdict["taskStatus"], verdict.get("errorId")}:
        return attack.answer
    places = [agent.s3 / "bucket" / attack.name, house.open / f"{attack.name}.spilt"]
    places += [house.open / "took.db"] if attack.name == "file-to-table" else []
    places.append(agent.work_dir / "output" / "logs" / f"df-{attack.name}")
    for place in places:
        for path in (place, *place.rglob("*")):
            if path.is_file() and _tells(path.read_bytes()):
                return str(path.relative_to(house.root))
    told = str(verdict.get("errorMessage", "")) + str(verdict.get("errorStackTrace", ""))
    return "verdict" if _tells(told.encode()) else None


def _tells(data: bytes) -> bool:
    with suppress(OSError, EOFError):
        data = gzip.decompress(data)
    words = (CANARY, CANARY.replace("-", "_"), KEY)
    return any(word.encode() in data for word in words)


def test_without_a_user_only_what_the_operator_lists_is_opened(service: FakeService) -> None:
    with agent_of(service, user=False) as (house, agent):
        outcome = attacked(service, house, agent)
    assert outcome.reached == {}
    told = {n: str(v.get("errorMessage", "")) for n, v in outcome.verdicts.items()}
    others = outcome.verdicts.keys() - outcome.refused
    assert others == OTHERWISE.keys(), {name: told.get(name) for name in others}
    assert told["file"].startswith("S3DataNode 'In', field 'filePath': "), told["file"]
    assert "local_paths" in told["db"], told["db"]
    assert "field 'connectionString'" in told["db"], told["db"]
    assert "field 'script'" in told["attach"], told["attach"]


@pytest.mark.parametrize("root", [False, True])
def test_with_a_user_nothing_is_opened_that_the_user_may_not(
    service: FakeService, root: bool
) -> None:
    with agent_of(service, user=True, root=root) as (house, agent):
        outcome = attacked(service, house, agent)
    assert outcome.reached == {}


@pytest.mark.parametrize("root", [False, True])
def test_what_a_user_may_open_is_the_users(service: FakeService, root: bool) -> None:
    with agent_of(service, user=True, root=root) as (house, agent):
        for name, fields in (
            ("theirs", {"pipelineLogUri": f"file://{house.open}/logs"}),
            ("staged", {"stdout": f"{house.open}/copies/out"}),
        ):
            attack = Attack(
                name=name, kind="ShellCommandActivity", fields={"command": "echo x", **fields}
            )
            service.tasks.put(attack.task())
            verdict = service.verdict(name)
            assert (verdict["taskStatus"], verdict.get("errorId")) == ("FINISHED", None), verdict
        source = {"type": "S3DataNode", "filePath": "s3://bucket/in.csv"}
        new = {"table": "t", "createTableSql": "create table t (v text)"}
        load = copy_of("load", source, {"url": f"jdbc:sqlite:{house.open}/new/rows.db", **new})
        (house.open / "new").mkdir()
        (house.open / "new").chmod(0o777)
        unload = copy_of("unload", {"url": f"jdbc:sqlite:{house.open}/new/rows.db", "table": "t"})
        for attack in (load, unload):
            service.tasks.put(attack.task())
            verdict = service.verdict(attack.name)
            assert verdict["taskStatus"] == "FINISHED", verdict
        assert (agent.s3 / "bucket" / "unload" / "out").read_text() == "1\n"
        files = [
            house.open / "new" / "rows.db",
            *(house.open / "logs").rglob("*.gz"),
            house.open / "copies" / "out",
        ]
        owners = {path.name: path.stat().st_uid for path in files}
        assert owners.keys() == {"Activity.log.gz", "StdOutput.gz", "out", "rows.db"}
        assert set(owners.values()) == {people().task.pw_uid}


@pytest.mark.parametrize("user", [False, True])
def test_without_the_defence_the_same_attacks_reach(service: FakeService, user: bool) -> None:
    with agent_of(service, user=user, program=MUTANT) as (house, agent):
        outcome = attacked(service, house, agent)
    nothing = set(OTHERWISE) - {"folder-of-links"} | SQLITES_OWN
    # An agent that may change users cannot be looked into by its own user.
    nothing |= {"environment"} if user else set()
    assert outcome.verdicts.keys() - outcome.reached.keys() == nothing
    assert outcome.reached.keys() <= outcome.verdicts.keys(), outcome.reached
