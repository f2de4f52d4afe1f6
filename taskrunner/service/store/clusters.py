"""Rows of `clusters`: what was asked of EMR, from before it was asked until it has ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.service.store.launched import needed_of
from taskrunner.service.store.records import fetch, insert_missing
from taskrunner.service.store.rows import ClusterRow
from taskrunner.service.store.tables import clusters

_C = clusters.c


def insert(conn: Connection, row: ClusterRow) -> None:
    """Note a cluster; where another service has noted the same launch, its row stays."""
    insert_missing(conn, clusters, [row])


def of_resource(conn: Connection, pipeline_id: str, instance_id: str) -> list[ClusterRow]:
    """The clusters of a resource, in the order of its launches."""
    ours = sa.select(clusters).where(_C.pipeline_id == pipeline_id, _C.instance_id == instance_id)
    return fetch(conn, ClusterRow, ours.order_by(_C.launch))


def everything(conn: Connection) -> list[ClusterRow]:
    """Every cluster of which something may be left."""
    return fetch(conn, ClusterRow, sa.select(clusters).order_by(_C.cluster_id))


def ask(conn: Connection, row: ClusterRow, now: datetime) -> bool:
    """Note that EMR is asked for it now; false when somebody else has asked meanwhile."""
    same = _C.asked_at.is_(None) if row.asked_at is None else _C.asked_at == row.asked_at
    ours = clusters.update().where(_C.cluster_id == row.cluster_id, same, ~_C.ended)
    return conn.execute(ours.where(_C.emr_id.is_(None)).values(asked_at=now)).rowcount == 1


def update(conn: Connection, cluster_id: str, **values: Any) -> None:
    """Change what is known of a cluster."""
    conn.execute(clusters.update().where(_C.cluster_id == cluster_id).values(**values))


def end(conn: Connection, emr_id: str) -> None:
    """Note that a cluster is not needed any more."""
    conn.execute(clusters.update().where(_C.emr_id == emr_id, ~_C.ended).values(ended=True))


def remove(conn: Connection, cluster_ids: Iterable[str]) -> None:
    """Forget clusters of which nothing is left."""
    conn.execute(clusters.delete().where(_C.cluster_id.in_(list(cluster_ids))))


def needed(conn: Connection) -> dict[str, str | None]:
    """The clusters of resources that run or are being made, with EMR's ids where they are known."""
    return needed_of(conn, clusters, "cluster_id", "emr_id", scheme="emr:")
