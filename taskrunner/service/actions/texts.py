"""The texts of alarms: every expression is filled in for itself, and none can spoil the rest."""

from __future__ import annotations

from taskrunner.errors import ExpressionError
from taskrunner.model.expressions import Scope, check, evaluate
from taskrunner.model.expressions.parser import pieces


def fill(text: str, scope: Scope) -> str:
    """The text with its expressions filled in.

    What has no value (yet, or at all) is left out; what is no expression stays as it stands.
    Several values are written with commas between them.
    """
    return "".join(
        piece if isinstance(piece, str) else _value(piece.source, scope) for piece in pieces(text)
    )


def _value(source: str, scope: Scope) -> str:
    try:
        check(source)
    except ExpressionError:
        return source
    try:
        return ",".join(evaluate(source, scope))
    except ExpressionError:
        return ""
