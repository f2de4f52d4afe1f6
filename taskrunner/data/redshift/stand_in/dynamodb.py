"""The items of a DynamoDB table, as COPY takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from taskrunner.errors import ErrorId, TaskError

#: COPY takes texts and numbers; of all other types the column stays NULL.
_TAKEN = ("S", "N")


def items(table: str, columns: tuple[str, ...], region: str | None) -> Iterator[list[str | None]]:
    """A value for each column, by the attributes' names, in any case."""
    import botocore.exceptions as aws
    import botocore.session

    try:
        client = botocore.session.get_session().create_client("dynamodb", region_name=region)
        try:
            for page in client.get_paginator("scan").paginate(TableName=table):
                for item in page["Items"]:
                    yield _row(item, columns)
        finally:
            client.close()
    except aws.ClientError as error:
        details = error.response.get("Error", {})
        missing = details.get("Code") == "ResourceNotFoundException"
        error_id = ErrorId.NOT_FOUND if missing else ErrorId.ACCESS_DENIED
        message = f"cannot read the DynamoDB table {table!r}: {details.get('Message')}"
        raise TaskError(message, error_id=error_id) from error
    except aws.BotoCoreError as error:
        message = f"cannot read the DynamoDB table {table!r}: {error}"
        raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED) from error


def _row(item: Mapping[str, Mapping[str, Any]], columns: tuple[str, ...]) -> list[str | None]:
    values = {name.lower(): value for name, value in item.items()}
    return [_text(values.get(column.lower())) for column in columns]


def _text(value: Mapping[str, Any] | None) -> str | None:
    for kind in _TAKEN:
        if value and kind in value:
            return str(value[kind])
    return None
