"""EMR's API as a client sees it, its answers scripted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class FakeEmr:
    """Answers as it is told: a value, or an error to raise."""

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            answers = self._answers[name]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]
