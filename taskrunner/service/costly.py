"""What a definition may cost to be looked at: expressions take time by their length."""

from __future__ import annotations

from taskrunner.errors import InvalidRequest

#: Seconds of a processor. What AWS takes has 1.5 MB at the most, hardly any of it expressions.
MOST_EXPRESSIONS = 500_000


def check_expressions(request: object) -> None:
    """Raise InvalidRequest when a request brings a definition with too much to be evaluated."""
    texts = [
        *(f.value for item in getattr(request, "pipeline_objects", ()) for f in item.fields),
        *(value.value for value in getattr(request, "parameter_values", ())),
    ]
    size = sum(_length(text) for text in texts if isinstance(text, str))
    if size > MOST_EXPRESSIONS:
        raise InvalidRequest(
            f"the expressions of the definition have {size} characters in all, at most "
            f"{MOST_EXPRESSIONS} are taken"
        )


def _length(text: str) -> int:
    """From the first expression to the end of the last."""
    start = text.find("#{")
    return 0 if start < 0 else max(0, text.rfind("}") + 1 - start) or len(text) - start
