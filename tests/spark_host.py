"""Whether this host has the real Hadoop and Spark for the engine `local`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner.activities.engines.local import EXTRA, spark_folder
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.testing import ActivityEnvironment

_MISSING = [
    *([] if spark_folder() else [f"pyspark ({EXTRA})"]),
    *([] if shutil.which("java") or "JAVA_HOME" in os.environ else ["java"]),
]
#: In CI these tests fail where Spark is missing; elsewhere they are skipped.
needs_spark = pytest.mark.skipif(
    bool(_MISSING) and "CI" not in os.environ, reason=f"not installed: {', '.join(_MISSING)}"
)
#: A compiler that thinks less: a third less CPU for what runs only for seconds.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@contextmanager
def local_environment(*, staged: bool) -> Iterator[ActivityEnvironment]:
    """A context in which s3:// is a folder to the programs too, or is brought to them."""
    with (
        tempfile.TemporaryDirectory(prefix="taskrunner-s3-") as folder,
        ActivityEnvironment(
            objects=open_store(DataSettings(s3_root=Path(folder))) if staged else None,
            data=DataSettings(emr_engine="local"),
        ) as found,
    ):
        found.env["JAVA_TOOL_OPTIONS"] = QUICK_JAVA
        if staged:
            found.data = replace(found.data, s3_root=None)
        yield found
