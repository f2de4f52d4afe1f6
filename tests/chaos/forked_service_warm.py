"""Loaded before services are forked: what `taskrunner serve` would load at each of its starts."""

from __future__ import annotations

import alembic.command
import psycopg
import sqlalchemy.dialects.postgresql.psycopg
import sqlalchemy.dialects.sqlite.pysqlite

import taskrunner.cli.serve
import taskrunner.service.app
import taskrunner.service.engine
import taskrunner.service.handlers
import taskrunner.service.server
import tests.chaos.forked_service

#: Loading them is all that is wanted.
LOADED = (
    alembic.command,
    psycopg,
    sqlalchemy.dialects.postgresql.psycopg,
    sqlalchemy.dialects.sqlite.pysqlite,
    taskrunner.cli.serve,
    taskrunner.service.app,
    taskrunner.service.engine,
    taskrunner.service.handlers,
    taskrunner.service.server,
    tests.chaos.forked_service,
)
