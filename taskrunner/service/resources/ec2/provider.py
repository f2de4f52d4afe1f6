"""Ec2Resource as machines of EC2: made for the resource, watched together, and ended with it.

Each machine has a row in the store before EC2 is asked for it, and its id is the client token: a
service that is killed in between, or another one over the same store, asks for the same machine
once more. The row goes only when EC2 says that the machine has ended.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from taskrunner.clock import Clock
from taskrunner.logs import get_logger
from taskrunner.model.rows import InstanceRow
from taskrunner.service.resources.base import Launch, ResourceBusy, ResourceFailure
from taskrunner.service.resources.ec2.api import Ec2Api, Seen
from taskrunner.service.resources.ec2.machine import Spec, request
from taskrunner.service.resources.ec2.user_data import AgentSettings, user_data
from taskrunner.service.resources.quiet import QuietRegions
from taskrunner.service.store import machines as machine_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import MachineRow

log = get_logger()

#: How often EC2 is asked about all machines of a region, in seconds.
WATCH_S = 10.0
#: How long nothing is asked of a region that did not answer or was busy, in seconds.
PAUSE_S = 10.0
#: How long an instance may be missing in EC2's answers before it counts as gone: they lag behind.
GRACE_S = 120.0
#: How long a machine that was asked for may turn up, although its id never came.
LATE = timedelta(minutes=15)
#: How often the current images are looked up.
_IMAGES_S = 3600.0
_ALPHABET = string.ascii_lowercase + string.digits
_PREFIX = "ec2"


@dataclass
class _Region:
    """What is known of a region."""

    #: Seconds of the monotonic clock: when EC2 is asked again.
    watch_at: float = 0.0
    #: When EC2 last answered, and what it knew then, by its ids.
    looked_at: float | None = None
    seen: Mapping[str, Seen] = field(default_factory=dict)
    #: Since when instances have been asked for here that were missing in EC2's answers.
    missing: dict[str, float] = field(default_factory=dict)


class Ec2Machines:
    """Makes, watches and ends machines. Its calls come from one thread, `end` from any."""

    def __init__(
        self,
        store: Store,
        *,
        region: str,
        clock: Clock,
        agents: AgentSettings | None,
        api: Ec2Api | None = None,
        watch_s: float = WATCH_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        """Without `agents` nothing is launched; what an earlier service launched is looked after.

        `region` is that of resources that name none.
        """
        self._watch_s, self._pause_s = watch_s, pause_s
        self._quiet = QuietRegions(clock, pause_s)
        self._store, self._clock = store, clock
        self._region, self._agents = region, agents
        self._api = api or Ec2Api()
        self._regions: dict[str, _Region] = {}
        #: Handles whose end was asked for: when it is asked for again.
        self._asked: dict[str, float] = {}
        self._images_at = 0.0

    # -- launching --------------------------------------------------------------------------

    def launch(self, wanted: Launch) -> str:
        """Make the resource's machines; returns `ec2:REGION:ID`, with commas between several.

        Raises ResourceFailure or ResourceBusy.
        """
        spec = Spec.of(wanted, region=self._region)
        if self._agents is None:
            raise ResourceFailure(f"{spec.name}: no rule of this service makes instances")
        if wanted.row.worker_group is None:
            raise ResourceFailure(f"{spec.name} has no worker group")
        self._quiet.check(spec.region)
        noted = self._noted(wanted, spec)
        try:
            ids = self._all_made(noted, spec, wanted, self._agents)
        except ResourceBusy as busy:
            self._quiet.hush(spec.region, str(busy))
            raise
        except ResourceFailure:
            # What was made of them so far is ended by the next look at the region.
            self._end_noted(noted)
            raise
        return f"{_PREFIX}:{spec.region}:{','.join(ids)}"

    def _all_made(
        self, noted: list[MachineRow], spec: Spec, wanted: Launch, agents: AgentSettings
    ) -> list[str]:
        """EC2's ids of all machines, or of as many as are enough when there is no room for more."""
        ids: list[str] = []
        for machine in noted:
            try:
                ids.append(self._made(machine, spec, wanted, agents))
            except ResourceFailure as failure:
                if not failure.wait or len(ids) < spec.enough:
                    raise
                log.warning("fewer instances than were wanted", made=len(ids), error=str(failure))
                self._end_noted(noted[len(ids) :])
                break
        return ids

    def _noted(self, wanted: Launch, spec: Spec) -> list[MachineRow]:
        """The rows of the resource's machines: of a launch that was cut short, or new ones."""
        row = wanted.row
        with self._store.write() as conn:
            held = machine_store.of_resource(conn, row.pipeline_id, row.instance_id)
            if any(not machine.ended for machine in held):
                return [machine for machine in held if not machine.ended]
            made = 1 + max((machine.launch for machine in held), default=0)
            new = [
                MachineRow(
                    machine_id="m-" + "".join(secrets.choice(_ALPHABET) for _ in range(22)),
                    pipeline_id=row.pipeline_id,
                    instance_id=row.instance_id,
                    launch=made,
                    number=number,
                    account=wanted.account,
                    worker_group=row.worker_group or "",
                    region=spec.region,
                    token=secrets.token_urlsafe(32),
                    created_at=self._clock.now(),
                )
                for number in range(spec.count)
            ]
            machine_store.insert(conn, new)
            found = machine_store.of_resource(conn, row.pipeline_id, row.instance_id)
        return [machine for machine in found if not machine.ended]

    def _made(self, machine: MachineRow, spec: Spec, wanted: Launch, agents: AgentSettings) -> str:
        """The id of a machine's instance, which is made unless it is there."""
        if machine.ec2_id is not None:
            return machine.ec2_id
        arguments = request(
            spec,
            image=self._image(spec),
            group_ids=self._api.group_ids(spec),
            user_data=user_data(agents, machine, wanted),
            machine=machine.machine_id,
        )
        ec2_id = self._api.run(spec, arguments)
        with self._store.write() as conn:
            machine_store.update(conn, machine.machine_id, ec2_id=ec2_id)
        log.info(
            "instance made",
            ec2_id=ec2_id,
            region=spec.region,
            spot=spec.bid is not None,
            pipeline_id=machine.pipeline_id,
            instance_id=machine.instance_id,
        )
        return ec2_id

    def _image(self, spec: Spec) -> str:
        now = self._clock.monotonic()
        if now >= self._images_at:
            self._api.forget_images()
            self._images_at = now + _IMAGES_S
        return self._api.image(spec)

    # -- what is there ----------------------------------------------------------------------

    def alive(self, handle: str) -> bool:
        """Whether any of its instances is there, by the last look at its region."""
        region, ids = _parts(handle)
        known = self._regions.setdefault(region, _Region())
        return any(self._may_run(known, ec2_id) for ec2_id in ids)

    def _may_run(self, region: _Region, ec2_id: str) -> bool:
        seen = region.seen.get(ec2_id)
        if seen is not None:
            return seen.runs
        since = region.missing.setdefault(ec2_id, self._clock.monotonic())
        # Only an answer of EC2's says that it is gone, never that none came.
        return region.looked_at is None or region.looked_at < since + GRACE_S

    def takes_work(self, handle: str) -> bool:
        """Its instances ask for work themselves."""
        return False

    def reason(self, row: InstanceRow) -> str:
        """Why its instances ended, as EC2 says it."""
        region, ids = _parts(row.resource_handle or "")
        known = self._regions.get(region, _Region())
        return "; ".join(_said(ec2_id, known.seen.get(ec2_id)) for ec2_id in ids)

    # -- the end ----------------------------------------------------------------------------

    def end(self, handle: str) -> bool:
        """Have its instances terminated; true once EC2 says that they are on their way out.

        Of one of which EC2 knows nothing, the row stays until it is sure that none turns up.
        """
        region, ids = _parts(handle)
        now = self._clock.monotonic()
        if handle not in self._asked:
            # In any case, and before EC2 is asked: whoever launches again must not take these.
            with self._store.write() as conn:
                machine_store.end(conn, ids)
        elif now < self._asked[handle]:
            return False
        self._asked[handle] = now + self._pause_s
        if self._quiet.trouble(region) or not self._terminate(region, ids):
            return False
        self._asked.pop(handle, None)
        return True

    def _terminate(self, region: str, ids: Iterable[str]) -> bool:
        wanted = list(ids)
        try:
            ended = self._api.terminate(region, wanted)
        except (ResourceBusy, ResourceFailure) as error:
            if self._quiet.hush(region, str(error)):
                log.warning("instances could not be ended", ec2_ids=wanted, error=str(error))
            return False
        log.info("instances ended", ec2_ids=sorted(ended), region=region)
        known = self._regions.setdefault(region, _Region())
        gone = {ec2_id for ec2_id in wanted if not self._may_run(known, ec2_id)}
        return all(ended.get(ec2_id) or ec2_id in gone for ec2_id in wanted)

    def _end_noted(self, machines: Sequence[MachineRow]) -> None:
        if not machines:
            return
        with self._store.write() as conn:
            for machine in machines:
                machine_store.update(conn, machine.machine_id, ended=True)

    # -- now and then -----------------------------------------------------------------------

    def look_after(self, now: datetime) -> None:
        """Look at each region in which there may be machines, and end those that nobody needs."""
        at = self._clock.monotonic()
        if self._regions and all(at < region.watch_at for region in self._regions.values()):
            return
        with self._store.read() as conn:
            machines = machine_store.everything(conn)
        for name in sorted({machine.region for machine in machines} - self._regions.keys()):
            self._regions[name] = _Region()
        for name, region in self._regions.items():
            if at >= region.watch_at:
                region.watch_at = at + self._watch_s
                self._look(name, [each for each in machines if each.region == name])
        self._regions.setdefault(self._region, _Region(watch_at=at + self._watch_s))

    def _look(self, name: str, machines: list[MachineRow]) -> None:
        region = self._regions[name]
        if not machines:
            region.seen, region.looked_at = {}, self._clock.monotonic()
            return
        if self._quiet.trouble(name):
            return
        try:
            found = self._api.machines(name, [machine.machine_id for machine in machines])
        except (ResourceBusy, ResourceFailure) as error:
            # Nothing new is known then, and nothing is concluded from that.
            if self._quiet.hush(name, str(error)):
                log.warning("instances could not be looked at", region=name, error=str(error))
            return
        self._quiet.answered(name)
        region.looked_at = self._clock.monotonic()
        region.seen = {seen.ec2_id: seen for seen in found}
        region.missing = {k: since for k, since in region.missing.items() if k not in region.seen}
        self._sweep(name, machines, found)

    def _sweep(self, name: str, machines: list[MachineRow], found: list[Seen]) -> None:
        """End what nobody needs, and forget of what nothing is left.

        Which machines are needed is read after what there is was asked for: one that was made
        in between is in the list, or it is not among those that were found.
        """
        with self._store.read() as conn:
            needed = machine_store.needed(conn)
        idle = [machine for machine in machines if machine.machine_id not in needed]
        self._end_noted([machine for machine in idle if not machine.ended])
        wanted = {m.machine_id: needed[m.machine_id] for m in machines if m.machine_id in needed}
        surplus = [seen.ec2_id for seen in found if _is_surplus(seen, wanted)]
        if surplus:
            log.warning("instances that nobody needs are ended", ec2_ids=surplus, region=name)
            self._terminate(name, surplus)
        self._forget(idle, found)

    def _forget(self, idle: list[MachineRow], found: list[Seen]) -> None:
        """Remove the rows of machines that have ended."""
        now = self._clock.now()
        there = {seen.machine_id: seen for seen in found}
        left = {seen.machine_id for seen in found if not seen.has_ended}
        over = [
            machine.machine_id
            for machine in idle
            if machine.machine_id not in left
            and (machine.machine_id in there or now >= machine.created_at + LATE)
        ]
        if over:
            with self._store.write() as conn:
                machine_store.remove(conn, over)


def _is_surplus(seen: Seen, wanted: Mapping[str, str | None]) -> bool:
    """Whether an instance runs for no machine, or beside the one that its machine has."""
    if seen.has_ended:
        return False
    if seen.machine_id not in wanted:
        return True
    ec2_id = wanted[seen.machine_id]
    return ec2_id is not None and ec2_id != seen.ec2_id


def _parts(handle: str) -> tuple[str, list[str]]:
    """The region of a handle, and EC2's ids."""
    _, _, rest = handle.partition(":")
    region, _, ids = rest.partition(":")
    return region, [ec2_id for ec2_id in ids.split(",") if ec2_id]


def _said(ec2_id: str, seen: Seen | None) -> str:
    if seen is None:
        return f"EC2 does not know {ec2_id}"
    if seen.runs:
        return f"{ec2_id} runs; what its user data printed is in its console output"
    if "Spot" in seen.reason:
        return f"EC2 took the spot instance {ec2_id} back"
    if "InstanceInitiatedShutdown" in seen.reason:
        output = f"aws ec2 get-console-output --instance-id {ec2_id}"
        return f"{ec2_id} shut itself down; {output} says why"
    return f"{ec2_id} is {seen.state}" + (f" ({seen.reason})" if seen.reason else "")
