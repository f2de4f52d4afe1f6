from __future__ import annotations

import json

import pytest

from taskrunner.errors import DefinitionError
from taskrunner.model.document import Definition, Ref, Unresolved
from taskrunner.model.reader import read_definition, read_document
from taskrunner.model.validate import validate

TEMPLATE = """
AWSTemplateFormatVersion: '2010-09-09'
Parameters: {Bucket: {Type: String}}
Resources:
  Other: {Type: AWS::S3::Bucket}
  Pipeline:
    Type: AWS::DataPipeline::Pipeline
    Properties:
      Name: !Sub "${AWS::StackName}-copy"
      Activate: true
      ParameterObjects:
        - Id: myPath
          Attributes:
            - {Key: type, StringValue: String}
            - {Key: default, StringValue: !Sub "s3://${Bucket}/x"}
      ParameterValues:
        - {Id: myPath, StringValue: !Ref Bucket}
      PipelineObjects:
        - Id: Default
          Name: Default
          Fields:
            - {Key: type, StringValue: Default}
            - {Key: scheduleType, StringValue: ondemand}
            - Key: pipelineLogUri
              StringValue: !Join ["", ["s3://", !Ref Bucket, /logs]]
        - Id: Work
          Name: Work
          Fields:
            - {Key: type, StringValue: ShellCommandActivity}
            - {Key: command, StringValue: !Sub "echo $Home ${!Kept}"}
            - {Key: workerGroup, StringValue: !ImportValue group}
            - {Key: runsOn, RefValue: !Ref Machine}
            - {Key: stage, StringValue: !If [IsProd, "true", "false"]}
            - {Key: retryDelay, StringValue: !Join [" ", ["5", "minutes"]]}
            - {Key: myArn, StringValue: !GetAtt Role.Arn}
            - {Key: myMap, StringValue: !FindInMap [A, !Ref B, C]}
"""


def read(text: str) -> Definition:
    return read_definition(text, source="template.yaml")


def test_a_template_is_read_and_what_only_deployment_knows_is_marked() -> None:
    definition = read(TEMPLATE)
    work = definition.get("Work")
    assert work is not None
    assert work.string("command") == "echo $Home ${Kept}"
    assert work.string("retryDelay") == "5 minutes"
    shown = {f.key: f.value for f in work.fields if isinstance(f.value, Unresolved)}
    assert shown == {
        "workerGroup": "${Fn::ImportValue(group)}",
        "runsOn": "${Machine}",
        "stage": "${Fn::If(IsProd, true, false)}",
        "myArn": "${Role.Arn}",
        "myMap": "${Fn::FindInMap(A, ${B}, C)}",
    }
    default = definition.get("Default")
    assert default is not None
    assert default.string("pipelineLogUri") == "s3://${Bucket}/logs"
    assert isinstance(definition.values[0].value, Unresolved)
    assert definition.parameters[0].attribute("default") == "s3://${Bucket}/x"


def test_unresolved_values_are_warnings_with_their_line() -> None:
    report = validate(read(TEMPLATE))
    assert report.errors == ()
    found = [(f.id, f.field, f.line) for f in report.warnings if f.code == "unresolved-value"]
    assert ("Work", "runsOn", 32) in found
    assert ("Default", "pipelineLogUri", 24) in found
    assert ("myPath", "default", 12) in found
    assert len(found) == 8


def test_references_and_json() -> None:
    document = {
        "Resources": {
            "P": {
                "Type": "AWS::DataPipeline::Pipeline",
                "Properties": {
                    "PipelineObjects": [
                        {
                            "Id": "A",
                            "Name": "N",
                            "Fields": [
                                {"Key": "type", "StringValue": "CSV"},
                                {"Key": "parent", "RefValue": "Default"},
                                {"Key": "column", "StringValue": {"Fn::Sub": ["${x}", {"x": 1}]}},
                            ],
                        },
                        {"Fn::If": ["C", {"Id": "B", "Name": "B"}, {"Ref": "AWS::NoValue"}]},
                        {"Fn::If": ["C", {"Ref": "AWS::NoValue"}, {"Id": "D", "Name": "D"}]},
                        {"Ref": "AWS::NoValue"},
                        {"Fn::Transform": {"Name": "T"}},
                    ]
                },
            }
        }
    }
    read_back = read_document(json.dumps(document))
    definition = read_back.definition
    assert [o.id for o in definition] == ["A", "B", "D"]
    assert definition.objects[0].name == "N"
    assert definition.objects[0].ref("parent") == Ref("Default")
    assert definition.objects[0].values("column") == (Unresolved("${x}"),)
    assert [(p.code, p.warning) for p in read_back.problems] == [("unresolved-value", True)] * 3
    assert "Fn::Transform" in read_back.problems[2].message
    assert read_back.checked() is definition


def test_a_field_whose_name_is_not_known_is_left_out_and_noted() -> None:
    text = TEMPLATE.replace("Key: myArn", "Key: !Ref Name")
    found = read_document(text, source="t.yaml")
    assert [p.message for p in found.problems] == [
        "a field's name is not known before deployment: ${Name}"
    ]
    work = found.definition.get("Work")
    assert work is not None
    assert not work.has("myArn")


def test_several_pipelines_need_a_choice() -> None:
    one = {"Type": "AWS::DataPipeline::Pipeline", "Properties": {"PipelineObjects": []}}
    text = json.dumps({"Resources": {"A": one, "B": one}})
    with pytest.raises(DefinitionError, match="2 pipelines \\('A', 'B'\\)"):
        read_definition(text)
    assert read_definition(text, resource="B") == Definition()
    with pytest.raises(DefinitionError, match="no pipeline 'C', wanted one of 'A', 'B'"):
        read_definition(text, resource="C")


def test_a_template_without_a_pipeline_is_none() -> None:
    with pytest.raises(DefinitionError, match="AWS::DataPipeline::Pipeline"):
        read("Resources: {A: {Type: 'AWS::S3::Bucket'}}")


@pytest.mark.parametrize(
    "properties",
    ["!Ref X", "!If [a, b, c]", "[]", "x", "{PipelineObjects: !Ref X}", "{PipelineObjects: x}"],
)
def test_odd_properties_do_not_crash(properties: str) -> None:
    text = (
        f"Resources:\n  A:\n    Type: AWS::DataPipeline::Pipeline\n    Properties: {properties}\n"
    )
    assert read_document(text, source="t.yml").definition.objects == ()


@pytest.mark.parametrize(
    "call",
    ["!Sub []", "!Sub {a: b}", "!Join x", "!Join [a, b]", "!If x", "!GetAtt [A, B]", "!Ref [a]"],
)
def test_odd_functions_stay_unresolved(call: str) -> None:
    text = (
        "Resources:\n  A:\n    Type: AWS::DataPipeline::Pipeline\n    Properties:\n"
        "      PipelineObjects:\n        - Id: X\n          Fields:\n"
        f"            - {{Key: k, StringValue: {call}}}\n"
    )
    [only] = read_definition(text, source="t.yml").objects
    assert isinstance(only.fields[0].value, Unresolved)
