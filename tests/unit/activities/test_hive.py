from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from taskrunner.activities.hive import HiveActivity
from taskrunner.activities.pig import PigActivity
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.document import Value
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from tests.unit.activities.engines.host import Host, environment

_NODES = (
    new_object("F", "CSV", {"column": ["id INT", "name STRING"]}),
    new_object("In", "S3DataNode", {"directoryPath": "s3://b/in", "dataFormat": Ref("F")}),
    new_object(
        "Out",
        "S3DataNode",
        {"directoryPath": "s3://b/out", "dataFormat": Ref("F"), "compression": "gzip"},
    ),
)
_ENDS: dict[str, Value | Sequence[Value]] = {"input": Ref("In"), "output": Ref("Out")}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path, monkeypatch)
    for name in ("hive", "pig"):
        found.program(name, 'cat "${@: -1}"')
    return found


def _hive(found: ActivityEnvironment, **fields: Value | Sequence[Value]) -> str:
    found.run(HiveActivity(), new_task("HiveActivity", {**_ENDS, **fields}, *_NODES))
    return found.stdout


def test_a_script_has_its_tables_and_is_kept(host: Host) -> None:
    with environment() as found:
        text = _hive(
            found,
            hiveScript="INSERT OVERWRITE TABLE ${output1} SELECT * FROM ${input1};",
            generatedScriptsPath="s3://b/scripts/",
        )
        assert text.count("CREATE EXTERNAL TABLE") == 2
        assert "LOCATION 's3://b/in/'" in text
        kept = found.read("s3://b/scripts/Activity_2026-01-01T00-00-00_Attempt=1.q")
        assert kept.decode() == text
    [call] = host.calls
    assert call[1:3] == ["--hiveconf", "hive.exec.compress.output=true"]


def test_a_script_on_s3_is_read(host: Host) -> None:
    with environment() as found:
        found.put("s3://b/x.q", "\ufeffSELECT * FROM ${input1}")
        text = _hive(found, scriptUri="s3n://b/x.q", scriptVariable=["A=1", " B = x "])
        assert "SELECT * FROM `taskrunner_input1_" in text
    [call] = host.calls
    assert call[1:5] == ["--hivevar", "A=1", "--hivevar", "B= x "]


def test_staging_may_be_switched_off(host: Host) -> None:
    with environment() as found:
        assert _hive(found, hiveScript="SELECT ${input1}", stage="false") == "SELECT ${input1}"
        assert host.calls


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "it has neither of the fields 'hiveScript' and 'scriptUri', wanted one"),
        ({"hiveScript": "x", "scriptUri": "s3://b/x"}, "it has both of the fields"),
        ({"hiveScript": "x", "scriptVariable": "=x"}, "'scriptVariable': found '=x', wanted NAME="),
        ({"hiveScript": "x", "scriptVariable": "x"}, "'scriptVariable': found 'x', wanted NAME=va"),
        ({"scriptUri": "s3://b/latin1"}, "the script s3://b/latin1 is not UTF-8 text"),
        ({"hiveScript": "${input2}"}, "but the field 'input' has 1 data nodes"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    host: Host, fields: dict[str, Value], message: str
) -> None:
    with environment() as found:
        found.put("s3://b/latin1", "é".encode("latin-1"))
        with pytest.raises(PermanentTaskError, match=message) as caught:
            _hive(found, **fields)
        assert caught.value.error_id == ErrorId.INVALID_FIELD
        assert (host.calls, found.messages) == ([], [])


def test_pig_gets_its_relations(host: Host) -> None:
    fields = {**_ENDS, "script": "${output1} = LIMIT ${input1} 1", "scriptVariable": "a=1"}
    with environment() as found:
        found.run(PigActivity(), new_task("PigActivity", fields, *_NODES))
        assert "output1 = LIMIT input1 1;\nSTORE output1 INTO 's3://b/out/'" in found.stdout
    [call] = host.calls
    assert call[:4] == ["pig", "-p", "a=1", "-f"]
