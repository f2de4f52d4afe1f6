"""Objects by URI, in S3 or in folders; `open_store` is the way in."""

from taskrunner.data.objects.base import ObjectInfo, ObjectReader, ObjectStore, ObjectWriter
from taskrunner.data.objects.store import open_store

__all__ = ["ObjectInfo", "ObjectReader", "ObjectStore", "ObjectWriter", "open_store"]
