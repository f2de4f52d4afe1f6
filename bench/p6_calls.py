"""P6: calls and tasks of one service process, and the CPU time that each of them costs it.

Tasks go through one boto3 client in one thread, signed as ever: poll, acknowledge, done. Calls come
over `CONNECTIONS` connections that stay open, unsigned and with no more of a client than HTTP: the
service is the limit, or the cores are. CPU time is the service's own, its scheduler included.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from boto3.session import Session

from bench import harness
from bench.harness import Figure, Service

TASKS, CALLS, CONNECTIONS = 400, 4000, 4
A_PIPELINE = 50
GROUP = "bench"


def measure(tasks: int = TASKS, calls: int = CALLS) -> Iterator[Figure]:
    with harness.folder() as home, harness.service(home) as service:
        rate, cpu_ms = run_tasks(service, tasks)
        yield Figure(
            id="P6",
            what=f"tasks through one boto3 process ({tasks} tasks, SQLite)",
            measured=f"{rate:.0f} tasks/s",
            goal=">= 400 tasks/s",
            met=rate >= 400,
        )
        yield Figure(
            id="P6",
            what="CPU time of the service a task",
            measured=f"{cpu_ms:.2f} ms",
            goal="<= 2.5 ms",
            met=cpu_ms <= 2.5,
        )
        rate, cpu_ms = run_calls(service, calls)
        yield Figure(
            id="P6",
            what=f"calls of one service process ({CONNECTIONS} connections)",
            measured=f"{rate:.0f} calls/s",
            goal=">= 2,500 calls/s",
            met=rate >= 2500,
        )
        yield Figure(
            id="P6",
            what="CPU time of the service a call (DescribePipelines)",
            measured=f"{cpu_ms:.2f} ms",
            goal="<= 0.4 ms",
            met=cpu_ms <= 0.4,
        )


def run_tasks(service: Service, tasks: int) -> tuple[float, float]:
    """Tasks a second, and milliseconds of the service's CPU time for each."""
    for number in range(0, tasks, A_PIPELINE):
        commands = ["true"] * min(A_PIPELINE, tasks - number)
        service.activate(service.pipeline(f"p{number}", GROUP, commands))
    time.sleep(2)  # until all are ready
    client = Session("id", "secret", region_name="us-east-1").client(
        "datapipeline", endpoint_url=service.url
    )
    before, begin = harness.cpu_s(service.process), time.monotonic()
    for _ in range(tasks):
        task = client.poll_for_task(workerGroup=GROUP)["taskObject"]
        client.report_task_progress(taskId=task["taskId"])
        client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    seconds = time.monotonic() - begin
    harness.until("all tasks are done", lambda: service.finished() >= tasks)
    return tasks / seconds, 1000 * (harness.cpu_s(service.process) - before) / tasks


def run_calls(service: Service, calls: int) -> tuple[float, float]:
    """Calls a second, and milliseconds of the service's CPU time for each."""
    pipeline = service.pipeline("described", GROUP, ["true"])
    body = json.dumps({"pipelineIds": [pipeline]})
    each = calls // CONNECTIONS
    before, begin = harness.cpu_s(service.process), time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(_call, service.url, body, each) for _ in range(CONNECTIONS)]:
            done.result()
    seconds = time.monotonic() - begin
    made = each * CONNECTIONS
    return made / seconds, 1000 * (harness.cpu_s(service.process) - before) / made


def _call(url: str, body: str, times: int) -> None:
    headers: dict[str, Any] = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "DataPipeline.DescribePipelines",
    }
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    for _ in range(times):
        connection.request("POST", "/", body, headers)
        reply = connection.getresponse()
        if reply.status != 200:
            raise ValueError(reply.read())
        reply.read()
    connection.close()
