"""Loaded before lives are forked: EC2's API is described in megabytes, which each would read."""

from __future__ import annotations

from tests.chaos.ec2_lives import REGION, SESSION

SESSION.client("ec2", region_name=REGION)
SESSION.client("ssm", region_name=REGION)
