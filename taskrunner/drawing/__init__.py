"""Pictures of dependency graphs: where boxes and edges lie, and the forms of `taskrunner graph`."""
