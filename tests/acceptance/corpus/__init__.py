"""Published definitions, worked off here with stand-ins for what lies outside of them.

`python -m tests.acceptance.corpus` prints a line for each; `test_corpus_runs.py` holds what is
expected of them.
"""
