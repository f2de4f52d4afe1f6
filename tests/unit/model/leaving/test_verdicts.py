from __future__ import annotations

import pytest

from taskrunner.model.leaving.verdicts import Verdict, assess
from taskrunner.model.validate import Finding, Report


def finding(code: str, object_id: str = "A") -> Finding:
    return Finding(id=object_id, field=None, code=code, message="m", line=None, column=None)


@pytest.mark.parametrize(
    ("resources", "secrets", "verdict"),
    [
        ({}, {}, Verdict.RUNS),
        ({"E": "Ec2Resource"}, {}, Verdict.RULE),
        ({}, {"*myP": "no entry"}, Verdict.SECRET),
        ({"E": "Ec2Resource"}, {"*myP": "no entry"}, Verdict.BOTH),
    ],
)
def test_what_is_missing(
    resources: dict[str, str], secrets: dict[str, str], verdict: Verdict
) -> None:
    assert assess(Report(), masked=(), resources=resources, secrets=secrets).verdict is verdict


def test_an_error_and_a_warning_that_nothing_runs_are_fatal() -> None:
    for report in (
        Report(errors=(finding("missing-field"),)),
        Report(warnings=(finding("no-runner"),)),
    ):
        found = assess(report, masked=(), resources={"E": "x"}, secrets={"p": "x"})
        assert found.verdict is Verdict.CANNOT
        assert found.notes == ()


def test_of_a_masks_value_nothing_is_known() -> None:
    report = Report(errors=(finding("wrong-parameter-type", "*myP"),))
    told = assess(report, masked=["*myP"], resources={}, secrets={"*myP": "no entry"})
    assert told.verdict is Verdict.SECRET
    assert assess(report, masked=[], resources={}, secrets={}).verdict is Verdict.CANNOT


def test_notes_are_what_other_columns_do_not_say() -> None:
    report = Report(
        warnings=(finding("masked-secret"), finding("missing-role"), finding("no-effect"))
    )
    found = assess(
        report, masked=(), resources={}, secrets={}, more=[finding("no-effect"), finding("x")]
    )
    assert [one.code for one in found.notes] == ["no-effect", "x"]
