"""For moto's own tests, run by `test_moto.py`: they ask the service that the environment names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import moto
import pytest


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


# Before the tests import it: nothing is mocked.
moto.mock_aws = _as_it_is  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def _no_pipelines() -> None:
    """An account without pipelines, as moto's is before each test."""
    client = boto3.client("datapipeline", region_name="us-west-2")
    pages = client.get_paginator("list_pipelines").paginate()
    for found in [of for page in pages for of in page["pipelineIdList"]]:
        client.delete_pipeline(pipelineId=found["id"])
