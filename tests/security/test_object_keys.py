"""T10: keys of objects become names of files only below the folder that is meant."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.agent.attempt_process.staging import staged
from taskrunner.agent.ipc import verdicts
from taskrunner.data.objects.base import ObjectInfo, ObjectReader, ObjectStore
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError
from taskrunner.model.document import Ref
from taskrunner.wire.api import Verdict
from tests.chaos.scale import is_full
from tests.unit.agent.bench import Bench
from tests.unit.agent.fakes import make_object, make_task

EXAMPLES = 20_000 if is_full() else 50
NAME = "n" * 300

#: What a bucket may have for keys: any text that UTF-8 can write, of up to 1,024 bytes. `{folder}`
#: is the test's own: where one of these leads out, it must be seen, and must harm nobody.
KEYS = [
    "..", "../x", "../../../../x", "a/../../x", "a/..", ".", "./x", "a/./x", "{folder}/x",
    "/{folder}/x", "a//x", "~/x", "~root/x", "\\..\\x", "C:\\x", "a\0b", "\0", "x\n", "a\r\nb",
    "\x1b]0;t\x07",
    "%2e%2e/x", "%2e%2e%2fx", "..%00", "\u202egnp.exe", "\ufeff", "e\u0301", "\u00e9", "\u2215etc",
    "\uff0e\uff0e/x", ".../x", " ", " /x", "-rf", "$(touch x)", "`touch x`", "*", "x;y", "'", '"',
    NAME, f"a/{NAME}/x", "/".join("d" * 500), "\U0001f600" * 64, "con", "x-journal", ".bashrc",
    "#{x}", "%s%n", "{0.__class__}",
]  # fmt: skip
#: Together, one of them cannot be a file.
PAIRS = [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b"), ("x", "x")]
#: What a store could answer that is no store: names of other places altogether.
ELSEWHERE = [
    "s3://other/in/x",
    "s3://b/inside",
    "file://{folder}/x",
    "{folder}/x",
    "",
    "s3://b/in",
]


class Bucket:
    """A store that has these objects, whatever is asked for."""

    def __init__(self, uris: list[str]) -> None:
        self.uris = uris

    def list(self, _prefix: str) -> Iterator[ObjectInfo]:
        for uri in self.uris:
            yield ObjectInfo(uri=uri, size=4, modified=datetime(2026, 2, 13, tzinfo=UTC))

    def open_read(self, _uri: str) -> AbstractContextManager[ObjectReader]:
        return nullcontext(io.BytesIO(b"evil"))


def contents(folder: Path) -> dict[str, bytes | str]:
    """Of every file and link below a folder."""
    return {
        str(path): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def stage(folder: Path, bucket: Bucket, **node: str) -> bool:
    """Have an attempt take the objects in; whether its work was begun."""
    task = make_task(
        {"stage": "true", "input": Ref("A")}, make_object("A", {"type": "S3DataNode", **node})
    )
    bench = Bench(folder, task)
    bucket.uris = [uri.replace("{folder}", str(folder)) for uri in bucket.uris]
    bench.ctx.objects = cast(ObjectStore, bucket)
    inside = str(bench.ctx.files.root / "staging" / "input1") + "/"
    before = contents(folder)
    begun: list[Verdict] = []
    told: set[str] = set()

    def work() -> Verdict:
        begun.append(verdicts.FINISHED)
        return verdicts.FINISHED

    try:
        staged(bench.ctx, work)
    except TaskError as error:
        told.add(error.error_id)
    logs = str(bench.files.log_dir)
    strange = {
        path
        for path, content in contents(folder).items()
        if before.get(path) != content and not path.startswith((inside, logs))
    }
    assert strange == set()
    assert told <= {ErrorId.INVALID_FIELD}
    return bool(begun)


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_what_a_listing_names_stays_in_the_staging_folder(key: str, tmp_path: Path) -> None:
    stage(tmp_path, Bucket([f"s3://b/in/{key}"]), directoryPath="s3://b/in/")


@pytest.mark.parametrize("pair", PAIRS)
def test_two_that_cannot_both_be_files_are_told(pair: tuple[str, str], tmp_path: Path) -> None:
    bucket = Bucket([f"s3://b/in/{key}" for key in pair])
    begun = stage(tmp_path, bucket, directoryPath="s3://b/in/")

    assert begun == (pair[0] == pair[1])


@pytest.mark.parametrize("uri", ELSEWHERE)
def test_a_listing_of_other_places_leads_to_none(uri: str, tmp_path: Path) -> None:
    stage(tmp_path, Bucket([uri]), directoryPath="s3://b/in/")


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_one_file_stays_there_too(key: str, tmp_path: Path) -> None:
    key = key.replace("{folder}", str(tmp_path))
    stage(tmp_path, Bucket([]), filePath=f"s3://b/in/{key}")


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_a_folder_in_place_of_s3_keeps_objects_below_it(key: str, tmp_path: Path) -> None:
    root = tmp_path / "s3"
    (root / "b").mkdir(parents=True)
    (tmp_path / "x").write_text("before")
    store = open_store(DataSettings(s3_root=root))
    uri = f"s3://b/{key.replace('{folder}', str(tmp_path))}"
    listed = [uri]
    with suppress(TaskError):
        with store.open_write(uri) as writer:
            writer.write(b"evil")
        with store.open_read(uri) as reader:
            assert reader.read() == b"evil"
        listed = [info.uri for info in store.list("s3://b/")]
    assert listed == [uri]
    found = contents(tmp_path)
    assert found.pop(str(tmp_path / "x")) == b"before"
    assert all(path.startswith(f"{root}/b/") for path in found), found


@settings(max_examples=EXAMPLES)
@given(
    keys=st.lists(
        st.one_of(st.sampled_from(KEYS), st.text("./\\~\0ab", max_size=12), st.text(max_size=8)),
        min_size=1,
        max_size=3,
    )
)
def test_no_keys_lead_out(keys: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    bucket = Bucket([f"s3://b/in/{key}" for key in keys])
    stage(tmp_path_factory.mktemp("keys"), bucket, directoryPath="s3://b/in/")
