"""Drivers that are not installed with the program: each is an extra, loaded when it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from taskrunner.errors import ErrorId, PermanentTaskError


def driver(module: str, *, title: str, extra: str) -> Any:
    """The module of a driver; raises PermanentTaskError that says how it is installed."""
    try:
        return import_module(module)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == module
        why = "is not installed" if missing else f"cannot be loaded ({error})"
        message = (
            f"the driver for {title}, {module}, {why} on this host: "
            f"pip install 'taskrunner-agent[{extra}]'"
        )
        raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE) from error
