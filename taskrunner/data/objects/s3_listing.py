"""Listing a prefix: a page that lacks something, and an end that comes too early, are seen.

S3 says of each page how many keys it has, and whether others follow. Neither is believed alone: the
keys are counted, and behind the last one it is asked whether there are more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from taskrunner.data.objects.base import ObjectInfo
from taskrunner.data.objects.location import Location
from taskrunner.data.objects.s3_checks import is_directory_bucket
from taskrunner.data.objects.s3_client import nonsense, problems
from taskrunner.errors import ErrorId, TaskError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: How often a page is asked for that does not have what it says.
_TRIES = 3


def listed(client: S3Client, prefix: Location, *, endpoint: str | None) -> Iterator[ObjectInfo]:
    """Every object below the prefix, in key order; raises TaskError."""
    where: dict[str, str] = {}
    last = ""
    #: Behind the last key: a server may send empty pages, but not the same ones for ever.
    tokens: set[str] = set()
    while True:
        page = _page(client, prefix, where, endpoint)
        keys = [item["Key"] for item in page.get("Contents", [])]
        if keys and last and not _is_behind(keys[0], last) and _is_ordered(prefix):
            if "StartAfter" in where:
                return  # a server that does not know the word: it has begun again
            message = f"cannot list {prefix.uri}: behind {last!r} the same keys came again"
            raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED)
        for item in page.get("Contents", []):
            yield ObjectInfo(
                uri=f"s3://{prefix.bucket}/{item['Key']}",
                size=item["Size"],
                modified=item["LastModified"],
                etag=item.get("ETag", "").strip('"') or None,
            )
        last = keys[-1] if keys else last
        token = page.get("NextContinuationToken")
        if page.get("IsTruncated") and token:
            if not keys and token in tokens:
                message = f"cannot list {prefix.uri}: the same page without any keys came again"
                raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED)
            tokens = {token} if keys else tokens | {token}
            where = {"ContinuationToken": token}
        elif last and _is_ordered(prefix) and where.get("StartAfter") != last:
            where = {"StartAfter": last}
        else:
            return


def _page(
    client: S3Client, prefix: Location, where: dict[str, str], endpoint: str | None
) -> Mapping[str, Any]:
    """One page, with as many keys as it says that it has."""
    for _ in range(_TRIES):
        request: dict[str, Any] = {"Bucket": prefix.bucket, "Prefix": prefix.key, **where}
        with problems(prefix.uri, "list", endpoint):
            page = client.list_objects_v2(**request)
        if "Name" not in page:
            raise nonsense(prefix.uri, "list", endpoint)
        found = len(page.get("Contents", [])) + len(page.get("CommonPrefixes", []))
        if page.get("KeyCount", found) == found:
            return page
    message = (
        f"cannot list {prefix.uri}: a page of {page['KeyCount']} keys came with {found} of them"
    )
    raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED)


def _is_ordered(prefix: Location) -> bool:
    return not is_directory_bucket(prefix.bucket)


def _is_behind(key: str, last: str) -> bool:
    return key.encode() > last.encode()
