"""A how-to's daily RDS export, unchanged: a million rows, S3 and SNS over HTTP, one window out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance import seed
from tests.local_runs import run_here

pytestmark = [pytest.mark.external_service, pytest.mark.slow, seed.needs_seed]


@pytest.mark.parametrize(
    ("database_fixture", "fill", "window"),
    [
        pytest.param("mariadb_database", seed.fill_mariadb, seed.window_mariadb, id="mariadb"),
        pytest.param(
            "postgresql_database", seed.fill_postgresql, seed.window_postgresql, id="postgresql"
        ),
    ],
)
def test_one_window_is_exported(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    cloud: seed.Cloud,
    database_fixture: str,
    fill: Callable[[str], None],
    window: Callable[[str], list[seed.Row]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url: str = request.getfixturevalue(database_fixture)
    fill(url)

    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", cloud.endpoint)
    done = run_here(
        tmp_path,
        *(str(seed.SEED), "--at", seed.START, "--database", f"RdsDatabase={url}"),
        *("--s3-endpoint", cloud.endpoint, "--work-dir", str(tmp_path / "work")),
        *("--format", "json"),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["status"] == "FINISHED"
    assert "startAt" in done.stderr  # both startAt and startDateTime are given: a warning
    (copy,) = [i for i in result["instances"] if i["component"] == "CopyActivity"]
    assert (copy["scheduledStart"], copy["scheduledEnd"]) == (seed.START, seed.END)

    exported = cloud.keys("my-data-lake")
    assert all(key.startswith(seed.FOLDER) for key in exported)
    text = "".join(cloud.read("my-data-lake", key).decode() for key in sorted(exported))
    rows = sorted(seed.parse(text), key=repr)
    assert len(rows) == seed.WINDOW_ROWS
    assert rows == sorted(window(url), key=repr)

    message = f"Orders export to S3 completed successfully for {seed.START}"
    assert cloud.alarms() == [("RDS Export Completed", message)]

    logs = f"rds-export/{result['pipelineId']}/CopyActivity/@CopyActivity_{seed.START}/"
    attempt = f"{logs}@CopyActivity_{seed.START}_Attempt=1/Activity.log.gz"
    assert attempt in cloud.keys("my-pipeline-logs")
    assert gzip.decompress(cloud.read("my-pipeline-logs", attempt))
