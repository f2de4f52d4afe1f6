"""Alembic's entry: runs the migrations on the connection that the store hands over."""

from alembic import context

from taskrunner.service.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
    # The store's own transaction is around all of it.
    transaction_per_migration=False,
)
context.run_migrations()
