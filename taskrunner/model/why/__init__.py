"""Why something waits, or how it ended: facts in, answer out, without a clock or a store.

One place each: `facts` is what may be known, by our own service's store or by what AWS's API tells;
`causes` has every code; `pipelines` answers for a pipeline, `instances` for an instance and, step
by step, for what holds that back, `resources` and `groups` for machines and runners; `remedies`
spells the commands. To add a cause: a member of `Code` with its line for docs/why.md, and the place
in one of these that finds it.
"""
