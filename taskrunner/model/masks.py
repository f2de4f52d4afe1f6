"""What stands in a pulled definition in place of each secret, and what that means."""

from __future__ import annotations

#: What the service shows in place of a secret.
MASK = "*****"

#: What a mask is, for messages.
WHAT_IT_IS = f"{MASK!r} is the mask that GetPipelineDefinition gives in place of a secret"


def parameter_for(field: str) -> str:
    """The name of a parameter that would hold a secret field's value."""
    name = field.removeprefix("*")
    return f"*my{name[:1].upper()}{name[1:]}"
