"""D1 to D3: copies that are killed and paused at random leave the target exact, nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from taskrunner.clock import SystemClock
from tests.chaos.copies_work import Done, Wanted
from tests.chaos.scale import Chaos
from tests.integration.test_databases import rows, run

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Two parts of an upload, in rows of a length that leaves most of the time to what decides.
OUT_ROWS = 12_000
OUT_LENGTH = 560
IN_ROWS = 5_000
IN_LENGTH = 180
_SELECT = "select id, {attempt} as attempt, note from orders order by id"
_CLOCK = SystemClock()


def pause_for(seconds: float) -> None:
    _CLOCK.wait(threading.Event(), seconds)


class Attempts:
    """The process that makes them."""

    def __init__(self, folder: Path, mutant: str = "") -> None:
        folder.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.copies_work", str(folder), *filter(None, [mutant])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TMPDIR": str(folder)},
        )

    def start(self, wanted: Wanted) -> int:
        """Its process."""
        pid: int = self._ask(json.dumps(asdict(wanted)))
        return pid

    def wait(self, pid: int) -> tuple[int, str]:
        """How it ended."""
        code, message = self._ask(f"wait {pid}")
        return code, message

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def _ask(self, line: str) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dataclass(slots=True)
class Scene:
    """A table, a bucket, and the instances that copy between them."""

    chaos: Chaos
    url: str
    endpoint: str
    bucket: str
    client: S3Client
    attempts: Attempts
    out: bool
    #: How long an attempt takes that nobody disturbs.
    takes_s: float = 0.0
    number: int = 0
    kills: int = 0
    #: How many points such an attempt passes.
    points: int = 0
    lost_verdicts: int = 0
    wrong: list[str] = field(default_factory=list)
    #: Of contents by their ETags, so that equal ones are read once.
    digests: dict[str, str] = field(default_factory=dict)

    def wanted(self, attempt: int) -> Wanted:
        key = f"out/{self.number}.csv" if self.out else "in.csv"
        return Wanted(
            instance=f"Copy{self.number}",
            attempt=attempt,
            url=self.url,
            endpoint=self.endpoint,
            out=self.out,
            uri=f"s3://{self.bucket}/{key}",
            logs=f"s3://{self.bucket}/logs/{self.number}",
            query=_SELECT.format(attempt=attempt) if self.out else "",
        )

    def whole(self, attempt: int) -> int:
        """An attempt that nobody disturbs; returns its exit code."""
        code, message = self.attempts.wait(self.attempts.start(self.wanted(attempt)))
        assert code == 0 or "later attempt" in message or "was faster" in message, message
        if code == 0:
            self.points = done_of(message).points
        return code

    def killed(self, attempt: int) -> bool:
        """An attempt that is killed, if it is not done by then: at some moment, or at a point."""
        wanted = self.wanted(attempt)
        if self.chaos.random.random() < 0.5:
            point = self.chaos.random.randint(1, self.points)
            pid = self.attempts.start(replace(wanted, kill_at_point=point))
        else:
            pid = self.attempts.start(wanted)
            pause_for(self.chaos.random.uniform(0, 1.1 * self.takes_s))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        code, message = self.attempts.wait(pid)
        assert code in {0, -signal.SIGKILL}, message
        return code != 0

    def paused(self, attempt: int) -> int:
        """An attempt that stops somewhere, while the next one does it all; returns its code."""
        pid = self.attempts.start(self.wanted(attempt))
        pause_for(self.chaos.random.uniform(0, self.takes_s))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        try:
            self.whole(attempt + 1)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        code, message = self.attempts.wait(pid)
        assert code in {0, 1}, message
        return code

    def begin(self) -> None:
        """The next instance, into an empty table."""
        self.number += 1
        if not self.out:
            run(self.url, "delete from orders")

    def check(self, last: int) -> None:
        """The target is what the attempt that counts has made, and nothing is left beside it."""
        problem = self.wrong_object(last) if self.out else self.wrong_table()
        if problem is None:
            problem = self.left_over()
        if problem is not None:
            self.wrong.append(f"instance {self.number}: {problem}")

    def wrong_table(self) -> str | None:
        found = rows(self.url, "select count(*), count(distinct id) from orders")
        wanted = [[str(IN_ROWS), str(IN_ROWS)]]
        return None if found == wanted else f"the table has {found}, wanted {wanted}"

    def wrong_object(self, *allowed: int) -> str | None:
        """Of the attempts that may have made it; 0: or nobody."""
        found = self.digest()
        known = {digest_of(attempt): attempt for attempt in allowed if attempt}
        if found in known or (found is None and 0 in allowed):
            return None
        what = f"half-written, or another attempt's: {self.described()}"
        return f"the object is none of {allowed}: {what}"

    def described(self) -> str:
        """What is there, in short."""
        body = self.client.get_object(Bucket=self.bucket, Key=f"out/{self.number}.csv")["Body"]
        lines = body.read().decode().split("\n")
        return f"{len(lines)} lines, from {lines[0][:20]!r} to {lines[-2:]!r}"[:300]

    def digest(self) -> str | None:
        key = f"out/{self.number}.csv"
        try:
            etag = self.client.head_object(Bucket=self.bucket, Key=key)["ETag"]
        except self.client.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "404"  # noqa: PT017  any other is none
            return None
        if etag not in self.digests:
            found = self.client.get_object(Bucket=self.bucket, Key=key, IfMatch=etag)
            self.digests[etag] = hashlib.sha256(found["Body"].read()).hexdigest()
        return self.digests[etag]

    def left_over(self) -> str | None:
        uploads = self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        notes = self.client.list_objects_v2(Bucket=self.bucket, Prefix="logs/").get("Contents", [])
        if uploads or notes:
            return f"left open: {[u['Key'] for u in uploads]}, {[n['Key'] for n in notes]}"
        return None

    def clear(self) -> None:
        """What was found is not to be found again."""
        for upload in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []):
            self.client.abort_multipart_upload(
                Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )


def line(number: int, *more: str, length: int = IN_LENGTH) -> str:
    return ",".join([str(number), *more, "n" * length]) + "\n"


def done_of(message: str) -> Done:
    """What an attempt has told that came to its end."""
    return Done(**json.loads(message))


@cache
def digest_of(attempt: int) -> str:
    lines = (line(number, str(attempt), length=OUT_LENGTH) for number in range(OUT_ROWS))
    text = "".join(lines)
    return hashlib.sha256(text.encode()).hexdigest()


def numbers_of(url: str, start: int, end: int) -> str:
    """A table of numbers, as it stands behind FROM."""
    if url.startswith("postgresql"):
        return f"generate_series({start}, {end - 1}) as numbers (n)"
    return f"(select seq as n from seq_{start}_to_{end - 1}) as numbers"


@contextmanager
def scene(
    chaos: Chaos, url: str, endpoint: str, folder: Path, *, out: bool, mutant: str = ""
) -> Iterator[Scene]:
    client = boto3.client("s3", endpoint_url=endpoint)
    # Not by the test's own chance: with one seed for all it would be one bucket for all.
    bucket = f"copies-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=bucket)
    run(url, "drop table if exists orders")
    run(url, "drop table if exists taskrunner_loads")
    # A key would keep a second load out by itself.
    key = " primary key" if out else ""
    run(url, f"create table orders (id integer{key}, note varchar({OUT_LENGTH}))")
    if not out:
        text = "".join(line(number) for number in range(IN_ROWS))
        client.put_object(Bucket=bucket, Key="in.csv", Body=text.encode())
    else:
        note = f"repeat('n', {OUT_LENGTH})"
        run(url, f"insert into orders select n, {note} from {numbers_of(url, 0, OUT_ROWS)}")
    attempts = Attempts(folder / "attempts", mutant)
    made = Scene(chaos, url, endpoint, bucket, client, attempts, out)
    try:
        made.begin()
        made.whole(1)  # loads what is needed
        made.begin()
        began = _CLOCK.monotonic()
        made.whole(1)
        made.takes_s = _CLOCK.monotonic() - began
        yield made
    finally:
        attempts.close()
        client.close()


def kill_copies(made: Scene, kills: int) -> None:
    """Instances whose attempts are killed until one is not."""
    goal = made.kills + kills
    while made.kills < goal:
        made.begin()
        attempt, counted = 1, 0
        while attempt < 4 and made.kills < goal:
            if made.killed(attempt):
                made.kills += 1
                # Nothing of it is to be seen but what is whole.
                problem = made.wrong_object(0, *range(1, attempt + 1)) if made.out else None
                if problem is not None:
                    made.wrong.append(f"instance {made.number}, attempt {attempt}: {problem}")
            else:
                made.lost_verdicts += 1
                counted = attempt
            attempt += 1
        code = made.whole(attempt)
        assert code == 0
        made.check(attempt if made.out else counted)


@pytest.mark.external_service
@pytest.mark.parametrize(
    ("server", "out"),
    [("postgresql", True), ("postgresql", False), ("mariadb", False), ("mariadb", True)],
)
def test_copies_that_are_killed_leave_the_target_exact(
    chaos: Chaos,
    tmp_path: Path,
    s3_endpoint: str,
    request: pytest.FixtureRequest,
    server: str,
    out: bool,
) -> None:
    if not chaos.full and (server, out) == ("mariadb", True):
        pytest.skip("like the one from PostgreSQL: in the full form only (make chaos)")
    url: str = request.getfixturevalue(f"{server}_database")
    with scene(chaos, url, s3_endpoint, tmp_path, out=out) as made:
        kill_copies(made, chaos.trials(3, 300))
        chaos.found(
            "D1" if out else "D3",
            f"{server} {'to' if out else 'from'} S3: {made.kills} kills and {made.lost_verdicts} "
            f"verdicts lost over {made.number} copies, {len(made.wrong)} wrong",
        )
        assert made.wrong == []


@pytest.mark.external_service
@pytest.mark.parametrize("out", [True, False], ids=["out", "in"])
def test_an_attempt_that_was_paused_replaces_nothing_newer(
    chaos: Chaos,
    tmp_path: Path,
    s3_endpoint: str,
    postgresql_database: str,
    out: bool,
) -> None:
    refused = 0
    with scene(chaos, postgresql_database, s3_endpoint, tmp_path, out=out) as made:
        trials = chaos.trials(2, 100)
        for _ in range(trials):
            made.begin()
            refused += made.paused(1)
            made.check(2)
        chaos.found("D2" if out else "D3", f"{trials} pauses, {refused} refused")
        assert made.wrong == []


@pytest.mark.external_service
@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_long_unload_that_is_killed_is_gone_on_with_elsewhere(
    chaos: Chaos, tmp_path: Path, s3_endpoint: str, request: pytest.FixtureRequest, server: str
) -> None:
    if not chaos.full:
        pytest.skip("in the full form only (make chaos); tests/integration/test_resume.py is short")
    url: str = request.getfixturevalue(f"{server}_database")
    count = 5_000_000
    with scene(chaos, url, s3_endpoint, tmp_path, out=True) as made:
        numbers = numbers_of(url, OUT_ROWS, count)
        run(url, f"insert into orders select n, repeat('n', 50) from {numbers}")
        made.begin()
        # The whole table: a query of the author's is not cut by its key.
        wanted = replace(made.wanted(1), query="", kill_at=count * 4 // 5)
        code, _ = made.attempts.wait(made.attempts.start(wanted))
        assert code == -signal.SIGKILL
    elsewhere = Attempts(tmp_path / "elsewhere")
    try:
        wanted = replace(wanted, attempt=2, kill_at=0)
        code, told = elsewhere.wait(elsewhere.start(wanted))
    finally:
        elsewhere.close()
    assert code == 0, told
    read = 1 - done_of(told).rows / count
    chaos.found("resume", f"{server}: {count} rows, killed at 80 %, {read:.0%} read by the next")
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    body = client.get_object(Bucket=made.bucket, Key=f"out/{made.number}.csv")["Body"]
    keys = [int(text.partition(b",")[0]) for text in body.iter_lines(1 << 20)]
    client.close()
    assert len(keys) == count
    assert set(keys) == set(range(count))
    # It has to read 20 % in any case.
    assert read < 0.35


@pytest.mark.external_service
@pytest.mark.parametrize(
    ("mutant", "words"),
    [
        ("loads-unfenced", "the table has"),
        ("superseded-publishes", "another attempt's"),
        ("uploads-left-open", "left open"),
        ("published-in-parts", "half-written"),
    ],
)
def test_a_missing_defence_is_found(
    chaos: Chaos,
    tmp_path: Path,
    s3_endpoint: str,
    postgresql_database: str,
    mutant: str,
    words: str,
) -> None:
    if not chaos.full and mutant in {"uploads-left-open", "published-in-parts"}:
        pytest.skip("takes many kills: in the full form only (make chaos)")
    out = mutant != "loads-unfenced"
    with scene(chaos, postgresql_database, s3_endpoint, tmp_path, out=out, mutant=mutant) as made:
        for _ in range(20):
            if mutant == "loads-unfenced":
                made.begin()
                made.whole(1)  # whose verdict is lost
                made.whole(2)
                made.check(1)
            elif mutant == "superseded-publishes":
                made.begin()
                made.paused(1)
                made.check(2)
            else:
                kill_copies(made, 1)
            if made.wrong:
                break
        assert words in made.wrong[0]
