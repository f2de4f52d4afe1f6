"""Every page of the console, and how the service's application gets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.routing import Route

from taskrunner.console.cookies import Cookies
from taskrunner.console.edge import Console, ConsoleParts, Page
from taskrunner.console.live import Live
from taskrunner.console.pages.actions import (
    act,
    activate,
    activate_form,
    backfill,
    deactivate_form,
    plan,
)
from taskrunner.console.pages.agents import agents
from taskrunner.console.pages.agents import order as order_agents
from taskrunner.console.pages.alarms import alarms
from taskrunner.console.pages.alarms import retry as retry_alarms
from taskrunner.console.pages.audit import audit
from taskrunner.console.pages.audit import of_pipeline as audit_of_pipeline
from taskrunner.console.pages.backfills import backfills
from taskrunner.console.pages.backfills import change as change_backfill
from taskrunner.console.pages.backfills import of_pipeline as backfills_of_pipeline
from taskrunner.console.pages.backfills import one as one_backfill
from taskrunner.console.pages.bulk import bulk
from taskrunner.console.pages.compare import compare
from taskrunner.console.pages.definition import definition
from taskrunner.console.pages.definition import file as definition_file
from taskrunner.console.pages.edit import edit as edit_definition
from taskrunner.console.pages.edit import put as put_definition
from taskrunner.console.pages.graph import graph
from taskrunner.console.pages.instance import instance, panel
from taskrunner.console.pages.log import file as log_file
from taskrunner.console.pages.log import log
from taskrunner.console.pages.log_search import log_search
from taskrunner.console.pages.pipeline import grid, pipeline, run, runs
from taskrunner.console.pages.pipelines import pipelines
from taskrunner.console.pages.schedule import schedule
from taskrunner.console.pages.settings import end_session, settings
from taskrunner.console.pages.waiting import of_pipeline, waiting
from taskrunner.console.sign_in import sign_in_routes
from taskrunner.service.auth import PUT
from taskrunner.service.bodies import body_limit
from taskrunner.service.sessions import Sessions
from taskrunner.service.v1.edge import EdgeParts

#: In a form every other character of JSON is written as three.
_MOST_OF_DEFINITION = 2 * body_limit(PUT)
_PIPELINE = "/p/{pipeline_id}"
_BACKFILL = f"{_PIPELINE}/backfills/{{backfill_id}}"
_INSTANCE = f"{_PIPELINE}/i/{{instance_id}}"

PAGES: Sequence[Page] = (
    Page(path="/", handler=pipelines),
    Page(path="/waiting", handler=waiting),
    Page(path="/agents", handler=agents),
    Page(path="/agents/do/{verb}", handler=order_agents, method="POST"),
    Page(path="/audit", handler=audit),
    Page(path="/backfills", handler=backfills),
    Page(path="/settings", handler=settings),
    Page(path="/settings/end-session", handler=end_session, method="POST"),
    Page(path=_PIPELINE, handler=pipeline),
    Page(path=f"{_PIPELINE}/grid", handler=grid),
    Page(path=f"{_PIPELINE}/graph", handler=graph),
    Page(path=f"{_PIPELINE}/runs", handler=runs),
    Page(path=f"{_PIPELINE}/run/{{start}}", handler=run),
    Page(path=f"{_PIPELINE}/compare", handler=compare),
    Page(path=f"{_PIPELINE}/waiting", handler=of_pipeline),
    Page(path=f"{_PIPELINE}/definition", handler=definition),
    Page(path=f"{_PIPELINE}/definition/file", handler=definition_file),
    Page(path=f"{_PIPELINE}/definition/edit", handler=edit_definition),
    Page(
        path=f"{_PIPELINE}/definition/edit",
        handler=put_definition,
        method="POST",
        most=_MOST_OF_DEFINITION,
    ),
    Page(path=f"{_PIPELINE}/schedule", handler=schedule),
    Page(path=f"{_PIPELINE}/alarms", handler=alarms),
    Page(path=f"{_PIPELINE}/alarms/retry", handler=retry_alarms, method="POST"),
    Page(path=f"{_PIPELINE}/audit", handler=audit_of_pipeline),
    Page(path=f"{_PIPELINE}/activate", handler=activate_form),
    Page(path=f"{_PIPELINE}/activate", handler=activate, method="POST"),
    Page(path=f"{_PIPELINE}/deactivate", handler=deactivate_form),
    Page(path=f"{_PIPELINE}/backfill", handler=backfill),
    Page(path=f"{_PIPELINE}/backfills", handler=backfills_of_pipeline),
    Page(path=_BACKFILL, handler=one_backfill),
    Page(path=f"{_BACKFILL}/do/{{verb}}", handler=change_backfill, method="POST"),
    Page(path=f"{_PIPELINE}/plan/{{verb}}", handler=plan, method="POST"),
    Page(path=f"{_PIPELINE}/do/{{verb}}", handler=act, method="POST"),
    Page(path="/bulk/{verb}", handler=bulk, method="POST"),
    Page(path=_INSTANCE, handler=instance),
    Page(path=f"{_INSTANCE}/panel", handler=panel),
    Page(path=f"{_INSTANCE}/{{number}}", handler=instance),
    Page(path=f"{_INSTANCE}/{{number}}/log", handler=log),
    Page(path=f"{_INSTANCE}/{{number}}/log/file", handler=log_file),
    Page(path=f"{_INSTANCE}/{{number}}/log/search", handler=log_search),
)


def console(
    *,
    keys: bool,
    url: str | None = None,
    actions: frozenset[str] | None = None,
    for_shells: bool = True,
    pages: Sequence[Page] = PAGES,
) -> Callable[[EdgeParts], Sequence[Route]]:
    """What makes the console's routes of the parts that both APIs are answered with.

    With `keys` visitors sign in; without, everybody of this host is the same visitor, who may call
    `actions` (None: everything). `url` is the address that browsers know it by where a proxy stands
    before it; `for_shells`: whether the API answers there, too. Raises UsageError.
    """
    cookies = Cookies(url)

    def routes(edge: EdgeParts) -> Sequence[Route]:
        service = edge.service
        sessions = Sessions(service.store, edge.authenticator, service.clock) if keys else None
        parts = ConsoleParts(
            edge=edge,
            sessions=sessions,
            cookies=cookies,
            actions=actions,
            for_shells=for_shells,
        )
        live = Live(parts)
        edge.at_stop.append(live.stop)
        return [*Console(parts, pages).routes(), *sign_in_routes(parts), live.route()]

    return routes
