"""The user data of a machine: the settings of its agent, and the script that sets it up.

What stands in it can be read by every task of the machine from its metadata, and by whoever may ask
EC2 for it. So it holds no key: only a token that becomes worthless when the machine has used it,
which it does before it asks for work. See docs/decisions.md.
"""

from __future__ import annotations

import base64
import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files

from taskrunner.model.document import PipelineObject
from taskrunner.service.resources.base import Launch, ResourceFailure
from taskrunner.service.store.rows import MachineRow

#: Tasks' own user, which the script makes.
TASK_USER = "dptask"
#: EC2's bound for what is encoded in base64.
MOST_BYTES = 16_384
#: The service ends a machine first: its own end is for the case that there is no service.
_MARGIN = timedelta(minutes=5)
_PREFIX = "/opt/taskrunner"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What all machines of a service are told."""

    #: Where they reach the service.
    endpoint: str
    #: The service's region, which calls to it are signed for.
    region: str
    #: What pip installs, or an object of S3.
    package: str
    #: Whether calls to the service are signed.
    signed: bool


def user_data(settings: AgentSettings, machine: MachineRow, wanted: Launch) -> str:
    """The script that EC2 runs on the machine. Raises ResourceFailure when it is too long."""
    proxy = _proxy(wanted)
    user = wanted.fields.string("runAsUser") or TASK_USER
    after = wanted.policy.terminate_after
    life = math.ceil((after + _MARGIN).total_seconds() / 60) if after is not None else ""
    toml = _settings(settings, machine, user=user, proxy=proxy)
    variables = {
        "PREFIX": _PREFIX,
        "LIFE_MINUTES": str(life),
        "PACKAGE": settings.package,
        "TASK_USER": user,
        "ENDPOINT": settings.endpoint,
        "REGION": settings.region,
        "SETTINGS": base64.b64encode(toml.encode()).decode(),
        "KEY_ID": machine.machine_id if settings.signed else "",
        "KEY_TOKEN": machine.token if settings.signed else "",
        **_proxy_variables(proxy),
    }
    head = "".join(f"export {key}={shlex.quote(text)}\n" for key, text in variables.items())
    unexported = "export -n KEY_TOKEN SETTINGS\n"
    whole = f"#!/bin/bash\nset -Eeuo pipefail\n{head}{unexported}{_script()}"
    if len(whole.encode()) > MOST_BYTES:
        raise ResourceFailure(
            f"{wanted.row.type} {wanted.row.component_id!r}: its user data is longer than the "
            f"{MOST_BYTES} bytes that EC2 takes: shorten the id or the proxy's fields",
            permanent=True,
        )
    return whole


def _script() -> str:
    return files("taskrunner.service.resources.ec2").joinpath("bootstrap.sh").read_text("utf-8")


def _settings(
    settings: AgentSettings, machine: MachineRow, *, user: str, proxy: PipelineObject | None
) -> str:
    values: dict[str, object] = {
        "worker_group": [machine.worker_group],
        "endpoint": settings.endpoint,
        "region": settings.region,
        "run_as_user": user,
        "allow_root": user == "root",
        "allow_http": settings.endpoint.startswith("http:"),
    }
    if settings.signed:
        values["service_access_id"] = machine.machine_id
    if proxy is not None:
        given = {
            "proxy_host": proxy.string("hostname"),
            "proxy_port": int(proxy.string("port") or 8080),
            "proxy_username": proxy.string("username"),
            "proxy_password": proxy.string("*password"),
        }
        values |= {key: value for key, value in given.items() if value is not None}
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def _proxy(wanted: Launch) -> PipelineObject | None:
    named = wanted.fields.ref("httpProxy")
    proxy = wanted.referred.get(named.id) if named is not None else None
    if proxy is None:
        return None
    port = proxy.string("port") or "8080"
    if not proxy.string("hostname") or not port.isdigit():
        raise ResourceFailure(
            f"HttpProxy {proxy.id!r}, fields hostname and port: found "
            f"{proxy.string('hostname')!r} and {port!r}, wanted a host's name and a number",
            permanent=True,
        )
    return proxy


def _proxy_variables(proxy: PipelineObject | None) -> Mapping[str, str]:
    """For what installs the agent."""
    if proxy is None:
        return {}
    from urllib.parse import quote

    login = quote(proxy.string("username") or "", safe="")
    if password := proxy.string("*password"):
        login += ":" + quote(password, safe="")
    at = f"{login}@" if login else ""
    url = f"http://{at}{proxy.string('hostname')}:{proxy.string('port') or 8080}"
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    own = "169.254.169.254,localhost,127.0.0.1"
    return {**dict.fromkeys(names, url), "no_proxy": own, "NO_PROXY": own}
