"""Notes of the uploads that have begun, kept in S3: the next attempt clears what they name.

S3 keeps the parts of an upload that is neither completed nor aborted, and does not say whose they
are. So each attempt notes an upload before it begins, and removes the note when it has ended. What
a killed attempt left is then known for its own, and nothing else is ever touched.

Notes lie in the folder of the instance's logs. Without one, or where they may not be written, all
works the same; only nothing is cleared but by the bucket's lifecycle rule.
"""

from __future__ import annotations

import json
import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import botocore.exceptions as aws

from taskrunner.data.claims import Claim, digest_of
from taskrunner.data.objects.location import Location, parse

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LOG = logging.getLogger(__name__)
_NAME = ".taskrunner-upload-"
_FAILED = (aws.ClientError, aws.BotoCoreError)
#: An upload that began later than this after its note is not the one that it was for.
_SOON = timedelta(minutes=10)


class UploadNotes:
    """The notes of one attempt."""

    def __init__(self, client: S3Client, claim: Claim, folder: Location) -> None:
        """`folder` is where the logs of the instance go."""
        self._client = client
        self._claim = claim
        self._bucket = folder.bucket
        self._prefix = f"{folder.key.rstrip('/')}/{_NAME}{claim.owner}-".lstrip("/")
        self._sweeping = threading.Lock()
        self._swept = False

    def begin(self, target: Location) -> Note:
        """Note that an upload is about to begin."""
        note = Note(self._client, self._bucket, self._key(target), target, self._claim)
        uploads = _uploads(self._client, target)
        note.write(before=uploads and [upload["UploadId"] for upload in uploads])
        return note

    def unfinished(self, target: Location, plan: str) -> Unfinished | None:
        """What an earlier attempt of this run has kept of an object, if it had the same plan.

        It is this attempt's from now on, and is not swept.
        """
        note = Note(self._client, self._bucket, self._key(target), target, self._claim)
        try:
            found = note.read()
            if found is None or found["plan"] != plan or found["run"] != self._claim.run:
                return None
            if not self._is_left(found["writer"]) or not found["parts"]:
                return None
            parts = [(int(number), str(etag)) for number, etag in found["parts"]]
            kept = Unfinished(found["upload"], found["token"], parts, found["state"], note)
            if not self._is_there(target, kept):
                return None
        except (*_FAILED, ValueError, KeyError, TypeError):
            return None
        more = {key: found[key] for key in ("token", "plan", "state", "parts")}
        note.write(upload=kept.upload, **more)
        return kept

    def _is_there(self, target: Location, kept: Unfinished) -> bool:
        """Whether the store still has the parts, as they were."""
        pages = self._client.get_paginator("list_parts").paginate(
            Bucket=target.bucket, Key=target.key, UploadId=kept.upload
        )
        there = {part["PartNumber"]: part["ETag"] for page in pages for part in page["Parts"]}
        return all(there.get(number) == etag for number, etag in kept.parts)

    def _key(self, target: Location) -> str:
        return f"{self._prefix}{digest_of(target.uri)}.json"

    def _is_left(self, writer: str) -> bool:
        """Whether an earlier attempt has left this, none that is later or this one itself."""
        ours = self._claim.owns(writer) and writer != self._claim.mark
        return ours and not self._claim.is_superseded_by(writer)

    def sweep(self) -> None:
        """End what earlier attempts of the instance have left; once."""
        with self._sweeping:
            if self._swept:
                return
            self._swept = True
            with suppress(*_FAILED):
                pages = self._client.get_paginator("list_objects_v2").paginate(
                    Bucket=self._bucket, Prefix=self._prefix
                )
                for item in [item for page in pages for item in page.get("Contents", [])]:
                    self._clear(item["Key"], item["LastModified"])

    def _clear(self, key: str, written: datetime) -> None:
        """End what a note names, and remove the note; one that cannot be read stays."""
        found = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        try:
            note = json.loads(found)
            target, writer, upload = parse(note["uri"]), note["writer"], note["upload"]
        except (ValueError, KeyError, TypeError):
            return
        if not self._is_left(writer):
            return
        name: dict[str, Any] = {"Bucket": target.bucket, "Key": target.key}
        upload = upload or self._unnamed(target, note.get("before"), written)
        if upload:
            with suppress(aws.ClientError):
                self._client.abort_multipart_upload(**name, UploadId=upload)
                _LOG.info("Removed the parts that an earlier attempt left for %s", target.uri)
        self._client.delete_object(Bucket=self._bucket, Key=key)

    def _unnamed(self, target: Location, before: list[str] | None, noted: datetime) -> str | None:
        """The upload of a note that was written before it had a name: a killed attempt's last call.

        It is the only one that has come since, and soon, for this very key, and nothing has been
        sent for it. Whatever leaves a doubt is left alone.
        """
        found = _uploads(self._client, target)
        if before is None or found is None:
            return None
        found = [upload for upload in found if upload["UploadId"] not in before]
        if len(found) != 1 or found[0]["Initiated"] > noted + _SOON:
            return None
        name: dict[str, Any] = {"Bucket": target.bucket, "Key": target.key}
        upload = str(found[0]["UploadId"])
        parts = self._client.list_parts(**name, UploadId=upload, MaxParts=1).get("Parts")
        return None if parts else upload


@dataclass(slots=True)
class Note:
    """The note of one upload."""

    _client: S3Client
    _bucket: str
    _key: str
    _target: Location
    _claim: Claim

    def read(self) -> dict[str, Any] | None:
        """What it says; None where there is none."""
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._key)["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None
        content: dict[str, Any] = json.loads(found)
        return content

    def write(self, upload: str | None = None, **more: Any) -> None:
        """Keep the upload's name, when it has one, and what else is to be known of it."""
        about = {"uri": self._target.uri, "writer": self._claim.mark, "run": self._claim.run}
        content = {**about, "upload": upload, **more}
        try:
            data = json.dumps(content).encode()
            self._client.put_object(Bucket=self._bucket, Key=self._key, Body=data)
        except _FAILED as error:
            _LOG.warning(
                "What is left of this upload will not be cleared if it is killed: cannot note it "
                "at s3://%s/%s: %s",
                self._bucket,
                self._key,
                " ".join(str(error).split())[:200],
            )

    def remove(self) -> None:
        """The upload has ended."""
        with suppress(*_FAILED):
            self._client.delete_object(Bucket=self._bucket, Key=self._key)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload that an earlier attempt has kept for this one."""

    upload: str
    token: str
    #: Number and ETag of each part that counts.
    parts: list[tuple[int, str]]
    #: What the writer said to go on with.
    state: str
    note: Note


def _uploads(client: S3Client, target: Location) -> list[dict[str, Any]] | None:
    """The open uploads for this key; None where that cannot be known."""
    try:
        pages = client.get_paginator("list_multipart_uploads").paginate(
            Bucket=target.bucket, Prefix=target.key
        )
        found = [{**upload} for page in pages for upload in page.get("Uploads", [])]
    except _FAILED:
        return None
    return [upload for upload in found if upload["Key"] == target.key]
