"""The README's commands, word by word, in a shell that knows nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.acceptance.running import taskrunner, until
from tests.acceptance.served_process import served

ROOT = Path(__file__).resolve().parents[2]
ENDPOINT = "http://127.0.0.1:8484"
#: What the README says for root.
ROOT_TOO = ("--allow-root",)


def _block(word: str) -> str:
    """The README's block of code that has this in it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (found,) = [
        block for block in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE) if word in block
    ]
    return re.sub("^    ", "", found, flags=re.MULTILINE)


def _shell(script: str, home: Path) -> str:
    """What a fresh shell prints: no variables, no settings of AWS's tools, our commands found."""
    done = subprocess.run(
        ["/bin/bash", "-euc", script],
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_lines_of_agent_and_aws_cli_work_in_a_fresh_shell(tmp_path: Path) -> None:
    agent = _block("--worker-group hello-workers").splitlines()[-1].split()
    client = _block("aws datapipeline create-pipeline")
    last = client.splitlines()[-1]
    assert f"`{' '.join(ROOT_TOO)}`" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert agent[0] == "taskrunner"
    assert last.startswith("aws datapipeline list-runs")
    with served(tmp_path, "--no-auth") as service:
        assert ENDPOINT in agent
        places = {ENDPOINT: service.url, "taskrunner-work/s3": str(tmp_path / "s3")}
        arguments = [places.get(word, word) for word in agent[1:]]
        script = client.replace(ENDPOINT, service.url)
        assert '"errored": false' in _shell(script, tmp_path)
        log = tmp_path / "agent.log"
        with taskrunner(log, *arguments, *ROOT_TOO, "--work-dir", str(tmp_path / "work")):
            exports = "\n".join(line for line in script.splitlines() if line.startswith("export"))
            create = next(line for line in script.splitlines() if line.startswith("id="))
            runs = f"{exports}\n{create}\n{last}"
            until("the run is FINISHED", lambda: "FINISHED" in _shell(runs, tmp_path))
    assert list((tmp_path / "s3/hello-example/logs").rglob("StdOutput.gz"))
