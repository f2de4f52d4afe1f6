"""EmrCluster as clusters of EMR: made for the resource, watched together, and ended with it.

EMR has no client token, so each cluster has a row in the store, with an id that stands in the
cluster's name, before EMR is asked for it. Where the answer is lost, because this service was
killed or EMR failed, the cluster is looked for by its name before another is asked for, and what
turns up late is ended. The row goes only when EMR says that the cluster has ended.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from taskrunner.clock import Clock
from taskrunner.logs import get_logger
from taskrunner.model.rows import InstanceRow
from taskrunner.service.resources.agents import HostAgents, Starter
from taskrunner.service.resources.base import (
    Launch,
    ResourceBusy,
    ResourceFailure,
    agents_of,
    with_agents,
)
from taskrunner.service.resources.emr.api import EmrApi, Seen, Undecided
from taskrunner.service.resources.emr.cluster import Cluster
from taskrunner.service.resources.quiet import QuietRegions
from taskrunner.service.store import clusters as cluster_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import ClusterRow

log = get_logger()

#: How often EMR is asked about all clusters of a region, in seconds: it is slow, and throttles.
WATCH_S = 30.0
#: How long nothing is asked of a region that did not answer or was busy, in seconds.
PAUSE_S = 15.0
#: How long a cluster that was asked for may take to turn up in lists: longer than a call can last.
UNSURE_S = 120.0
#: How long one that was asked for is looked for although its id never came.
LATE = timedelta(minutes=15)
#: By how much the clock of EMR may be ahead or behind.
_SKEW = timedelta(minutes=10)
_ALPHABET = string.ascii_lowercase + string.digits
_PREFIX = "emr"


@dataclass
class _Region:
    """What is known of a region."""

    #: Seconds of the monotonic clock: when EMR is asked again.
    watch_at: float = 0.0
    #: What EMR has said last, by its ids.
    seen: dict[str, Seen] = field(default_factory=dict)


class EmrClusters:
    """Makes, watches and ends clusters. Its calls come from one thread, `end` from any."""

    def __init__(
        self,
        store: Store,
        *,
        region: str,
        clock: Clock,
        starter: Starter | None = None,
        api: EmrApi | None = None,
        watch_s: float = WATCH_S,
        pause_s: float = PAUSE_S,
        unsure_s: float = UNSURE_S,
    ) -> None:
        """`starter` starts the agent of a cluster that no worker group's agents use.

        `region` is that of resources that name none.
        """
        self._watch_s, self._pause_s, self._unsure_s = watch_s, pause_s, unsure_s
        self._store, self._clock, self._region = store, clock, region
        self._quiet = QuietRegions(clock, pause_s)
        self._api = api or EmrApi()
        self._agents = HostAgents(starter)
        self._regions: dict[str, _Region] = {}
        #: Handles whose end was asked for: when it is asked for again.
        self._asked: dict[str, float] = {}

    # -- launching --------------------------------------------------------------------------

    def launch(self, wanted: Launch) -> str:
        """Make the resource's cluster; returns `emr:REGION:ID`, with `#GROUP` where agents are.

        Raises ResourceFailure or ResourceBusy.
        """
        group = wanted.target.group if wanted.target is not None else ""
        if wanted.row.worker_group is None:
            raise ResourceFailure(f"{wanted.row.instance_id} has no worker group")
        cluster = Cluster.of(wanted, region=self._region)
        if not group and not self._agents.can_start:
            raise ResourceFailure(f"{cluster.name}: no agents are started here for clusters")
        self._quiet.check(cluster.region)
        noted = self._noted(wanted, cluster, group)
        try:
            emr_id = noted.emr_id or self._made(noted, cluster)
        except ResourceBusy as busy:
            self._quiet.hush(cluster.region, str(busy))
            raise
        except ResourceFailure:
            self._note(noted, ended=True)
            raise
        # Soon: it may be set up already, if this is only found again.
        self._regions.setdefault(noted.region, _Region()).watch_at = 0.0
        return with_agents(f"{_PREFIX}:{noted.region}:{emr_id}", group)

    def _noted(self, wanted: Launch, cluster: Cluster, group: str) -> ClusterRow:
        """The row of the resource's cluster: of a launch that was cut short, or a new one."""
        row = wanted.row
        # Whose agent is started here; no one's, where agents of a group use the cluster.
        own = "" if group else row.worker_group or ""
        with self._store.write() as conn:
            held = cluster_store.of_resource(conn, row.pipeline_id, row.instance_id)
            for each in held:
                if not each.ended:
                    cluster_store.update(conn, each.cluster_id, worker_group=own)
                    return each
            new = ClusterRow(
                cluster_id="c-" + "".join(secrets.choice(_ALPHABET) for _ in range(16)),
                pipeline_id=row.pipeline_id,
                instance_id=row.instance_id,
                launch=1 + max((each.launch for each in held), default=0),
                worker_group=own,
                region=cluster.region,
                created_at=self._clock.now(),
            )
            cluster_store.insert(conn, new)
            held = cluster_store.of_resource(conn, row.pipeline_id, row.instance_id)
        return next(each for each in held if not each.ended)

    def _made(self, noted: ClusterRow, cluster: Cluster) -> str:
        """The id of a cluster, which is asked for once; of a lost answer, what became of it."""
        if noted.asked_at is not None:
            emr_id = self._found(noted, noted.asked_at)
            if emr_id is not None:
                self._note(noted, emr_id=emr_id)
                return emr_id
        with self._store.write() as conn:
            if not cluster_store.ask(conn, noted, self._clock.now()):
                raise ResourceBusy(f"{cluster.name}: another service asks EMR for its cluster")
        try:
            emr_id = self._api.run(cluster, noted.cluster_id)
        except Undecided as undecided:
            raise ResourceBusy(
                f"{cluster.name}: whether EMR makes its cluster is not known ({undecided}); it is "
                "looked for"
            ) from None
        except (ResourceBusy, ResourceFailure):
            # It was refused: nothing is to be looked for.
            self._note(noted, asked_at=None)
            raise
        self._note(noted, emr_id=emr_id)
        told = {"pipeline_id": noted.pipeline_id, "instance_id": noted.instance_id}
        logs = cluster.request.get("LogUri")
        log.info("cluster made", emr_id=emr_id, region=cluster.region, logs=logs, **told)
        return emr_id

    def _found(self, noted: ClusterRow, asked_at: datetime) -> str | None:
        """The cluster that was asked for; None: there is none, and none will turn up any more."""
        seen = self._api.made_since(noted.region, asked_at - _SKEW)
        found = next((each for each in seen if each.mark == noted.cluster_id), None)
        if found is not None:
            return found.emr_id
        if self._clock.now() < asked_at + timedelta(seconds=self._unsure_s):
            raise ResourceBusy("EMR was asked for the cluster, and may still make it")
        return None

    def _note(self, noted: ClusterRow, **values: object) -> None:
        with self._store.write() as conn:
            cluster_store.update(conn, noted.cluster_id, **values)

    # -- what is there ----------------------------------------------------------------------

    def alive(self, handle: str) -> bool:
        """Whether its cluster is there, as far as EMR has said."""
        region, emr_id = _parts(handle)
        known = self._regions.setdefault(region, _Region())
        seen = known.seen.get(emr_id)
        if seen is None and not self._quiet.trouble(region):
            # Not among those that were looked for: no note is left of it.
            seen = self._described(region, emr_id)
        return seen is None or not seen.has_ended

    def takes_work(self, handle: str) -> bool:
        """Whether its cluster has been set up."""
        region, emr_id = _parts(handle)
        seen = self._regions.get(region, _Region()).seen.get(emr_id)
        return seen is not None and seen.takes_work

    def reason(self, row: InstanceRow) -> str:
        """What EMR says of its cluster."""
        region, emr_id = _parts(row.resource_handle or "")
        seen = self._regions.get(region, _Region()).seen.get(emr_id)
        return str(seen) if seen is not None else ""

    # -- the end ----------------------------------------------------------------------------

    def end(self, handle: str) -> bool:
        """Have its cluster terminated; true once EMR says that it is on its way out."""
        region, emr_id = _parts(handle)
        now = self._clock.monotonic()
        if handle not in self._asked:
            # In any case, and before EMR is asked: whoever launches again must not take this one.
            self._end_noted(emr_id)
        elif now < self._asked[handle]:
            return False
        self._asked[handle] = now + self._pause_s
        if self._quiet.trouble(region) or not self._terminated(region, emr_id):
            return False
        if not self._agents_ended(emr_id):
            return False
        self._asked.pop(handle, None)
        return True

    def _end_noted(self, emr_id: str) -> None:
        with self._store.write() as conn:
            cluster_store.end(conn, emr_id)

    def _agents_ended(self, emr_id: str) -> bool:
        """Whether the cluster's own agent has ended, which is asked to."""
        with self._store.read() as conn:
            rows = [row for row in cluster_store.everything(conn) if row.emr_id == emr_id]
        return all(self._agents.end(row.worker_group) for row in rows)

    def _terminated(self, region: str, emr_id: str) -> bool:
        try:
            self._api.terminate(region, [emr_id])
            seen = self._truth(region, emr_id, None)
        except (ResourceBusy, ResourceFailure) as error:
            if self._quiet.hush(region, str(error)):
                log.warning("a cluster could not be ended", emr_id=emr_id, error=str(error))
            return False
        known = self._regions.setdefault(region, _Region())
        known.seen[emr_id] = seen
        log.info("cluster ended", emr_id=emr_id, region=region)
        return seen.has_ended

    # -- now and then -----------------------------------------------------------------------

    def look_after(self, now: datetime) -> None:
        """Look at each region in which there may be clusters, and end those that nobody needs."""
        at = self._clock.monotonic()
        if self._regions and all(at < region.watch_at for region in self._regions.values()):
            return
        with self._store.read() as conn:
            rows = cluster_store.everything(conn)
        self._agents.end_others({row.worker_group for row in rows if not row.ended})
        for name in sorted({row.region for row in rows} - self._regions.keys()):
            self._regions[name] = _Region()
        for name, region in self._regions.items():
            if at >= region.watch_at:
                region.watch_at = at + self._watch_s
                self._look(name, [row for row in rows if row.region == name])
        self._regions.setdefault(self._region, _Region(watch_at=at + self._watch_s))

    def _look(self, name: str, rows: list[ClusterRow]) -> None:
        region = self._regions[name]
        if not rows:
            region.seen = {}
            return
        if self._quiet.trouble(name):
            return
        try:
            found = self._looked_at(name, rows)
        except (ResourceBusy, ResourceFailure) as error:
            # Nothing new is known then, and nothing is concluded from that.
            if self._quiet.hush(name, str(error)):
                log.warning("clusters could not be looked at", region=name, error=str(error))
            return
        self._quiet.answered(name)
        region.seen = {seen.emr_id: seen for seen in found}
        self._sweep(name, rows, found)
        self._keep_agents(name, rows)

    def _looked_at(self, name: str, rows: Sequence[ClusterRow]) -> list[Seen]:
        """The noted clusters, and others that have their marks; of the ended ones, why."""
        marks = {row.cluster_id for row in rows}
        found = [seen for seen in self._api.active(name) if seen.mark in marks]
        there = {seen.emr_id for seen in found}
        known = self._regions[name].seen
        for row in rows:
            if row.emr_id is None or row.emr_id in there:
                continue
            last = known.get(row.emr_id)
            if last is None or not last.has_ended:
                last = self._truth(name, row.emr_id, row.asked_at)
            found.append(last)
        return found

    def _truth(self, region: str, emr_id: str, asked_at: datetime | None) -> Seen:
        """What EMR says of one cluster; one of just now it may not know yet."""
        seen = self._api.describe(region, emr_id)
        if seen is not None:
            return seen
        patience = timedelta(seconds=self._unsure_s)
        is_new = asked_at is not None and self._clock.now() < asked_at + patience
        state, reason = ("STARTING", "") if is_new else ("TERMINATED", "EMR does not know it")
        return Seen(emr_id=emr_id, mark=None, state=state, reason=reason)

    def _described(self, region: str, emr_id: str) -> Seen | None:
        """A cluster at which no round has looked yet; None: EMR did not say."""
        with self._store.read() as conn:
            rows = [row for row in cluster_store.everything(conn) if row.emr_id == emr_id]
        asked_at = next((row.asked_at for row in rows), None)
        try:
            seen = self._truth(region, emr_id, asked_at)
        except (ResourceBusy, ResourceFailure) as error:
            self._quiet.hush(region, str(error))
            return None
        self._regions[region].seen[emr_id] = seen
        return seen

    def _sweep(self, name: str, rows: list[ClusterRow], found: list[Seen]) -> None:
        """End what nobody needs, and forget of what nothing is left.

        Which clusters are needed is read after what there is was asked for: one that was made
        in between is in the list, or it is not among those that were found.
        """
        with self._store.read() as conn:
            needed = cluster_store.needed(conn)
        idle = [row for row in rows if row.cluster_id not in needed]
        for row in idle:
            if not row.ended:
                self._note(row, ended=True)
        at_work = {row.cluster_id for row in idle if not self._agents.end(row.worker_group)}
        wanted = {row.cluster_id: needed[row.cluster_id] for row in rows if row not in idle}
        for seen in found:
            if _is_surplus(seen, wanted):
                log.warning("a cluster that nobody needs is ended", emr_id=seen.emr_id, region=name)
                self._terminated(name, seen.emr_id)
        self._forget([row for row in idle if row.cluster_id not in at_work], found)

    def _forget(self, idle: list[ClusterRow], found: list[Seen]) -> None:
        """Remove the rows of clusters that have ended."""
        now = self._clock.now()
        left = {seen.mark for seen in found if not seen.has_ended}
        ended = {seen.emr_id for seen in found if seen.has_ended}
        over = [
            row.cluster_id
            for row in idle
            if row.cluster_id not in left
            and (row.emr_id in ended or row.asked_at is None or now >= row.asked_at + LATE)
        ]
        if over:
            with self._store.write() as conn:
                cluster_store.remove(conn, over)

    def _keep_agents(self, name: str, rows: Sequence[ClusterRow]) -> None:
        """Have an agent run for each cluster that is set up and that no group's agents use."""
        seen = self._regions[name].seen
        for row in rows:
            cluster = seen.get(row.emr_id or "")
            if row.worker_group and not row.ended and cluster is not None and cluster.takes_work:
                try:
                    self._agents.keep(row.worker_group)
                except ResourceFailure as failure:
                    log.warning("no agent for a cluster", emr_id=row.emr_id, error=str(failure))


def _is_surplus(seen: Seen, wanted: Mapping[str, str | None]) -> bool:
    """Whether a cluster runs for no resource, or beside the one that its resource has."""
    if seen.has_ended or seen.mark is None:
        return False
    if seen.mark not in wanted:
        return True
    emr_id = wanted[seen.mark]
    return emr_id is not None and emr_id != seen.emr_id


def _parts(handle: str) -> tuple[str, str]:
    """The region of a handle, and EMR's id."""
    _, _, rest = handle.partition(":")
    agents = agents_of(handle)
    if agents is not None:
        rest = rest.removesuffix(f"#{agents}")
    region, _, emr_id = rest.partition(":")
    return region, emr_id
