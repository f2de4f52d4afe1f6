"""Commands of operators against a service: ours by /v1, AWS's by its 19 operations.

`service` is the one place that knows how a service is asked; `tables` how answers are shown; the
other modules have a command each, or a group of them.
"""
