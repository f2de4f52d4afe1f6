"""A PostgreSQL in Redshift's place: for tests, and for runs on a machine that has no cluster.

It understands what is written here, and refuses all else of COPY, UNLOAD and CREATE TABLE.
"""
