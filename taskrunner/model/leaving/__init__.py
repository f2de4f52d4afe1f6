"""Moving the pipelines of an account: their files, what differs, what has to be done.

All of it is pure; `cli/leaving` reads the files and makes the calls.
"""
