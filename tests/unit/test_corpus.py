"""Definitions that people published: none crashes a reader, and what is wrong in them is told.

They lie beside the project, not in it, and nothing in them is ever run.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from taskrunner.errors import DefinitionError
from taskrunner.model.document import Definition, ParameterObject
from taskrunner.model.parameters import parameter_values, with_values
from taskrunner.model.reader import Document, decode, read_document, read_parameters, read_values
from taskrunner.model.sources.problems import Unreadable
from taskrunner.model.validate import validate_document
from taskrunner.model.writer import dumps_api, dumps_cli

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "../shared/corpus"
SEEDS = ROOT / "../shared/seed-definitions"
NOW = datetime(2026, 11, 20, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="needs the corpus of published definitions at ../shared/corpus"
)

#: Files that are not JSON, nor YAML: trailing commas, raw line breaks, brackets missing, HCL.
UNREADABLE = {
    "docs-dp-object-emrconfiguration-2.json",
    "docs-dp-object-httpproxy.json",
    "pike-pipeline-definition.tf",
    "samples-old-rdstos3edppipelinedefinition-c3537c.json",
    "samples-old-samplesqooprdstos3-32b3ed.json",
    "samples-shellcommandwithftp-pipeline.json",
}

#: What is wrong in files when every declared parameter has a value.
EXPECTED = {
    # inputs of another program's tests: an object or two of a definition
    "awscli-test-translator-105.json": {"missing-id"},
    "awscli-test-translator-119.json": {"missing-schedule"},
    "awscli-test-translator-138.json": {"missing-schedule", "dangling-reference"},
    "awscli-test-translator-196.json": {"dangling-reference"},
    "awscli-test-translator-213.json": {"dangling-reference"},
    "pipeline-builder-2.json": {"dangling-reference"},
    "pipeline-builder-3.json": {"dangling-reference", "unknown-field"},
    # words such as yyyy-mm-dd where the reader of a guide is to put a value
    "docs-dp-copydata-redshift-define-pipeline-cli.json": {"bad-datetime", "bad-period"},
    "docs-dp-object-hadoopactivity.json": {"bad-datetime", "duplicate-id", "dangling-reference"},
    "docs-dp-object-redshiftcopyactivity.json": {"bad-datetime", "bad-period"},
    # format with one argument
    "pipewelder-test-data-old2.json": {"argument-count"},
    "pipewelder-test-data.json": {"argument-count"},
    "samples-kinesis-kinesis-to-s3.json": {"bad-period"},
    # password without its asterisk; parameters that nothing declares
    "samples-old-samplesqooprdstoredshift-9eca72.json": {
        "missing-field",
        "unknown-field",
        "unknown-parameter",
    },
    "docs-dp-custom-templates.json": {"unknown-parameter"},
    "samples-dynamodbimport-xmltodynamodbimport.json": {"unknown-parameter"},
    "samples-old-samplesqooprdstoredshift-9219f7.json": {"unknown-parameter"},
    "samples-old-sqoop-5c2f03.json": {"unknown-parameter"},
    "samples-old-sqoop-a4934b.json": {"unknown-parameter"},
    "samples-oracle-backup-definition.json": {"unknown-parameter"},  # their values: another file
    "samples-rdstoredshiftsqoop-rdstoredshiftsqoop.json": {"unknown-parameter"},
    "samples-redshiftcopyactivityfromdynamodbtable-redshiftcopyactivityfromdynamodbtable.json": {
        "unknown-parameter"
    },
    "samples-simplepigactivity-pig-activity-sample.json": {"unknown-parameter"},
    "support-tools-postgres-to-redshift.json": {"unknown-parameter"},
}

_PLACEHOLDERS = {
    r"Period|Timeout": "1 day",
    r"DateTime": "2026-02-13T02:00:00",
    r"Region": "eu-west-1",
    r"Percent|Ratio": "0.5",
    r"Count|Number": "2",
    r"S3|Uri|Path|Loc": "s3://bucket/key",
}


def files(*folders: str) -> list[Path]:
    return [path for name in folders for path in sorted((CORPUS / name).glob("*"))]


def text_of(path: Path) -> str:
    return decode(path.read_bytes(), source=path.name)


def placeholder(parameter: ParameterObject) -> str:
    allowed = parameter.attribute_values("allowedValues")
    if allowed:
        return allowed[0]
    found = (text for form, text in _PLACEHOLDERS.items() if re.search(form, parameter.id))
    return next(found, "1")


def filled(document: Document) -> Document:
    """The document with a value for each declared parameter that has none."""
    definition = document.definition
    known = parameter_values(definition)
    given = {p.id: [placeholder(p)] for p in definition.parameters if p.id not in known}
    return replace(document, definition=with_values(definition, given))


def codes(document: Document) -> set[str]:
    return {finding.code for finding in validate_document(document, now=NOW).errors}


WHOLE = files("definitions", "cloudformation", "terraform")


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name)
def test_a_whole_definition_has_the_errors_that_it_has(path: Path) -> None:
    if path.name in UNREADABLE:
        told = "this is Terraform's own language" if path.suffix == ".tf" else "not JSON: "
        with pytest.raises(Unreadable, match=rf":\d+:\d+: {told}"):
            read_document(text_of(path), source=path.name)
        return
    document = read_document(text_of(path), source=path.name)
    expected = EXPECTED.get(path.name, set())
    assert codes(filled(document)) == expected
    assert codes(document) - expected <= {"parameter-without-value"}


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name)
def test_a_whole_definition_is_written_and_read_back(path: Path) -> None:
    if path.name in UNREADABLE:
        return
    definition = read_document(text_of(path), source=path.name).definition
    for dumps in (dumps_cli, dumps_api):
        back = read_document(dumps(definition)).definition
        assert back == definition
        assert dumps(back) == dumps(definition)


def test_the_list_of_what_is_wrong_names_files_that_exist() -> None:
    assert {*EXPECTED, *UNREADABLE} <= {path.name for path in WHOLE}


@pytest.mark.parametrize("path", files("fragments", "fixtures"), ids=lambda path: path.name)
def test_fragments_are_read_or_refused(path: Path) -> None:
    for text in (text_of(path), f'{{"objects": [{text_of(path)}]}}'):
        document = Document(definition=Definition())
        try:
            document = read_document(text, source=path.name)
        except DefinitionError as error:
            assert error.place.line is not None  # noqa: PT017
        validate_document(document, now=NOW)


@pytest.mark.parametrize("path", files("parameters"), ids=lambda path: path.name)
def test_parameter_and_value_files_are_read_or_refused(path: Path) -> None:
    found: list[str] = []
    for read in (read_parameters, read_values):
        try:
            found += [item.id for item in read(text_of(path), source=path.name)]
        except DefinitionError as error:
            assert "wanted" in error.message  # noqa: PT017
    assert found or path.name == "pipewelder-pipewelder.json"


def test_values_in_another_file_make_the_definition_whole() -> None:
    path = CORPUS / "definitions/samples-oracle-backup-definition.json"
    values = read_values(text_of(CORPUS / "parameters/samples-oracle-backup-values.json"))
    document = read_document(text_of(path))
    given = {value.id: [value.value] for value in values}
    definition = with_values(document.definition, given)
    assert codes(replace(document, definition=definition)) == set()


@pytest.mark.skipif(not SEEDS.is_dir(), reason="needs ../shared/seed-definitions")
def test_the_seeds_are_valid_and_start_twice() -> None:
    seeds = sorted(SEEDS.glob("*.json"))
    assert seeds
    for path in seeds:
        report = validate_document(read_document(text_of(path)), now=NOW)
        assert report.errors == ()
        assert "start-given-twice" in {finding.code for finding in report.warnings}
