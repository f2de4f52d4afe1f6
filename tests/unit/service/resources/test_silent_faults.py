"""What resources once accepted and passed over in silence: each is honoured now, or warned of.

Where a machine is made for them, test_ec2.py and test_emr.py see their effect; that an HttpProxy
reaches commands and calls wherever they run, tests of the agent do.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from taskrunner.service.resources.rules import Rules
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, FakeProvider, T, ec2, ref, shell

PROXY = {"id": "Proxy", "type": "HttpProxy", "hostname": "proxy", "port": "8080"}


def resources(*, of_emr: bool) -> list[dict[str, Any]]:
    if not of_emr:
        return [ec2("R", runAsUser="nobody", httpProxy=ref("Proxy")), PROXY]
    fields = {"bootstrapAction": "s3://b/none.sh", "applications": ["Hive"]}
    return [{"id": "R", "type": "EmrCluster", "httpProxy": ref("Proxy"), **fields}, PROXY]


@pytest.mark.parametrize(
    ("rule", "of_emr", "said"),
    [
        ("group=g", False, {"runAsUser"}),
        ("local", False, {"runAsUser"}),
        ("ec2", False, set()),
        ("group=g", True, {"bootstrapAction", "applications"}),
        ("local", True, {"bootstrapAction", "applications"}),
        ("emr", True, set()),
        ("spark=yarn", True, {"bootstrapAction", "applications"}),
        ("emr-serverless=00a", True, {"bootstrapAction", "applications"}),
    ],
)
def test_what_is_not_honoured_is_warned_of(
    kept: ServiceInProcess, rule: str, of_emr: bool, said: set[str]
) -> None:
    world = kept.reset(resources=Rules.everywhere(rule, "--resources"))
    pipeline = world.put([ON_DEMAND, shell("A", runsOn=ref("R")), *resources(of_emr=of_emr)])
    found = world.service.look_at_places(pipeline)
    assert {f.field for f in found if (f.id, f.code) == ("R", "no-effect")} == said


@pytest.mark.parametrize("rule", ["group=g", "local"])
def test_nothing_runs_longer_than_terminate_after(kept: ServiceInProcess, rule: str) -> None:
    provider = FakeProvider()
    rules = Rules.everywhere(rule, "--resources")
    world = kept.reset(provider=provider, resources=rules)
    task = shell("A", runsOn=ref("R"), reportProgressTimeout="1 day")
    pipeline = world.run([ON_DEMAND, task, ec2("R", terminateAfter="8 seconds")])
    group = "g" if rule == "group=g" else f"resource:{pipeline}_@R_{T}"
    taken = world.take(group)
    world.advance(timedelta(seconds=8))
    assert world.components(pipeline) == {"A": ["CANCELED"], "R": ["TIMEDOUT"]}
    # Whoever still works on it is told to stop.
    assert world.service.report_progress(taken.task_id, {}) is True
