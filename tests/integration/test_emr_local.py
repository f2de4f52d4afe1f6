"""The engine `local` with the real Hadoop that pyspark brings; Spark's part is in tests/chaos."""

from __future__ import annotations

import io
import zipfile

import pytest

from taskrunner.activities.emr import EmrActivity
from taskrunner.testing import new_task
from tests.spark_host import local_environment, needs_spark

pytestmark = needs_spark


def _jar(main_class: str) -> bytes:
    """A jar that only names a class, which Hadoop has."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        manifest = f"Manifest-Version: 1.0\nMain-Class: {main_class}\n"
        archive.writestr("META-INF/MANIFEST.MF", manifest)
    return made.getvalue()


@pytest.mark.parametrize("staged", [False, True], ids=["folder", "staged"])
def test_a_jar_reads_and_writes_s3(staged: bool) -> None:
    with local_environment(staged=staged) as environment:
        environment.put("s3://code/fs.jar", _jar("org.apache.hadoop.fs.FsShell"))
        environment.put("s3://in/x", "data\n")
        step = "s3://code/fs.jar,-cp,s3://in/x,s3n://out/new"
        environment.run(EmrActivity(), new_task("EmrActivity", {"step": step}))
        found = {info.uri: info.size for info in environment.objects.list("s3://out/")}
        assert found == {"s3://out/new": 5}
