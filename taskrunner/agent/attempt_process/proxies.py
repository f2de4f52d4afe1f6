"""The HttpProxy of the resource that a task runs on, as the variables that all tools read.

Commands see them, and so do boto3 and whatever else speaks HTTP in the attempt's process. Drivers
of databases do not speak HTTP, and go straight. The agent's own calls, and the push of logs, go by
the agent's own proxy settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import Task, TaskObject
from taskrunner.wire.proxies import METADATA

_DEFAULT_PORT = "8080"
_NAMES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_STRAIGHT = ("localhost", "127.0.0.1", "::1", *METADATA)
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


def proxy_variables(
    task: Task, environ: Mapping[str, str], settings: DataSettings
) -> Mapping[str, str]:
    """The variables of the proxy; none without one. Raises PermanentTaskError.

    What the agent's own environment keeps off proxies stays off this one.
    """
    proxy = _proxy(task)
    if proxy is None:
        return {}
    before = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    straight = [*before.split(","), *_STRAIGHT]
    if proxy.flag("s3NoProxy"):
        straight += _of_s3(environ, settings)
    listed = ",".join(dict.fromkeys(name.strip() for name in straight if name.strip()))
    return {**dict.fromkeys(_NAMES, _url(proxy)), "no_proxy": listed, "NO_PROXY": listed}


def _proxy(task: Task) -> TaskObject | None:
    if task.attempt_id not in task.objects:
        return None  # told when the work begins
    named = (resource.one("httpProxy") for resource in task.main.related("runsOn"))
    return next((proxy for proxy in named if proxy is not None), None)


def _url(proxy: TaskObject) -> str:
    host, port = proxy.required("hostname").strip(), proxy.get("port", _DEFAULT_PORT) or ""
    if not (port.isascii() and port.isdigit() and 0 < int(port[:9]) < 65536):
        raise _invalid(proxy, "port", f"found {port!r}, wanted a number from 1 to 65535")
    if "/" in host or "@" in host or any(letter.isspace() for letter in host):
        raise _invalid(proxy, "hostname", f"found {host!r}, wanted the name of a host")
    login = quote(proxy.get("username") or "", safe="")
    if password := proxy.get("*password"):
        login += f":{quote(password, safe='')}"
    return f"http://{login}@{host}:{port}" if login else f"http://{host}:{port}"


def _of_s3(environ: Mapping[str, str], settings: DataSettings) -> list[str]:
    """S3's hosts, in the regions that this agent knows of, and a server in S3's place."""
    regions = {settings.region, *(environ.get(name) for name in _REGIONS)} - {None, ""}
    hosts = ["s3.amazonaws.com", *(f"s3.{region}.amazonaws.com" for region in regions)]
    own = urlsplit(settings.s3_endpoint or "").hostname
    return [*hosts, own] if own else hosts


def _invalid(proxy: TaskObject, key: str, problem: str) -> PermanentTaskError:
    message = f"{proxy.type} {proxy.component_id!r}, field {key!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
