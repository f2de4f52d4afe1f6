"""Loaded before lives are forked: AWS's APIs are described in megabytes, which each would read."""

from __future__ import annotations

from tests.chaos.resource_lives import REGION, SESSION

SESSION.client("ec2", region_name=REGION)
SESSION.client("ssm", region_name=REGION)
SESSION.client("emr", region_name=REGION)
