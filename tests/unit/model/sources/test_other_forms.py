from __future__ import annotations

import pytest

from taskrunner.model.reader import decode, read_definition
from taskrunner.model.sources.problems import Unreadable

HCL = 'resource "aws_datapipeline_pipeline_definition" "d" {\n  pipeline_id = "x"\n}\n'
STATE_FILE = '{"version": 4, "terraform_version": "1.9", "lineage": "x", "resources": []}'


@pytest.mark.parametrize(
    ("text", "source", "words"),
    [
        (HCL, "main.tf", ["HCL", "terraform show -json plan.bin > plan.json"]),
        (HCL, None, ["HCL", "terraform show -json"]),
        ('x = "1"', "values.tfvars", ["HCL", "terraform show -json"]),
        ("# nothing yet", "a.HCL", ["HCL", "terraform show -json"]),
        ('{"resource": {"aws_datapipeline_pipeline_definition": {}}}', "main.tf.json", ["plan"]),
        (STATE_FILE, "terraform.tfstate", ["state file", "terraform show -json > state.json"]),
        ("from aws_cdk import Stack", "app.py", ["program", "cdk synth"]),
    ],
)
def test_other_forms_are_told_with_what_to_make_of_them(
    text: str, source: str | None, words: list[str]
) -> None:
    with pytest.raises(Unreadable) as caught:
        read_definition(text, source=source)
    assert caught.value.code == "other-form"
    assert "not JSON" not in str(caught.value)
    assert all(word in str(caught.value) for word in words)
    assert (caught.value.place.line, caught.value.place.column) == (1, 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04\x14\x00\xff", "terraform show -json FILE"),
        ("{}".encode("utf-16"), "this is UTF-16"),
    ],
)
def test_other_bytes_are_told_too(data: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words) as caught:
        decode(data, source="f")
    assert caught.value.code == "other-form"
