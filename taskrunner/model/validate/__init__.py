"""Everything that is wrong in a definition, found in one pass over it.

    report = validate(read_definition(text), now=clock.now())
    for finding in report.errors: ...

`validate_document` adds what a lenient reading noted; `CODES` lists every kind of finding.
"""

from taskrunner.model.validate.codes import CODES, Code, Severity
from taskrunner.model.validate.effects import findings_of_places
from taskrunner.model.validate.finding import Finding, Report
from taskrunner.model.validate.run import add_check, unreadable, validate, validate_document

__all__ = [
    "CODES",
    "Code",
    "Finding",
    "Report",
    "Severity",
    "add_check",
    "findings_of_places",
    "unreadable",
    "validate",
    "validate_document",
]
