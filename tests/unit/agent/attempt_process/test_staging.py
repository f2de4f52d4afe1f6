from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskrunner.agent.attempt_process.staging import staged
from taskrunner.agent.ipc import verdicts
from taskrunner.data.objects.base import ObjectWriter
from taskrunner.data.objects.local import FolderBackend
from taskrunner.data.objects.location import Location
from taskrunner.data.objects.store import RoutingStore
from taskrunner.errors import ErrorId, TaskError
from taskrunner.model.document import PipelineObject, Ref, Value
from taskrunner.wire.api import Verdict
from tests.unit.agent.bench import Bench
from tests.unit.agent.fakes import make_object, make_task


def _node(name: str, **fields: str) -> PipelineObject:
    return make_object(name, {"type": "S3DataNode", **fields})


def _staged(
    folder: Path, fields: Mapping[str, Value | list[Value]], *nodes: PipelineObject
) -> Bench:
    return Bench(folder, make_task({"stage": "true", **fields}, *nodes))


def _folder(bench: Bench, name: str) -> Path:
    return Path(bench.ctx.extra_env[name])


def test_inputs_are_there_before_and_outputs_go_back_after(tmp_path: Path) -> None:
    bench = _staged(
        tmp_path,
        {"input": [Ref("A"), Ref("B")], "output": Ref("C")},
        _node("A", directoryPath="s3://b/in/"),
        _node("B", filePath="s3://b/single.csv"),
        _node("C", directoryPath="s3://b/out"),
    )
    bench.put("s3://b/in/1", "one")
    bench.put("s3://b/in/deep/2", "two")
    bench.put("s3://b/input-of-another", "no")
    bench.put("s3://b/single.csv", "three")

    def work() -> Verdict:
        first = _folder(bench, "INPUT1_STAGING_DIR")
        assert sorted(p.relative_to(first).as_posix() for p in first.rglob("*")) == [
            "1",
            "deep",
            "deep/2",
        ]
        assert (_folder(bench, "INPUT2_STAGING_DIR") / "single.csv").read_text() == "three"
        out = _folder(bench, "OUTPUT1_STAGING_DIR")
        (out / "x").mkdir()
        (out / "x" / "y").write_text("result")
        return verdicts.FINISHED

    assert staged(bench.ctx, work) == verdicts.FINISHED
    assert bench.got("s3://b/out/x/y") == "result"


def test_of_a_manifest_the_files_that_it_lists_are_there(tmp_path: Path) -> None:
    bench = _staged(
        tmp_path, {"input": Ref("A")}, _node("A", manifestFilePath="s3://b/manifest.json")
    )
    bench.put("s3://b/in/1", "one")
    bench.put("s3://b/in/2", "two")
    bench.put("s3://b/manifest.json", '{"entries": [{"url": "s3://b/in/2"}]}')

    def work() -> Verdict:
        folder = _folder(bench, "INPUT1_STAGING_DIR")
        assert {path.name: path.read_text() for path in folder.iterdir()} == {"2": "two"}
        return verdicts.FINISHED

    assert staged(bench.ctx, work) == verdicts.FINISHED


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"manifestFilePath": "s3://b/m"}, "has neither directoryPath nor filePath, which an outp"),
        (
            {"directoryPath": "s3://b/o", "s3EncryptionType": "KMS"},
            "s3EncryptionType: found 'KMS', wanted SERVER_SIDE_ENCRYPTION or NONE",
        ),
    ],
)
def test_an_output_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, fields: dict[str, str], problem: str
) -> None:
    bench = _staged(tmp_path, {"output": Ref("C")}, _node("C", **fields))
    with pytest.raises(TaskError) as caught:
        staged(bench.ctx, lambda: pytest.fail("it was run"))
    assert problem in str(caught.value)
    assert caught.value.error_id == ErrorId.INVALID_FIELD


class Told(FolderBackend):
    """A folder as S3 that remembers how each object was to be encrypted."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.told: list[bool | None] = []

    @contextmanager
    def open_write(
        self, location: Location, *, encrypt: bool | None = None
    ) -> Iterator[ObjectWriter]:
        self.told.append(encrypt)
        with super().open_write(location, encrypt=encrypt) as writer:
            yield writer


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, None),
        ({"s3EncryptionType": "NONE"}, False),
        ({"s3EncryptionType": "SERVER_SIDE_ENCRYPTION"}, True),
    ],
)
def test_outputs_are_encrypted_as_their_node_says(
    tmp_path: Path, given: dict[str, str], told: bool | None
) -> None:
    node = _node("C", directoryPath="s3://b/out", **given)
    bench = _staged(tmp_path, {"output": Ref("C")}, node)
    store = Told(bench.s3)
    bench.ctx.objects = RoutingStore({"s3": lambda: store})

    def work() -> Verdict:
        (_folder(bench, "OUTPUT1_STAGING_DIR") / "x").write_text("result")
        return verdicts.FINISHED

    staged(bench.ctx, work)
    assert (bench.got("s3://b/out/x"), store.told) == ("result", [told])


def test_a_shell_command_is_staged_when_it_says_so(tmp_path: Path) -> None:
    fields: dict[str, Value] = {"type": "ShellCommandActivity", "input": Ref("A"), "stage": "true"}
    bench = Bench(tmp_path, make_task(fields, _node("A", filePath="s3://b/x")))
    bench.put("s3://b/x", "text")
    staged(bench.ctx, lambda: verdicts.FINISHED)
    assert (_folder(bench, "INPUT1_STAGING_DIR") / "x").read_text() == "text"


def test_without_stage_nothing_is_copied(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_task({"input": Ref("A")}, _node("A", filePath="s3://b/none")))
    assert staged(bench.ctx, lambda: verdicts.FINISHED) == verdicts.FINISHED
    assert bench.ctx.extra_env == {}


def test_a_failure_publishes_nothing(tmp_path: Path) -> None:
    bench = _staged(tmp_path, {"output": Ref("C")}, _node("C", directoryPath="s3://b/out"))

    def work() -> Verdict:
        (_folder(bench, "OUTPUT1_STAGING_DIR") / "half").write_text("half")
        raise TaskError("no")

    with pytest.raises(TaskError):
        staged(bench.ctx, work)
    assert not bench.s3.exists()


def test_other_data_nodes_keep_their_number_but_have_no_folder(tmp_path: Path) -> None:
    bench = _staged(
        tmp_path,
        {"input": [Ref("Sql"), Ref("A")]},
        make_object("Sql", {"type": "SqlDataNode"}),
        _node("A", directoryPath="s3://b/in"),
    )
    staged(bench.ctx, lambda: verdicts.FINISHED)
    assert list(bench.ctx.extra_env) == ["INPUT2_STAGING_DIR"]


def test_an_output_with_a_file_path_takes_one_file(tmp_path: Path) -> None:
    bench = _staged(tmp_path, {"output": Ref("C")}, _node("C", filePath="s3://b/result.csv"))

    def work(*names: str) -> Verdict:
        for name in names:
            (_folder(bench, "OUTPUT1_STAGING_DIR") / name).write_text(name)
        return verdicts.FINISHED

    staged(bench.ctx, lambda: work("any"))
    assert bench.got("s3://b/result.csv") == "any"
    bench = _staged(tmp_path / "2", {"output": Ref("C")}, _node("C", filePath="s3://b/result.csv"))
    with pytest.raises(TaskError, match=r"holds 2 files.*directoryPath"):
        staged(bench.ctx, lambda: work("one", "two"))


def test_a_missing_input_and_a_node_without_a_place_fail_before_the_work(tmp_path: Path) -> None:
    for folder, node in (("1", _node("A", filePath="s3://b/none")), ("2", _node("A"))):
        bench = _staged(tmp_path / folder, {"input": Ref("A")}, node)
        with pytest.raises(TaskError):
            staged(bench.ctx, lambda: pytest.fail("it ran"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a link that leads out of the work folder"),
        (lambda path: path.symlink_to("/etc"), "a link that leads out of the work folder"),
        (lambda path: path.symlink_to("."), "a link to a folder"),
        (lambda path: path.symlink_to("nothing"), "a link to nothing"),
        (lambda path: path.symlink_to(path.name), "a link to nothing"),
        (os.mkfifo, "no regular file"),
    ],
)
def test_what_cannot_be_copied_out_fails_and_nothing_is_copied(
    tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    bench = _staged(
        tmp_path,
        {"output": [Ref("A"), Ref("B")]},
        _node("A", directoryPath="s3://b/a"),
        _node("B", directoryPath="s3://b/b"),
    )

    def work() -> Verdict:
        (_folder(bench, "OUTPUT1_STAGING_DIR") / "good").write_text("x")
        deep = _folder(bench, "OUTPUT2_STAGING_DIR") / "deep"
        deep.mkdir()
        make(deep / "odd")
        return verdicts.FINISHED

    with pytest.raises(TaskError, match=rf"output deep/odd in .*output2 is {words}") as caught:
        staged(bench.ctx, work)
    assert caught.value.error_id == ErrorId.INVALID_FIELD
    assert not bench.s3.exists()


def test_links_within_the_work_folder_are_copied_as_what_they_lead_to(tmp_path: Path) -> None:
    bench = _staged(tmp_path, {"output": Ref("C")}, _node("C", directoryPath="s3://b/out"))

    def work() -> Verdict:
        out = _folder(bench, "OUTPUT1_STAGING_DIR")
        (out / "real").write_text("x")
        (out / "link").symlink_to(out / "real")
        return verdicts.FINISHED

    staged(bench.ctx, work)
    assert sorted(path.name for path in (bench.s3 / "b" / "out").iterdir()) == ["link", "real"]
