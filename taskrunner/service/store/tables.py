"""The tables of the service's store; those of keys in `key_tables`, small indexes in `indexes`.

The migrations must build exactly these (a test compares).
"""

from __future__ import annotations

import sqlalchemy as sa

from taskrunner.service.store.moments import UtcDateTime

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

pipelines = sa.Table(
    "pipelines",
    METADATA,
    sa.Column("pipeline_id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("unique_id", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("first_activated_at", UtcDateTime),
    sa.Column("latest_run_at", UtcDateTime),
    sa.Column("deleted_at", UtcDateTime),
    sa.Column("last_deactivated_at", UtcDateTime),
    # Whether that ends what runs, too; null: not noted by an earlier version of the program.
    sa.Column("cancels_active", sa.Boolean),
    # The version that Put wrote last, and the one that Activate made current; 0: none.
    sa.Column("latest_version", sa.Integer, nullable=False),
    sa.Column("active_version", sa.Integer, nullable=False),
    sa.UniqueConstraint("account", "name", "unique_id"),
)

definitions = sa.Table(
    "definitions",
    METADATA,
    sa.Column("pipeline_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # Of an old version that ended instances are shown by: whether it had secrets, which are
    # masked by now. Null: its body is as it was put.
    sa.Column("secrets_removed", sa.Boolean),
    # Which data key has sealed its secrets; empty: there are none. Null: an earlier version of the
    # program has left them as they are.
    sa.Column("data_key", sa.Text, index=True),
)

# How far each schedule of an active pipeline has been turned into instances.
schedules = sa.Table(
    "schedules",
    METADATA,
    sa.Column("pipeline_id", sa.Text, primary_key=True),
    sa.Column("schedule_id", sa.Text, primary_key=True),
    sa.Column("next_index", sa.Integer, nullable=False),
    # When the next occurrence is to be made; null once there is none left.
    sa.Column("next_at", UtcDateTime, index=True),
    # Periods that start before this are skipped; null: none are.
    sa.Column("skip_before", UtcDateTime),
)

instances = sa.Table(
    "instances",
    METADATA,
    sa.Column("pipeline_id", sa.Text, primary_key=True),
    sa.Column("instance_id", sa.Text, primary_key=True),
    sa.Column("component_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("scheduled_start", UtcDateTime, nullable=False),
    sa.Column("scheduled_end", UtcDateTime, nullable=False),
    sa.Column("not_before", UtcDateTime, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("actual_start", UtcDateTime),
    sa.Column("actual_end", UtcDateTime),
    sa.Column("worker_group", sa.Text),
    sa.Column("node_id", sa.Text),
    sa.Column("attempt_count", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("late_fired", sa.Boolean, nullable=False),
    sa.Column("error_id", sa.Text),
    sa.Column("error_message", sa.Text),
    sa.Column("cause", sa.Text),
    sa.Column("resource_handle", sa.Text),
    # When the scheduler is to look at this instance again; null: not before something happens.
    sa.Column("due_at", UtcDateTime, index=True),
    # How often somebody has had it run again: what runs again takes no place from others.
    sa.Column("reruns", sa.Integer, nullable=False, server_default="0"),
    # Only maxActiveInstances keeps it waiting.
    sa.Column("place_wanted", sa.Boolean, nullable=False, server_default=sa.false()),
    # The backfill that has begun it last.
    sa.Column("backfill_id", sa.Text),
    sa.Index(None, "pipeline_id", "component_id", "status", "scheduled_start"),
    # Both to their ends in the order of pages, so that a page reads no more than it shows.
    sa.Index(None, "pipeline_id", "status", "scheduled_start", "instance_id"),
    sa.Index(None, "pipeline_id", "scheduled_start", "instance_id"),
)

# What somebody has paused: instances and components by their ids, a pipeline by its own.
pauses = sa.Table(
    "pauses",
    METADATA,
    sa.Column("pipeline_id", sa.Text, primary_key=True),
    sa.Column("object_id", sa.Text, primary_key=True),
    sa.Column("paused_at", UtcDateTime, nullable=False),
    # The user whose key asked for it.
    sa.Column("paused_by", sa.Text, nullable=False),
)

# The line of each on-demand pipeline: runs that have their turn or wait for it, until they end.
runs = sa.Table(
    "runs",
    METADATA,
    sa.Column("pipeline_id", sa.Text, primary_key=True),
    # The scheduled start of its instances.
    sa.Column("start", UtcDateTime, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # WAITING or ACTIVE
)

dependencies = sa.Table(
    "dependencies",
    METADATA,
    sa.Column("pipeline_id", sa.Text, primary_key=True),
    sa.Column("instance_id", sa.Text, primary_key=True),
    sa.Column("depends_on", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    # Whole rows: with less SQLite would rather read all of a pipeline's in the primary key.
    sa.Index(None, "pipeline_id", "depends_on", "instance_id", "kind"),
)

attempts = sa.Table(
    "attempts",
    METADATA,
    sa.Column("pipeline_id", sa.Text, primary_key=True),
    sa.Column("attempt_id", sa.Text, primary_key=True),
    sa.Column("instance_id", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("worker_group", sa.Text, nullable=False),
    # READY: any runner of the group may take it. OUT: the hand-out task_id holds it. HELD: its
    # instance is paused. DONE.
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("ready_at", UtcDateTime, nullable=False),
    sa.Column("task_id", sa.Text),
    # Until when the holder must report: the acknowledgement window, then the lease.
    sa.Column("report_by", UtcDateTime),
    sa.Column("lease_s", sa.Float, nullable=False),
    sa.Column("timeout_s", sa.Float),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("hostname", sa.Text),
    sa.Column("error_id", sa.Text),
    sa.Column("error_message", sa.Text),
    sa.Column("error_stack_trace", sa.Text),
    sa.Column("progress", sa.JSON, nullable=False),
    sa.Index(None, "worker_group", "queue", "ready_at"),
    sa.Index(None, "pipeline_id", "instance_id"),
    # In the order of pages.
    sa.Index(None, "pipeline_id", "created_at", "number", "attempt_id"),
)

# One row a hand-out: the fencing token. Never identified by host or runner name.
handouts = sa.Table(
    "handouts",
    METADATA,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("pipeline_id", sa.Text, nullable=False),
    sa.Column("attempt_id", sa.Text, nullable=False),
    sa.Column("hostname", sa.Text),
    # Whose key polled: nobody else is answered about it. Null: handed out before this was kept.
    sa.Column("account", sa.Text),
    sa.Column("user_id", sa.Text),
    sa.Column("handed_out_at", UtcDateTime, nullable=False),
    # ASSIGNED, RUNNING, DONE (its verdict was accepted) or SUPERSEDED.
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text),
    sa.Index(None, "pipeline_id", "attempt_id"),
)

alarms = sa.Table(
    "alarms",
    METADATA,
    sa.Column("pipeline_id", sa.Text, primary_key=True),
    sa.Column("alarm_id", sa.Text, primary_key=True),
    sa.Column("instance_id", sa.Text, nullable=False),
    sa.Column("action_id", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    # One that is secret begins with a star, and is sealed.
    sa.Column("topic_arn", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),  # an AlarmStatus
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("next_at", UtcDateTime, index=True),
    sa.Column("role", sa.Text),
    # Of several targets, the names of those that have taken it.
    sa.Column("taken_by", sa.JSON(none_as_null=True)),
)

# Who asks for work, as its calls tell; written some seconds later, all that is new in one go.
runners = sa.Table(
    "runners",
    METADATA,
    sa.Column("account", sa.Text, primary_key=True),
    # Its own name for itself; of a runner that does not tell, its host's.
    sa.Column("runner_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("hostname", sa.Text),
    sa.Column("ip", sa.Text),
    sa.Column("version", sa.Text),
    # Tasks that it runs at once, and how many it ran when it was last heard of.
    sa.Column("slots", sa.Integer),
    sa.Column("busy", sa.Integer),
    # Why it takes no work, as it says itself; empty: it takes it.
    sa.Column("paused", sa.Text),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    sa.Column("last_poll_at", UtcDateTime),
    sa.Column("last_heartbeat_at", UtcDateTime),
    sa.Column("ordered", sa.Text),  # PAUSE or DRAIN, by an operator
    sa.Column("ordered_by", sa.Text),
    sa.Column("ordered_note", sa.Text),
    sa.Column("ordered_at", UtcDateTime),
    sa.Column("ordered_until", UtcDateTime),
    sa.Index(None, "account", "last_seen_at"),
)

# Which groups each runner has named, in polls and heartbeats, also where nobody has work for them.
runner_groups = sa.Table(
    "runner_groups",
    METADATA,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("runner_id", sa.Text, primary_key=True),
    sa.Column("worker_group", sa.Text, primary_key=True),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    sa.Column("last_poll_at", UtcDateTime),
    sa.Index(None, "account", "worker_group", "last_seen_at"),
    sa.Index(None, "account", "last_seen_at"),
)

# Polls that were refused: one row for what comes again and again.
refused_polls = sa.Table(
    "refused_polls",
    METADATA,
    sa.Column("ip", sa.Text, primary_key=True),
    # Empty: who is refused for its key alone is not asked any further.
    sa.Column("worker_group", sa.Text, primary_key=True),
    # The error's, on the wire.
    sa.Column("code", sa.Text, primary_key=True),
    # Whose key it was; null: nobody's that is known.
    sa.Column("account", sa.Text),
    sa.Column("key_id", sa.Text),
    sa.Column("hostname", sa.Text),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False, index=True),
)

# Signed calls that changed something, until no copy of them would be taken for its age any more.
answered_calls = sa.Table(
    "answered_calls",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("signature", sa.Text, primary_key=True),
    sa.Column("operation", sa.Text, nullable=False),
    # Which pipeline it was about; null: one was made, or none is named.
    sa.Column("pipeline_id", sa.Text),
    # The hand-out that a poll brought.
    sa.Column("task_id", sa.Text),
    # The reply's body, sealed: a task has its secrets in it. Null while the call is under way.
    sa.Column("answer", sa.LargeBinary),
    sa.Column("begun_at", UtcDateTime, nullable=False),
    sa.Column("good_until", UtcDateTime, nullable=False, index=True),
)

# One row: which store this is.
store_identity = sa.Table(
    "store_identity",
    METADATA,
    sa.Column("store_id", sa.Text, primary_key=True),
    # Counted in a SQLite file only: a copy that has fewer than were answered for is an older one.
    sa.Column("changes", sa.BigInteger, nullable=False),
    # SQLite's schema version when a service opened the file; null: it was closed in order.
    sa.Column("open_at_schema", sa.BigInteger),
)

# Machines of EC2, from before they are asked for until EC2 says that they have ended.
machines = sa.Table(
    "machines",
    METADATA,
    # Also the client token, the tag of the instance, and the id of its access key.
    sa.Column("machine_id", sa.Text, primary_key=True),
    # Which resource's; of a launch for each time that it was made.
    sa.Column("pipeline_id", sa.Text, nullable=False),
    sa.Column("instance_id", sa.Text, nullable=False),
    sa.Column("launch", sa.Integer, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("worker_group", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    # What its user data holds, good for saying its key once; and the key, once it was said. Both
    # sealed.
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("secret", sa.Text),
    sa.Column("ec2_id", sa.Text),
    sa.Column("ended", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("pipeline_id", "instance_id", "launch", "number"),
)

# Clusters of EMR, from before they are asked for until EMR says that they have ended.
clusters = sa.Table(
    "clusters",
    METADATA,
    # Also the mark in the cluster's name, by which it is found.
    sa.Column("cluster_id", sa.Text, primary_key=True),
    # Which resource's; of a launch for each time that it was made.
    sa.Column("pipeline_id", sa.Text, nullable=False),
    sa.Column("instance_id", sa.Text, nullable=False),
    sa.Column("launch", sa.Integer, nullable=False),
    # Whom its work goes to: agents of this group add the steps.
    sa.Column("worker_group", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # When EMR was asked for it; null: never, or it was refused.
    sa.Column("asked_at", UtcDateTime),
    sa.Column("emr_id", sa.Text),
    sa.Column("ended", sa.Boolean, nullable=False),
    sa.UniqueConstraint("pipeline_id", "instance_id", "launch"),
)

# Tickets and sessions of the console, by the hashes of their tokens.
sessions = sa.Table(
    "sessions",
    METADATA,
    sa.Column("token_hash", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),  # ticket or session
    sa.Column("key_id", sa.Text, nullable=False, index=True),
    # Tells whether the key's secret is what it was.
    sa.Column("key_mark", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("used_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
)
