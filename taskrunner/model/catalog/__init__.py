"""The object types of AWS Data Pipeline and their fields, as one table (`objects.json`)."""

from taskrunner.model.catalog.table import (
    CATALOG,
    add_types,
    category,
    category_of,
    common_field,
    field_text,
    find_type,
    one_of_groups,
    reference_fields,
)
from taskrunner.model.catalog.types import FieldGroup, FieldSpec, ObjectType, Slot

__all__ = [
    "CATALOG",
    "FieldGroup",
    "FieldSpec",
    "ObjectType",
    "Slot",
    "add_types",
    "category",
    "category_of",
    "common_field",
    "field_text",
    "find_type",
    "one_of_groups",
    "reference_fields",
]
