"""The expression language: `#{...}` in the text of a field.

`evaluate` gives the value of a text in a `Scope`, `evaluate_object` of all fields of an object;
`check` and `problems` say what is wrong wherever the text stands, and `uses` what it names.
"""

from __future__ import annotations

from taskrunner.model.expressions.evaluate import evaluate, evaluate_object
from taskrunner.model.expressions.functions import FUNCTIONS, Function
from taskrunner.model.expressions.joda import format_date
from taskrunner.model.expressions.scope import SHARED_RUNTIME, VERBATIM, Scope
from taskrunner.model.expressions.uses import Problem, Reference, Uses, check, problems, uses

__all__ = [
    "FUNCTIONS",
    "SHARED_RUNTIME",
    "VERBATIM",
    "Function",
    "Problem",
    "Reference",
    "Scope",
    "Uses",
    "check",
    "evaluate",
    "evaluate_object",
    "format_date",
    "problems",
    "uses",
]
