"""Steps of EMR's in a definition, from the command line to S3, on a host without Hadoop."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.local_runs import run_here

STEP = (
    "/home/hadoop/contrib/streaming/hadoop-streaming.jar,-input,s3n://data/words/,"
    "-output,s3://data/counts/#{format(@scheduledStartTime, 'YYYY')},"
    "-mapper,s3://data/code/split.sh,-reducer,aggregate"
)
SCRIPT = (
    "s3://us-east-1.elasticmapreduce/libs/script-runner/script-runner.jar,s3://data/code/sum.sh"
)
DEFINITION = {
    "objects": [
        {
            "id": "Default",
            "scheduleType": "ondemand",
            "pipelineLogUri": "s3://data/logs/",
            "maximumRetries": "0",
        },
        {"id": "Cluster", "type": "EmrCluster", "terminateAfter": "1 hour"},
        {
            "id": "Count",
            "type": "EmrActivity",
            "runsOn": {"ref": "Cluster"},
            "preStepCommand": "echo before",
            "step": [STEP, f"{SCRIPT},one\\\\,argument"],
        },
        {
            "id": "NoPig",
            "type": "PigActivity",
            "runsOn": {"ref": "Cluster"},
            "script": "A = LOAD 'x';",
            "preActivityTaskConfig": {"ref": "Never"},
        },
        {"id": "Never", "type": "ShellScriptConfig", "scriptUri": "s3://data/code/sum.sh"},
    ]
}


def test_steps_run_and_what_cannot_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "s3" / "data"
    files = {
        "words/a": "b a\na\n",
        "code/split.sh": "#!/bin/sh\ntr ' ' '\\n' | sed 's/.*/LongValueSum:&\\t1/'\n",
        "code/sum.sh": "#!/bin/sh\necho after: $1\n",
    }
    for name, text in files.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(text)
    definition = tmp_path / "pipeline.json"
    definition.write_text(json.dumps(DEFINITION))
    done = run_here(
        tmp_path,
        *(str(definition), "--format", "json"),
        *("--work-dir", str(tmp_path / "work"), "--s3-root", str(tmp_path / "s3")),
    )
    result = json.loads(done.stdout)
    found = {item["component"]: item for item in result["instances"]}
    assert found["Count"]["status"] == "FINISHED", done.stdout + done.stderr
    (counts,) = data.glob("counts/*/part-00000")
    assert counts.read_text() == "a\t2\nb\t1\n"
    (output,) = data.glob("logs/*/Count/*/*/StdOutput.gz")
    assert gzip.decompress(output.read_bytes()) == b"before\nafter: one,argument\n"

    assert found["NoPig"]["status"] == "FAILED"
    assert found["NoPig"]["errorId"] == "UnsupportedType"
    message = found["NoPig"]["errorMessage"]
    assert "Pig runs only where a pig command is, or on an EMR cluster" in message
    assert list(data.glob("logs/*/NoPig/*/*/StdOutput.gz")) == []
