"""Writing an S3 object of unknown length: one PUT when it is small, else in parts.

While some parts are on their way the next one fills, so that at most four are in memory. Nothing is
visible before CompleteMultipartUpload; whatever goes wrong before, the upload is aborted.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import botocore.exceptions as aws

from taskrunner.data.objects.pieces import Pieces
from taskrunner.data.objects.s3_notes import Unfinished
from taskrunner.data.objects.s3_parts import part_size
from taskrunner.data.objects.s3_sums import sums_of
from taskrunner.data.objects.s3_upload import SENDS, Altered, MultipartUpload, Target, seen
from taskrunner.errors import TaskError

#: How many parts are on their way at a time, if they come faster than one of them goes.
_SENDERS = 3


class S3Writer:
    """Collects bytes into parts; `commit` or `discard` ends it."""

    #: The object goes in parts of its own sizes, this many times as large before one is cut off.
    _held_back = 1
    #: Whether its parts are held against a CRC-32 each, where the store does that.
    _by_crc32 = True

    def __init__(self, target: Target) -> None:
        self._to = target
        #: What the store says of the object, when it is there.
        self.etag = ""
        self._buffer = Pieces()
        self._upload: MultipartUpload | None = None
        self._sender: ThreadPoolExecutor | None = None
        self._sending: deque[Future[None]] = deque()
        #: Parts that have gone, for others to take their memory.
        self._sent: deque[bytearray] = deque(maxlen=_SENDERS)
        self._number = 0

    def write(self, data: bytes, /) -> int:
        """Add bytes; raises TaskError when an earlier part could not be sent."""
        self._buffer.add(data)
        while len(self._buffer) >= self._held_back * (size := part_size(self._number + 1)):
            self._send(size)
        return len(data)

    def commit(self) -> None:
        """Send the rest and make the object appear."""
        if self._upload is None:
            self._put()
            return
        if self._buffer:
            self._send(len(self._buffer))
        self._wait()
        self.etag = self._upload.complete().strip('"')

    def discard(self) -> None:
        """Abort whatever was begun; never raises for S3's sake."""
        self._buffer.clear()
        self._give_up()
        if self._upload is not None:
            self._upload.abort()

    def _give_up(self) -> None:
        """Let what is on its way end, whatever comes of it: parts may not come after an abort."""
        for future in self._sending:
            future.cancel()
        while self._sending:
            with suppress(TaskError, CancelledError):
                self._sending.popleft().result()

    def close(self) -> None:
        """End the sending threads, and leave the memory of the parts."""
        if self._sender is not None:
            self._sender.shutdown()
        while self._sent:
            # Errors that a second try made good refer to them, in circles, for a long time.
            with suppress(BufferError):
                self._sent.pop().clear()

    def _put(self) -> None:
        to, body = self._to, bytes(self._buffer.take(len(self._buffer)))
        # What is not as it should be would be seen for a moment: by what every store knows.
        sums = sums_of(body, by_crc32=False)
        publisher = to.publisher()
        request: dict[str, Any] = {**to.name, "Body": body, "Metadata": publisher.metadata, **sums}
        for _ in range(SENDS):
            with suppress(Altered):
                reply = publisher.publish(
                    lambda conditions: seen(
                        to.client.put_object, {**request, **conditions, **to.extra}
                    )
                )
                if to.took(reply, body, sums):
                    self.etag = str(reply["ETag"]).strip('"')
                    return
        # A store that does not look at the digest has made it appear.
        with suppress(aws.ClientError, aws.BotoCoreError):
            if publisher.found() is not None:
                to.client.delete_object(**to.name)
        raise to.altered(f"its content ({len(body)} bytes)")

    def _send(self, size: int) -> None:
        self._wait(_SENDERS - 1)
        if self._upload is None:
            self._upload = MultipartUpload(self._to, by_crc32=self._by_crc32)
        if self._sender is None:
            self._sender = ThreadPoolExecutor(_SENDERS, thread_name_prefix="s3-part")
        part = self._buffer.take(size, self._sent.pop() if self._sent else None)
        self._number += 1
        work = (self._upload, self._number, part, self._sent)
        self._sending.append(self._sender.submit(_send_once, *work))

    def _wait(self, most: int = 0) -> None:
        """Until no more parts than this are on their way; raises what one of them failed with."""
        while len(self._sending) > most:
            self._sending.popleft().result()


class S3CheckpointedWriter(S3Writer):
    """An S3Writer whose parts the next attempt goes on with.

    A checkpoint ends a part, which must not be too small. So as much as a part is held back, and
    what is there at a checkpoint goes as one, if it is enough; else the next checkpoint is waited
    for. An attempt that fails or is killed leaves its parts and its note, where it has any.
    """

    _held_back = 2
    #: Notes of parts do not have it.
    _by_crc32 = False

    def __init__(self, target: Target, plan: str, unfinished: Unfinished | None) -> None:
        super().__init__(target)
        self._plan = plan
        self._is_kept = unfinished is not None
        self.state = unfinished.state if unfinished is not None else None
        if unfinished is not None:
            self._upload = MultipartUpload(target, unfinished=unfinished)
            self._number = len(unfinished.parts)

    def checkpoint(self, state: str) -> None:
        """End a part here, if there is enough for one."""
        if len(self._buffer) < part_size(self._number + 1):
            return
        self._send(len(self._buffer))
        self._wait()
        if self._upload is not None:
            self._upload.keep(self._plan, state)
            self._is_kept = True

    def discard(self) -> None:
        """Leave what is kept for the next attempt."""
        if not self._is_kept:
            super().discard()
            return
        self._buffer.clear()
        self._give_up()


def _send_once(
    upload: MultipartUpload, number: int, part: bytearray, sent: deque[bytearray]
) -> None:
    try:
        upload.send(number, part)
    finally:
        sent.append(part)
