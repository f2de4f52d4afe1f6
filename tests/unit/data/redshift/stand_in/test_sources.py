from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Iterator

import pytest

from taskrunner.data.redshift.options import Verb, parse_options
from taskrunner.data.redshift.stand_in.sources import bytes_of, paths_of, uris_of
from taskrunner.data.redshift.stand_in.values import Layout
from taskrunner.errors import TaskError
from taskrunner.testing.activity_environment import ActivityEnvironment


@pytest.fixture
def environment() -> Iterator[ActivityEnvironment]:
    with ActivityEnvironment() as found:
        yield found


def layout(options: str) -> Layout:
    found = {option.name: option for option in parse_options(Verb.COPY, [options])}
    return Layout(options=found, columns=("a",))


def test_a_prefix_is_no_folder(environment: ActivityEnvironment) -> None:
    for name in ("part-1", "part-10", "other"):
        environment.put(f"s3://b/{name}", "x")
    found = uris_of(environment.objects, "s3://b/part-1", manifest=False)
    assert found == ["s3://b/part-1", "s3://b/part-10"]
    with pytest.raises(TaskError, match="prefix 's3://b/none' does not exist"):
        uris_of(environment.objects, "s3://b/none", manifest=False)


def manifest(environment: ActivityEnvironment, content: object) -> list[str]:
    environment.put("s3://b/m", json.dumps(content))
    return uris_of(environment.objects, "s3://b/m", manifest=True)


def test_manifests(environment: ActivityEnvironment) -> None:
    environment.put("s3://b/x", "x")
    there, gone = {"url": "s3://b/x", "mandatory": True}, {"url": "s3://b/y"}
    assert manifest(environment, {"entries": [there, gone]}) == ["s3://b/x"]
    with pytest.raises(TaskError, match=r"s3://b/y, which the manifest s3://b/m calls mandatory"):
        manifest(environment, {"entries": [{**gone, "mandatory": True}]})
    wrongs: list[tuple[object, str]] = [
        ({}, "no entries"),
        ({"entries": [1]}, "without url"),
        ({"entries": [{"url": "file:///etc/passwd"}]}, "wanted s3://bucket/key"),
        ([], "no JSON"),
    ]
    for wrong, expected in wrongs:
        with pytest.raises(TaskError, match=expected):
            manifest(environment, wrong)


def test_compressed_files(environment: ActivityEnvironment) -> None:
    environment.put("s3://b/g", gzip.compress(b"one") + gzip.compress(b"two"))
    environment.put("s3://b/z", bz2.compress(b"one") + bz2.compress(b"two"))
    for uri, option in (("s3://b/g", "GZIP"), ("s3://b/z", "BZIP2")):
        assert b"".join(bytes_of(environment.objects, uri, layout(option))) == b"onetwo"
    with pytest.raises(TaskError, match="bzip2 data cannot be read"):
        list(bytes_of(environment.objects, "s3://b/g", layout("BZIP2")))


def test_json_paths(environment: ActivityEnvironment) -> None:
    environment.put("s3://b/p", '{"jsonpaths": ["$.a"]}')
    assert paths_of(environment.objects, layout("JSON 's3://b/p'")) == ("$.a",)
    assert paths_of(environment.objects, layout("JSON 'auto'")) is None
    environment.put("s3://b/p", "{}")
    with pytest.raises(TaskError, match="no list of texts in 'jsonpaths'"):
        paths_of(environment.objects, layout("JSON 's3://b/p'"))
