"""What stands in a pulled definition in place of each secret, and what that means."""

from __future__ import annotations

#: What the service shows in place of a secret.
MASK = "*****"

#: What a mask is, for messages.
WHAT_IT_IS = f"{MASK!r} is the mask that GetPipelineDefinition gives in place of a secret"


#: What a parameter's declaration says of its values: of a secret one, these are secret too.
_OF_VALUES = frozenset({"default", "allowedValues"})


def is_secret_attribute(key: str) -> bool:
    """Whether an attribute of a secret parameter holds values that it may have."""
    return key in _OF_VALUES


def parameter_for(field: str) -> str:
    """The name of a parameter that would hold a secret field's value."""
    name = field.removeprefix("*")
    return f"*my{name[:1].upper()}{name[1:]}"
