"""Every kind of finding: its stable code, how much it matters, and one line on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    LIMIT = "limit"  # an error with --aws-limits, a warning without


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One kind of finding."""

    name: str
    severity: Severity
    text: str


_ERRORS = {
    # the file
    "not-json": "The file is not JSON.",
    "not-yaml": "The file is not YAML.",
    "not-utf8": "The file is not UTF-8.",
    "other-form": "The file has a form that is not read; the message says which to make of it.",
    "no-definition": "The file holds no pipeline definition.",
    "bad-shape": "A part of the file has not the shape that a definition has there.",
    "bad-value-shape": "A field's value is neither text nor a reference nor a list of these.",
    "null-value": "A field's value is null.",
    "repeated-key": "An object's id or name, or a part of the file, is given more than once.",
    # objects
    "missing-id": "An object or parameter has no id.",
    "empty-id": "An object's id is empty.",
    "reserved-id": "An object's id starts with @, as only ids of the service's own do.",
    "duplicate-id": "Two objects have one id.",
    "missing-type": "An object has no type, and no other object inherits from it.",
    "bad-type": "The type is given several times, or as a reference.",
    "unknown-type": "No object type has this name.",
    "bad-character": "A text holds a character that the API does not take.",
    # fields
    "unknown-field": "The type has no such field.",
    "runtime-field": "Only the service sets this field.",
    "forbidden-field": "This type must not have the field.",
    "empty-value": "The value is empty.",
    "several-values": "The field takes one value.",
    "reference-wanted": "The field takes a reference, not text.",
    "value-wanted": "The field takes text, not a reference.",
    "missing-field": "A required field is not set, on the object, its parents or Default.",
    "missing-one-of": "None of the fields is set of which one is required.",
    "conflicting-fields": "Two fields are set of which only one may be.",
    # references
    "dangling-reference": "No object has the id that is referred to.",
    "wrong-reference-kind": "The object referred to is of a type that the field does not take.",
    "parent-cycle": "Objects are their own ancestors.",
    "parent-chain": "More ancestors stand above an object than are followed.",
    "dependency-cycle": "Objects wait for each other (dependsOn, input, output).",
    # values
    "bad-period": "Not a period.",
    "bad-datetime": "Not a date and time.",
    "bad-integer": "Not a whole number, or below the least one.",
    "bad-number": "Not a number.",
    "bad-boolean": "Neither true nor false.",
    "bad-enum": "Not one of the words that the field takes.",
    # expressions
    "expression-syntax": "An expression cannot be read.",
    "unknown-function": "An expression calls a function that does not exist.",
    "argument-count": "A function is called with too many or too few arguments.",
    "unknown-name": "An expression names what is neither field, parameter nor object.",
    "unknown-parameter": "An expression names a my... parameter that nothing declares or sets.",
    "unknown-runtime-field": "An expression names a runtime field that does not exist.",
    "misplaced-node": "`node` stands in an object that is neither action nor precondition.",
    # parameters
    "parameter-name": "A parameter's id does not start with my.",
    "duplicate-parameter": "Two parameters have one id.",
    "unknown-parameter-type": "No parameter type has this name.",
    "bad-parameter-flag": "A parameter's optional or isArray is neither true nor false.",
    "parameter-without-value": "A parameter that is not optional has neither value nor default.",
    "wrong-parameter-type": "A parameter's value is not of its type.",
    "value-not-allowed": "A parameter's value is not among its allowedValues.",
    "parameter-not-array": "Several values are given for a parameter that is no array.",
    # schedules
    "missing-schedule": "An activity has no schedule, and the pipeline is not on demand.",
    "missing-start": "A Schedule has neither startAt nor startDateTime.",
    "occurrences-and-end": "A Schedule has both occurrences and endDateTime.",
    "end-before-start": "A Schedule ends before it starts.",
    "ondemand-not-on-default": "scheduleType ondemand is set, but not on Default.",
    "ondemand-mixed": "A pipeline on demand has an object with another scheduleType.",
    "ondemand-value": "A value for on-demand pipelines stands in one that is not on demand.",
    # rules between fields
    "late-action-without-timeout": "onLateAction is set, and lateAfterTimeout is not.",
    "cannot-run": "With --target: nobody there can carry out objects of the type.",
    "copy-direction": "A HiveCopyActivity copies from S3 to something else than DynamoDB.",
}

_WARNINGS = {
    "unknown-part": "The file has a part that nothing reads.",
    "no-activity": "There is no activity, so nothing will run.",
    "undocumented-field": "The field is in no reference, but published definitions use it.",
    "unresolved-value": "A value is known only when a template is deployed; it was not checked.",
    "missing-role": "AWS wants a role here; this service needs none.",
    "no-own-schedule": "A resource or data node has no schedule; what uses it has to have one.",
    "no-runner": "Neither runsOn nor workerGroup is set: nothing will run the object.",
    "resource-nowhere": "No rule of `--resources` says where the resource runs.",
    "no-effect": "The field changes nothing where the definition runs.",
    "worker-group-ignored": "runsOn is set, so workerGroup is ignored.",
    "start-given-twice": "startAt and startDateTime are both set; startDateTime wins.",
    "backfill": "The schedule starts more than a day ago: every interval since will run.",
    "cascade-backfill": "With cascade, one failure in a backfill fails what consumes it.",
    "undated-output": "Every run of the schedule writes to one place.",
    "mixed-schedule-types": "Some objects run at the start of an interval, some at its end.",
    "plain-text-secret": "A secret stands in the file as it is.",
    "secret-argument": "A secret stands in scriptArgument, which every user of the host can see.",
    "masked-secret": "A mask stands where a secret was; only the pipeline it is from has it.",
    "deprecated-type": "Another type replaces this one.",
    "unknown-region": "Not the code of an AWS region.",
    "unusual-dependency": "dependsOn names something that is not an activity.",
    "repeated-single": "Nothing says that the field may have several values.",
    "nothing-to-copy": "A copy has no input or no output.",
    "no-database": "A table has no database to be in.",
    "bad-connection": "A connection string or property is refused, so its activity would fail.",
    "bad-step": "A step or a jar's call cannot be read, so its activity would fail.",
    "bad-variable": "A script's variable is not NAME=value, so its activity would fail.",
    "script-argument-with-uri": "AWS documents scriptArgument for command only.",
    "local-path-on-resource": "A local path is lost with the resource that the work runs on.",
    "not-s3-path": "The field takes an S3 path.",
    "undeclared-parameter": "A value is given for a parameter that is not declared.",
    "parameter-attribute": "Parameters have no such attribute.",
    "late-ignored": "lateAfterTimeout has no effect on demand.",
    "schedule-ignored": "The pipeline is on demand, so the Schedule has no effect.",
}

_LIMITS = {
    "limit-objects": "AWS takes 100 objects in a pipeline.",
    "limit-fields": "AWS takes 50 fields in an object.",
    "limit-name-bytes": "AWS takes 256 bytes in an id or field name.",
    "limit-field-bytes": "AWS takes 10,240 bytes in a field.",
    "limit-object-bytes": "AWS takes 15,360 bytes in an object.",
    "limit-parameters": "AWS takes 50 parameters.",
    "limit-values-bytes": "AWS takes 15 kB of parameter values.",
    "limit-period": "AWS takes periods of a Schedule from 15 minutes to 3 years.",
    "limit-retries": "AWS makes 5 retries at the most.",
    "limit-retry-delay": "AWS waits 2 minutes at least between attempts.",
    "limit-active-instances": "AWS runs 5 instances of an object at once.",
    "limit-steps": "AWS takes 255 steps, commands or bootstrap actions.",
    "limit-throughput": "AWS takes throughput shares from 0.1 to 1.0.",
    "limit-bid-price": "AWS takes bid prices above 0 and below 20.00 US dollars.",
}


#: Kinds whose messages are made of names alone, so that they may be shown of secrets too.
NAMES_ONLY = frozenset(
    {
        "conflicting-fields", "deprecated-type", "duplicate-parameter", "forbidden-field",
        "limit-field-bytes", "limit-fields", "limit-name-bytes", "limit-object-bytes",
        "masked-secret", "missing-field", "missing-one-of", "parameter-name",
        "parameter-not-array", "parameter-without-value", "plain-text-secret", "repeated-single",
        "runtime-field", "several-values", "undeclared-parameter", "undocumented-field",
        "unknown-field",
    }
)  # fmt: skip


def _codes(texts: Mapping[str, str], severity: Severity) -> dict[str, Code]:
    return {name: Code(name=name, severity=severity, text=text) for name, text in texts.items()}


#: Every code by its name.
CODES: Mapping[str, Code] = {
    **_codes(_ERRORS, Severity.ERROR),
    **_codes(_WARNINGS, Severity.WARNING),
    **_codes(_LIMITS, Severity.LIMIT),
}
