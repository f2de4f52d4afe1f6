"""How large a task may be that a service hands out: far above any honest one, and finite.

The size of a whole reply is bounded where it is read; this bounds what it is made of.
"""

from __future__ import annotations

from taskrunner.model.task import Task

#: As the API's model has them.
_LONGEST_TASK_ID = 2048
#: An attempt has the id of its object and some more.
_LONGEST_ID = 2048
_LONGEST_KEY = 1024
#: AWS takes 100 objects of 50 fields in a whole pipeline.
_MOST_OBJECTS = 5_000
_MOST_FIELDS = 100_000


def excess(task: Task) -> str | None:
    """What of a task is beyond bounds; none when nothing is."""
    if not 1 <= len(task.task_id) <= _LONGEST_TASK_ID:
        return f"a taskId of {len(task.task_id)} characters, wanted 1 to {_LONGEST_TASK_ID}"
    for name, text in (("pipelineId", task.pipeline_id), ("attemptId", task.attempt_id)):
        if not 1 <= len(text) <= _LONGEST_ID:
            return f"{name}: {len(text)} characters, wanted 1 to {_LONGEST_ID}"
    if len(task.objects) > _MOST_OBJECTS:
        return f"{len(task.objects)} objects, wanted {_MOST_OBJECTS} at most"
    fields = sum(len(item.fields) for item in task.objects.values())
    if fields > _MOST_FIELDS:
        return f"{fields} fields, wanted {_MOST_FIELDS} at most"
    return _of_names(task)


def _of_names(task: Task) -> str | None:
    for key, item in task.objects.items():
        for text in (key, item.id, item.name):
            if len(text) > _LONGEST_ID:
                return f"an id or name of {len(text)} characters, wanted {_LONGEST_ID} at most"
        for field in item.fields:
            if len(field.key) > _LONGEST_KEY:
                return f"a field name of {len(field.key)} characters, wanted {_LONGEST_KEY} at most"
    return None
