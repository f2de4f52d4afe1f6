from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from taskrunner.cli.outcome import CutWait, find_cut_waits, find_places
from taskrunner.cli.snapshot import Snapshot
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.testing import ServiceInProcess
from tests.unit.cli.pictures import attempt, instance, picture, places
from tests.unit.service.worlds import ON_DEMAND, ref, shell

T = "2026-02-13T02:00:00"


def test_outputs_are_those_of_activities_that_finished(world: ServiceInProcess) -> None:
    table = {"id": "Rows", "type": "SqlDataNode", "table": "orders"}
    file = {"id": "File", "type": "S3DataNode", "filePath": "s3://b/k"}
    done = shell("A", output=[ref("Rows"), ref("File")])
    failing = shell("B", output=ref("File"), maximumRetries="0", dependsOn=ref("A"))
    pipeline = world.run([ON_DEMAND, done, failing, table, file])
    world.conclude(world.take())
    world.conclude(world.take(), "FAILED", "X", "no")
    found = find_places(world.service, Snapshot.take(world.service, pipeline), places())
    assert [(out.node, out.uri, out.table) for out in found.outputs[f"@A_{T}"]] == [
        ("Rows", None, "orders"),
        ("File", "s3://b/k", None),
    ]
    assert f"@B_{T}" not in found.outputs
    assert found.log_uris == {}
    assert found.folder == places().folder


def test_the_folder_of_an_attempts_logs_is_the_agents_own() -> None:
    row = instance("a/b")
    folder = places().attempt_logs(row, attempt(row))
    names = ("df-1", "a%2Fb", f"@a%2Fb_{T}", f"@a%2Fb_{T}_Attempt=1")
    assert folder == Path("/w/runs/r/logs").joinpath(*names)


def test_paths_of_uris() -> None:
    here = places(s3_root=Path("/s3"))
    assert here.path_of("s3://b/k") == "/s3/b/k"
    assert here.path_of("/tmp/x") == "/tmp/x"
    assert places().path_of("s3://b/k") is None


def test_waits_are_cut_where_retry_delay_is_longer_and_a_retry_was_made(
    world: ServiceInProcess,
) -> None:
    names = ("Tried", "Plain", "Short", "Once")
    delays = {"Tried": "7 minutes", "Short": "1 second", "Once": "7 minutes"}
    fields = {name: {"retryDelay": delay} for name, delay in delays.items()}
    pipeline = world.run([ON_DEMAND, *(shell(name, **fields.get(name, {})) for name in names)])
    rows = [
        instance(name, pipeline_id=pipeline, attempt_count=1 if name == "Once" else 2)
        for name in names
    ]
    assert find_cut_waits(world.service.loaded, picture(*rows)) == ()

    def load(pipeline_id: str, version: int) -> LoadedDefinition:
        definition = world.service.loaded(pipeline_id, version).definition
        return LoadedDefinition(definition, timedelta(seconds=2))

    assert find_cut_waits(load, picture(*rows)) == (
        CutWait(component="Tried", delay="7 minutes"),
        CutWait(component="Plain", delay="10 minutes"),
    )
