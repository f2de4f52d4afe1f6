from __future__ import annotations

import pytest

from taskrunner.console.views.ansi import Piece, pieces


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", [Piece("plain")]),
        ("\x1b[31mred\x1b[0m no", [Piece("red", "ansi-red"), Piece(" no")]),
        ("\x1b[1;92mok\x1b[22m!", [Piece("ok", "ansi-green ansi-bold"), Piece("!", "ansi-green")]),
        ("\x1b[mplain", [Piece("plain")]),
        ("\x1b[38;5;196mx\x1b[38;2;1;2;3my", [Piece("x"), Piece("y")]),
        ("\x1b[38;5;31;1mx", [Piece("x", "ansi-bold")]),
        ("a\x1b[2J\x1b[Hb", [Piece("a"), Piece("b")]),
        ("\x1b]8;;https://evil.example\x07link\x1b]8;;\x07", [Piece("link")]),
        ("\x1b]0;title\x1b\\x", [Piece("x")]),
        ("a\x00\x08\x9bb", [Piece("a"), Piece("b")]),
        ("10 %\r50 %\r100 %\r\nnext", [Piece("100 %\nnext")]),
        ("end\x1b", [Piece("end")]),
        ("\x1b[99999999999999999999mx", [Piece("x")]),
        ("\x1b[38mx", [Piece("x")]),
        ("<b>&", [Piece("<b>&")]),
    ],
)
def test_colors_are_kept_and_everything_else_left_out(text: str, shown: list[Piece]) -> None:
    assert pieces(text) == shown
