"""Redshift: what is sent to it, how it is reached, and what may stand in for it."""
