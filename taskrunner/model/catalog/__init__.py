"""The object types of AWS Data Pipeline and their fields, as one table (`objects.json`)."""

from taskrunner.model.catalog.table import (
    CATALOG,
    category,
    category_of,
    common_field,
    field_text,
    reference_fields,
)
from taskrunner.model.catalog.types import FieldGroup, FieldSpec, ObjectType, Slot

__all__ = [
    "CATALOG",
    "FieldGroup",
    "FieldSpec",
    "ObjectType",
    "Slot",
    "category",
    "category_of",
    "common_field",
    "field_text",
    "reference_fields",
]
