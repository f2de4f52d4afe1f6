from __future__ import annotations

import pytest

from taskrunner.cli import main
from taskrunner.model.catalog import CATALOG


def test_without_a_topic_every_type_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in CATALOG)


def test_a_type_lists_its_fields_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "snsalarm"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("SnsAlarm (action)\n")
    assert printed.index("Required:") < printed.index("topicArn") < printed.index("Optional:")
    assert main(["explain", "MySqlDataNode"]) == 0
    assert "Deprecated: use SqlDataNode." in capsys.readouterr().out


@pytest.mark.parametrize("name", list(CATALOG))
def test_every_type_and_field_can_be_explained(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", name]) == 0
    for field in CATALOG[name].fields:
        assert main(["explain", f"{name}.{field}"]) == 0
        assert f"{name}.{field}\n" in capsys.readouterr().out


def test_a_field_tells_all_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "ShellCommandActivity.runsOn"]) == 0
    printed = capsys.readouterr().out
    assert "runsOn, workerGroup" in printed
    assert "Ec2Resource, EmrCluster" in printed
    assert main(["explain", "RdsDatabase.*password"]) == 0
    assert "Secret:     yes: masked" in capsys.readouterr().out
    assert main(["explain", "CSV.id"]) == 0
    assert "one object has it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("CopyActivty", "no object type 'CopyActivty'; did you mean 'CopyActivity'?"),
        ("CSV.colum", "no field of CSV 'colum'; did you mean 'column'?"),
        ("zzz", "no object type 'zzz'\n"),
    ],
)
def test_an_unknown_name_is_wrong_usage(
    topic: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", topic]) == 2
    assert words in capsys.readouterr().err
