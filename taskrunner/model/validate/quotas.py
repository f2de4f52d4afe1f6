"""AWS's limits on numbers and sizes: this service has no need of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from taskrunner.model.document import Field, PipelineObject, Ref
from taskrunner.model.period import Period
from taskrunner.model.validate.context import Context, Item
from taskrunner.model.validate.values import number

MAX_OBJECTS = 100
MAX_FIELDS = 50
MAX_NAME_BYTES = 256
MAX_FIELD_BYTES = 10_240
MAX_OBJECT_BYTES = 15_360
MAX_PARAMETERS = 50
MAX_VALUES_BYTES = 15 * 1024
MAX_RETRIES = 5
MAX_ACTIVE = 5
MAX_STEPS = 255
MAX_BID = 20.0

_SHORTEST, _LONGEST = Period.parse("15 minutes"), Period.parse("3 years")
_WIDEST = 4  # bytes of a character in UTF-8: shorter texts need no counting
_LEAST_DELAY = timedelta(minutes=2)
_STEP_FIELDS = frozenset({"step", "preStepCommand", "postStepCommand", "bootstrapAction"})
_SOME_DAY = datetime(2001, 1, 1, tzinfo=UTC)


def check_limits(context: Context) -> None:
    """Everything that AWS would refuse for its size."""
    definition = context.definition
    _check_count(context, "limit-objects", len(definition.objects), MAX_OBJECTS, "objects")
    _check_count(
        context, "limit-parameters", len(definition.parameters), MAX_PARAMETERS, "parameters"
    )
    size = sum(len(value.id.encode()) + len(value.value.encode()) for value in definition.values)
    _check_count(context, "limit-values-bytes", size, MAX_VALUES_BYTES, "bytes of values")
    for item in context.items:
        _check_sizes(context, item)
        for field in item.own.fields:
            _check_number(context, item, field)


def _check_count(context: Context, code: str, found: int, limit: int, what: str) -> None:
    if found > limit:
        context.add(code, f"found {found} {what}, AWS takes {limit} at the most")


def _check_sizes(context: Context, item: Item) -> None:
    own = item.own
    _check_size(context, item, "limit-fields", None, len(own.fields), MAX_FIELDS, "fields")
    _check_size(
        context, item, "limit-name-bytes", "id", _size(own.id), MAX_NAME_BYTES, "bytes in the id"
    )
    for field in own.fields:
        if len(field.key) > MAX_NAME_BYTES // _WIDEST:
            found, what = _size(field.key), "bytes in the field's name"
            _check_size(context, item, "limit-name-bytes", field.key, found, MAX_NAME_BYTES, what)
        text = str(field.value)
        if len(text) > MAX_FIELD_BYTES // _WIDEST:
            found = _size(text)
            _check_size(
                context, item, "limit-field-bytes", field.key, found, MAX_FIELD_BYTES, "bytes"
            )
    for step in _STEP_FIELDS:
        count = len(item.own_fields(step))
        _check_size(context, item, "limit-steps", step, count, MAX_STEPS, "values")
    total = _total(own)
    _check_size(
        context, item, "limit-object-bytes", None, total, MAX_OBJECT_BYTES, "bytes in the object"
    )


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _total(own: PipelineObject) -> int:
    return _size("".join([own.id, own.name, *(f"{f.key}{f.value}" for f in own.fields)]))


def _check_size(
    context: Context, item: Item, code: str, key: str | None, found: int, limit: int, what: str
) -> None:
    if found > limit:
        message = f"found {found} {what}, AWS takes {limit} at the most"
        context.note(code, message, item, key)


def _check_number(context: Context, item: Item, field: Field) -> None:
    check = _NUMBERS.get(field.key)
    text = None if check is None or isinstance(field.value, Ref) else context.known(field.value)
    if check is None or text is None:
        return
    wrong = check(item, text.strip())
    if wrong is not None:
        code, message = wrong
        context.note_value(code, message, item, field)


def _length(text: str) -> timedelta | None:
    try:
        return Period.parse(text).timedelta_from(_SOME_DAY)
    except (ValueError, OverflowError):
        return None


def _period(item: Item, text: str) -> tuple[str, str] | None:
    length = _length(text)
    if length is None or item.type is None or item.type.name != "Schedule":
        return None
    if _SHORTEST.timedelta_from(_SOME_DAY) <= length <= _LONGEST.timedelta_from(_SOME_DAY):
        return None
    return ("limit-period", f"found {text}, AWS takes {_SHORTEST} to {_LONGEST}")


def _retry_delay(_item: Item, text: str) -> tuple[str, str] | None:
    length = _length(text)
    if length is None or length >= _LEAST_DELAY:
        return None
    return ("limit-retry-delay", f"found {text}, AWS waits 2 minutes at least")


def _retries(_item: Item, text: str) -> tuple[str, str] | None:
    if not text.isdecimal() or int(text[:9]) <= MAX_RETRIES:
        return None
    return ("limit-retries", f"found {text}, AWS makes {MAX_RETRIES} retries at the most")


def _active(_item: Item, text: str) -> tuple[str, str] | None:
    if not text.isdecimal() or int(text[:9]) <= MAX_ACTIVE:
        return None
    return ("limit-active-instances", f"found {text}, AWS runs {MAX_ACTIVE} at once at the most")


def _throughput(_item: Item, text: str) -> tuple[str, str] | None:
    value = number(text)
    if value is None or value <= 0 or 0.1 <= value <= 1.0:
        return None  # what is no share at all is an error for everybody
    return ("limit-throughput", f"found {text}, AWS takes 0.1 to 1.0")


def _bid(_item: Item, text: str) -> tuple[str, str] | None:
    value = number(text)
    if value is None or 0 < value < MAX_BID:
        return None
    return ("limit-bid-price", f"found {text}, AWS takes prices above 0 and below 20.00")


_NUMBERS = {
    "period": _period,
    "retryDelay": _retry_delay,
    "maximumRetries": _retries,
    "maxActiveInstances": _active,
    "readThroughputPercent": _throughput,
    "writeThroughputPercent": _throughput,
    "spotBidPrice": _bid,
    "masterInstanceBidPrice": _bid,
    "coreInstanceBidPrice": _bid,
    "taskInstanceBidPrice": _bid,
}
