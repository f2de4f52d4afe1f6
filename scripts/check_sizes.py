"""Fails when a module, a function or a service loop has outgrown what one can read at once."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "taskrunner"
MODULE_LINES = 400
FUNCTION_LINES = 50
LOOP_LINES = 15
LOOP_FOLDERS = {"agent", "service"}
#: A migration is one list of statements, read from top to bottom.
NOT_CHECKED = "migrations/versions"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    modules, functions, problems = [], [], []
    for path in sorted(PACKAGE.rglob("*.py")):
        if NOT_CHECKED in path.as_posix():
            continue
        text = path.read_text(encoding="utf-8")
        if text.strip():
            modules.append(text.count("\n"))
        tree = ast.parse(text)
        functions += [length(n) for n in ast.walk(tree) if isinstance(n, Function)]
        problems += [f"{path.relative_to(PACKAGE.parent)}{p}" for p in check(path, text, tree)]
    for problem in problems:
        print(problem)
    print(
        f"{len(modules)} modules, median {statistics.median(modules):.0f} lines, "
        f"longest {max(modules)}; {len(functions)} functions, "
        f"median {statistics.median(functions):.0f} lines, longest {max(functions)}; "
        f"{len(problems)} too long"
    )
    return 1 if problems else 0


def check(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    lines = text.count("\n")
    if lines > MODULE_LINES:
        yield f": {lines} lines, at most {MODULE_LINES}"
    loops = path.relative_to(PACKAGE).parts[0] in LOOP_FOLDERS
    for node in ast.walk(tree):
        if isinstance(node, Function) and length(node) > FUNCTION_LINES:
            yield f":{node.lineno}: {node.name} has {length(node)} lines, at most {FUNCTION_LINES}"
        if loops and isinstance(node, ast.While) and span(node) > LOOP_LINES:
            yield f":{node.lineno}: a while loop of {span(node)} lines, at most {LOOP_LINES}"


def length(node: Function) -> int:
    """Lines of a function without its docstring."""
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return span(node) - (span(first) if is_docstring else 0)


def span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


if __name__ == "__main__":
    sys.exit(main())
