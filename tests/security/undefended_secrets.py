"""The service and the agent's parts with their care for secrets taken away, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from taskrunner import secret
from taskrunner.agent.secrets.masking import Masker
from taskrunner.model import codec
from taskrunner.model.expressions import evaluate, lookup
from taskrunner.model.expressions.values import Values
from taskrunner.model.validate import context
from taskrunner.service import definitions
from taskrunner.service.auth import Permit
from taskrunner.service.handlers import definitions as definition_calls


def _untainted(patch: pytest.MonkeyPatch) -> None:
    """What comes of a secret is like any other value."""

    def hidden(items: Any, _more: Any = ()) -> Values:
        return Values(items)

    patch.setattr(Values, "hidden", hidden)
    for module in (evaluate, definitions, codec):
        if hasattr(module, "is_secret"):
            patch.setattr(module, "is_secret", lambda _name: False)
    patch.setattr(lookup, "is_secret", lambda _name: False)
    patch.setattr(secret.Secret, "__repr__", str.__repr__)


def _findings_told(patch: pytest.MonkeyPatch) -> None:
    """Findings about secrets are told as all others."""
    patch.setattr(context, "_is_about_secret", lambda *_: False)


def _masks_filled(patch: pytest.MonkeyPatch) -> None:
    """Validation puts stored secrets in place of masks."""
    patch.setattr(definition_calls, "mask", lambda stored: stored)


def _looked_at_plainly(patch: pytest.MonkeyPatch) -> None:
    """What is looked at has its secrets in it."""
    patch.setattr(definitions.LoadedDefinition, "for_eyes", property(lambda self: self))


def _values_by_anybody(patch: pytest.MonkeyPatch) -> None:
    """Whoever may activate may give values."""
    patch.setattr(Permit, "_check_values", lambda _self: None)


def _unsearched(patch: pytest.MonkeyPatch) -> None:
    """Agents look for no secret in texts, and mark none."""
    original = Masker.__init__
    patch.setattr(Masker, "__init__", lambda self, _secrets: original(self, ()))
    patch.setattr(codec, "with_secrets_marked", lambda objects: objects)


MUTANTS: Mapping[str, Callable[[pytest.MonkeyPatch], None]] = {
    "untainted": _untainted,
    "findings-told": _findings_told,
    "masks-filled": _masks_filled,
    "looked-at-plainly": _looked_at_plainly,
    "values-by-anybody": _values_by_anybody,
    "unsearched": _unsearched,
}


@contextmanager
def without(*names: str) -> Iterator[None]:
    """The program as it would be without these defences."""
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            MUTANTS[name](patch)
        yield
